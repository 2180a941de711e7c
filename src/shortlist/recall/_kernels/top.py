"""Kernels of linear scoring: score(r, i) = sum_j w_rj M[j, i], the best k per request, single rows, the largest term.

A query is a sparse batch over the rows of M; M is dense (an item-item matrix, or lists of everything) or sparse (top
neighbours). Terms are added in the order of the query and never reassociated, so a batch, a single request and a single
row give the same bits and equal columns stay exact ties. A column below 0 is none.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.index.heap import drain, offer
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array

FEW = 3
"""Rows of a request up to which going through its terms for each is quicker than once for all."""


@njit(cache=True, nogil=True, inline="always")
def _forbid(score: Array, start: int, end: int, columns: Array) -> None:
    """Zeroes the score of excluded columns; zero is never returned."""
    for e in range(start, end):
        if columns[e] >= 0:
            score[columns[e]] = 0


@njit(cache=True, nogil=True)
def _cut(score: Array, k: int, bins: Array) -> tuple[int, np.float32]:
    """(b, scale): the best ``k`` scores above 0 all have floor(score * scale) >= b; (0, 0) if nothing is ruled out.

    A histogram of the scores against their largest, so that the heap is offered little more than it keeps.
    """
    largest, least = np.float32(0), np.float32(1e-30)
    for i in range(len(score)):
        largest = max(largest, score[i])
    if len(score) <= k or not least < largest < 1 / least:
        return 0, np.float32(0)
    scale = np.float32(len(bins) - 2) / largest  # one bin to spare for rounding
    bins[:] = 0
    for i in range(len(score)):
        if score[i] > 0:
            bins[int(score[i] * scale)] += 1
    b, above = len(bins) - 1, bins[-1]
    while b > 0 and above < k:
        b -= 1
        above += bins[b]
    return b, scale


@njit(cache=True, nogil=True)
def dense_top(query: Sparse, table: Array, ex_offsets: Array, excluded: Array, k: int) -> tuple[Array, Array, Array]:
    """(request, column, score) of the best ``k`` columns with a positive score, best first; table [rows, columns]."""
    offsets, rows, weights = query
    n, width = len(offsets) - 1, table.shape[1]
    k = min(k, width)
    out_request = np.empty(n * k, np.uint32)
    out_column = np.empty(n * k, np.int32)
    out_score = np.empty(n * k, np.float32)
    score = np.empty(width, np.float32)
    bins = np.empty(256, np.int64)
    m = 0
    for r in range(n):
        if k == 0 or offsets[r] == offsets[r + 1]:
            continue
        score[:] = 0
        for e in range(offsets[r], offsets[r + 1]):
            w = weights[e]
            terms = table[rows[e]]
            for i in range(width):
                score[i] += w * terms[i]
        _forbid(score, ex_offsets[r], ex_offsets[r + 1], excluded)
        size = 0
        best, best_column = out_score[m : m + k], out_column[m : m + k]
        b, scale = _cut(score, k, bins)
        for i in range(width):
            if score[i] > 0 and (b == 0 or int(score[i] * scale) >= b) and (size < k or score[i] > best[0]):
                size = offer(best, best_column, size, k, score[i], i)
        drain(best, best_column, size)
        out_request[m : m + size] = r
        m += size
    return out_request[:m], out_column[:m], out_score[:m]


@njit(cache=True, nogil=True)
def sparse_top(
    query: Sparse, table: Sparse, width: int, ex_offsets: Array, excluded: Array, k: int
) -> tuple[Array, Array, Array]:
    """(request, column, score) as ``dense_top``, of a table in CSR with ``width`` columns and entries above zero."""
    offsets, rows, weights = query
    indptr, indices, data = table
    n = len(offsets) - 1
    k = min(k, width)
    out_request = np.empty(n * k, np.uint32)
    out_column = np.empty(n * k, np.int32)
    out_score = np.empty(n * k, np.float32)
    score = np.zeros(width, np.float32)
    found = np.empty(width, np.float32)
    touched = np.empty(width, np.int32)
    bins = np.empty(256, np.int64)
    m = 0
    for r in range(n):
        count = _spread(offsets[r], offsets[r + 1], rows, weights, indptr, indices, data, score, touched)
        _forbid(score, ex_offsets[r], ex_offsets[r + 1], excluded)
        size = 0
        best, best_column = out_score[m : m + k], out_column[m : m + k]
        for t in range(count):
            found[t] = score[touched[t]]
        b, scale = _cut(found[:count], k, bins)
        for t in range(count):
            i = touched[t]
            if score[i] > 0 and (b == 0 or int(score[i] * scale) >= b):
                size = offer(best, best_column, size, k, score[i], i)
            score[i] = 0
        drain(best, best_column, size)
        out_request[m : m + size] = r
        m += size
    return out_request[:m], out_column[:m], out_score[:m]


@njit(cache=True, nogil=True)
def _spread(
    start: int,
    end: int,
    rows: Array,
    weights: Array,
    indptr: Array,
    indices: Array,
    data: Array,
    score: Array,
    touched: Array,
) -> int:
    """Adds one request's terms to ``score`` (zero before) and lists the columns touched, each once.

    It takes plain arrays, so that it is compiled once: what the processor guesses in it for ``sparse_top`` then holds
    for ``sparse_score`` of the same request.
    """
    count = 0
    for e in range(start, end):
        w = weights[e]
        if w <= 0:
            continue
        for p in range(indptr[rows[e]], indptr[rows[e] + 1]):
            i = indices[p]
            if score[i] == 0:
                touched[count] = i
                count += 1
            score[i] += max(w * data[p], np.float32(1e-38))  # an underflow may not list a column twice
    return count


@njit(cache=True, nogil=True)
def dense_score(query: Sparse, table: Array, request: Array, column: Array) -> Array:
    """[m] the score of given rows, 0 where there is no column; ``request`` ascends."""
    offsets, rows, weights = query
    m = len(column)
    out = np.zeros(m, np.float32)
    at = np.empty(m, np.int64)  # rows of one request that have a column
    c = 0
    while c < m:
        r, n = request[c], 0
        while c < m and request[c] == r:
            at[n] = c
            n += column[c] >= 0
            c += 1
        for e in range(offsets[r], offsets[r + 1]):
            w, terms = weights[e], table[rows[e]]
            for i in range(n):
                out[at[i]] += w * terms[column[at[i]]]
    return out


@njit(cache=True, nogil=True)
def sparse_score(query: Sparse, table: Sparse, width: int, request: Array, column: Array) -> Array:
    """[m] as ``dense_score``, of a table in CSR."""
    offsets, rows, weights = query
    indptr, indices, data = table
    m = len(column)
    out = np.zeros(m, np.float32)
    score = np.zeros(width, np.float32)
    touched = np.empty(width, np.int32)
    c = 0
    while c < m:
        r = request[c]
        count = _spread(offsets[r], offsets[r + 1], rows, weights, indptr, indices, data, score, touched)
        while c < m and request[c] == r:
            if column[c] >= 0:
                out[c] = score[column[c]]
            c += 1
        for t in range(count):
            score[touched[t]] = 0
    return out


@njit(cache=True, nogil=True)
def dense_largest(query: Sparse, table: Array, request: Array, column: Array) -> Array:
    """[m] the row of M with the largest positive term of each score, the first of equal ones; -1 if there is none."""
    offsets, rows, weights = query
    out = np.full(len(column), -1, np.int32)
    for c in range(len(column)):
        i, largest = column[c], np.float32(0)
        if i < 0:
            continue
        for e in range(offsets[request[c]], offsets[request[c] + 1]):
            term = weights[e] * table[rows[e], i]
            if term > largest:
                largest = term
                out[c] = rows[e]
    return out


@njit(cache=True, nogil=True)
def sparse_largest(query: Sparse, table: Sparse, request: Array, column: Array) -> Array:
    """[m] as ``dense_largest``, of a table in CSR.

    The terms of a request are gone through once for all its rows; or, where these are few, once for each, which needs
    no table of who asked.
    """
    offsets, rows, weights = query
    indptr, indices, data = table
    m, width = len(column), 0
    for c in range(m):
        width = max(width, column[c] + 1)
    out, largest = np.full(m, -1, np.int32), np.zeros(m, np.float32)
    row_of = np.zeros(width if m > FEW else 0, np.int64)  # 1 + the first row of the request that asks for the column
    c = 0
    while c < m:
        first, r = c, request[c]
        while c < m and request[c] == r:
            c += 1
        if c - first <= FEW:
            for at in range(first, c):
                i = column[at]
                for e in range(offsets[r], offsets[r + 1]) if i >= 0 else range(0):
                    row = rows[e]
                    for p in range(indptr[row], indptr[row + 1]):
                        if indices[p] == i and weights[e] * data[p] > largest[at]:
                            largest[at] = weights[e] * data[p]
                            out[at] = row
            continue
        for at in range(c - 1, first - 1, -1):
            if column[at] >= 0:
                row_of[column[at]] = at + 1
        for e in range(offsets[r], offsets[r + 1]):
            row = rows[e]
            for p in range(indptr[row], indptr[row + 1]):
                at = row_of[indices[p]] - 1 if indices[p] < width else -1
                if at >= 0 and weights[e] * data[p] > largest[at]:
                    largest[at] = weights[e] * data[p]
                    out[at] = row
        for at in range(first, c):
            if column[at] >= 0:
                out[at] = out[row_of[column[at]] - 1]
        for at in range(first, c):
            if column[at] >= 0:
                row_of[column[at]] = 0
    return out
