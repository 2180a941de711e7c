"""What each rule costs and brings: every rule switched off in turn, the rest as it is, on the same requests.

A soft rule's price needs no new recall, features or ranking: the rules are applied again to the rows that the trace of
an answer kept. A hard rule speaks before recall, so the whole funnel is asked again, where the rule forbids anything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from shortlist.component import HardRule, HasAim, able
from shortlist.data import State
from shortlist.data.protocol import Questions
from shortlist.evaluate._beyond import Catalogue, mean
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import clusters, paired_intervals
from shortlist.pipeline import Pipeline, Trace
from shortlist.questions import is_target
from shortlist.types import Array, Candidates, Float64, Int64, Ragged

NORMAL = 1.959963984540054
"""Standard errors to either side of a 95 % interval."""


@dataclass(slots=True)
class Off:
    """What the window would have been shown without one rule, batch by batch."""

    hard: bool
    values: dict[str, list[Float64]] = field(default_factory=lambda: defaultdict(list))  # accuracy [batch]
    lists: list[Candidates] = field(default_factory=list)  # the first k rows, requests numbered through
    misses: dict[str, list[tuple[Float64, Float64]]] = field(default_factory=lambda: defaultdict(list))
    # what the rule says of its aim: (with it, without it)
    forbids: list[Int64] = field(default_factory=list)  # hard rules: items forbidden a request


@dataclass(slots=True)
class Prices:
    """Hears of every batch; ``document`` is the section ``prices`` of ``evaluation.json``."""

    pipeline: Pipeline
    ks: Sequence[int]
    off: dict[str, Off] = field(init=False)

    def __post_init__(self) -> None:
        self.off = {name: Off(isinstance(rule, HardRule)) for name, rule in self.pipeline.rules.items()}

    def hear(self, batch: Questions, slate: Candidates, trace: Trace, state: State, first: int) -> None:
        """A batch's answer; its requests are numbered from ``first``."""
        k, deepest = min(self.ks), max(self.ks)
        for name, rule in self.pipeline.rules.items():
            told = self.off[name]
            free = self._without(name, batch, slate, trace, state, told)
            judged = Slates.of(free, batch.targets, deepest)
            for metric, value in accuracy.per_request(judged, self.ks).items():
                told.values[metric].append(value)
            hits = np.bincount(free.request[is_target(free, batch.targets)], minlength=len(batch))
            told.values["recall@all"].append(hits / batch.targets.lengths)
            shown = free.head(k)
            told.lists.append(Candidates((shown.request + first).astype(np.uint32), shown.item))
            if aim := able(rule, HasAim):
                both = (aim.misses(batch.requests, rows, state, k) for rows in (slate.head(k), shown))
                for key, pair in _together(*both).items():
                    told.misses[key].append(pair)

    def _without(
        self, name: str, batch: Questions, slate: Candidates, trace: Trace, state: State, told: Off
    ) -> Candidates:
        """The slates with one rule off."""
        rule, deepest = self.pipeline.rules[name], max(self.ks)
        if isinstance(rule, HardRule):
            told.forbids.append(forbidden := rule.forbids(batch.requests, state).lengths)
            if not forbidden.any():
                return slate
            rules = {key: one for key, one in self.pipeline.rules.items() if key != name}
            return replace(self.pipeline, rules=rules, observers=()).recommend(batch.requests, state, deepest)[0]
        return (
            slate
            if _idle(self.pipeline, name, slate, trace, deepest)
            else (self.pipeline.revised(trace, name, None, state, deepest))
        )

    def document(
        self, values: dict[str, Float64], slate: Candidates, targets: Ragged, known: Catalogue, seed: int
    ) -> dict[str, Any]:
        """By rule: ``kind``, ``moved`` (share of the requests whose first k it changed), ``change`` by metric (the
        slate minus the slate without it, paired), ``off`` (the mean without it) and ``aim`` by name (``with`` it and
        ``without``; 0 = reached; the difference is paired too). Hard rules also have ``forbids``, items a request.
        """
        k, users = min(self.ks), known.requests.user
        if not len(users) or not values:
            return {}
        with_it = _figures(slate.head(k), targets, known, k, values)
        cluster, n = clusters(users)
        pulls = known.pulls(with_it.slates, k, cluster, n)
        table: dict[str, Any] = {}
        for name, told in self.off.items():
            joined = {metric: np.concatenate(parts) for metric, parts in told.values.items()}
            without = _figures(Candidates.concat(told.lists), targets, known, k, joined)
            aims = {
                key: [np.concatenate(side) for side in zip(*parts, strict=True)] for key, parts in told.misses.items()
            }
            left = [with_it.each[m] for m in with_it.each] + [one for one, _ in aims.values()]
            right = [without.each[m] for m in with_it.each] + [other for _, other in aims.values()]
            found = paired_intervals(np.stack(left, axis=1), np.stack(right, axis=1), users, seed)
            change = {m: asdict(one) for m, one in zip(with_it.each, found, strict=False)}
            other_pulls = known.pulls(without.slates, k, cluster, n)
            for metric, value in with_it.whole.items():
                difference = value - without.whole.get(metric, float("nan"))
                change[metric] = (
                    _jackknife(difference, pulls[metric] - other_pulls[metric])
                    if metric in pulls
                    else {"diff": difference}
                )
            table[name] = {
                "kind": "hard" if told.hard else "soft",
                "moved": float(_differ(slate.head(k), Candidates.concat(told.lists), len(users)).mean()),
                "change": change,
                "off": {m: mean(v) for m, v in without.each.items()} | without.whole,
                "aim": {
                    key: {"with": mean(one), "without": mean(other), **asdict(difference)}
                    for (key, (one, other)), difference in zip(aims.items(), found[len(with_it.each) :], strict=True)
                },
            }
            if told.hard:
                table[name]["forbids"] = float(np.concatenate(told.forbids).mean())
        return table


