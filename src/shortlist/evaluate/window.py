"""The whole funnel measured on later events: every channel, every stage, every rule, on the same requests.

``evaluation.json`` (``Evaluation.document``) holds means with 95 % intervals from resampling users; ``rows.parquet``
(``Evaluation.rows``) holds the lists themselves, so that two experiments can be paired afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from shortlist.component import Ranker
from shortlist.data import Dataset, State
from shortlist.data.elsewhere import from_later
from shortlist.data.held import NOT_TIME_TRUE
from shortlist.data.order import WORDS
from shortlist.data.protocol import Questions
from shortlist.documents import jsonable
from shortlist.durations import text
from shortlist.evaluate._beyond import Catalogue
from shortlist.evaluate._coarse import Whole
from shortlist.evaluate._figures import Run, document
from shortlist.evaluate._judged import Judged
from shortlist.evaluate._prices import Prices
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, answerable, is_target, questions_of, refuse_failures, warn_of_few
from shortlist.recipe import EvaluateSpec
from shortlist.types import Candidates, Float64, Requests

ROWS = {
    "request": pl.UInt64,
    "user": pl.String,
    "time": pl.Int64,
    "stage": pl.String,
    "rank": pl.Int32,
    "item": pl.String,
    "score": pl.Float32,
    "is_target": pl.Boolean,
    "targets": pl.Int32,
}
"""Columns of ``rows.parquet``."""
ASKED = "asked"
"""The stage in ``rows.parquet`` that has one row a request, of rank 0 and without an item."""
EMPTY = Candidates.empty()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a test window said."""

    document: dict[str, Any]
    rows: pl.DataFrame


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
    """Asks the window ``opens <= time < closes`` of a pipeline fitted before it.

    ``rankers`` are measured beside the pipeline's own, on the same candidates, as stages ``rank.NAME``.
    """
    state = data.state()
    questions = answerable(
        questions_of(data, state, spec, opens, closes, at_most=spec.at_most, seed=seed), pipeline, state
    )
    warn_of_few(questions, "the test asks")
    run, prices, whole = _measured(pipeline, questions, state, spec, rankers or {})
    known = Catalogue.of(questions.requests, pipeline, data, opens, spec.young)
    figures = document(run, questions, known, list(pipeline.recall), list(pipeline.rules), spec, seed)
    price = prices.document(run.values.get("slate", {}), run.lists.get("slate", EMPTY), questions.targets, known, seed)
    figures |= {"prices": price, "hard_rules": _hard_rules(price)}
    if pipeline.prerank is not None:
        figures["prerank"] = whole.document(run.values.get("slate", {}), questions.requests.user, seed)
    protocol = {
        **spec.model_dump(mode="json", exclude=None if spec.held_out else {"refit"}),
        **({"label": NOT_TIME_TRUE} if spec.held_out or from_later(data, opens) else {}),
        **({"min_gap": text(data.session_gap)} if spec.min_gap == "session" and data.session_gap else {}),
        "opens": data.when(opens),
        "closes": data.when(closes) if closes is not None else None,
        "fitted_until": data.when(pipeline.fitted_until) if pipeline.fitted_until is not None else None,
        **({"order": WORDS[data.clock], "horizon": None} if data.order_only else {}),
        "interval": "95 %, users resampled",
    }
    return Evaluation(jsonable({"protocol": protocol, **figures}), _rows(run, questions, data))


def _measured(
    pipeline: Pipeline, questions: Questions, state: State, spec: EvaluateSpec, rankers: Mapping[str, Ranker]
) -> tuple[Run, Prices, Whole]:
    ks, deepest = spec.k, max(spec.k)
    values: dict[str, dict[str, list[Float64]]] = defaultdict(lambda: defaultdict(list))
    lists: dict[str, list[Candidates]] = defaultdict(list)
    hits: dict[str, int] = defaultdict(int)
    alone: dict[str, list[Float64]] = {name: [] for name in pipeline.recall}
    without: dict[str, dict[str, list[Float64]]] = defaultdict(lambda: defaultdict(list))
    anybody = 0
    seconds: dict[str, float] = defaultdict(float)
    popular = _popular(pipeline)
    scored_by = {"prerank": pipeline.prerank, "rank": pipeline.ranker, **{f"rank.{n}": r for n, r in rankers.items()}}
    predicting = {stage for stage, ranker in scored_by.items() if ranker is not None and ranker.predicts}
    baseline: list[Candidates] = [Candidates.empty()]
    judged: dict[str, list[Judged]] = defaultdict(list)
    prices, whole = Prices(pipeline, ks), Whole(pipeline, ks)
    for first in track(range(0, len(questions), BATCH), "evaluate"):
        batch = questions.take(np.arange(first, min(first + BATCH, len(questions))))
        slate, trace = pipeline.recommend(batch.requests, state, deepest)
        refuse_failures(trace)
        for name, ranker in rankers.items():
            if ranker is not pipeline.ranker:
                assert trace.recalled is not None
                asked, recalled = trace.recalled.requests, trace.recalled.rows
                trace.stages[f"rank.{name}"] = replace(pipeline, ranker=ranker).rank(asked, recalled, state, Trace())
        for stage, rows in {**trace.stages, "slate": slate}.items():
            slates = Slates.of(rows, batch.targets, deepest)
            for metric, value in accuracy.per_request(slates, ks).items():
                values[stage][metric].append(value)
            found = _hits(rows, batch)
            values[stage]["recall@all"].append(found / batch.targets.lengths)
            hits[stage] += int(found.sum())
            if stage in ("merge", "prerank", "rank") or stage.startswith("rank."):
                judged[stage].append(Judged.of(rows, batch.targets, first))
            kept = rows.head(deepest)
            shown = Candidates((kept.request + first).astype(np.uint32), kept.item, {})
            lists[stage].append(shown.with_columns(score=kept.columns.get("score", np.full(len(kept), np.nan))))
        rows = _baseline(pipeline, popular, trace, state, deepest)
        baseline.append(Candidates((rows.request + first).astype(np.uint32), rows.item))
        found_once, found_at_all = _found(trace, batch)
        anybody += found_at_all
        for name, counts in found_once.items():
            alone[name].append(counts)
        for name, metrics in _left_out(pipeline, trace, batch, min(ks)).items():
            for metric, value in metrics.items():
                without[name][metric].append(value)
        prices.hear(batch, slate, trace, state, first)
        whole.hear(batch, trace, state)
        for stage, spent in trace.seconds.items():
            seconds[stage] += spent
    run = Run(
        {stage: {m: np.concatenate(v) for m, v in metrics.items()} for stage, metrics in values.items()},
        {stage: Candidates.concat(parts) for stage, parts in lists.items()},
        dict(hits),
        {name: np.concatenate(counts) if counts else np.empty(0) for name, counts in alone.items()},
        {name: {m: np.concatenate(v) for m, v in metrics.items()} for name, metrics in without.items()},
        anybody,
        Candidates.concat(baseline) if popular or pipeline.fallback else None,
        dict(seconds),
        {stage: Judged.concat(parts).figures(stage in predicting) for stage, parts in judged.items()},
    )
    return run, prices, whole


