"""Kernels: for every column of a sparse matrix the k columns most similar to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit

from shortlist.index.heap import drain, offer
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array, Float32, Int32, Int64


def similar_columns(
    x: sp.csr_matrix,
    k: int,
    row_weight: Float32,
    shrinkage: float = 0.0,
    times: Int64 | None = None,
    rate: float = 0.0,
    threads: int = 1,
    norms: Float32 | None = None,
) -> sp.csr_matrix:
    """CSR float32 [c, c]: row i holds the ``k`` largest s_ij, j != i, best first, ties by column.

    s_ij = sum_u a_u x_ui x_uj 2^(-rate |t_ui - t_uj|) / (||x_i|| ||x_j|| + shrinkage), with a = ``row_weight`` [n]
    and t = ``times``, one for each entry of ``x`` (sorted CSR); ``norms`` [c] stands in for ||x||. Each unordered pair
    is computed once and offered to both columns; ``threads`` share the columns, and their number does not change the
    result.
    """
    c = x.shape[1]
    k = max(min(k, c - 1), 0)
    data = x.data.astype(np.float32)
    if norms is None:
        norms = np.sqrt(np.bincount(x.indices, data.astype(np.float64) ** 2, c)).astype(np.float32)
    if times is None:
        times = np.zeros(1, np.int64)
        rate = 0.0
    weight = row_weight.astype(np.float32)
    indptr = x.indptr.astype(np.int64)
    by_column, work = _transposed(indptr, x.indices, c)
    bounds = np.searchsorted(np.cumsum(work), np.linspace(0, work.sum(), threads + 1)[1:-1]) + 1
    ranges = np.concatenate([[0], np.minimum(bounds, c), [c]])

    def part(t: int) -> tuple[Array, Array, Array]:
        log = Sparse(indptr, x.indices, data), by_column
        return _pairs(ranges[t], ranges[t + 1], k, *log, weight, norms, shrinkage, times, rate, work)

    if threads == 1:
        heaps = [part(0)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            heaps = list(pool.map(part, range(threads)))
    score, column, size = heaps[0]
    for more in heaps[1:]:
        _join(score, column, size, *more, k)
    return as_csr(score, column, size)


Heaps = tuple[Float32, Int32, Int64]
"""score [c, k], column [c, k], size [c]"""


def no_heaps(c: int, k: int) -> Heaps:
    """Room for the ``k`` best of each of ``c`` columns, nothing in it."""
    return np.empty((c, k), np.float32), np.empty((c, k), np.int32), np.zeros(c, np.int64)


def fill(kernel: Callable[..., None], heaps: Heaps, threads: int) -> None:
    """``kernel(score, column, size, first, end)`` on ``threads`` ranges of the heaps; it writes to those alone."""
    bounds = np.linspace(0, len(heaps[2]), threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda own: kernel(*heaps, *own), pairwise(bounds)))


def as_csr(score: Float32, column: Int32, size: Int64) -> sp.csr_matrix:
    """CSR [c, c] of the heaps of c columns, each row best first."""
    indptr, indices, data = _drained(score, column, size)
    return sp.csr_matrix((data, indices, indptr), shape=(len(size), len(size)))


class Entries(NamedTuple):
    """The entries of a CSR matrix by column."""

    offsets: Array  # [c + 1]
    rows: Array
    places: Array  # in the CSR


@njit(cache=True, nogil=True)
def _transposed(indptr: Array, indices: Array, c: int) -> tuple[Entries, Array]:
    """The entries by column, and how many pairs start at each column."""
    t_indptr = np.zeros(c + 1, np.int64)
    for p in range(len(indices)):
        t_indptr[indices[p] + 1] += 1
    for i in range(c):
        t_indptr[i + 1] += t_indptr[i]
    cursor = t_indptr[:-1].copy()
    t_row = np.empty(len(indices), np.int32)
    t_place = np.empty(len(indices), np.int64)
    work = np.zeros(c, np.int64)
    for u in range(len(indptr) - 1):
        for p in range(indptr[u], indptr[u + 1]):
            i = indices[p]
            t_row[cursor[i]] = u
            t_place[cursor[i]] = p
            cursor[i] += 1
            work[i] += indptr[u + 1] - p - 1
    return Entries(t_indptr, t_row, t_place), work


@njit(cache=True, nogil=True)
def _pairs(
    first: int,
    end: int,
    k: int,
    x: Sparse,
    by_column: Entries,
    row_weight: Array,
    norms: Array,
    shrinkage: float,
    times: Array,
    rate: float,
    work: Array,
) -> tuple[Array, Array, Array]:
    """Heaps of the pairs (i, j), i < j, that start at the columns first <= i < end."""
    indptr, indices, data = x
    t_indptr, t_row, t_place = by_column
    c = len(norms)
    score = np.empty((c, k), np.float32)
    column = np.empty((c, k), np.int32)
    size = np.zeros(c, np.int64)
    dot = np.zeros(c, np.float32)
    shrink = np.float32(shrinkage)
    for i in range(first, end):
        for e in range(t_indptr[i], t_indptr[i + 1]):
            u, place = t_row[e], t_place[e]
            w = row_weight[u] * data[place]
            if rate > 0:
                for p in range(place + 1, indptr[u + 1]):
                    dot[indices[p]] += w * data[p] * np.float32(2.0 ** (-rate * abs(times[p] - times[place])))
            else:
                for p in range(place + 1, indptr[u + 1]):
                    dot[indices[p]] += w * data[p]
        if work[i] > c - i:  # most columns are touched: look at all of them
            for j in range(i + 1, c):
                if dot[j] > 0:
                    s = dot[j] / (norms[i] * norms[j] + shrink)
                    dot[j] = 0
                    _offer_both(score, column, size, k, s, i, j)
            continue
        for e in range(t_indptr[i], t_indptr[i + 1]):
            for p in range(t_place[e] + 1, indptr[t_row[e] + 1]):
                j = indices[p]
                if dot[j] > 0:
                    s = dot[j] / (norms[i] * norms[j] + shrink)
                    dot[j] = 0
                    _offer_both(score, column, size, k, s, i, j)
    return score, column, size


@njit(cache=True, nogil=True, inline="always")
def _offer_both(score: Array, column: Array, size: Array, k: int, s: float, i: int, j: int) -> None:
    """Offers a pair to the heaps of both its columns."""
    if size[i] < k or s >= score[i, 0]:
        size[i] = offer(score[i], column[i], size[i], k, s, j)
    if size[j] < k or s >= score[j, 0]:
        size[j] = offer(score[j], column[j], size[j], k, s, i)


@njit(cache=True, nogil=True)
def _join(score: Array, column: Array, size: Array, score_b: Array, column_b: Array, size_b: Array, k: int) -> None:
    """Offers the second heaps to the first."""
    for i in range(len(size)):
        for p in range(size_b[i]):
            size[i] = offer(score[i], column[i], size[i], k, score_b[i, p], column_b[i, p])


@njit(cache=True, nogil=True)
def _drained(score: Array, column: Array, size: Array) -> tuple[Array, Array, Array]:
    indptr = np.zeros(len(size) + 1, np.int64)
    indptr[1:] = np.cumsum(size)
    indices = np.empty(indptr[-1], np.int32)
    data = np.empty(indptr[-1], np.float32)
    for i in range(len(size)):
        n = size[i]
        drain(score[i], column[i], n)
        indices[indptr[i] : indptr[i + 1]] = column[i, :n]
        data[indptr[i] : indptr[i + 1]] = score[i, :n]
    return indptr, indices, data
