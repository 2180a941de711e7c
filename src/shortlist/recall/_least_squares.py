"""Kernel: many small ridge regressions on shared factors, by conjugate gradients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from shortlist.types import Array, Float32, Int64


def solve(
    offsets: Int64,
    columns: Array,
    a: Float32,
    b: Float32,
    factors: Float32,
    gram: Float32,
    x: Float32,
    steps: int,
    tolerance: float = 0.0,
    threads: int = 1,
) -> None:
    """Moves each row x_r [f] towards the solution of (G + sum_j a_rj q_j q_jᵀ) x_r = sum_j b_rj q_j.

    ``factors`` q [c, f], ``gram`` G [f, f] with the ridge in it. At most ``steps`` steps from the row's present
    value; a row stops early when its squared residual falls to ``tolerance`` times what it was. Rows are independent,
    so ``threads`` do not change the result.
    """
    n, offsets = len(offsets) - 1, np.asarray(offsets, np.int64)
    entries = np.linspace(0, offsets[-1] + n, threads + 1)[1:-1]
    cuts = np.searchsorted(offsets[1:] + np.arange(1, n + 1), entries)
    bounds = np.concatenate([[0], cuts, [n]]).astype(np.int64)

    def part(t: int) -> None:
        _solve(bounds[t], bounds[t + 1], offsets, columns, a, b, factors, gram, x, steps, tolerance)

    if threads == 1:
        part(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, range(threads)))


@njit(cache=True, nogil=True)
def fold_in(
    offsets: Array, columns: Array, a: Array, b: Array, table: Array, gram: Array, steps: int, tolerance: float
) -> Array:
    """[n, f]: the solutions ``solve`` finds from 0, of factors that are the columns of ``table`` [f, c]."""
    n, f = len(offsets) - 1, len(gram)
    x = np.zeros((n, f), np.float32)
    for r in range(n):
        start, h = offsets[r], offsets[r + 1] - offsets[r]
        used, places, bounds = np.empty((h, f), np.float32), np.empty(h, np.int32), np.zeros(2, np.int64)
        bounds[1] = h
        for j in range(f):
            for e in range(h):
                used[e, j] = table[j, columns[start + e]]
        for e in range(h):
            places[e] = e
        own = a[start : start + h], b[start : start + h]
        _solve(0, 1, bounds, places, own[0], own[1], used, gram, x[r : r + 1], steps, tolerance)
    return x


@njit(cache=True, nogil=True, fastmath=True)
def _solve(
    first: int,
    end: int,
    offsets: Array,
    columns: Array,
    a: Array,
    b: Array,
    factors: Array,
    gram: Array,
    x: Array,
    steps: int,
    tolerance: float,
) -> None:
    f = factors.shape[1]
    r = np.empty(f, np.float32)
    p = np.empty(f, np.float32)
    ap = np.empty(f, np.float32)
    for row in range(first, end):
        own = x[row]
        start, stop = offsets[row], offsets[row + 1]
        if start == stop:
            own[:] = 0
            continue
        _times(gram, own, r)
        for i in range(f):
            r[i] = -r[i]
        for e in range(start, stop):
            q = factors[columns[e]]
            dot = np.float32(0)
            for i in range(f):
                dot += q[i] * own[i]
            w = b[e] - a[e] * dot
            for i in range(f):
                r[i] += w * q[i]
        square = np.float32(0)
        for i in range(f):
            p[i] = r[i]
            square += r[i] * r[i]
        enough = max(np.float32(tolerance) * square, np.float32(1e-20))
        for _ in range(steps):
            if square <= enough:
                break
            _times(gram, p, ap)
            for e in range(start, stop):
                q = factors[columns[e]]
                dot = np.float32(0)
                for i in range(f):
                    dot += q[i] * p[i]
                w = a[e] * dot
                for i in range(f):
                    ap[i] += w * q[i]
            curvature = np.float32(0)
            for i in range(f):
                curvature += p[i] * ap[i]
            step = square / curvature
            before, square = square, np.float32(0)
            for i in range(f):
                own[i] += step * p[i]
                r[i] -= step * ap[i]
                square += r[i] * r[i]
            ratio = square / before
            for i in range(f):
                p[i] = r[i] + ratio * p[i]


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _times(gram: Array, vector: Array, out: Array) -> None:
    """out = G v, G symmetric."""
    out[:] = 0
    for j in range(len(vector)):
        v = vector[j]
        row = gram[j]
        for i in range(len(vector)):
            out[i] += v * row[i]
