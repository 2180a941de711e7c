"""What vectors learned on one log bring to another: movielens-100k's to movielens-latest-small, by the films' titles.

    python bench/recall/transfer.py --data DIR [--work DIR] [--seeds N] [--page]

The source is fitted on the whole of its log by ``shortlist.train.fit``, which ends years before the target's cut, so
that nothing here knows the future. The target's sasrec is fitted on what was before its ``test`` cut, once from nothing
and once from the bundle's vectors (``warm_start``, ``warm_by = "title"``), with equal settings and seeds; both stop by
the last tenth of that log. Asked are the questions of the window (``replay``), 200 rows each, hard rules in force.
Rows are kept in transfer.json; TRANSFER.md is written from them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import channel as rows_of
import logs
import numpy as np
from page import apart, made
from rows import HERE, provenance, say

from shortlist import train
from shortlist.data import Dataset
from shortlist.data.elsewhere import ELSEWHERE
from shortlist.documents import dumps, write_text
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recipe import read
from shortlist.registry import find
from shortlist.train.elsewhere import with_vectors
from shortlist.types import Array, Ragged

SOURCE, TARGET = "movielens-100k", "movielens-latest-small"
NET: dict[str, Any] = {
    "type": "sasrec", "factors": 64, "length": 50, "objective": "sampled", "negatives": 256, "dropout": 0.3,
    "epochs": 10, "stopping": 3, "hold": 0.1, "relearn": False, "device": "cpu",
}  # fmt: skip
FEW = 5
"""Events before the cut of an item that is seldom, and of a user who is new, at most."""
METRICS = ("ndcg@10", "recall@20")
SLICES = {
    "all": "all",
    "seldom": f"targets with 1 to {FEW} events before the cut",
    "unmet": "targets first seen after the cut",
    "new": f"users with at most {FEW} events when they ask",
}
KEPT = HERE / "transfer.json"


def recipe(name: str, data: dict[str, Any], net: dict[str, Any], work: Path) -> Path:
    """A recipe of one channel, written to a file."""
    lines = [f'name = "{name}"', 'serve = "merge"', "[data]", f'source = "{data["source"]}"']
    lines += [f"split = {{ {', '.join(f'{k} = {v}' for k, v in data['split'].items())} }}"]
    lines += [f"positive = {{ rating = {data['positive']['rating']} }}", "[recall.net]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in net.items()]
    lines += ["[merge]", 'type = "quota"', "[[rules]]", 'type = "seen"', ""]
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{name}.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def source(work: Path) -> Path:
    """The bundle of the source, fitted on its whole log."""
    out = work / "source"
    if not (out / "bundle").exists():
        file = recipe(SOURCE, logs.table(SOURCE)["data"], NET, work)
        train.fit(read(file), root=work, out=out, final=True)
    return out / "bundle"


def known_from(log: Dataset, bundle: Path, work: Path) -> Dataset:
    """The target's log with the vectors of the bundle."""
    file = recipe(TARGET, logs.table(SOURCE)["data"], NET | warm(bundle), work)
    return with_vectors(log, read(file), None)


def warm(bundle: Path) -> dict[str, Any]:
    """The settings that say where to begin."""
    return {"warm_start": str(bundle), "warm_by": "title"}


