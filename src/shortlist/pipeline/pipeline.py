"""The funnel: channels make rows, merge joins them, features add columns, a ranker scores, rules drop and order.

Training, evaluation and serving call the methods of this one class; nothing else assembles stages. It has two halves,
which may live in two processes: ``recalled`` finds rows, ``ranked`` puts them in order.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from shortlist.component import (
    Feature,
    HardRule,
    InputError,
    Merge,
    Ranker,
    Retriever,
    Rule,
    Scores,
    able,
    refuse_unsound,
)
from shortlist.data import Dataset, State
from shortlist.durations import stamp
from shortlist.pipeline._rows import among, backed, foremost, numbered, undecided
from shortlist.pipeline.trace import Observer, Recalled, Trace, attempt
from shortlist.progress import track
from shortlist.types import Array, Bool, Candidates, Requests, keys

SPARE = 4
"""How many rows for each one shown are enough for rules to choose from."""
DENSE = ".dense"
"""Ends the name of a channel's score of every row, those it did not find among them; for features alone."""


@dataclass(slots=True)
class Pipeline:
    """The assembled funnel; see the module."""

    recall: Mapping[str, Retriever]
    merge: Merge
    fallback: Retriever | None = None
    prerank: Ranker | None = None
    cheap: frozenset[int] = frozenset()  # numbers of the features that the pre-ranker reads
    features: Sequence[Feature] = ()
    ranker: Ranker | None = None
    rules: Mapping[str, Rule | HardRule] = field(default_factory=dict)
    depth: int = 200  # rows asked of each channel
    keep: int = 100  # rows a pre-ranker hands on
    fitted_until: int | None = None  # the last moment any stage has seen; earlier requests are refused
    observers: Sequence[Observer] = ()

    def recommend(self, requests: Requests, state: State, n: int = 10) -> tuple[Candidates, Trace]:
        """At most ``n`` rows a request, in the order they should be shown."""
        trace = Trace()
        slate = self.ranked(self.recalled(requests, state, n, trace), state, n, trace)
        assert trace.recalled is not None
        for observer in self.observers:
            observer(trace.recalled.requests, slate, trace)
        return slate, trace

    # recall

    def recalled(self, requests: Requests, state: State, n: int, trace: Trace) -> Recalled:
        """The first half: hard rules, channels, merge, the channels' scores of every row, the fallback."""
        requests, rows = self.found(requests, state, trace, self._wide(n))
        if self._ranks:
            rows = self.scored(requests, rows, state, trace)
        trace.recalled = Recalled(requests, rows, self._spare(requests, rows, state, n, trace))
        return trace.recalled

    def found(self, requests: Requests, state: State, trace: Trace, n: int = 0) -> tuple[Requests, Candidates]:
        """The requests with what is forbidden excluded, and the merged rows with every channel's score and rank.

        Where ``n`` is more than channels are usually asked for or the merge hands on, it is ``n``.
        """
        self._refuse_the_past(requests)
        with trace.timed("forbid"):
            requests = self.forbid(requests, state)
        found: dict[str, Candidates] = {}
        for name, channel in self.recall.items():
            rows = attempt(trace, f"recall.{name}", partial(channel.retrieve, requests, state, max(self.depth, n)))
            if rows is not None:
                found[name] = trace.stages[f"recall.{name}"] = rows
        with trace.timed("merge"):
            wide = getattr(self.merge, "k", n) < n
            merge = self.merge.model_copy(update={"k": n}) if wide else self.merge
            rows = trace.stages["merge"] = merge.merge(found, len(requests))
        return requests, rows

    def scored(self, requests: Requests, rows: Candidates, state: State, trace: Trace) -> Candidates:
        """The rows with ``<channel>.dense``, for every channel that can score what it did not find itself."""
        dense: dict[str, Array] = {}
        for name, channel in self.recall.items():
            if (scorer := able(channel, Scores)) and name not in trace.failed:
                own = rows.columns.get(f"{name}.score")
                whole = np.full(len(rows), np.nan, np.float32) if own is None else own.copy()
                silent = np.flatnonzero(np.isnan(whole))  # what a channel found, it has scored already
                asked = Candidates(rows.request[silent], rows.item[silent])
                score = partial(scorer.score, requests, asked, state)
                scores = attempt(trace, f"recall.{name}", score)
                if scores is not None:
                    whole[silent] = scores
                    dense[name + DENSE] = whole
        return rows.with_columns(**dense)

    def _wide(self, n: int) -> int:
        """How many rows the stages owe at least: without a fallback nobody else fills a slate of ``n``."""
        return n if self.fallback is None else 0

    def forbid(self, requests: Requests, state: State) -> Requests:
        """The requests with what the hard rules forbid added to ``exclude``."""
        forbidden = [rule.forbids(requests, state) for rule in self.rules.values() if isinstance(rule, HardRule)]
        return requests.excluding(*forbidden) if forbidden else requests

    def _spare(self, requests: Requests, rows: Candidates, state: State, n: int, trace: Trace) -> Candidates:
        """The fallback's rows for requests that have fewer than ``SPARE`` times ``n`` of their own to rank."""
        fallback, none = self.fallback, Candidates.empty()
        counts = np.diff(rows.offsets(len(requests)))
        if self.prerank is not None:
            counts = np.minimum(counts, self.keep)
        needy = np.flatnonzero(counts < SPARE * n)
        if fallback is None or not len(needy):
            return none
        found = attempt(trace, "fallback", lambda: fallback.retrieve(requests.take(needy), state, SPARE * n))
        if found is None:
            return none
        return Candidates(needy[found.request].astype(np.uint32), found.item)

    # ranking

    def ranked(self, recalled: Recalled, state: State, n: int, trace: Trace) -> Candidates:
        """The second half: pre-rank, features, rank, soft rules; at most ``n`` rows a request."""
        requests = recalled.requests
        own = self.rank(requests, recalled.rows, state, trace, self._wide(n))
        trace.ordered = backed(own, recalled.spare)
        slate = self._ruled(requests, trace.ordered, state, trace).head(n)
        return slate if self.fallback is None else self._filled(requests, own, slate, state, n, trace)

    def revised(self, trace: Trace, name: str, rule: Rule | None, state: State, n: int) -> Candidates:
        """The slate of an answer had the soft rule ``name`` been another, or off (None): at most ``n`` rows a request.

        Nothing that came before that rule is done again; ``trace`` has kept it.
        """
        assert trace.recalled is not None
        assert trace.ordered is not None
        requests, names = trace.recalled.requests, [key for key, old in self.rules.items() if isinstance(old, Rule)]
        changed = {key: rule if key == name else old for key, old in self.rules.items()}
        other = replace(self, rules={key: one for key, one in changed.items() if one is not None}, observers=())
        at = names.index(name)
        later = replace(other, rules={key: other.rules[key] for key in names[at:] if key in other.rules})
        before = trace.stages[f"rules.{names[at - 1]}"] if at else trace.ordered
        slate = later._ruled(requests, before, state, Trace()).head(n)
        if self.fallback is None:
            return slate
        own = trace.ordered.take(~trace.ordered["fallback"])
        return other._filled(requests, own, slate, state, n, Trace())

    def _filled(
        self, requests: Requests, own: Candidates, slate: Candidates, state: State, n: int, trace: Trace
    ) -> Candidates:
        """The slates; where rules left one short, the rules' choice of ever more of the fallback's rows behind its own.

        Until it is full or the fallback has no more. Each request depends on itself alone.
        """
        assert self.fallback is not None
        wanted = min([n, *(rule.room(n) for rule in self.rules.values() if isinstance(rule, Rule))])
        depth = SPARE * n
        short = np.flatnonzero(np.bincount(slate.request, minlength=len(requests)) < wanted)
        while len(short):
            depth *= SPARE
            asked = requests.take(short)
            deeper = attempt(trace, "fallback", partial(self.fallback.retrieve, asked, state, depth))
            if deeper is None:
                return slate
            rows = backed(numbered(own, short), deeper.select(()))
            found = self._ruled(asked, rows, state, Trace()).head(n)
            found = replace(found, request=short[found.request].astype(np.uint32))
            whole = Candidates.concat([slate.take(~np.isin(slate.request, short)), found])
            slate = whole.take(np.argsort(whole.request, kind="stable"))
            more = np.bincount(deeper.request, minlength=len(short)) >= depth
            full = np.bincount(slate.request, minlength=len(requests))[short] >= wanted
            short = short[more & ~full]
        return slate

    def _ruled(self, requests: Requests, rows: Candidates, state: State, trace: Trace) -> Candidates:
        """The rows without what is forbidden, as the soft rules leave them."""
        forbidden = among(rows.keys, keys(requests.exclude.rows, requests.exclude["item"]))
        if forbidden.any():  # never shown; and a fault, which stops a run that measures
            trace.failed["exclude"] = f"{forbidden.sum()} forbidden rows came back from the channels"
            rows = rows.take(~forbidden)
        if "score" in rows and "ranked" not in rows:
            rows = rows.with_columns(
                ranked=rows["score"]
            )  # what rules measure their amounts by, whatever they do to it
        drawn = "propensity" in rows  # by the ranker
        for name, rule in self.rules.items():
            if isinstance(rule, HardRule):
                continue  # spoke before retrieval
            with trace.timed(f"rules.{name}"):
                ruled = rule.apply(requests, rows, state)
            rows = undecided(rows, ruled) if drawn else ruled
            trace.stages[f"rules.{name}"] = rows
        return rows

    def rank(self, requests: Requests, rows: Candidates, state: State, trace: Trace, n: int = 0) -> Candidates:
        """The rows ordered by the ranker's score; without a ranker, in merge order.

        Features do not ride on, but for the columns that a rule needs.
        """
        kept = [name for name in rows.columns if not name.endswith(DENSE)]
        if not self._ranks:
            return rows.select(kept).with_columns(**self._needed(rows))
        featured = self.featured(requests, rows, state, trace, n=n)
        needed = self._needed(featured)
        rows = featured.select(kept).with_columns(**needed)
        if self.ranker is None:
            return rows
        with trace.timed("rank"):
            rows = rows.with_columns(**self.ranker.score(requests, featured, state)).ranked()
        trace.stages["rank"] = rows
        return rows

    def featured(
        self, requests: Requests, rows: Candidates, state: State, trace: Trace, surely: Bool | None = None, n: int = 0
    ) -> Candidates:
        """The rows with the features' columns. With a pre-ranker its best ``keep``: only these get the dear ones.

        Where more are asked for (``n``), so many are kept. ``surely`` [m]: rows that are kept wherever it puts them.
        """
        if self.prerank is not None:
            rows = self.coarse(requests, rows, state, trace)
            with trace.timed("prerank"):
                coarse = rows.with_columns(**self.prerank.score(requests, rows, state))
                kept = foremost(coarse, max(self.keep, n))
                trace.stages["prerank"] = coarse.select(["score"]).take(kept).ranked()
                rows = rows.take(kept if surely is None else kept | surely)
        done = self.cheap if self.prerank is not None else ()
        return self._computed([f for f in range(len(self.features)) if f not in done], requests, rows, state, trace)

    def coarse(self, requests: Requests, rows: Candidates, state: State, trace: Trace) -> Candidates:
        """The rows with the columns of the features that the pre-ranker reads."""
        return self._computed(sorted(self.cheap), requests, rows, state, trace)

    def read_coarsely(self, requests: Requests, state: State) -> list[str]:
        """The names of those columns."""
        asked, rows = self.found(requests, state, Trace())
        rows = self.scored(asked, rows, state, Trace())
        return [name for name in self.coarse(asked, rows, state, Trace()).columns if name not in rows.columns]

    def _computed(
        self, numbers: Sequence[int], requests: Requests, rows: Candidates, state: State, trace: Trace
    ) -> Candidates:
        for number in numbers:
            feature = self.features[number]
            name = type(feature).__module__.rpartition(".")[2]
            with trace.timed(f"features.{number}.{name}"):
                columns = feature.compute(requests, rows, state)
            rows = rows.with_columns(**columns)
        return rows

    @property
    def _ranks(self) -> bool:
        """Whether anybody reads features or dense scores: a ranker, a pre-ranker, or a rule."""
        found = {f"{name}.{part}" for name in self.recall for part in ("score", "rank")}
        return self.ranker is not None or self.prerank is not None or any(c not in found for _, c in self._needs())

    def _needs(self) -> Iterator[tuple[str, str]]:
        """(rule, column) of every column that a rule asks for."""
        for name, rule in self.rules.items():
            if isinstance(rule, Rule):
                yield from ((name, column) for column in rule.needed())

    def _needed(self, featured: Candidates) -> dict[str, Array]:
        """The columns that rules ask for, NaN of a channel that failed; raises ``InputError`` if nobody makes one."""
        needed: dict[str, Array] = {}
        for rule, column in self._needs():
            if column in featured:
                needed[column] = featured[column]
            elif self._tells(column):
                needed[column] = np.full(len(featured), np.nan, np.float32)
            else:
                near = difflib.get_close_matches(column, featured.columns, 1, 0.4)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise InputError(f"rules.{rule}: needs the column {column!r}, which no feature makes{hint}")
        return needed

    def _tells(self, column: str) -> bool:
        """Whether a channel makes the column when it answers."""
        name, _, part = column.rpartition(".")
        scored = able(self.recall.get(name), Scores) is not None
        return name in self.recall and part in ("score", "rank", *(["dense"] if scored else []))

    # fit

    def fit(self, data: Dataset) -> None:
        """Fits channels, rules and features on a log that ends at the cut; merge and rankers learn from samples."""
        self.fit_recall(data)
        self.fit_features(data)

    def fit_recall(self, data: Dataset) -> None:
        """Fits channels, fallback and rules on a log that ends at the cut."""
        parts: dict[str, Retriever | Rule | HardRule] = {f"recall.{name}": part for name, part in self.recall.items()}
        parts |= {} if self.fallback is None else {"fallback": self.fallback}
        parts |= {f"rules.{name}": part for name, part in self.rules.items()}
        for name in track(list(parts), "fit channels"):
            parts[name].fit(data)
            refuse_unsound(name, parts[name])
        self._has_seen(data)

    def fit_features(self, data: Dataset) -> None:
        """Fits the features on the same log as the channels."""
        for number, feature in enumerate(track(self.features, "fit features")):
            feature.fit(data)
            refuse_unsound(f"features.{number}", feature)
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
