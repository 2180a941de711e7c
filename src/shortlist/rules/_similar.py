"""How alike the rows of a slate are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from shortlist.data import State
from shortlist.rules._attributes import Values, values_of
from shortlist.rules._dpp import likeness
from shortlist.types import Array, Candidates, Float64, Requests


def mean_similarity(requests: Requests, slate: Candidates, state: State, by: Sequence[str], similarity: str) -> Float64:
    """[n]: mean over pairs of a slate's rows of the similarity of their values; NaN of fewer than two rows."""
    values = values_of(slate.item, requests.time[slate.request], state.items, by)
    return _mean(slate.offsets(len(requests)), values, similarity == "cosine")


@njit(cache=True)
def _mean(offsets: Array, values: Values, cosine: bool) -> Array:
    n = len(offsets) - 1
    out, mark, marks = np.full(n, np.nan), np.zeros(values.n, np.int64), 0
    for r in range(n):
        low, high = offsets[r], offsets[r + 1]
        m, total = high - low, 0.0
        alike = np.empty(m)
        for row in range(low, high):
            marks += 1
            likeness(values, low, row, high, cosine, mark, marks, alike)
            total += alike[: row - low].sum()
        if m > 1:
            out[r] = total / (m * (m - 1) / 2)
    return out
