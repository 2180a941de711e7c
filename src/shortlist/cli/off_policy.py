"""The command that tells what a recipe would be worth from what another policy showed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist.cli import again, overview, tables, terminal
from shortlist.cli.progress import progress
from shortlist.cli.runs import runs_of
from shortlist.component import InputError
from shortlist.documents import dumps, refuse_unwritable, write_text
from shortlist.progress import step

NAMES = {
    "direct": "direct method",
    "ips": "IPS",
    "self_normalised": "self-normalised IPS",
    "clipped": "clipped IPS, fixed",
    "clipped_bias_aware": "clipped IPS, bias-aware",
    "doubly_robust": "doubly robust",
    "switch": "switch doubly robust",
    "independent": "independent places",
    "reward_interaction": "reward interaction",
    "whole": "whole slates",
}


def add_to(app: typer.Typer) -> None:
    """Registers the command of this file."""
    app.command(name="off-policy", rich_help_panel=overview.MEASURE)(off_policy)


def off_policy(
    what: Annotated[Path, typer.Argument(help="A recipe (fitted where runs/NAME is not its), a run or a bundle.")],
    data: Annotated[Path | None, typer.Option("--data", help="Relative paths in the recipe start here.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    label: Annotated[str, typer.Option(help="The reward: positive, or one of [samples.labels].")] = "positive",
    draws: Annotated[int, typer.Option(min=1, help="Times a funnel that explores is asked for each slate.")] = 32,
) -> None:
    """What would it be worth, by what another policy showed?"""
    from shortlist.offpolicy.report import off_policy as run

    refuse_unwritable(as_json)
    folder = runs_of([what], data)[0][0]
    bundle = folder / "bundle" if (folder / "bundle").is_dir() else folder
    with progress():
        pipeline, log, recipe, manifest = _opened(bundle, data)
        found = run(pipeline, log, recipe, manifest["cuts"]["test"], label=label, draws=draws)
    document = {"name": recipe.name, "bundle": manifest["hash"][:12], **found}
    if as_json:
        write_text(as_json, dumps(document))
    if document["refused"]:
        raise InputError(f"{what}: {document['refused']}")
    terminal.out.print(_table(document))


def _opened(path: Path, data: Path | None) -> tuple[Any, Any, Any, Mapping[str, Any]]:
    """The bundle's funnel, the log with the bundle's codes, its recipe and manifest."""
    from shortlist.bundle import open_bundle

    with step("open bundle"):
        opened = open_bundle(path)
    log = again.log_of(opened, path, data)
    return opened.pipeline, log, opened.recipe, {**opened.manifest, "hash": opened.hash}


def _table(document: Mapping[str, Any]) -> Any:
    """One line an estimator, and how far the log can be trusted."""
    overlap, logged = document["overlap"], document["logged"]
    title = f"{document['name']}: worth per row shown, from {document['rounds']:,} rows from {document['opens'][:10]}"
    shown = tables.table(title, ("", "estimate (95 %)", "minus logged (95 %)"))
    shown.add_row("as logged", _interval(logged), "", end_section=True)
    for name, found in document["estimates"].items():
        bound = document["bounds"].get(name)
        label = NAMES[name] + (f" ({bound:.3g})" if bound is not None else "")
        shown.add_row(label, _interval(found), _interval(found["lift"], sign=True))
    if "slate_estimates" in document:
        shown.add_section()
        each = dict(document["slate_estimates"])
        shown.add_row(f"per slate ({document['slates']:,}), as logged", _interval(each.pop("logged")))
        for name, found in each.items():
            cells = (
                [found["refused"]] if "refused" in found else [_interval(found), _interval(found["lift"], sign=True)]
            )
            shown.add_row(NAMES[name], *cells)
    shown.caption = (
        f"effective sample size {overlap['effective']:,.0f}; {overlap['shown']:,} rows this policy would have shown, "
        f"{overlap['rewarded']:,} of them rewarded\nweights: mean {overlap['mean']['mean']:.3f} (1 expected), "
        f"largest {overlap['largest']:,.1f}\nintervals of the direct method and of bounded weights hold the noise, not "
        "the bias"
    )
    return shown


def _interval(found: Mapping[str, Any], sign: bool = False) -> str:
    middle = tables.decimal(found["mean"], 4, sign=sign)
    return f"{middle} ({tables.decimal(found['low'], 4, sign=sign)}, {tables.decimal(found['high'], 4, sign=sign)})"
