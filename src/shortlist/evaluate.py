"""The whole funnel measured on later events: every channel, every stage, every rule, on the same requests.

``evaluation.json`` (``Evaluation.document``) holds means with 95 % intervals from resampling users; ``rows.parquet``
(``Evaluation.rows``) holds the lists themselves, so that two experiments can be paired afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from shortlist.component import Ranker
from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions, replay, start
from shortlist.metrics import accuracy, beyond
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_intervals, user_mean_interval
from shortlist.pipeline import Pipeline, Trace, stamp
from shortlist.progress import track
from shortlist.recipe import EvaluateSpec
from shortlist.samples import BATCH, is_target, keys, refuse_failures
from shortlist.types import Array, Candidates, Float64, Requests

Values = dict[str, Float64]  # metric -> [n] one value a request


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a test window said."""

    document: dict[str, Any]
    rows: pl.DataFrame


def ask(data: Dataset, state: State, spec: EvaluateSpec, opens: int, closes: int | None) -> Questions:
    """The questions of a window under the recipe's protocol."""
    if spec.requests == "start":
        return start(data, state, opens, closes)
    return replay(
        data,
        state,
        opens,
        closes,
        moments=spec.moments,
        depth=spec.depth,
        horizon=spec.horizon,
        min_gap=spec.min_gap or 0,
    )


