"""Kernels: the known users nearest to a history, and which of its items brought a candidate."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.index.heap import drain, offer
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array


@njit(cache=True, nogil=True)
def nearest(
    query: Sparse, column_weight: Array, by_item: Sparse, norms: Array, self_user: Array, shrinkage: float, k: int
) -> tuple[Array, Array, Array]:
    """(offsets, user, similarity), best first: the ``k`` users v with the largest positive

    sum_j b_j w_rj x_vj / (||w_r|| ||x_v|| + shrinkage), v not the asker, w = ``query``, x = ``by_item`` transposed.
    """
    offsets, columns, weights = query
    indptr, users, data = by_item
    n = len(offsets) - 1
    out_offsets = np.zeros(n + 1, np.int64)
    out_user = np.empty(n * k, np.int32)
    out_score = np.empty(n * k, np.float32)
    dot = np.zeros(len(norms), np.float32)
    touched = np.empty(len(norms), np.int32)
    shrink = np.float32(shrinkage)
    m = 0
    for r in range(n):
        count = 0
        square = np.float32(0)
        for e in range(offsets[r], offsets[r + 1]):
            j = columns[e]
            square += weights[e] * weights[e]
            w = weights[e] * column_weight[j]
            for p in range(indptr[j], indptr[j + 1]):
                v = users[p]
                if dot[v] == 0:
                    touched[count] = v
                    count += 1
                dot[v] += max(w * data[p], np.float32(1e-38))
        norm = np.sqrt(square)
        size = 0
        best, best_user = out_score[m : m + k], out_user[m : m + k]
        for t in range(count):
            v = touched[t]
            if v != self_user[r]:
                similarity = dot[v] / (norm * norms[v] + shrink)
                if size < k or similarity >= best[0]:
                    size = offer(best, best_user, size, k, similarity, v)
            dot[v] = 0
        drain(best, best_user, size)
        m += size
        out_offsets[r + 1] = m
    return out_offsets, out_user[:m], out_score[:m]


@njit(cache=True, nogil=True)
def behind(query: Sparse, near: Sparse, by_user: Sparse, norms: Array, request: Array, candidates: Array) -> Array:
    """[m] the history column whose share in the neighbours' similarities brings the candidate most; -1 for none.

    The weights of ``query`` carry the item weights already; ``near``: of ``nearest``; items of ``by_user`` ascend.
    """
    offsets, columns, weights = query
    near_offsets, nearest_users, _ = near
    indptr, items, data = by_user
    out = np.full(len(candidates), -1, np.int32)
    c = 0
    for column in columns:
        c = max(c, column + 1)
    own = np.zeros(c, np.float32)
    share = np.zeros(c, np.float32)
    for m in range(len(candidates)):
        r = request[m]
        for e in range(offsets[r], offsets[r + 1]):
            own[columns[e]] = weights[e]
        for q in range(near_offsets[r], near_offsets[r + 1]):
            v = nearest_users[q]
            first, end = indptr[v], indptr[v + 1]
            row = items[first:end]
            at = np.searchsorted(row, candidates[m])
            if candidates[m] < 0 or at == len(row) or row[at] != candidates[m]:
                continue
            scale = data[first + at] / norms[v]
            for p in range(first, end):
                i = items[p]
                if i < c:
                    share[i] += own[i] * data[p] * scale
        largest = np.float32(0)
        for e in range(offsets[r], offsets[r + 1]):
            j = columns[e]
            if share[j] > largest:
                largest = share[j]
                out[m] = j
            own[j] = 0
        share[:] = 0
    return out
