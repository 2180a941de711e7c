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
        start, end = offsets[r], offsets[r + 1]
        own, places = _gathered(table, columns[start:end], end - start)
        one = np.array([0, end - start])  # its bounds; written out as 0 and 1, the kernel would be compiled once more
        _solve(one[0], len(one) - 1, one, places, a[start:end], b[start:end], own, gram, x[r : r + 1], steps, tolerance)
    return x


@njit(cache=True, nogil=True)
def largest(
    offsets: Array,
    columns: Array,
    a: Array,
    b: Array,
    table: Array,
    gram: Array,
    request: Array,
    wanted: Array,
    steps: int,
    tolerance: float,
) -> Array:
    """[m]: the column j of the request with the largest b_j q_j · A^-1 q above 0, A its system in ``fold_in``; or -1.

    q is the factor of the column ``wanted`` [m], negative for none. A^-1 q is what a history of q alone folds in to.
    """
    f = len(gram)
    out = np.full(len(wanted), -1, np.int32)
    x = np.zeros((1, f), np.float32)
    for c in range(len(wanted)):
        start, end = offsets[request[c]], offsets[request[c] + 1]
        h = end - start
        if wanted[c] < 0 or h == 0:
            continue
        own, places = _gathered(table, columns[start:end], h + 1)
        own[h] = table[:, wanted[c]]
        terms, right = np.zeros(h + 1, np.float32), np.zeros(h + 1, np.float32)
        terms[:h] = a[start:end]
        right[h] = 1
        x[:] = 0
        one = np.array([0, h + 1])
        _solve(one[0], len(one) - 1, one, places, terms, right, own, gram, x, steps, tolerance)
        most = np.float32(0)
        for e in range(h):
            term = np.float32(0)
            for i in range(f):
                term += own[e, i] * x[0, i]
            if b[start + e] * term > most:
                most = b[start + e] * term
                out[c] = columns[start + e]
    return out


@njit(cache=True, nogil=True)
def _gathered(table: Array, columns: Array, n: int) -> tuple[Array, Array]:
    """[n, f] the given columns of ``table`` [f, c] as rows, with room up to ``n``; and the numbers 0..n-1."""
    own, places = np.empty((n, len(table)), np.float32), np.empty(n, np.int32)
    for i in range(len(table)):
        for e in range(len(columns)):
            own[e, i] = table[i, columns[e]]
    for e in range(n):
        places[e] = e
    return own, places


@njit(cache=True, nogil=True, fastmath={"contract"})
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
            w = b[e] - a[e] * _dot(q, own)
            for i in range(f):
                r[i] += w * q[i]
        p[:] = r
        square = _dot(r, r)
        enough = max(np.float32(tolerance) * square, np.float32(1e-20))
        for _ in range(steps):
            if square <= enough:
                break
            _times(gram, p, ap)
            for e in range(start, stop):
                q = factors[columns[e]]
                w = a[e] * _dot(q, p)
                for i in range(f):
                    ap[i] += w * q[i]
            step = square / _dot(p, ap)
            for i in range(f):
                own[i] += step * p[i]
                r[i] -= step * ap[i]
            before, square = square, _dot(r, r)
            ratio = square / before
            for i in range(f):
                p[i] = r[i] + ratio * p[i]


@njit(cache=True, nogil=True, fastmath=True)
def _dot(x: Array, y: Array) -> np.float32:
    """x · y, its terms added in an order of the compiler's.

    Nothing is written in this loop. Beside a write, the compiler also makes a slow loop for arrays that might overlap,
    and where they lie would decide in which order terms are added: the same fit would differ from run to run.
    """
    dot = np.float32(0)
    for i in range(len(x)):
        dot += x[i] * y[i]
    return dot


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _times(gram: Array, vector: Array, out: Array) -> None:
    """out = G v, G symmetric."""
    out[:] = 0
    for j in range(len(vector)):
        v = vector[j]
        row = gram[j]
        for i in range(len(vector)):
            out[i] += v * row[i]
