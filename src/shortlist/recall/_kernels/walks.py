"""Kernel: random walks on a weighted graph, first order (DeepWalk) or with a memory of one step (node2vec)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import alias_table, drawn, uniform
from shortlist.types import Array

TRIES = 16
"""Rejected proposals after which a step is drawn from its whole distribution instead: as exact, and bounded."""


class Graph(NamedTuple):
    """Edges in CSR, neighbours ascending, with what a step is drawn by."""

    indptr: Array  # [c + 1]
    indices: Array  # [nnz]
    weights: Array  # float64 [nnz]
    stays: Array  # [nnz], with ``other`` and ``total`` of ``alias_rows``
    other: Array  # [nnz]
    total: Array  # [c]


@njit(cache=True, nogil=True)
def alias_rows(indptr: Array, weights: Array) -> tuple[Array, Array, Array]:
    """(stays [nnz], other [nnz], total [c]): the alias table of each row's weights, and their sum."""
    stays, other = np.empty(len(weights), np.float32), np.empty(len(weights), np.int32)
    total = np.zeros(len(indptr) - 1)
    for v in range(len(total)):
        low, high = indptr[v], indptr[v + 1]
        table = alias_table(weights[low:high])
        for e in range(low, high):
            stays[e], other[e] = table[0][e - low], table[1][e - low]
            total[v] += weights[e]
    return stays, other, total


@njit(cache=True, nogil=True)
def walk(graph: Graph, starts: Array, length: int, p: float, q: float, seed: int) -> tuple[Array, Array]:
    """(tokens, offsets [len(starts) + 1]): a walk of at most ``length`` nodes from each start, ended by a node without
    edges.

    From v, reached from t, the walk goes to x with probability proportional to w_vx / p if x = t, w_vx if there is an
    edge t -> x, else w_vx / q; its first step goes by w_vx alone.
    """
    indptr, indices, _, stays, other, _ = graph
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
                there = _second_order(graph, before, here, p, q, state)
            else:
                there = indices[low + drawn(state, stays[low:high], other[low:high])]
            before, here = here, there
            tokens[m] = here
            m += 1
        offsets[s + 1] = m
    return tokens[:m], offsets


@njit(cache=True, nogil=True)
def _second_order(graph: Graph, t: int, v: int, p: float, q: float, state: Array) -> int:
    """Where a walk goes from ``v`` that came from ``t``: by rejection from w_v.

    Every edge is proposed by m w_vx with m = max(1, 1 / q) and accepted by its own factor over m. What 1 / p exceeds m
    by would make the bound useless for small p, so that excess is a choice of its own that leads straight back.
    """
    indptr, indices, weights, stays, other, total = graph
    low, high = indptr[v], indptr[v + 1]
    back, far = 1.0 / p, 1.0 / q
    bound, least = max(1.0, far), min(1.0, min(far, back))
    excess = 0.0
    if back > bound:
        at = _edge(indptr, indices, v, t)
        excess = (back - bound) * weights[at] if at >= 0 else 0.0
    for _ in range(TRIES):
        if excess > 0 and uniform(state) * (bound * total[v] + excess) < excess:
            return t
        x = indices[low + drawn(state, stays[low:high], other[low:high])]
        bar = uniform(state) * bound
        if bar < least or bar < _factor(indptr, indices, t, x, back, far):
            return x
    mass = 0.0
    for e in range(low, high):
        mass += weights[e] * _factor(indptr, indices, t, indices[e], back, far)
    mass *= uniform(state)
    for e in range(low, high):
        mass -= weights[e] * _factor(indptr, indices, t, indices[e], back, far)
        if mass < 0:
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
