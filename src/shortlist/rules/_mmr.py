"""The kernel of MMR: O(n among) steps, the largest similarity to what is placed kept for every row."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.rules._attributes import Values
from shortlist.types import Array


@njit(cache=True)
def arranged(
    offsets: Array,
    fallback: Array,
    score: Array,
    values: Values,
    trade_off: float,
    cosine: bool,
    among: int,
    n: int,
) -> Array:
    """[m]: row numbers in the new order. ``offsets`` [requests + 1] are the rows of each request."""
    value_offsets, code, mark = values.offsets, values.code, np.zeros(values.n, np.int64)
    order = np.arange(len(fallback))
    marks = np.int64(0)
    for r in range(len(offsets) - 1):
        low, high = offsets[r], min(offsets[r + 1], offsets[r] + among)
        while high > low and fallback[high - 1]:
            high -= 1
        m = high - low
        least, most = np.inf, -np.inf
        for i in range(m):
            if np.isfinite(score[low + i]):
                least, most = min(least, score[low + i]), max(most, score[low + i])
        relevance = np.zeros(m)
        for i in range(m):
            if np.isfinite(score[low + i]):
                relevance[i] = (score[low + i] - least) / (most - least) if most > least else 1.0
        nearest = np.zeros(m)
        placed = np.zeros(m, np.bool_)
        out = low
        for _ in range(min(n, m)):
            best, value = -1, -np.inf
            for i in range(m):
                if not placed[i]:
                    own = trade_off * relevance[i] - (1 - trade_off) * nearest[i]
                    if own > value:
                        best, value = i, own
            placed[best] = True
            order[out] = low + best
            out += 1
            marks += 1
            row = low + best
            size = value_offsets[row + 1] - value_offsets[row]
            for e in range(value_offsets[row], value_offsets[row + 1]):
                mark[code[e]] = marks
            for i in range(m):
                if placed[i]:
                    continue
                start, end = value_offsets[low + i], value_offsets[low + i + 1]
                both = 0
                for e in range(start, end):
                    if mark[code[e]] == marks:
                        both += 1
                if both:
                    whole = np.sqrt(size * (end - start)) if cosine else float(size + end - start - both)
                    nearest[i] = max(nearest[i], both / whole)
        for i in range(m):
            if not placed[i]:
                order[out] = low + i
                out += 1
    return order
