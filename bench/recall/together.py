"""What needs the lists of all channels: unique hits, the merged list against each single one, and what each adds.

Ceiling: the share of a request's targets among its rows. Merges learn from the lists of the
tune window and hand on 200 rows in total, as many as each channel alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import channel as rows_of
import logs
import numpy as np
import polars as pl

from shortlist.component import Merge
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.questions import is_target
from shortlist.registry import find
from shortlist.types import Array, Candidates, Float64, Ragged

DEPTH = rows_of.DEPTH
MERGES: dict[str, dict[str, Any]] = {
    "quota": {"learn": "none"},
    "reciprocal_rank": {"learn": "recall", "at": DEPTH, "sample": 500},
    "weighted": {"learn": "recall", "at": DEPTH, "sample": 500},
}
NEW = (
    "bert4rec", "content", "eges", "fm", "knowledge_graph", "lightgcn", "mind", "sasrec", "social", "two_tower",
    "youtube_dnn",
)  # fmt: skip
"""Channels that learn with a net or from side information; the others are the plain ones."""
BATCH = 512
Lists = dict[str, Candidates]


def read(folder: Path, window: str, questions: str) -> Lists:
    """The lists that answer these very questions, by channel."""
    found: Lists = {}
    for file in sorted(folder.glob(f"*.{window}.parquet")):
        if pl.read_parquet_metadata(file).get("questions") == questions:
            rows = pl.read_parquet(file)
            columns = {"score": rows["score"].to_numpy()}
            found[file.name.split(".")[0]] = Candidates(rows["request"].to_numpy(), rows["item"].to_numpy(), columns)
    return found


def ceiling(rows: Candidates, right: Ragged) -> Float64:
    """[n]: the share of each request's targets among its rows."""
    hits = np.bincount(rows.request[is_target(rows, right)], minlength=len(right))
    return hits / right.lengths


def merged(merge: Merge, lists: Mapping[str, Candidates], right: Ragged) -> Float64:
    """[n]: the ceiling of the rows a merge hands on, a few requests at a time."""
    n, parts = len(right), []
    bounds = {name: rows.offsets(n) for name, rows in lists.items()}
    for first in range(0, n, BATCH):
        last = min(first + BATCH, n)
        part = {name: rows.take(slice(bounds[name][first], bounds[name][last])) for name, rows in lists.items()}
        part = {name: replace(rows, request=(rows.request - np.uint32(first))) for name, rows in part.items()}
        parts.append(ceiling(merge.merge(part, last - first), right.take(np.arange(first, last))))
    return np.concatenate(parts) if parts else np.empty(0)


def learned(kind: str, lists: Mapping[str, Candidates], right: Ragged) -> Merge:
    """A merge to 200 rows that has learned from the tune window."""
    merge: Merge = find("merge", kind).from_config({"k": DEPTH, **MERGES[kind]})  # type: ignore[assignment]
    return merge.fit(lists, right)


def unique(lists: Lists, right: Ragged) -> dict[str, Array]:
    """[n]: how many targets of each request only this channel found, by channel."""
    hits = {name: rows.keys[is_target(rows, right)] for name, rows in lists.items()}
    found, times = np.unique(np.concatenate([*hits.values(), np.empty(0, np.int64)]), return_counts=True)
    once = found[times == 1]
    return {
        name: np.bincount((mine[np.isin(mine, once)] >> 32).astype(np.int64), minlength=len(right))
        for name, mine in hits.items()
    }


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """The joint row of a set under a protocol."""
    work = Path(asked["work"])
    log = logs.load(asked["set"], Path(asked["data"]) if asked["data"] else None, work)
    folder = work / asked["set"] / asked["protocol"]
    users, right = rows_of.targets(log.batches(asked["protocol"], "test"))
    tune_users, tune_right = rows_of.targets(log.batches(asked["protocol"], "tune"))
    test = read(folder, "test", rows_of.digest(users, right))
    tune = read(folder, "tune", rows_of.digest(tune_users, tune_right))
    names = sorted(test.keys() & tune.keys())
    test, tune = {name: test[name] for name in names}, {name: tune[name] for name in names}
    if not names:
        return {"channels": []}

    alone = {name: ceiling(rows, right) for name, rows in test.items()}
    best = max(alone, key=lambda name: float(alone[name].mean()))
    once = unique(test, right)
    ends: dict[str, Any] = {}
    whole: dict[str, Float64] = {}
    for kind in MERGES:
        merge = learned(kind, tune, tune_right)
        whole[kind] = merged(merge, test, right)
        ends[kind] = {
            "tune": float(merged(merge, tune, tune_right).mean()),
            "ceiling": asdict(mean_interval(whole[kind], users)),
            "minus_best": asdict(paired_interval(whole[kind], alone[best], users)),
        }
    chosen = max(ends, key=lambda kind: ends[kind]["tune"])  # by the tune window
    everything = union(test, right)
    channels: dict[str, Any] = {}
    for name in names:
        others, tune_others = without(test, name), without(tune, name)
        fewer = merged(learned(chosen, tune_others, tune_right), others, right) if others else np.zeros(len(users))
        per_request = asdict(mean_interval(once[name], users))
        channels[name] = {
            "unique_hits": {key: value * len(users) for key, value in per_request.items()},
            "adds": asdict(paired_interval(whole[chosen], fewer, users)),
            "adds_to_all_rows": asdict(paired_interval(everything, everything - once[name] / right.lengths, users)),
        }
    before = {name: float(ceiling(rows, tune_right).mean()) for name, rows in tune.items()}
    plain = max((name for name in names if name not in NEW), key=lambda name: before[name], default=None)
    new = [name for name in names if name in NEW]
    if plain is not None:
        figures = {name: rows_of.values(test[name], right) for name in [plain, *new]}
        for name in new:
            channels[name]["over_plain"] = {
                metric: asdict(paired_interval(figures[name][metric], figures[plain][metric], users))
                for metric in ("recall@200", "ndcg@10")
            }
    return {
        "requests": len(users),
        "users": len(np.unique(users)),
        "targets": len(right["item"]),
        "best_single": best,
        "plain": plain,
        "best_new": max(new, key=lambda name: before[name], default=None),
        "chosen_merge": chosen,
        "merges": ends,
        "all_rows": asdict(mean_interval(everything, users)),
        "channels": channels,
    }


def union(lists: Lists, right: Ragged) -> Float64:
    """[n]: the share of targets that any channel found."""
    hits = np.unique(np.concatenate([rows.keys[is_target(rows, right)] for rows in lists.values()]))
    return np.bincount((hits >> 32).astype(np.int64), minlength=len(right)) / right.lengths


def without(lists: Lists, name: str) -> Lists:
    """All but one."""
    return {other: rows for other, rows in lists.items() if other != name}
