"""The figures of ``evaluation.json``: means, intervals, paired differences, slices, and what accuracy does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from shortlist.data.protocol import Questions
from shortlist.evaluate._beyond import Catalogue, mean
from shortlist.evaluate._newcomers import newcomers
from shortlist.metrics import beyond
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_intervals, user_means
from shortlist.questions import is_target
from shortlist.recipe import EvaluateSpec
from shortlist.types import Array, Candidates, Float64, Int64, Ragged, keys

Values = dict[str, Float64]  # metric -> [n] one value a request
Figures = dict[str, Any]


@dataclass(slots=True)
class Run:
    """What the replay of a window left behind."""

    values: dict[str, Values]  # stage -> metric -> [n]
    lists: dict[str, Candidates]  # stage -> its first max(k) rows
    hits: dict[str, int]  # stage -> targets among all its rows
    unique: dict[str, Float64]  # channel -> [n] targets that only it found
    without: dict[str, Values]  # channel -> metric -> [n] of the merged list had that channel been silent
    found: int  # targets that any channel found
    baseline: Candidates | None  # what anybody would have been shown: see ``document``
    seconds: dict[str, float]
    judged: dict[str, dict[str, float]]  # stage that scores -> what its scores are worth by themselves


def document(
    run: Run,
    questions: Questions,
    known: Catalogue,
    channels: Sequence[str],
    rules: Sequence[str],
    spec: EvaluateSpec,
    seed: int,
) -> Figures:
    """Everything but the protocol and the prices of rules. NaN is not yet null.

    What accuracy does not say is told of the slate at every cut-off and of the other stages at the smallest.
    Serendipity is measured against ``run.baseline``.
    """
    users, k = questions.requests.user, min(spec.k)
    means = _means(run.values, users, seed)
    table = {
        stage: {
            **means[stage],
            **_beyond(run.lists[stage], run.baseline, questions, known, spec.k if stage == "slate" else [k]),
            **run.judged.get(stage, {}),
            **newcomers(run.lists[stage], questions, known.counts, spec.k, seed),
            "hits": run.hits[stage],
            f"hits@{k}": int(is_target(run.lists[stage].head(k), questions.targets).sum()),
        }
        for stage in means
    }
    ranked = [stage for stage in table if stage in ("prerank", "rank") or stage.startswith("rank.")]
    steps = [s for s in ("merge", "prerank", "rank", *(f"rules.{name}" for name in rules), "slate") if s in table]
    compared = [f"recall.{name}" for name in channels if f"recall.{name}" in table]
    compared += [stage for stage in ("merge", *ranked) if stage in table]
    pairs = [("slate", stage) for stage in compared]
    changes = [(after, earlier) for earlier, after in pairwise(steps)]
    paired = _paired(run.values, [*pairs, *changes], users, seed)
    for after, earlier in changes:
        if after != "slate":
            table[after]["change"] = paired.get((after, earlier), {})
    return {
        "requests": len(users),
        "dropped_without_target": questions.dropped,
        "users": len(np.unique(users)),
        "targets": len(questions.targets["item"]),
        "found_by_any": run.found,
        "slate": table.get("slate", {}),
        "slate_user_mean": _user_means(run.values.get("slate", {}), users, seed),
        "channels": {
            name: {**table[f"recall.{name}"], **_brings(run, name, users, k, seed)}
            for name in channels
            if f"recall.{name}" in table
        },
        "stages": {
            "merge": table.get("merge", {}),
            **{stage: table[stage] for stage in ranked},
            "rules": {name: table[f"rules.{name}"] for name in rules if f"rules.{name}" in table},
        },
        "paired": {stage.removeprefix("recall."): paired[a, stage] for a, stage in pairs if (a, stage) in paired},
        "slices": _slices(run, questions, known, spec, seed),
        "seconds": dict(run.seconds),
    }


def _means(values: Mapping[str, Values], users: Array, seed: int) -> dict[str, Figures]:
    """Every metric of every stage, all from the same draws of users."""
    cells = [(stage, metric) for stage, metrics in values.items() for metric in metrics]
    if not cells or not len(users):
        return {}
    found = mean_intervals(np.stack([values[stage][metric] for stage, metric in cells], axis=1), users, seed)
    table: dict[str, Figures] = {stage: {} for stage in values}
    for (stage, metric), interval in zip(cells, found, strict=True):
        table[stage][metric] = asdict(interval)
    return table


def _user_means(values: Values, users: Array, seed: int) -> Figures:
    """Mean over users of each user's mean."""
    if not values or not len(users):
        return {}
    each = np.stack([user_means(column, users) for column in values.values()], axis=1)
    found = mean_intervals(each, np.arange(len(each)), seed)
    return {metric: asdict(interval) for metric, interval in zip(values, found, strict=True)}


