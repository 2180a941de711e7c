"""Is what a draft ranks with now better than trees alone?

    python bench/funnel/default.py --data DIR [--only NAME ...]

Each draft (``bench/first_hour/results.json``) is fitted with trees alone, as it was, and with the rankers and labels
that ``shortlist init`` writes for its log now; which of them is served, ``fit`` chooses before the test window. NDCG@10
of the slates on the test window, paired by request, users drawn (95 %); one seed. Where both drafts are the same, that
is said. Load is of the whole machine: above 1 a core, seconds are not to be trusted.
Writes default.json and DEFAULT.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from shortlist.cli import threads  # noqa: F401 - before numpy, as the command line: the same figures

# isort: split
from shortlist import train
from shortlist.cli.progress import progress
from shortlist.documents import write_text
from shortlist.draft.funnel import NET, TREES, rankers
from shortlist.evaluate.compare import compare
from shortlist.recipe import parse
from shortlist.registry import entry

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from drafts import known, tables_of  # noqa: E402

import measured  # noqa: E402

METRIC = "ndcg@10"


def of_trees(name: str, data: Path) -> dict[str, Any]:
    """The draft's tables, ranked by trees alone."""
    return {**tables_of(name, data), "rank": TREES}


def as_now(tables: dict[str, Any]) -> dict[str, Any]:
    """The same with what a draft ranks with now."""
    more, rank = rankers(parse(tables))
    return {**tables, "samples": {**tables["samples"], **more}, "rank": rank}


def fitted(tables: dict[str, Any], out: Path) -> dict[str, Any]:
    """What the evaluation says of a fit; in a process of its own, memory is its own."""
    with progress():
        document: dict[str, Any] = train.fit(parse(tables), out=out).evaluation.document
    return {
        "served": document["ranker"] or "merge",
        "seconds": document["fit_seconds"],
        "GiB": document["peak_memory_bytes"] / 2**30,
    }


def measure(name: str, data: Path) -> dict[str, Any]:
    """Both, paired."""
    before = of_trees(name, data)
    after = as_now(before)
    if after == before:
        return {"same": True, **measured.provenance("bench/funnel/default.py")}
    with tempfile.TemporaryDirectory() as folder:
        runs, told = [], []
        for what, tables in (("trees", before), ("now", after)):
            runs.append([Path(folder) / what])
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                told.append(apart.submit(fitted, tables, runs[-1][0]).result())
        pair = compare(runs)["pairs"][0]
    return {
        "same": False,
        "requests": pair["requests"],
        "users": pair["users"],
        "rankers": list(after["rank"]),
        "slate": pair["stages"]["slate"][METRIC],
        "trees": told[0],
        "now": told[1],
        **measured.provenance("bench/funnel/default.py"),
    }


def page(results: dict[str, Any]) -> str:
    """The table."""
    _, command, text = (__doc__ or "").strip().split("\n\n")
    lines = ["# What a draft ranks with", "", f"`{command.strip()}`", "", *text.split("\n"), ""]
    lines += [
        "| log | requests | users | rankers | trees alone | now | difference | | served: alone, now | fit s | GiB |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, row in results.items():
        if row["same"]:
            lines.append(f"| {name} | | | the same | | | | | | | |")
            continue
        cell, one, other = row["slate"], row["trees"], row["now"]
        low, high = cell["low"], cell["high"]
        cells = [name, f"{row['requests']:,}", f"{row['users']:,}", ", ".join(row["rankers"])]
        cells += [f"{cell['baseline']['mean']:.4f}", f"{cell['run']['mean']:.4f}"]
        cells += [f"{cell['diff']:+.4f} [{low:+.4f}, {high:+.4f}]", "above" if low > 0 else "below" if high < 0 else ""]
        cells += [f"{one['served']}, {other['served']}", f"{one['seconds']:.0f}, {other['seconds']:.0f}"]
        cells += [f"{one['GiB']:.1f}, {other['GiB']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [""]
    for name, row in results.items():
        lines.append(f"- {name}: `{row['command']}`, {row['machine']}, {row['date']}, load {row['load']}")
    told = ", ".join(f"{package} {version}" for package, version in list(results.values())[-1]["versions"].items())
    return "\n".join([*lines, "", f"{told}."]) + "\n"


def main() -> None:
    """Measures what was asked for and rewrites the page."""
    logs = known()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--only", nargs="*", default=logs, choices=logs, metavar="NAME")
    asked = parser.parse_args()
    if not entry("rank", NET["type"]).available:
        parser.error(f"{NET['type']} needs torch: pip install 'shortlist[deep]'")
    file = HERE / "default.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in asked.only:
        results[name] = measure(name, asked.data)
        results = {log: results[log] for log in logs if log in results}
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(HERE / "DEFAULT.md", page(results))
    print(page(results))


if __name__ == "__main__":
    main()