def _hard_rules(prices: Mapping[str, Any]) -> dict[str, Any]:
    """How much each hard rule forbids, and its price in accuracy."""
    return {
        name: {
            "forbids": told["forbids"],
            "change": {m: value for m, value in told["change"].items() if m.startswith(("ndcg@", "recall@"))},
        }
        for name, told in prices.items()
        if told["kind"] == "hard"
    }


def _popular(pipeline: Pipeline) -> str | None:
    """The channel that serendipity is measured against: that of the type ``popular``; without one it is the fallback.

    Of several the one that is called so, or the first by name: the order in a recipe says nothing.
    """
    named = sorted(n for n, c in pipeline.recall.items() if type(c).__module__.rpartition(".")[2] == "popular")
    return "popular" if "popular" in named else next(iter(named), None)


def _baseline(pipeline: Pipeline, popular: str | None, trace: Trace, state: State, k: int) -> Candidates:
    """What anybody would have been shown."""
    if popular is not None:
        return trace.stages[f"recall.{popular}"].head(k)
    if pipeline.fallback is None or trace.recalled is None:
        return Candidates.empty()
    return pipeline.fallback.retrieve(trace.recalled.requests, state, k)


def _hits(rows: Candidates, batch: Questions) -> Float64:
    """[n]: targets among all rows of each request."""
    return np.bincount(rows.request[is_target(rows, batch.targets)], minlength=len(batch)).astype(np.float64)


def _found(trace: Trace, batch: Questions) -> tuple[dict[str, Float64], int]:
    """By channel, [n] targets in its rows and in no other's; and the targets in the rows of any, together."""
    hits = {
        stage.removeprefix("recall."): rows.keys[is_target(rows, batch.targets)]
        for stage, rows in trace.stages.items()
        if stage.startswith("recall.")
    }
    if not hits:
        return {}, 0
    found, times = np.unique(np.concatenate(list(hits.values())), return_counts=True)
    once = found[times == 1]
    alone = {name: mine[np.isin(mine, once)] >> 32 for name, mine in hits.items()}  # the requests of those rows
    counts = {name: np.bincount(rows, minlength=len(batch)).astype(np.float64) for name, rows in alone.items()}
    return counts, len(found)


def _left_out(pipeline: Pipeline, trace: Trace, batch: Questions, k: int) -> dict[str, dict[str, Float64]]:
    """By channel, the merged list's ``recall@all`` and ``ndcg@k`` [n] had that channel been silent.

    The other channels keep the weights and quotas they learned beside it. Learned anew without it they could only do
    better on the window they learn on; here that is likely but not certain, so what a channel brings is rather
    overstated than understated.
    """
    found = {s.removeprefix("recall."): rows for s, rows in trace.stages.items() if s.startswith("recall.")}
    table: dict[str, dict[str, Float64]] = {}
    for name in found:
        rows = pipeline.merge.merge({other: rows for other, rows in found.items() if other != name}, len(batch))
        table[name] = {
            "recall@all": _hits(rows, batch) / batch.targets.lengths,
            f"ndcg@{k}": accuracy.ndcg(Slates.of(rows, batch.targets, k), k),
        }
    return table


def _rows(run: Run, questions: Questions, data: Dataset) -> pl.DataFrame:
    requests: Requests = questions.requests
    users = pl.Series([*data.user_ids.ids, None], dtype=pl.String)  # the last is nobody's, for user -1
    names = np.where(requests.user < 0, len(users) - 1, requests.user)
    items = pl.Series(data.item_ids.ids, dtype=pl.String)
    frames = [
        pl.DataFrame(
            {
                "request": requests.id[rows.request],
                "user": users.gather(names[rows.request]),
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
    if frames:  # a request that nobody answered was asked all the same
        n = len(requests)
        asked = {"request": requests.id, "user": users.gather(names), "time": requests.time}
        asked |= {"stage": pl.Series([ASKED]).new_from_index(0, n), "rank": np.zeros(n, np.int32)}
        asked |= {"item": pl.Series([None], dtype=pl.String).new_from_index(0, n)}
        asked |= {"score": np.full(n, np.nan, np.float32), "is_target": np.zeros(n, bool)}
        frames.append(pl.DataFrame({**asked, "targets": questions.targets.lengths.astype(np.int32)}))
    return pl.concat([pl.DataFrame(schema=ROWS), *frames])