def sliced(log: logs.Log, right: Ragged, history: Array) -> dict[str, Ragged]:
    """The right answers of each slice."""
    counts = np.bincount(log.known("test").events.item, minlength=log.data.n_items)[right["item"]]
    return {
        "all": right,
        "seldom": right.keep((counts >= 1) & (counts <= FEW)),
        "unmet": right.keep(counts == 0),
        "new": right.keep((history <= FEW)[right.rows]),
    }


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Both, for each seed."""
    log = logs.load(TARGET, asked.data, asked.work)
    work, known = asked.work / "transfer", log.known("test")
    batches = log.batches("replay", "test")
    users, right = rows_of.targets(batches)
    history = np.concatenate([batch.requests.history.lengths for batch in batches])
    parts = sliced(log, right, history)
    figures: dict[str, dict[str, dict[str, list[Array]]]] = {
        who: {part: {metric: [] for metric in METRICS} for part in parts} for who in ("cold", "warm")
    }
    checks: dict[str, list[int]] = {"cold": [], "warm": []}
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    bundle = source(work)
    data = known_from(known, bundle, work)
    matched = len(data.extra[ELSEWHERE][str(bundle), "title"].item)
    for seed in range(asked.seeds):
        for who, more in (("cold", {}), ("warm", warm(bundle))):
            config = {key: value for key, value in NET.items() if key != "type"} | more | {"seed": seed}
            began = time.process_time()
            fitted = find("recall", NET["type"]).from_config(config).fit(data)  # type: ignore[attr-defined]
            seconds[who].append(time.process_time() - began)
            checks[who].append(int(fitted.checks_))
            rows = rows_of.lists(fitted, batches, log.state)
            for part, targets in parts.items():
                slates = Slates.of(rows, targets, 20)
                each = {"ndcg@10": accuracy.ndcg(slates, 10), "recall@20": accuracy.recall(slates, 20)}
                for metric in METRICS:
                    figures[who][part][metric].append(np.where(targets.lengths > 0, each[metric], np.nan))
            say(f"seed {seed}, {who}: {np.nanmean(figures[who]['all']['ndcg@10'][-1]):.4f} after {checks[who][-1]}")
    found: dict[str, Any] = {}
    for part, targets in parts.items():
        asked_ = targets.lengths > 0
        found[part] = {"requests": int(asked_.sum())}
        for metric in METRICS if asked_.any() else ():
            cold, warm_ = (np.mean(figures[who][part][metric], axis=0)[asked_] for who in ("cold", "warm"))
            found[part][metric] = {
                "cold": asdict(mean_interval(cold, users[asked_])), "warm": asdict(mean_interval(warm_, users[asked_])),
                "paired": asdict(paired_interval(warm_, cold, users[asked_])),
            }  # fmt: skip
    met = int((known.item_counts("all") > 0).sum())
    return {
        "requests": len(users), "seeds": asked.seeds, "items": met, "matched": matched, "epochs": checks,
        "seconds": seconds, "settings": NET, "slices": found,
    }  # fmt: skip


def page(row: dict[str, Any]) -> str:
    """The table."""
    told = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
    epochs = {who: ", ".join(str(n) for n in each) for who, each in row["epochs"].items()}
    lines = [
        "# What another log's vectors bring",
        "",
        f"`python bench/recall/transfer.py --data DIR`; {made([row])}",
        "",
        f"{TARGET}'s sasrec from nothing (*cold*) and begun from the item vectors of one fitted on {SOURCE} (*warm*: "
        f'`warm_start`, `warm_by = "title"`), means of {row["seeds"]} seeds, the source\'s seed with them. Of the '
        f"{row['items']:,} items met before the cut {row['matched']:,} of the log's have a title that stands in both. "
        f"{SOURCE} ends in 1998, before the target's cut. Settings of all: {told}. Best epochs: cold {epochs['cold']}; "
        f"warm {epochs['warm']}. Questions of the test window by replay; 95 % intervals by resampling users, "
        "differences paired by request.",
        "",
        "| slice | requests | metric | cold | warm | warm - cold |",
        "|" + "---|" * 6,
    ]
    for part, what in SLICES.items():
        figures = row["slices"][part]
        for metric in METRICS:
            if metric not in figures:
                continue
            cells = [what, f"{figures['requests']:,}", metric]
            cells += [f"{figures[metric][who]['mean']:.4f}" for who in ("cold", "warm")]
            lines.append(f"| {' | '.join([*cells, apart(figures[metric]['paired'])])} |")
    lines += [
        "",
        "An item that nobody had met before the cut is no item of sasrec's, whatever another log knows of it: the row "
        "stands to say so. `content` and `two_tower` answer with such items (COLD.md).",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where bundles are kept")
    parser.add_argument("--seeds", type=int, default=3, help="seeds; figures are their means")
    parser.add_argument("--page", action="store_true", help="only write TRANSFER.md")
    asked = parser.parse_args()
    asked.work = asked.work.resolve()
    if not asked.page:
        write_text(KEPT, dumps({**measure(asked), **provenance("transfer.py")}))
    if KEPT.exists():
        write_text(HERE / "TRANSFER.md", page(json.loads(KEPT.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
