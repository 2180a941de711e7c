"""Places of the slate that are given to chance, and how likely each row was to stand where it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import InputError, Rule
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.rules._explore import best_normal, best_of, softmax, uniform
from shortlist.rules._fallback import fallback_of
from shortlist.rules._moved import ranked_of, score_of, spread_of
from shortlist.rules._past import check_events
from shortlist.rules._reason import because, reason_of
from shortlist.types import Array, Bool, Candidates, Float64, Requests

DRAWN = "shown to learn about it"
MEAN, DEVIATION = "posterior.mean", "posterior.deviation"
"""Columns of a ranker that says what it believes of a row."""


class Explore(Rule):
    """With probability ``epsilon`` the row at each of ``slots`` changes places with row j of a pool, drawn by p(j).

    The pool are the first ``depth`` rows of a kind (``pool``) behind the first ``n``; of K slots the k-th draws from
    rows k, k + K, k + 2K ... of it, so that no draw depends on another. p is ``uniform``; ``softmax``, in proportion to
    exp(score / (temperature × spread)); ``posterior``, the probability that j has the highest of values that the ranker
    (``linucb``) believes to be N(``posterior.mean``, (temperature × ``posterior.deviation``)²), as if they were
    independent, integrated on a grid of 200; or ``thompson``, the probability that j has the highest rate of clicks,
    each Beta(prior_clicks + clicks, prior_shown - prior_clicks + exposures - clicks) as ``State`` counts them up to the
    request. ``propensity`` is the probability with which each row stands at the place where it stands, given the
    candidates: epsilon p(j) for what was drawn (and what made room for it), 1 - epsilon for what stayed in a slot, 1 -
    epsilon p(j) for what stayed in the pool, 1 elsewhere. What it holds to: exactly these probabilities; the same
    request id and candidates give the same slate; what is in no slot and in no pool stays where it is. Put it behind
    all rules that order, before ``fill``. Missed: the share of slots that chance was to fill and did not, 0 on average.

    Source: Chapelle and Li (2011), An Empirical Evaluation of Thompson Sampling, NIPS; Swaminathan et al. (2017),
    Off-policy evaluation for slate recommendation, NIPS, for why propensities are kept.
    """

    example: ClassVar[Mapping[str, Any]] = {"slots": [2, 4], "n": 5, "epsilon": 0.5}

    slots: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """Places, from 1, that are given to chance."""
    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How likely a slot is to show a row of the pool."""
    draw: Literal["uniform", "softmax", "posterior", "thompson"] = "uniform"
    """How likely each row of the pool is."""
    pool: str = "ranked"
    """Which rows may be drawn: "ranked", those that the channel of this name found, or "fallback", whose rows are there
    only for requests with few of their own."""
    n: Annotated[int, Field(ge=1)] = 10
    """Length of the slate: rows behind these places make the pool."""
    depth: Annotated[int, Field(ge=1)] = 50
    """Of how many rows the pool is at most."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """With ``softmax``, in spreads of the request's scores, with ``posterior`` in deviations: the higher, the more
    even."""
    clicks: str = "positive"
    """With ``thompson``: what counts as a click: "positive", "all" or the name of a behaviour."""
    window: Duration = 30 * UNITS["d"]
    """With ``thompson``: how long clicks and exposures count."""
    prior_clicks: Annotated[float, Field(gt=0)] = 1.0
    """With ``thompson``: clicks that every item is thought to have had."""
    prior_shown: Annotated[float, Field(gt=0)] = 20.0
    """With ``thompson``: exposures that every item is thought to have had; more than ``prior_clicks``."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed draws other rows for the same requests."""

    def fit(self, data: Dataset) -> Self:
        """Checks what one bound cannot say."""
        check_events("rules.explore.clicks", self.clicks, data)
        if max(self.slots) > self.n or len(set(self.slots)) < len(self.slots):
            raise InputError(f"rules.explore.slots: expected distinct places up to n = {self.n}, found {self.slots}")
        if self.draw == "posterior" and self.pool == "fallback":
            raise InputError('rules.explore.pool: "fallback" has rows that no ranker believes anything of')
        if self.prior_shown <= self.prior_clicks:
            raise InputError(
                f"rules.explore.prior_shown: expected more than prior_clicks = {self.prior_clicks:g}, "
                f"found {self.prior_shown:g}"
            )
        return self

    def needed(self) -> Sequence[str]:
        """The ranks of the channel that the pool is of."""
        return () if self.pool in ("ranked", "fallback") else [f"{self.pool}.rank"]

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, some of them in each other's places."""
        if "propensity" in candidates:
            raise InputError(
                "rules.explore: the rows have a propensity already, from a ranker that draws or from another explore; "
                "keep one of them, and give it all the slots"
            )
        m, offsets = len(candidates), candidates.offsets(len(requests))
        order, propensity, drawn = np.arange(m), np.ones(m), np.zeros(m, bool)
        fits, slots, seed = self._fits(candidates), sorted(self.slots), self.seed % 2**63
        for r, (low, high) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            pool = low + self.n + np.flatnonzero(fits[low + self.n : high])[: self.depth]
            for k, slot in enumerate(slots):
                mine, place = pool[k :: len(slots)], low + slot - 1
                if not len(mine) or place >= high:
                    continue
                chance = self.epsilon * self._chances(mine, slice(low, high), requests.time[r], candidates, state)
                propensity[mine] = 1 - chance
                propensity[place] = 1 - self.epsilon
                name = requests.id[r]  # 64 bits, which no Python number is for a compiled function
                if uniform(name, seed, 2 * slot) >= self.epsilon:
                    continue
                at = np.searchsorted(np.cumsum(chance), uniform(name, seed, 2 * slot + 1) * chance.sum(), "right")
                at = min(int(at), len(mine) - 1)
                order[place], order[mine[at]] = mine[at], place
                propensity[[place, mine[at]]] = chance[at]
                drawn[place] = True
        rows = candidates.take(order).with_columns(propensity=propensity.astype(np.float32))
        return because(rows, drawn, DRAWN)

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: ``epsilon`` less the share of its slots that chance filled; its mean is 0 where chance had its part."""
        drawn = np.char.find(reason_of(slate), DRAWN) >= 0
        return self.epsilon - np.bincount(slate.request, drawn, len(requests)) / len(self.slots)

    def _fits(self, candidates: Candidates) -> Bool:
        """[m]: rows of the kind that the pool is of."""
        if self.pool in ("ranked", "fallback"):
            return fallback_of(candidates) == (self.pool == "fallback")
        rank = candidates.columns.get(f"{self.pool}.rank")
        return np.zeros(len(candidates), bool) if rank is None else np.isfinite(rank)

    def _chances(self, rows: Array, whole: slice, time: int, candidates: Candidates, state: State) -> Float64:
        """[len(rows)]: p(j), summing to 1."""
        if self.draw == "uniform":
            return np.full(len(rows), 1 / len(rows))
        if self.draw == "posterior":
            return best_normal(*self._believed(rows, candidates))
        if self.draw == "softmax":
            score = score_of(candidates)
            return softmax(score[rows], self.temperature * spread_of(ranked_of(candidates, score)[whole]))
        items, now = candidates.item[rows], np.full(len(rows), time)
        shown = state.shown.counts(None, items, now, [self.window])[:, 0].astype(np.float64)
        clicked = np.minimum(state.counts("item", items, now, [self.clicks], [self.window])[:, 0, 0], shown)
        return best_of(self.prior_clicks + clicked, self.prior_shown - self.prior_clicks + shown - clicked)

    def _believed(self, rows: Array, candidates: Candidates) -> tuple[Float64, Float64]:
        """[len(rows)], [len(rows)]: mean and deviation; a row of which nothing is known is surely the worst."""
        if DEVIATION not in candidates:
            raise InputError(
                'rules.explore.draw: "posterior" needs a ranker that says how sure it is of a row: linucb, by itself, '
                "with serve = its name"
            )
        mean, deviation = (candidates[name][rows].astype(np.float64) for name in (MEAN, DEVIATION))
        known = np.isfinite(mean)
        if not known.any():
            return np.zeros(len(rows)), np.zeros(len(rows))
        lowest = (mean - 16 * self.temperature * deviation)[known].min()
        return np.where(known, mean, lowest), np.where(known, self.temperature * deviation, 0.0)
