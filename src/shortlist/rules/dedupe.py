"""One row of each product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numba import njit

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules._attributes import Values, check, values_of
from shortlist.types import Array, Candidates, Float64, Requests


class Dedupe(Rule):
    """Keeps the first row of each value of an attribute: i stays unless a kept j before it has v(j) & v(i) not empty.

    For variants of one parent product (another colour, another size), editions of one book. Missing values are equal to
    nothing. Of a list attribute one shared value is enough. Missed: rows of a slate that share a value with one before.

    Source: Shortlist's own definition.
    """

    example: ClassVar[Mapping[str, Any]] = {"by": "tags"}

    by: str
    """Item attribute (category or list) of which a slate shows each value once."""

    def fit(self, data: Dataset) -> Self:
        """Checks the attribute."""
        check("rules.dedupe.by", [self.by], data.items)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The first row of each value, and all without one."""
        values = values_of(candidates.item, requests.time[candidates.request], state.items, [self.by])
        if not len(values.code):
            return candidates
        return candidates.take(_first(candidates.request, values))

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: rows of each slate that share a value with one before."""
        values = values_of(slate.item, requests.time[slate.request], state.items, [self.by])
        return np.bincount(slate.request, ~_first(slate.request, values), len(requests)).astype(np.float64)


@njit(cache=True)
def _first(request: Array, values: Values) -> Array:
    """[m]: rows that share no value with a kept row before them."""
    offsets, code, shown = values.offsets, values.code, np.zeros(values.n, np.int64)  # the last request + 1 by value
    keep = np.ones(len(request), np.bool_)
    for row in range(len(request)):
        mark = np.int64(request[row]) + 1
        for e in range(offsets[row], offsets[row + 1]):
            if shown[code[e]] == mark:
                keep[row] = False
        if keep[row]:
            for e in range(offsets[row], offsets[row + 1]):
                shown[code[e]] = mark
    return keep
