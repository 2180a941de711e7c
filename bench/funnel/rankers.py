"""Rankers of histories, of several labels, and bandits in four drafted funnels, beside those that read tables.

    python bench/funnel/rankers.py --data DIR [--only NAME ...]

Each draft (``bench/first_hour/results.json``) is fitted once with all rankers, so that they order the same candidates.
*Of tables* are the draft's own trees, a line and the two deep rankers that did best in the committed recipes
(``bench/rank/funnel.toml``), and ``dnn``, a net of one label by the log loss that nets of several labels have; the
nets have the settings that were chosen there, and ``each`` the draft's trees, by log loss. Nothing is chosen on the
test window: the ranker of tables that others are compared with is the one with the highest mean before it, and
*served* is what ``fit`` makes of all of them. NDCG@10 is of the order before rules; differences are paired by request,
users drawn (95 %). bst has the form that was chosen on three logs (``bench/rank/HISTORIES.md``): norms before, the
target's place. Writes rankers.json and RANKERS.md; ``--only`` without a name, the page alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shortlist.cli import threads  # noqa: F401 - before numpy, as the command line: the same figures

# isort: split
import numpy as np

from shortlist import train
from shortlist.cli.progress import progress
from shortlist.documents import write_text
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recipe import Recipe, parse

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "rank"))

from drafts import tables_of  # noqa: E402

from funnel import by_request  # noqa: E402

LOGS = {"latest-small": 4, "movielens-100k": 4, "movietweetings": 7, "amazon-grocery": None}
"""By name, from which rating on something is liked; None = there are no ratings, so there is one label."""
OF_TABLES = ("gbdt", "logistic", "wide_deep", "dcn", "dnn")
OF_HISTORIES: dict[str, dict[str, Any]] = {
    "din": {},
    "dien": {},
    "bst": {"norm": "before", "pooling": "target", "embedding_l2": 0.01},
}
"""With what they are told beyond the settings of nets of tables."""
OF_LABELS = ("shared_bottom", "mmoe", "ple", "esmm")
BANDITS = ("linucb", "thompson")


def recipe_of(name: str, data: Path) -> Recipe:
    """The draft with all rankers."""
    tables = tables_of(name, data)
    known = tomllib.loads((HERE.parent / "rank" / "funnel.toml").read_text(encoding="utf-8"))
    net = {key: value for key, value in known["wide_deep"].items() if key != "type"}
    several = {key: value for key, value in net.items() if key != "objective"}
    trees = tables["rank"]
    rank = {"gbdt": trees, **{one: known[one] for one in OF_TABLES[1:-1]}, "dnn": {"type": "dnn", **several}}
    rank |= {one: {"type": one, **net, **own} for one, own in OF_HISTORIES.items()}
    samples = dict(tables["samples"])
    if LOGS[name] is not None:
        samples["labels"] = {"watched": {"rating": 0.5}, "liked": {"rating": LOGS[name]}}
        labels = ["watched", "liked"]
        rank |= {one: {"type": one, **several, "labels": labels} for one in OF_LABELS}
        rank["each"] = {"type": "each", "ranker": {**trees, "objective": "pointwise"}, "labels": labels}
    rank |= {one: {"type": one} for one in BANDITS}
    return parse({**tables, "samples": samples, "rank": rank})


def measure(recipe: Recipe) -> dict[str, Any]:
    """Every ranker before the test and in it, beside the best of tables and beside the draft's own."""
    with tempfile.TemporaryDirectory() as folder, progress():
        fitted = train.fit(recipe, out=Path(folder))
    document = fitted.evaluation.document
    users, values = by_request(fitted.evaluation.rows)
    served, before = document["ranker"], document["validation"]
    stage = {name: "rank" if name == served else f"rank.{name}" for name in recipe.rankers}
    best = max(OF_TABLES, key=before.__getitem__)
    found = {}
    for name, at in {**stage, "served": "rank"}.items():
        beside = {other: asdict(paired_interval(values[at], values[stage[other]], users)) for other in {best, "gbdt"}}
        before_test = before.get(name)
        found[name] = {"validation": before_test, "ndcg": asdict(mean_interval(values[at], users)), "minus": beside}
    return {
        "requests": len(users),
        "users": len(np.unique(users)),
        "merge": float(values["merge"].mean()),
        "best of tables": best,
        "served": served,
        "rankers": found,
        "seconds": document["fit_seconds"],
        "peak_GiB": document["peak_memory_bytes"] / 2**30,
        "versions": train.versions(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def page(results: dict[str, Any]) -> str:
    """The tables."""
    _, command, text = (__doc__ or "").strip().split("\n\n")
    lines = ["# Rankers in four funnels", "", f"`{command.strip()}`", "", *text.split("\n")]
    for name, row in results.items():
        best = row["best of tables"]
        lines += [
            "",
            f"## {name}",
            "",
            f"{row['requests']:,} requests of {row['users']:,} users; merge order {row['merge']:.4f}; served: "
            f"{row['served'] or 'merge'}. {row['seconds']:.0f} s, {row['peak_GiB']:.1f} GiB, {row['cores']} cores, "
            f"load {row['load']}." + absent(name, row),
            "",
            f"| ranker | before the test | NDCG@10 | minus {best} | | minus the draft's gbdt | |",
            "|---|---|---|---|---|---|---|",
        ]
        for ranker, one in row["rankers"].items():
            validation = "" if one["validation"] is None else f"{one['validation']:.4f}"
            cells = [f"**{ranker}**" if ranker == "served" else ranker, validation, f"{one['ndcg']['mean']:.4f}"]
            for other in (best, "gbdt"):
                cells += ["", ""] if ranker == other else said(one["minus"][other])
            lines.append(f"| {' | '.join(cells)} |")
    if left := [log for log in LOGS if log not in results]:
        lines += ["", f"Not measured: {', '.join(left)}."]
    made = next(iter(results.values()))
    return "\n".join([*lines, "", ", ".join(f"{k} {v}" for k, v in made["versions"].items()) + "."]) + "\n"


def absent(name: str, row: dict[str, Any]) -> str:
    """Which rankers the log has been measured without."""
    wanted = [*OF_TABLES, *OF_HISTORIES, *((*OF_LABELS, "each") if LOGS[name] is not None else ()), *BANDITS]
    missing = [ranker for ranker in wanted if ranker not in row["rankers"]]
    return f" Not measured there: {', '.join(missing)}." if missing else ""


def said(pair: dict[str, Any]) -> list[str]:
    """A difference with its interval, and in a word."""
    low, high = pair["low"], pair["high"]
    return [f"{pair['diff']:+.4f} [{low:+.4f}, {high:+.4f}]", "above" if low > 0 else "below" if high < 0 else ""]


def main() -> None:
    """Measures what was asked for and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--only", nargs="*", default=list(LOGS), choices=LOGS, metavar="NAME")
    asked = parser.parse_args()
    file = HERE / "rankers.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in asked.only:
        results[name] = measure(recipe_of(name, asked.data))
        results = {log: results[log] for log in LOGS if log in results}
        write_text(file, json.dumps(results, indent=1) + "\n")
    write_text(HERE / "RANKERS.md", page(results))
    print(page(results))


if __name__ == "__main__":
    main()
