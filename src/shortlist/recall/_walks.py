"""Kernel: random walks on a weighted graph, first order (DeepWalk) or with a memory of one step (node2vec)."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._sgd import _uniform
from shortlist.types import Array

TRIES = 16
"""Rejected proposals after which a step is drawn from its whole distribution instead: as exact, and bounded."""


@njit(cache=True, nogil=True)
def walk(
    indptr: Array, indices: Array, cumulative: Array, starts: Array, length: int, p: float, q: float, seed: int
) -> tuple[Array, Array]:
    """(tokens, offsets [len(starts) + 1]): a walk of at most ``length`` nodes from each start, ended by a node without
    edges.

    From v, reached from t, the walk goes to x with probability proportional to w_vx / p if x = t, w_vx if there is an
    edge t -> x, else w_vx / q; its first step goes by w_vx alone. ``indptr``, ``indices``: CSR rows of targets,
    ascending; ``cumulative`` [nnz] float64: the running sum of the weights within each row.
    """
    state = np.array([seed], np.uint64)
    tokens = np.empty(len(starts) * length, np.int32)
    offsets = np.zeros(len(starts) + 1, np.int64)
    biased = p != 1 or q != 1
    m = 0
    for s in range(len(starts)):
        before, here = -1, starts[s]
        tokens[m] = here
        m += 1
        for _ in range(1, length):
            low, high = indptr[here], indptr[here + 1]
            if low == high:
                break
            if biased and before >= 0:
                there = _second_order(indptr, indices, cumulative, before, here, p, q, state)
            else:
                there = indices[_above(cumulative, low, high, _uniform(state) * cumulative[high - 1])]
            before, here = here, there
            tokens[m] = here
            m += 1
        offsets[s + 1] = m
    return tokens[:m], offsets


@njit(cache=True, nogil=True)
def _second_order(
    indptr: Array, indices: Array, cumulative: Array, t: int, v: int, p: float, q: float, state: Array
) -> int:
    """Where a walk goes from ``v`` that came from ``t``: by rejection from w_v.

    Every edge is proposed by m w_vx with m = max(1, 1 / q) and accepted by its own factor over m. What 1 / p exceeds m
    by would make the bound useless for small p, so that excess is a choice of its own that leads straight back.
    """
    low, high = indptr[v], indptr[v + 1]
    back, far = 1.0 / p, 1.0 / q
    bound, least = max(1.0, far), min(1.0, min(far, back))
    total = bound * cumulative[high - 1]
    excess = 0.0
    if back > bound:
        at = _edge(indptr, indices, v, t)
        if at >= 0:
            excess = (back - bound) * (cumulative[at] - (cumulative[at - 1] if at > low else 0.0))
    for _ in range(TRIES):
        drawn = _uniform(state) * (total + excess)
        if drawn >= total:
            return t
        x = indices[_above(cumulative, low, high, drawn / bound)]
        bar = _uniform(state) * bound
        if bar < least or bar < _factor(indptr, indices, t, x, back, far):
            return x
    drawn, before = 0.0, 0.0
    for e in range(low, high):
        drawn += (cumulative[e] - before) * _factor(indptr, indices, t, indices[e], back, far)
        before = cumulative[e]
    drawn *= _uniform(state)
    before = 0.0
    for e in range(low, high):
        drawn -= (cumulative[e] - before) * _factor(indptr, indices, t, indices[e], back, far)
        before = cumulative[e]
        if drawn < 0:
            return indices[e]
    return indices[high - 1]


@njit(cache=True, nogil=True)
def _factor(indptr: Array, indices: Array, t: int, x: int, back: float, far: float) -> float:
    if x == t:
        return back
    return 1.0 if _edge(indptr, indices, t, x) >= 0 else far


@njit(cache=True, nogil=True)
def _edge(indptr: Array, indices: Array, v: int, x: int) -> int:
    """Where the edge v -> x stands, -1 if there is none."""
    low, high = indptr[v], indptr[v + 1]
    end = high
    while low < high:
        middle = (low + high) >> 1
        if indices[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low if low < end and indices[low] == x else -1


@njit(cache=True, nogil=True)
def _above(cumulative: Array, low: int, high: int, drawn: float) -> int:
    """The first place in [low, high) whose running sum is above ``drawn``; the last one if rounding leaves none."""
    high -= 1
    while low < high:
        middle = (low + high) >> 1
        if cumulative[middle] > drawn:
            high = middle
        else:
            low = middle + 1
    return low