def _paired(
    values: Mapping[str, Values], pairs: Sequence[tuple[str, str]], users: Array, seed: int
) -> dict[tuple[str, str], Figures]:
    """The first stage of each pair minus the second, request by request."""
    cells = [(pair, m) for pair in pairs for m in values[pair[0]] if m.startswith(("ndcg@", "recall@"))]
    if not cells or not len(users):
        return {}
    left, right = (np.stack([values[pair[side]][m] for pair, m in cells], axis=1) for side in (0, 1))
    table: dict[tuple[str, str], Figures] = {pair: {} for pair in pairs}
    for (pair, metric), difference in zip(cells, paired_intervals(left, right, users, seed), strict=True):
        table[pair][metric] = asdict(difference)
    return table


def _brings(run: Run, channel: str, users: Array, k: int, seed: int) -> Figures:
    """What only this channel found, and the merged list with it minus without it: ceiling (recall@all) and NDCG."""
    alone, metrics = run.unique[channel], ("recall@all", f"ndcg@{k}")
    merged, silent = (np.stack([v[m] for m in metrics], axis=1) for v in (run.values["merge"], run.without[channel]))
    ceiling, order = paired_intervals(merged, silent, users, seed)
    return {
        "unique_hits": int(alone.sum()),
        "unique_hits_per_request": asdict(mean_intervals(alone[:, None], users, seed)[0]),
        "ceiling_gain": asdict(ceiling),
        "gain": asdict(order),
        "brings_nothing": None if np.isnan(ceiling.low) else ceiling.low <= 0,
    }


def _beyond(
    rows: Candidates, baseline: Candidates | None, questions: Questions, known: Catalogue, ks: Sequence[int]
) -> dict[str, float]:
    """What accuracy does not say; serendipity: right items that the channel which knows nobody would not have shown."""
    if not len(rows):
        return {}
    slates = Slates.of(rows, questions.targets, max(ks))
    measured: dict[str, float] = {}
    for k in ks:
        measured |= known.whole(slates, k) | {metric: mean(values) for metric, values in known.each(slates, k).items()}
        if baseline is not None:
            plain = Slates.of(baseline, questions.targets, k)
            measured[f"serendipity@{k}"] = mean(beyond.serendipity(slates, k, plain))
    return measured


def _slices(run: Run, questions: Questions, known: Catalogue, spec: EvaluateSpec, seed: int) -> Figures:
    """The slate and the merge for kinds of request, and the slate's targets by their popularity before the window.

    ``slate`` and ``merge`` are NDCG at the smallest cut-off; ``metrics`` has every metric of both at every cut-off.
    """
    requests, k = questions.requests, min(spec.k)
    if not len(requests):
        return {}
    trained = known.user_counts
    events = np.where(requests.user >= 0, trained[np.maximum(requests.user, 0)], 0)
    lengths = requests.history.lengths
    masks = {
        "history: none": lengths == 0,
        "history: 1-9": (lengths > 0) & (lengths < 10),
        "history: 10-99": (lengths >= 10) & (lengths < 100),
        "history: 100+": lengths >= 100,
        "user with training data": events > 0,
        "user without training data": events == 0,
    }
    metric = f"ndcg@{k}"
    table: Figures = {}
    for name, mask in masks.items():
        if mask.any():
            part: dict[str, Values] = {
                s: {m: values[mask] for m, values in run.values[s].items()}
                for s in ("slate", "merge")
                if s in run.values
            }
            found = _means(part, requests.user[mask], seed)
            told = {stage: found[stage][metric] for stage in part}
            table[name] = {"requests": int(mask.sum()), **told, "metrics": found}
    return {"requests": table, "targets": _by_popularity(run.lists["slate"], questions.targets, known.counts, spec.k)}


def _by_popularity(slate: Candidates, targets: Ragged, counts: Int64, ks: Sequence[int]) -> Figures:
    """Recall of targets in the head (items that make half of all events), the middle, the tail (the last fifth) and of
    the cold: those without an event before the window, at every cut-off."""
    order = np.argsort(-counts, kind="stable")
    before_it = (np.cumsum(counts[order]) - counts[order]) / max(counts.sum(), 1)
    tier = np.full(len(counts), 2)
    tier[order[before_it < 0.8]] = 1
    tier[order[before_it < 0.5]] = 0  # the item that passes the half belongs to it: there always is a head
    tier[counts == 0] = 3
    wanted, of = keys(targets.rows, targets["item"]), tier[targets["item"]]
    found = {f"recall@{k}": np.isin(wanted, slate.head(k).keys) for k in ks}
    return {
        name: {"targets": int((of == t).sum()), **{metric: float(hit[of == t].mean()) for metric, hit in found.items()}}
        for t, name in enumerate(("head", "middle", "tail", "cold"))
        if (of == t).any()
    }
