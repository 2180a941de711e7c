"""Dropping forbidden rows: a binary search in each request's own list."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array, Candidates, Ragged


def without(candidates: Candidates, forbidden: Ragged) -> Candidates:
    """The rows whose item is not among the ``item`` entries of their request."""
    if not len(forbidden["item"]) or not len(candidates):
        return candidates
    return candidates.take(_allowed(candidates.request, candidates.item, forbidden.offsets, forbidden["item"]))


def fallback_of(candidates: Candidates) -> Array:
    """[m]: rows of the fallback, which no ranker has seen; none where there is no such column."""
    return candidates["fallback"] if "fallback" in candidates else np.zeros(len(candidates), np.bool_)


@njit(cache=True)
def _allowed(request: Array, item: Array, offsets: Array, forbidden: Array) -> Array:
    allowed = np.ones(len(item), np.bool_)
    current = np.int64(-1)
    mine = np.empty(0, forbidden.dtype)
    for row in range(len(item)):
        r = np.int64(request[row])
        if r != current:
            current = r
            mine = np.sort(forbidden[offsets[r] : offsets[r + 1]])
        at = np.searchsorted(mine, item[row])
        allowed[row] = at == len(mine) or mine[at] != item[row]
    return allowed
