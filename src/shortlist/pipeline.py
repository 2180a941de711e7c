"""The funnel: channels make rows, merge joins them, features add columns, a ranker scores, rules drop and order.

Training, evaluation and serving call the methods of this one class; nothing else assembles stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np

from shortlist.component import Feature, InputError, Merge, Ranker, Retriever, Rule
from shortlist.data import Dataset, State
from shortlist.progress import track
from shortlist.types import Array, Candidates, Requests, keys

T = TypeVar("T")

SPARE = 4
"""How many rows for each one shown are enough for rules to choose from."""


@dataclass(slots=True)
class Trace:
    """What each stage handed on, what it took, and which channels failed; for reports, explanations and metrics."""

    requests: Requests | None = None  # as asked of the channels: with the hard rules' items excluded
    stages: dict[str, Candidates] = field(default_factory=dict)  # "recall.NAME", "merge", "rank", "rules.NAME"
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # channel -> error

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to ``seconds[stage]``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


@dataclass(slots=True)
class Pipeline:
    """The assembled funnel; see the module."""

    recall: Mapping[str, Retriever]
    merge: Merge
    fallback: Retriever | None = None
    prerank: Ranker | None = None
    features: Sequence[Feature] = ()
    ranker: Ranker | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    depth: int = 200  # rows asked of each channel
    keep: int = 100  # rows a pre-ranker hands on
    fitted_until: int | None = None  # the last moment any stage has seen; earlier requests are refused

    def recommend(self, requests: Requests, state: State, n: int = 10) -> tuple[Candidates, Trace]:
        """At most ``n`` rows a request, in the order they should be shown."""
        trace = Trace()
        rows = self.candidates(requests, state, trace)
        requests = trace.requests or requests
        rows = self.rank(requests, rows, state, trace)
        rows = self.backed(requests, rows, state, n, trace)
        forbidden = _among(rows.keys, keys(requests.exclude.rows, requests.exclude["item"]))
        if forbidden.any():  # never shown; and a fault, which stops a run that measures
            trace.failed["exclude"] = f"{forbidden.sum()} forbidden rows came back from the channels"
            rows = rows.take(~forbidden)
        for name, rule in self.rules.items():
            if hasattr(rule, "forbids"):
                continue  # spoke before retrieval
            with trace.timed(f"rules.{name}"):
                rows = rule.apply(requests, rows, state)
            trace.stages[f"rules.{name}"] = rows
        return rows.head(n), trace

    def candidates(self, requests: Requests, state: State, trace: Trace) -> Candidates:
        """Recall and merge: one row per (request, item) with every channel's score and rank."""
        self._refuse_the_past(requests)
        with trace.timed("forbid"):
            requests = trace.requests = self.forbid(requests, state)
        found: dict[str, Candidates] = {}
        for name, channel in self.recall.items():
            rows = _attempt(trace, f"recall.{name}", partial(channel.retrieve, requests, state, self.depth))
            if rows is not None:
                found[name] = trace.stages[f"recall.{name}"] = rows
        with trace.timed("merge"):
            rows = trace.stages["merge"] = self.merge.merge(found, len(requests))
        return rows

    def featured(self, requests: Requests, rows: Candidates, state: State, trace: Trace) -> Candidates:
        """The rows with the channels' scores of every row (``<channel>.dense``) and the features' columns.

        A pre-ranker keeps the best ``keep`` of them.
        """
        dense: dict[str, Array] = {}
        for name, channel in self.recall.items():
            if hasattr(channel, "score") and name not in trace.failed:
                whole = rows.columns.get(f"{name}.score", np.full(len(rows), np.nan, np.float32)).copy()
                silent = np.flatnonzero(np.isnan(whole))  # what a channel found, it has scored already
                asked = Candidates(rows.request[silent], rows.item[silent])
                scores = _attempt(trace, f"recall.{name}", partial(channel.score, requests, asked, state))
                if scores is not None:
                    whole[silent] = scores
                    dense[f"{name}.dense"] = whole
        rows = rows.with_columns(**dense)
        for number, feature in enumerate(self.features):
            name = type(feature).__module__.rpartition(".")[2]
            with trace.timed(f"features.{number}.{name}"):
                columns = feature.compute(requests, rows, state)
            rows = rows.with_columns(**columns)
        if self.prerank is not None:
            with trace.timed("prerank"):
                place = rows.with_columns(**self.prerank.score(requests, rows, state)).rank_of()
                rows = rows.take(place <= self.keep)
        return rows

    def rank(self, requests: Requests, rows: Candidates, state: State, trace: Trace) -> Candidates:
        """The rows ordered by the ranker's score; without a ranker, in merge order. Features do not ride on."""
        if self.ranker is None:
            return rows
        featured = self.featured(requests, rows, state, trace)
        if self.prerank is not None:
            rows = featured.select(rows.columns)
        with trace.timed("rank"):
            rows = rows.with_columns(**self.ranker.score(requests, featured, state)).ranked()
        trace.stages["rank"] = rows
        return rows

    def backed(self, requests: Requests, rows: Candidates, state: State, n: int, trace: Trace) -> Candidates:
        """The rows with the fallback's behind them, marked ``fallback`` and without a score.

        Only requests with fewer than ``SPARE`` times ``n`` rows of their own get them.
        """
        rows = rows.with_columns(fallback=np.zeros(len(rows), bool))
        needy = np.flatnonzero(np.diff(rows.offsets(len(requests))) < SPARE * n)
        if self.fallback is None or not len(needy):
            return rows
        fallback = self.fallback
        spare = _attempt(trace, "fallback", lambda: fallback.retrieve(requests.take(needy), state, SPARE * n))
        if spare is None:
            return rows
        spare = replace(spare, request=needy[spare.request].astype(np.uint32))
        new = ~np.isin(spare.keys, rows.keys)
        spare = Candidates(spare.request, spare.item, {"fallback": np.ones(len(spare), bool)}).take(new)
        return Candidates.concat([rows, spare])

    def forbid(self, requests: Requests, state: State) -> Requests:
        """The requests with what the hard rules forbid added to ``exclude``."""
        forbidden = [rule.forbids(requests, state) for rule in self.rules.values() if hasattr(rule, "forbids")]
        return requests.excluding(*forbidden) if forbidden else requests

    def fit(self, data: Dataset) -> None:
        """Fits channels, rules and features on a log that ends at the cut; merge and rankers learn from samples."""
        self.fit_recall(data)
        self.fit_features(data)

    def fit_recall(self, data: Dataset) -> None:
        """Fits channels, fallback and rules on a log that ends at the cut."""
        fallback = [self.fallback] if self.fallback is not None else []
        parts: list[Retriever | Rule] = [*self.recall.values(), *fallback, *self.rules.values()]
        for part in track(parts, "fit channels"):
            part.fit(data)
        self._has_seen(data)

    def fit_features(self, data: Dataset) -> None:
        """Fits the features on the same log as the channels."""
        for feature in track(self.features, "fit features"):
            feature.fit(data)
        self._has_seen(data)

    def _has_seen(self, data: Dataset) -> None:
        before = data.fitted_until if self.fitted_until is None else self.fitted_until
        self.fitted_until = max(data.fitted_until, before)

    def _refuse_the_past(self, requests: Requests) -> None:
        first = int(requests.time.min()) if len(requests) else 0
        if self.fitted_until is not None and len(requests) and first < self.fitted_until:
            raise InputError(
                f"a request at {stamp(first)} is earlier than {stamp(self.fitted_until)}, which this pipeline has "
                "already seen: its answer would know the future"
            )


def stamp(time: int) -> str:
    """A moment as ISO 8601 UTC."""
    return str(np.datetime64(time, "us")) + "Z"


def _among(wanted: Array, ascending: Array) -> Array:
    """Which of ``wanted`` are in ``ascending``."""
    if not len(ascending):
        return np.zeros(len(wanted), np.bool_)
    return ascending[np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)] == wanted


def _attempt(trace: Trace, stage: str, call: Callable[[], T]) -> T | None:
    """A channel that fails costs its own rows, not the answer; the trace says which failed and why."""
    try:
        with trace.timed(stage):
            return call()
    except InputError:
        raise
    except Exception as error:  # any fault of one channel
        trace.failed[stage.removeprefix("recall.")] = f"{type(error).__name__}: {error}"
        return None
