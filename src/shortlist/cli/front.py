"""``shortlist compare --along``: one run's front of accuracy against diversity along a setting of a soft rule."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from shortlist.cli import again, terminal
from shortlist.cli.leaderboards import NARROW
from shortlist.cli.price import bare, short, sure
from shortlist.cli.progress import progress
from shortlist.cli.tables import decimal, interval, table
from shortlist.component import InputError
from shortlist.documents import dumps, write_text
from shortlist.progress import step


def show(runs: Sequence[Path], written: str, data: Path | None, as_json: Path | None, html: Path | None) -> None:
    """Asks a run's test window with every value and shows what came; raises ``InputError`` unless there is one."""
    from shortlist import report
    from shortlist.bundle import open_bundle
    from shortlist.evaluate.along import Setting, along

    if len(runs) != 1:
        raise InputError(f"--along {written}: expected one recipe or run, found {len(runs)}")
    path = runs[0] if (runs[0] / "manifest.json").is_file() else runs[0] / "bundle"
    with progress():
        with step("open bundle"):
            opened = open_bundle(path)
        setting = Setting.parse(written, opened.pipeline)
        log, cut = again.log_of(opened, path, data), opened.manifest["cuts"]["test"]
        found = along(opened.pipeline, log, opened.recipe.evaluate, setting, cut, seed=opened.recipe.seed)
    document = {"name": opened.recipe.name, "bundle": opened.hash[:12], **found}
    if as_json:
        write_text(as_json, dumps(document))
    if html:
        write_text(html, report.front(document))
    terminal.out.print(table_of(document))


def table_of(document: Mapping[str, Any]) -> Table:
    """Each value of a setting: accuracy, diversity, what it is beside the declared one, and the rule's own aim."""
    accuracy, diversity, k = document["accuracy"], document["diversity"], document["k"]
    named = diversity.partition("@")[0].replace(".", "\n").replace("_", " ") if diversity else ""
    heads = [named, "minus\ndeclared"] if diversity else []
    made = table(
        f"{document['name']}: {document['setting']}, {document['requests']:,} requests of {document['users']:,} users",
        ("value", f"NDCG@{k} (95 %)", "minus\ndeclared", *heads, "cov.", "missed", ""),
        ("value",),
    )
    for point in document["points"]:
        metrics, change = point["metrics"], point["change"]
        spread = [bare(decimal(metrics[diversity]["mean"])), sure(change.get(diversity))] if diversity else []
        made.add_row(
            f"{point['value']:g}" if isinstance(point["value"], float) else escape(str(point["value"])),
            bare(interval(metrics[accuracy])),
            sure(change.get(accuracy)),
            *spread,
            bare(decimal(metrics[f"coverage@{k}"])),
            short(point["missed"]),
            "front" if point.get("front") else "",
            style="bold" if point["value"] == document["declared"] else "",
        )
    said = (
        f"missed: {document['aim']}. front: no other value is better in both. Declared: {document['declared']}. "
        "In brackets: could be chance. Chosen on a test window a value flatters; choose by what is wanted"
    )
    made.caption = escape(textwrap.fill(said, NARROW))
    return made
