"""Items far from the user's price level sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import InputError, Rule
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.rules._attributes import check
from shortlist.rules._moved import move
from shortlist.rules._past import check_events, counted
from shortlist.rules._share import share_of
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Int32, Int64, Requests


class PriceGap(Rule):
    """score(i) - amount × spread, if |x(i) - m(u)| > width × s(u): outside the user's price band.

    x is the logarithm of a price, less the middle one of the item's category where ``by`` names one, so that a dear pen
    and a cheap desk can be told. m and s are mean and standard deviation over the prices of the user's own events, each
    as it was then, weighed by 2^(-age / half_life); s is drawn to the catalogue's by ``prior``. The price of a row is
    as of the request. Nothing sinks for users with fewer than ``evidence`` prices, and no item without one. Spread: the
    standard deviation of the request's scores before any rule. What it holds to: rows inside the band keep their scores
    and their order among each other, and so do those outside. Missed: the share of a slate outside the band.

    Source: Ge, Xiong, Tuzhilin and Liu (2014), Cost-aware collaborative filtering for travel tour recommendations, for
    a user's range of prices; the band and the amount are Shortlist's own.
    """

    sizes: ClassVar[Mapping[str, str]] = {"middles_": "v"}

    example: ClassVar[Mapping[str, Any]] = {"price": "price"}

    price: str
    """Item attribute of kind number; what is not above 0 is no price."""
    by: str | None = None
    """Item attribute (category) within which prices are compared; none = over the whole catalogue."""
    events: str = "positive"
    """Events that tell what a user pays: "positive", "all" or the name of a behaviour."""
    width: Annotated[float, Field(gt=0)] = 1.5
    """Half the band, in the user's standard deviations."""
    side: Literal["both", "above", "below"] = "both"
    """Whether what is too dear sinks, what is too cheap, or both."""
    evidence: Annotated[int, Field(ge=1)] = 3
    """A user with fewer known prices has no price level."""
    prior: Annotated[float, Field(ge=0)] = 5.0
    """How many prices the catalogue's standard deviation counts for."""
    half_life: Duration = 180 * UNITS["d"]
    """A price paid this much earlier than the latest counts half."""
    amount: Annotated[float, Field(gt=0)] = 1.0
    """How far they sink, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``middles_`` (of the category's log prices; the first is that of all) and ``spread_`` about them."""
        if data.items.columns().get(self.price) != "number":
            there = ", ".join(sorted(name for name, kind in data.items.columns().items() if kind == "number"))
            raise InputError(
                f"rules.price_gap.price: no item attribute {self.price!r} of kind number; there are: {there or 'none'}"
            )
        check("rules.price_gap.by", [self.by] if self.by else [], data.items)
        check_events("rules.price_gap.events", self.events, data)
        state, every, now = data.state(), np.arange(data.n_items), np.full(data.n_items, data.fitted_until)
        levels = self._levels(state, every, now)
        logs = _relative(self._prices(state, every, now), np.full(data.n_items, -1, np.int32), np.zeros(1))
        known = np.isfinite(logs)
        middles = [float(np.median(logs[known])) if known.any() else 0.0]
        for level in range(int(levels.max(initial=-1)) + 1):
            mine = logs[known & (levels == level)]
            middles.append(float(np.median(mine)) if len(mine) else middles[0])
        self.middles_ = np.array(middles)
        apart = logs[known] - self.middles_[levels[known] + 1]
        self.spread_ = float(apart.std()) if len(apart) else 0.0
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, those outside the band further down."""
        outside = self._outside(requests, candidates, state)
        return move(candidates, len(requests), outside, -self.amount, "price far from the usual")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: share of each slate outside the user's band; NaN where there is none."""
        low, _ = self.band(requests, state)
        share = share_of(self._outside(requests, slate, state), slate, len(requests))
        return np.where(np.isnan(low), np.nan, share)

    def band(self, requests: Requests, state: State) -> tuple[Float64, Float64]:
        """[n], [n]: the user's band of x (see the class); NaN without enough prices."""
        past = requests.history
        x = self._relative(state, past["item"], past["time"])
        x[~counted(past, self.events, state.behaviours)] = np.nan
        weights = self.evidence, self.prior, self.spread_, float(self.half_life)
        return _band(past.offsets, x, past["time"], requests.time, *weights, self.width)

    def _outside(self, requests: Requests, candidates: Candidates, state: State) -> Bool:
        low, high = self.band(requests, state)
        if np.isnan(low).all():
            return np.zeros(len(candidates), bool)
        x = self._relative(state, candidates.item, requests.time[candidates.request])
        return _beyond(candidates.request, x, low, high, self.side != "below", self.side != "above")

    def _relative(self, state: State, items: Array, times: Int64) -> Float64:
        """[m]: x of items as of then; NaN without a price."""
        return _relative(self._prices(state, items, times), self._levels(state, items, times), self.middles_)

    def _prices(self, state: State, items: Array, times: Int64) -> Float32:
        table, rows = state.attributes("item", self.price, items, times)
        known = self.price in table.numbers
        return table.number(self.price, rows) if known else np.full(len(items), np.nan, np.float32)

    def _levels(self, state: State, items: Array, times: Int64) -> Int32:
        if self.by is None:
            return np.full(len(items), -1, np.int32)
        table, rows = state.attributes("item", self.by, items, times)
        return table.codes[self.by].first(rows) if self.by in table.codes else np.full(len(items), -1, np.int32)


@njit(cache=True)
def _relative(prices: Array, levels: Array, middles: Array) -> Array:
    """[m]: log price less the middle of its level; of a level that came later, less the middle of all."""
    out = np.full(len(prices), np.nan)
    for r in range(len(prices)):
        if prices[r] > 0:
            level = levels[r] + 1 if levels[r] + 1 < len(middles) else 0
            out[r] = np.log(np.float64(prices[r])) - middles[level]
    return out


@njit(cache=True)
def _band(
    offsets: Array,
    x: Array,
    times: Array,
    now: Array,
    evidence: int,
    prior: float,
    spread: float,
    half_life: float,
    width: float,
) -> tuple[Array, Array]:
    """[n], [n]: mean -+ width × standard deviation of each request's x, weighed by how long before the last of them."""
    n = len(offsets) - 1
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    for q in range(n):
        known, weight, mean, square, last = 0, 0.0, 0.0, 0.0, np.int64(0)
        for e in range(offsets[q + 1] - 1, offsets[q] - 1, -1):
            if np.isnan(x[e]) or times[e] > now[q]:
                continue
            last = times[e] if known == 0 else last
            known += 1
            w = 0.5 ** ((last - times[e]) / half_life)
            if w > 0:
                weight += w
                step = x[e] - mean
                mean += w / weight * step
                square += w * step * (x[e] - mean)
        if known >= evidence:
            reach = width * np.sqrt((square + prior * spread**2) / (weight + prior))
            low[q], high[q] = mean - reach, mean + reach
    return low, high


@njit(cache=True)
def _beyond(request: Array, x: Array, low: Array, high: Array, above: bool, below: bool) -> Array:
    """[m]: x outside the request's band; NaN is not. The same price, worked out twice, is not far from itself."""
    out = np.zeros(len(x), np.bool_)
    for r in range(len(x)):
        slack = 1e-9 * (1 + abs(x[r]))
        out[r] = (above and x[r] > high[request[r]] + slack) or (below and x[r] < low[request[r]] - slack)
    return out
