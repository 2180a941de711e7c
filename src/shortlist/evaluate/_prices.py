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

from shortlist.component import HardRule
from shortlist.data import State
from shortlist.data.protocol import Questions
from shortlist.evaluate._aims import missed, told_of
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
    missed: dict[str, list[Float64]] = field(default_factory=lambda: defaultdict(list))  # "with" the rule, "without"
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
            for side, rows in (("with", slate.head(k)), ("without", shown)):
                told.missed[side].append(missed(rule, batch.requests, rows, state, k))

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
        """By rule: ``kind``, ``moved`` (share of the requests whose first k it changes), ``change`` by metric (the
        slate minus the slate without it, paired), ``off`` (the mean without it) and ``aim``: ``what`` is missed in
        words, how much ``with`` the rule and ``without`` it, 0 = reached, and their paired difference. Hard rules also
        have ``forbids``, items a request.
        """
        k, users = min(self.ks), known.requests.user
        if not len(users) or not values:
            return {}
        cluster, n = clusters(users)
        on = _Figures.of(slate.head(k), targets, known, k, values, cluster, n)
        table: dict[str, Any] = {}
        for name, told in self.off.items():
            joined = {metric: np.concatenate(parts) for metric, parts in told.values.items()}
            lists = Candidates.concat(told.lists)
            off = _Figures.of(lists, targets, known, k, joined, cluster, n)
            aim, *changes = paired_intervals(
                np.stack([np.concatenate(told.missed["with"]), *on.each.values()], axis=1),
                np.stack([np.concatenate(told.missed["without"]), *off.each.values()], axis=1),
                users,
                seed,
            )
            change = {m: asdict(one) for m, one in zip(on.each, changes, strict=True)}
            for metric, value in on.whole.items():
                difference = value - off.whole.get(metric, float("nan"))
                pulled = on.pulls[metric] - off.pulls[metric] if metric in on.pulls else None
                change[metric] = {"diff": difference} if pulled is None else _jackknife(difference, pulled)
            table[name] = {
                "kind": "hard" if told.hard else "soft",
                "moved": float(_differ(slate.head(k), lists, len(users)).mean()),
                "change": change,
                "off": {m: mean(v) for m, v in off.each.items()} | off.whole,
                "aim": {"what": told_of(self.pipeline.rules[name]), **_both(told.missed), **asdict(aim)},
            }
            if told.hard:
                table[name]["forbids"] = float(np.concatenate(told.forbids).mean())
        return table


@dataclass(frozen=True, slots=True)
class _Figures:
    """Everything that is measured of one set of lists."""

    each: dict[str, Float64]  # [n] one number a request
    whole: dict[str, float]
    pulls: dict[str, Float64]  # [clusters], of some of the latter

    @staticmethod
    def of(
        rows: Candidates,
        targets: Ragged,
        known: Catalogue,
        k: int,
        values: dict[str, Float64],
        cluster: Int64,
        n: int,
    ) -> _Figures:
        """Accuracy that was measured, and what there is beside it."""
        slates = Slates.of(rows, targets, k)
        told = {m: v for m, v in values.items() if m.startswith(("ndcg@", "recall@"))}
        return _Figures(told | known.each(slates, k), known.whole(slates, k), known.pulls(slates, k, cluster, n))


def _both(missed: dict[str, list[Float64]]) -> dict[str, float]:
    """The means with the rule and without it, over the requests of which both can be told."""
    sides = {side: np.concatenate(parts) for side, parts in missed.items()}
    told = ~np.any(np.isnan(np.stack(list(sides.values()))), axis=0)
    return {side: mean(values[told]) for side, values in sides.items()}


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
