"""Kernels of scoring by sparse topics and dense vectors: score(r, i) = quality_i (sum_t p_rt M[t, i] + a_r · v_i)."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.index.heap import drain, offer
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._kernels.top import _spread
from shortlist.types import Array


@njit(cache=True, nogil=True)
def _whole(r: int, query: Sparse, table: Sparse, asked: Array, vectors: Array, score: Array, touched: Array) -> bool:
    """Fills ``score`` [c] for one request; whether anything was asked. Terms are always added in the same order."""
    offsets, rows, weights = query
    indptr, indices, data = table
    score[:] = 0
    _spread(offsets[r], offsets[r + 1], rows, weights, indptr, indices, data, score, touched)
    dense = False
    for f in range(asked.shape[1]):
        dense |= asked[r, f] != 0
    if dense:
        for i in range(len(score)):
            dot = np.float32(0)
            for f in range(asked.shape[1]):
                dot += asked[r, f] * vectors[i, f]
            score[i] += dot
    return dense or offsets[r + 1] > offsets[r]


@njit(cache=True, nogil=True)
def mixed_top(
    query: Sparse,
    table: Sparse,
    asked: Array,
    vectors: Array,
    quality: Array,
    ex_offsets: Array,
    excluded: Array,
    k: int,
) -> tuple[Array, Array, Array]:
    """(request, column, score) of the best ``k`` columns with a positive score, best first.

    ``query`` [n] over the rows of ``table`` (CSR [t, c]); ``asked`` [n, d], ``vectors`` [c, d], ``quality`` [c].
    """
    n, width = len(query.offsets) - 1, len(quality)
    k = min(k, width)
    out_request = np.empty(n * k, np.uint32)
    out_column = np.empty(n * k, np.int32)
    out_score = np.empty(n * k, np.float32)
    score, touched = np.empty(width, np.float32), np.empty(width, np.int32)
    m = 0
    for r in range(n):
        if k == 0 or not _whole(r, query, table, asked, vectors, score, touched):
            continue
        for i in range(width):
            score[i] *= quality[i]
        for e in range(ex_offsets[r], ex_offsets[r + 1]):
            if excluded[e] >= 0:
                score[excluded[e]] = 0
        size = 0
        best, best_column = out_score[m : m + k], out_column[m : m + k]
        for i in range(width):
            if score[i] > 0 and (size < k or score[i] > best[0]):
                size = offer(best, best_column, size, k, score[i], i)
        drain(best, best_column, size)
        out_request[m : m + size] = r
        m += size
    return out_request[:m], out_column[:m], out_score[:m]


@njit(cache=True, nogil=True)
def mixed_score(
    query: Sparse, table: Sparse, asked: Array, vectors: Array, quality: Array, request: Array, column: Array
) -> Array:
    """[m] the score of given rows, 0 where there is no column; ``request`` ascends."""
    m, width = len(column), len(quality)
    out = np.zeros(m, np.float32)
    score, touched = np.empty(width, np.float32), np.empty(width, np.int32)
    c = 0
    while c < m:
        r = request[c]
        _whole(r, query, table, asked, vectors, score, touched)
        while c < m and request[c] == r:
            if column[c] >= 0:
                out[c] = score[column[c]] * quality[column[c]]
            c += 1
    return out
