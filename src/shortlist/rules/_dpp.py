"""The kernel of greedy MAP inference: O(n² among) steps, one row of a Cholesky factor for each place."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.rules._attributes import Values
from shortlist.types import Array


@njit(cache=True)
def likeness(values: Values, low: int, row: int, high: int, cosine: bool, mark: Array, marks: int, out: Array) -> None:
    """out[i] = how alike row and low + i are by their values; ``mark`` holds ``marks`` at the values of the row."""
    offsets, code = values.offsets, values.code
    size = offsets[row + 1] - offsets[row]
    for e in range(offsets[row], offsets[row + 1]):
        mark[code[e]] = marks
    for i in range(high - low):
        start, end = offsets[low + i], offsets[low + i + 1]
        both = 0
        for e in range(start, end):
            if mark[code[e]] == marks:
                both += 1
        out[i] = 0.0
        if both:
            out[i] = both / (np.sqrt(size * (end - start)) if cosine else float(size + end - start - both))


@njit(cache=True)
def greedy(
    offsets: Array,
    fallback: Array,
    score: Array,
    values: Values,
    strength: float,
    own: float,
    cosine: bool,
    among: int,
    n: int,
) -> Array:
    """[m]: row numbers in the new order. ``offsets`` [requests + 1] are the rows of each request.

    d²_i is the determinant with i over that without; after j was placed, with L's row j and the factor's columns c:
    e_i = (L_ji - <c_j, c_i>) / d_j, c_i gets e_i as its next entry, and d²_i falls by e²_i.
    """
    order, mark, marks = np.arange(len(fallback)), np.zeros(values.n, np.int64), 0
    for r in range(len(offsets) - 1):
        low, high = offsets[r], min(offsets[r + 1], offsets[r] + among)
        while high > low and fallback[high - 1]:
            high -= 1
        m = high - low
        if m == 0:
            continue
        quality = np.exp(strength * relevance(score[low:high]))
        gain, placed = quality**2, np.zeros(m, np.bool_)
        factor, alike = np.zeros((min(n, m), m)), np.empty(m)
        out = low
        for k in range(min(n, m)):
            j, most = -1, -np.inf
            for i in range(m):
                if not placed[i] and gain[i] > most:
                    j, most = i, gain[i]
            placed[j] = True
            order[out] = low + j
            out += 1
            marks += 1
            likeness(values, low, low + j, high, cosine, mark, marks, alike)
            d = np.sqrt(max(gain[j], 1e-300))
            entry = factor[k]
            for i in range(m):
                entry[i] = (1 - own) * quality[j] * quality[i] * alike[i]
            for p in range(k):
                mine = factor[p, j]
                for i in range(m):
                    entry[i] -= mine * factor[p, i]
            for i in range(m):
                if not placed[i]:
                    entry[i] /= d
                    gain[i] = max(gain[i] - entry[i] ** 2, 0.0)
        for i in range(m):
            if not placed[i]:
                order[out] = low + i
                out += 1
    return order


@njit(cache=True)
def relevance(score: Array) -> Array:
    """[m]: (s - min) / (max - min) of the finite scores; 1 where they are all equal, 0 without one."""
    least, most = np.inf, -np.inf
    for s in score:
        if np.isfinite(s):
            least, most = min(least, s), max(most, s)
    out = np.zeros(len(score))
    for i in range(len(score)):
        if np.isfinite(score[i]):
            out[i] = (score[i] - least) / (most - least) if most > least else 1.0
    return out
