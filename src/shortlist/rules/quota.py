"""The share of each value inside its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import InputError, Rule
from shortlist.data import Dataset, State
from shortlist.progress import emit
from shortlist.rules import _quota
from shortlist.rules._attributes import Values, check, values_of
from shortlist.rules._fallback import fallback_of
from shortlist.rules._reason import placed
from shortlist.types import Array, Candidates, Float64, Int64, Ragged, Requests

Share = Annotated[float, Field(ge=0, le=1)]
TINY = 1e-9
NOBODY = np.empty(0, np.int64)


class Quota(Rule):
    """Chooses the first N rows so that low_v <= rows with v / N <= high_v for every value v that has bounds.

    N is ``n``, or all rows if there are fewer; low_v N is rounded up, high_v N down, but not below the former. The
    chosen rows stand first, then the others, each in the order they had; the fallback's rows are chosen from only where
    the ranked ones do not fill the places. What it holds to: the shares are inside their bounds wherever some choice of
    rows keeps them there, and else the violation, the sum over values of rows missing and rows too many, is the least
    possible. Where rows have several values each and greedy choice falls short, an integer program of some 10 ms finds
    that out. Missed: rows missing and too many in a slate.

    Source: Shortlist's own definition.
    """

    example: ClassVar[Mapping[str, Any]] = {"bounds": {"colour": {"odd": [0.4, 0.6]}}, "most": {"tags": 0.8}}

    bounds: dict[str, dict[str, tuple[Share, Share]]] = {}
    """Least and largest share by attribute and value: ``{ genres = { Drama = [0.1, 0.3] } }``."""
    most: dict[str, Share] = {}
    """Largest share of every other value of an attribute: ``{ brand = 0.3 }``."""
    n: Annotated[int, Field(ge=1)] = 10
    """Over how many places the shares are taken: the length of a slate."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``shares_``: of each attribute, the least and largest share of each value."""
        if not (self.bounds or self.most):
            raise InputError("rules.quota: expected bounds or most, found neither")
        check("rules.quota.bounds", self.bounds, data.items)
        check("rules.quota.most", self.most, data.items)
        shares = [self._shares(name, data.items.known(name, NOBODY)[0].codes[name].levels) for name in self._names()]
        offsets = np.cumsum([0, *map(len, shares)]).astype(np.int64)
        low, high = np.concatenate(shares).T.copy()
        self.shares_ = Ragged(offsets, {"low": low, "high": high})
        return self

    def _shares(self, name: str, levels: Sequence[str]) -> Float64:
        """[levels, 2]: the bounds of each value of an attribute."""
        own = self.bounds.get(name, {})
        for value, (low, high) in own.items():
            path = f"rules.quota.bounds.{name}.{value}"
            if low > high:
                raise InputError(f"{path}: expected the least share before the largest, found {low:g} and {high:g}")
            if value not in levels:
                emit("warning", message=f"{path}: no item has this value; its share is never reached")
        others = (0.0, self.most.get(name, 1.0))
        return np.array([own.get(level, others) for level in levels], np.float64).reshape(-1, 2)

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows in the new order."""
        values = self._values(requests, candidates, state)
        fallback = fallback_of(candidates)
        offsets, order = candidates.offsets(len(requests)), np.arange(len(candidates))
        for low, high in pairwise(offsets.tolist()):
            order[low:high] = self._order(np.arange(low, high), fallback[low:high], values, state)
        return placed(candidates, order, "brought forward for its share", "held back: its share is reached")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: rows missing and rows too many in the first ``n`` places of each slate, over all values."""
        top = slate.head(self.n)
        values = self._values(requests, top, state)
        offsets, out = top.offsets(len(requests)), np.zeros(len(requests))
        for r, (low, high) in enumerate(pairwise(offsets)):
            least, most = self._bounds(state, values.n, int(high - low))
            codes = values.code[values.offsets[low] : values.offsets[high]]
            count = np.bincount(codes, minlength=len(least))
            out[r] = np.maximum(least - count, 0).sum() + np.maximum(count - most, 0).sum()
        return out

    def _order(self, rows: Int64, fallback: Array, values: Values, state: State) -> Int64:
        """The rows of one request, chosen ones first."""
        ranked, spare = rows[~fallback], rows[fallback]
        places = min(self.n, len(rows))
        least, most = self._bounds(state, values.n, places)
        have = np.zeros(len(least), np.int64)
        if len(ranked) < places:
            have = _quota.counts(ranked, values, len(least))
            first, pool, behind = ranked, spare, spare[:0]
        else:
            first, pool, behind = ranked[:0], ranked, spare
        taken = _quota.chosen(pool, places - len(first), values, least, most, have)
        return np.concatenate([first, pool[taken], pool[~taken], behind])

    def _names(self) -> list[str]:
        return list(dict.fromkeys([*self.bounds, *self.most]))

    def _values(self, requests: Requests, candidates: Candidates, state: State) -> Values:
        return values_of(candidates.item, requests.time[candidates.request], state.items, self._names())

    def _bounds(self, state: State, n: int, places: int) -> tuple[Int64, Int64]:
        """[n], [n]: least and largest number of rows of each of the ``n`` values of ``values_of``, in its numbering."""
        if n == len(self.shares_["low"]):
            return _rounded(self.shares_["low"], self.shares_["high"], places)
        shares = [np.empty((0, 2))]
        for row, name in enumerate(self._names()):
            table, _ = state.attributes("item", name, NOBODY, NOBODY)
            if name in table.codes:
                known = np.stack(list(self.shares_.row(row).values()), axis=1)
                later = len(table.codes[name].levels) - len(known)  # values that came since have no bounds of their own
                others = np.tile((0.0, self.most.get(name, 1.0)), (later, 1)) if later else known[:0]
                shares += [known, others]
        low, high = np.concatenate(shares).T
        return _rounded(low, high, places)


def _rounded(low: Float64, high: Float64, places: int) -> tuple[Int64, Int64]:
    least = np.ceil(low * places - TINY).astype(np.int64)
    return least, np.maximum(np.floor(high * places + TINY).astype(np.int64), least)