@dataclass(frozen=True, slots=True)
class _Figures:
    slates: Slates
    each: dict[str, Float64]
    whole: dict[str, float]


def _figures(rows: Candidates, targets: Ragged, known: Catalogue, k: int, values: dict[str, Float64]) -> _Figures:
    """Accuracy that was measured, and what there is beside it."""
    slates = Slates.of(rows, targets, k)
    told = {m: v for m, v in values.items() if m.startswith(("ndcg@", "recall@"))}
    return _Figures(slates, told | known.each(slates, k), known.whole(slates, k))


def _together(one: dict[str, Float64], other: dict[str, Float64]) -> dict[str, tuple[Float64, Float64]]:
    return {key: (value, other[key]) for key, value in one.items()}


def _idle(pipeline: Pipeline, name: str, slate: Candidates, trace: Trace, n: int) -> bool:
    """Whether the soft rule left every row and score of a batch as it was, so that without it nothing differs."""
    names = [key for key, rule in pipeline.rules.items() if not isinstance(rule, HardRule)]
    at = names.index(name)
    before = trace.stages[f"rules.{names[at - 1]}"] if at else trace.ordered
    after = trace.stages[f"rules.{name}"]
    assert before is not None
    assert trace.recalled is not None
    if pipeline.fallback is not None and len(slate) < n * len(trace.recalled.requests):
        return False  # rows were looked for once more, and the rule may have chosen among those
    return np.array_equal(before.keys, after.keys) and all(
        np.array_equal(before.columns.get(c, np.empty(0)), after.columns.get(c, np.empty(0)), equal_nan=True)
        for c in ("score", "fallback")
    )


def _differ(a: Candidates, b: Candidates, n: int) -> Array:
    """[n]: whether two lists of a request differ, in their items or in their order."""
    lengths = [np.bincount(rows.request, minlength=n) for rows in (a, b)]
    differ = lengths[0] != lengths[1]
    same = [rows.take(~differ[rows.request]) for rows in (a, b)]
    differ[same[0].request[same[0].item != same[1].item]] = True
    return differ


def _jackknife(difference: float, pulls: Float64) -> dict[str, float]:
    """The difference with the interval that its clusters' pulls make, and the p of a normal."""
    error = float(np.sqrt(np.sum(pulls**2)))
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error else 1.0 if difference == 0 else 0.0
    if len(pulls) < 2:
        return {"diff": difference, "low": np.nan, "high": np.nan, "p": np.nan}
    return {"diff": difference, "low": difference - NORMAL * error, "high": difference + NORMAL * error, "p": p}