def evaluate(
    pipeline: Pipeline,
    data: Dataset,
    spec: EvaluateSpec,
    opens: int,
    closes: int | None = None,
    *,
    rankers: Mapping[str, Ranker] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Replays the window ``opens <= time < closes`` through a pipeline fitted before it.

    ``rankers`` are measured beside the pipeline's own, on the same candidates, as stages ``rank.NAME``.
    """
    state = data.state()
    questions = ask(data, state, spec, opens, closes)
    questions = replace(questions, requests=pipeline.forbid(questions.requests, state)).answerable()
    run = _replayed(pipeline, questions, state, spec, rankers or {})
    return Evaluation(_document(run, questions, pipeline, data, spec, opens, closes, seed), _rows(run, questions, data))


@dataclass(slots=True)
class _Run:
    values: dict[str, Values]  # stage -> metric -> [n]
    lists: dict[str, Candidates]  # stage -> its first max(k) rows
    unique: dict[str, int]  # channel -> targets that only it found
    seconds: dict[str, float]


def _replayed(
    pipeline: Pipeline, questions: Questions, state: State, spec: EvaluateSpec, rankers: Mapping[str, Ranker]
) -> _Run:
    ks, deepest = spec.k, max(spec.k)
    values: dict[str, dict[str, list[Float64]]] = defaultdict(lambda: defaultdict(list))
    lists: dict[str, list[Candidates]] = defaultdict(list)
    unique = dict.fromkeys(pipeline.recall, 0)
    seconds: dict[str, float] = defaultdict(float)
    for first in track(range(0, len(questions), BATCH), "evaluate"):
        batch = questions.take(np.arange(first, min(first + BATCH, len(questions))))
        slate, trace = pipeline.recommend(batch.requests, state, deepest)
        refuse_failures(trace)
        for name, ranker in rankers.items():
            if ranker is not pipeline.ranker:
                asked, merged = trace.requests or batch.requests, trace.stages["merge"]
                ranked = replace(pipeline, ranker=ranker).rank(asked, merged, state, Trace())
                trace.stages[f"rank.{name}"] = ranked
        for stage, rows in {**trace.stages, "slate": slate}.items():
            slates = Slates.of(rows, batch.targets, deepest)
            for metric, value in accuracy.per_request(slates, ks).items():
                values[stage][metric].append(value)
            found = np.bincount(rows.request[is_target(rows, batch.targets)], minlength=len(batch))
            values[stage]["recall@all"].append(found / batch.targets.lengths)
            kept = rows.head(deepest)
            shown = Candidates((kept.request + first).astype(np.uint32), kept.item, {})
            lists[stage].append(shown.with_columns(score=kept.columns.get("score", np.full(len(kept), np.nan))))
        for name, count in _only_found_by(trace, batch).items():
            unique[name] += count
        for stage, spent in trace.seconds.items():
            seconds[stage] += spent
    return _Run(
        {stage: {m: np.concatenate(v) for m, v in metrics.items()} for stage, metrics in values.items()},
        {stage: Candidates.concat(parts) for stage, parts in lists.items()},
        unique,
        dict(seconds),
    )


def _only_found_by(trace: Trace, batch: Questions) -> dict[str, int]:
    """Targets in the rows of one channel and of no other."""
    hits = {
        stage.removeprefix("recall."): keys(rows.request, rows.item)[is_target(rows, batch.targets)]
        for stage, rows in trace.stages.items()
        if stage.startswith("recall.")
    }
    if not hits:
        return {}
    found, times = np.unique(np.concatenate(list(hits.values())), return_counts=True)
    once = found[times == 1]
    return {name: int(np.isin(mine, once).sum()) for name, mine in hits.items()}


def _document(
    run: _Run,
    questions: Questions,
    pipeline: Pipeline,
    data: Dataset,
    spec: EvaluateSpec,
    opens: int,
    closes: int | None,
    seed: int,
) -> dict[str, Any]:
    requests, users = questions.requests, questions.requests.user
    before = data.until(opens)
    means = {stage: _means(values, users, seed) for stage, values in run.values.items()}
    extra = {stage: _beyond(run.lists[stage], questions, data, before, min(spec.k)) for stage in run.lists}
    table = {stage: {**means[stage], **extra[stage]} for stage in means}
    slate = run.values.get("slate", {})
    previous = "rank" if "rank" in table else "merge"
    rules: dict[str, Any] = {}
    for name in pipeline.rules:
        stage = f"rules.{name}"
        if stage in table:
            rules[name] = {**table[stage], "change": _paired(run.values[stage], run.values[previous], users, seed)}
            previous = stage
    return {
        "protocol": {
            **spec.model_dump(mode="json"),
            "opens": stamp(opens),
            "closes": stamp(closes) if closes is not None else None,
            "fitted_until": stamp(pipeline.fitted_until) if pipeline.fitted_until is not None else None,
            "interval": "95 %, users resampled",
        },
        "requests": len(requests),
        "dropped_without_target": questions.dropped,
        "users": len(np.unique(users)),
        "slate": table.get("slate", {}),
        "slate_user_mean": {m: _interval(user_mean_interval(v, users, seed)) for m, v in slate.items()},
        "channels": {
            name: {**table[f"recall.{name}"], "unique_hits": run.unique[name]}
            for name in pipeline.recall
            if f"recall.{name}" in table
        },
        "stages": {
            "merge": table.get("merge", {}),
            **{stage: table[stage] for stage in table if stage == "rank" or stage.startswith("rank.")},
            "rules": rules,
        },
        "paired": {
            name: _paired(slate, run.values[f"recall.{name}"], users, seed)
            for name in [*pipeline.recall]
            if f"recall.{name}" in run.values
        }
        | {
            stage: _paired(slate, run.values[stage], users, seed)
            for stage in run.values
            if stage == "merge" or stage.startswith("rank")
        },
        "slices": _slices(run, questions, before, spec, seed),
        "seconds": {stage: round(spent, 4) for stage, spent in run.seconds.items()},
    }


def _means(values: Values, users: Array, seed: int) -> dict[str, Any]:
    if not len(users):
        return {}
    found = mean_intervals(np.stack(list(values.values()), axis=1), users, seed)
    return {metric: _interval(interval) for metric, interval in zip(values, found, strict=True)}


def _paired(a: Values, b: Values, users: Array, seed: int) -> dict[str, Any]:
    metrics = [m for m in a if m.startswith(("ndcg@", "recall@"))]
    if not len(users):
        return {}
    left, right = (np.stack([side[m] for m in metrics], axis=1) for side in (a, b))
    found = paired_intervals(left, right, users, seed)
    return {m: {k: round(v, 6) for k, v in asdict(d).items()} for m, d in zip(metrics, found, strict=True)}


def _interval(interval: Any) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(interval).items()}


def _beyond(rows: Candidates, questions: Questions, data: Dataset, before: Dataset, k: int) -> dict[str, float]:
    """What accuracy does not say, at the smallest cut-off; counts are of events before the window."""
    if not len(rows):
        return {}
    slates = Slates.of(rows, questions.targets, k)
    novelty = beyond.novelty(slates, k, before.item_counts("all"))
    measured = {
        f"coverage@{k}": beyond.coverage(slates, k, data.n_items),
        f"gini@{k}": beyond.gini(slates, k, data.n_items),
        f"novelty@{k}": float(np.nanmean(novelty)) if np.isfinite(novelty).any() else float("nan"),
    }
    lists = [name for name, kind in data.items.kinds.items() if kind == "list"] or list(data.items.codes)
    if lists:
        attributes = data.items.codes[lists[0]].values
        diversity = beyond.diversity(slates, k, attributes)
        if np.isfinite(diversity).any():
            measured[f"diversity.{lists[0]}@{k}"] = float(np.nanmean(diversity))
    return {name: round(value, 6) for name, value in measured.items()}


def _slices(run: _Run, questions: Questions, before: Dataset, spec: EvaluateSpec, seed: int) -> dict[str, Any]:
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
    table: dict[str, Any] = {}
    for name, mask in masks.items():
        if mask.any():
            stages = {s: run.values[s][metric][mask] for s in ("slate", "merge") if s in run.values}
            table[name] = {"requests": int(mask.sum())} | {
                s: _interval(mean_intervals(v[:, None], requests.user[mask], seed)[0]) for s, v in stages.items()
            }
    return {"requests": table, "targets": _by_popularity(run, questions, before, max(spec.k))}


def _by_popularity(run: _Run, questions: Questions, before: Dataset, k: int) -> dict[str, Any]:
    """Recall of targets in the head (items that make half of all events), the middle and the tail (the last fifth)."""
    counts = before.item_counts("all")
    order = np.argsort(-counts, kind="stable")
    share = np.cumsum(counts[order]) / max(counts.sum(), 1)
    tier = np.full(len(counts), 2)
    tier[order[share <= 0.8]] = 1
    tier[order[share <= 0.5]] = 0
    targets = questions.targets
    wanted = keys(targets.rows, targets["item"])
    shown = run.lists["slate"].head(k)
    found = np.isin(wanted, keys(shown.request, shown.item))
    of = tier[targets["item"]]
    return {
        name: {"targets": int((of == t).sum()), f"recall@{k}": round(float(found[of == t].mean()), 6)}
        for t, name in enumerate(("head", "middle", "tail"))
        if (of == t).any()
    }


def _rows(run: _Run, questions: Questions, data: Dataset) -> pl.DataFrame:
    requests: Requests = questions.requests
    users = pl.Series(data.user_ids.ids, dtype=pl.String)
    items = pl.Series(data.item_ids.ids, dtype=pl.String)
    frames = [
        pl.DataFrame(
            {
                "request": requests.id[rows.request],
                "user": users.gather(np.maximum(requests.user[rows.request], 0)),
                "time": requests.time[rows.request],
                "stage": pl.Series([stage.removeprefix("recall.")]).new_from_index(0, len(rows)),
                "rank": (rows.positions() + 1).astype(np.int32),
                "item": items.gather(rows.item),
                "score": np.asarray(rows["score"], np.float32),
                "is_target": is_target(rows, questions.targets),
                "targets": questions.targets.lengths[rows.request].astype(np.int32),
            }
        )
        for stage, rows in run.lists.items()
        if not stage.startswith("rules.")
    ]
    return pl.concat(frames) if frames else pl.DataFrame()
