"""The figures of ``evaluation.json``: means, intervals, paired differences, slices, and what accuracy does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from shortlist.data import FOREVER, MISSING_TIME, Dataset
from shortlist.data.protocol import Questions
from shortlist.metrics import beyond
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_intervals, user_means
from shortlist.questions import is_target
from shortlist.recipe import EvaluateSpec
from shortlist.types import Array, Candidates, Float64, Int64, keys

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
    forbids: dict[str, float]  # hard rule -> items it forbids a request, on average
    freed: dict[str, Values]  # hard rule -> metric -> [n] of the slate had it been off


def document(
    run: Run,
    questions: Questions,
    channels: Sequence[str],
    rules: Sequence[str],
    data: Dataset,
    spec: EvaluateSpec,
    opens: int,
    seed: int,
) -> Figures:
    """Everything but the protocol; counts of the log are of events before ``opens``. NaN is not yet null.

    Serendipity is measured against ``run.baseline``.
    """
    users, before, k = questions.requests.user, data.until(opens), min(spec.k)
    means = _means(run.values, users, seed)
    arrival = _arrival(data)
    table = {
        stage: {
            **means[stage],
            **_beyond(run.lists[stage], questions, data, before, k, arrival),
            **_serendipity(run.lists[stage], run.baseline, questions, k),
            **run.judged.get(stage, {}),
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
        "hard_rules": _hard_rules(run, users, seed),
        "paired": {stage.removeprefix("recall."): paired[a, stage] for a, stage in pairs if (a, stage) in paired},
        "slices": _slices(run, questions, before, spec, seed),
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


def _hard_rules(run: Run, users: Array, seed: int) -> Figures:
    """How much each hard rule forbids, and its price: the slate minus the slate had the rule been off."""
    slate = run.values.get("slate", {})
    changes = _paired({"slate": slate, **run.freed}, [("slate", name) for name in run.freed], users, seed)
    return {name: {"forbids": run.forbids[name], "change": changes.get(("slate", name), {})} for name in run.freed}


def _arrival(data: Dataset) -> Int64:
    """[n_items]: since when the catalogue has an item; where it does not say, its first event of the whole log."""
    first = np.full(data.n_items, FOREVER)
    np.minimum.at(first, data.events.item, data.events.time)
    return np.where(data.available_from == MISSING_TIME, first, data.available_from)


def _serendipity(rows: Candidates, baseline: Candidates | None, questions: Questions, k: int) -> dict[str, float]:
    """Right items that the channel which knows nobody would not have shown."""
    if baseline is None or not len(rows):
        return {}
    both = (Slates.of(lists, questions.targets, k) for lists in (rows, baseline))
    return {f"serendipity@{k}": _mean(beyond.serendipity(next(both), k, next(both)))}


def _beyond(
    rows: Candidates, questions: Questions, data: Dataset, before: Dataset, k: int, arrival: Int64
) -> dict[str, float]:
    """What accuracy does not say, at the smallest cut-off; counts are of events before the window."""
    if not len(rows):
        return {}
    slates = Slates.of(rows, questions.targets, k)
    measured = {
        f"coverage@{k}": beyond.coverage(slates, k, data.n_items),
        f"gini@{k}": beyond.gini(slates, k, data.n_items),
        f"novelty@{k}": _mean(beyond.novelty(slates, k, before.item_counts("all"))),
        f"age_days@{k}": _mean(beyond.age(slates, k, questions.requests.time, arrival)),
    }
    new, days = beyond.delay(slates, k, questions.requests.time, arrival)
    if len(new):
        measured[f"new_shown@{k}"] = float(np.isfinite(days).mean())
        measured[f"delay_days@{k}"] = _mean(days)
    lists = [name for name, kind in data.items.kinds.items() if kind == "list"] or list(data.items.codes)
    if lists:
        diversity = beyond.diversity(slates, k, data.items.codes[lists[0]].values)
        measured[f"diversity.{lists[0]}@{k}"] = _mean(diversity)
    return measured


def _mean(values: Float64) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _slices(run: Run, questions: Questions, before: Dataset, spec: EvaluateSpec, seed: int) -> Figures:
    """NDCG of the slate and of the merge for kinds of request, and of items by popularity before the window."""
    requests, k = questions.requests, min(spec.k)
    if not len(requests):
        return {}
    trained = before.user_counts("all")
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
                s: {metric: run.values[s][metric][mask]} for s in ("slate", "merge") if s in run.values
            }
            found = _means(part, requests.user[mask], seed)
            table[name] = {"requests": int(mask.sum()), **{stage: found[stage][metric] for stage in part}}
    return {"requests": table, "targets": _by_popularity(run, questions, before, max(spec.k))}


def _by_popularity(run: Run, questions: Questions, before: Dataset, k: int) -> Figures:
    """Recall of targets in the head (items that make half of all events), the middle, the tail (the last fifth) and of
    the cold: those without an event before the window."""
    counts = before.item_counts("all")
    order = np.argsort(-counts, kind="stable")
    before_it = (np.cumsum(counts[order]) - counts[order]) / max(counts.sum(), 1)
    tier = np.full(len(counts), 2)
    tier[order[before_it < 0.8]] = 1
    tier[order[before_it < 0.5]] = 0  # the item that passes the half belongs to it: there always is a head
    tier[counts == 0] = 3
    targets = questions.targets
    wanted = keys(targets.rows, targets["item"])
    shown = run.lists["slate"].head(k)
    found = np.isin(wanted, shown.keys)
    of = tier[targets["item"]]
    return {
        name: {"targets": int((of == t).sum()), f"recall@{k}": float(found[of == t].mean())}
        for t, name in enumerate(("head", "middle", "tail", "cold"))
        if (of == t).any()
    }
