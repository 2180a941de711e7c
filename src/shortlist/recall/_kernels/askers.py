"""Kernels: the known users nearest to a history, and which of its items brought a candidate."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._kernels.top import drain, offer
from shortlist.types import Array


@njit(cache=True, nogil=True)
def nearest(
    offsets: Array,
    columns: Array,
    weights: Array,
    column_weight: Array,
    indptr: Array,
    users: Array,
    data: Array,
    norms: Array,
    self_user: Array,
    shrinkage: float,
    k: int,
) -> tuple[Array, Array, Array]:
    """(offsets, user, similarity), best first: the ``k`` users v with the largest positive

    sum_j b_j w_rj x_vj / (||w_r|| ||x_v|| + shrinkage), v not the asker. ``indptr``, ``users``, ``data``: X by item.
    """
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
def behind(
    offsets: Array,
    columns: Array,
    weights: Array,
    near_offsets: Array,
    near: Array,
    indptr: Array,
    items: Array,
    data: Array,
    norms: Array,
    request: Array,
    candidates: Array,
) -> Array:
    """[m] the history column whose share in the neighbours' similarities brings the candidate most; -1 for none.

    ``weights`` carry the item weights already; ``indptr``, ``items``, ``data``: X by user, items ascending.
    """
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
            v = near[q]
            row = items[indptr[v] : indptr[v + 1]]
            at = np.searchsorted(row, candidates[m])
            if candidates[m] < 0 or at == len(row) or row[at] != candidates[m]:
                continue
            scale = data[indptr[v] + at] / norms[v]
            for p in range(indptr[v], indptr[v + 1]):
                if items[p] < c:
                    share[items[p]] += own[items[p]] * data[p] * scale
        largest = np.float32(0)
        for e in range(offsets[r], offsets[r + 1]):
            if share[columns[e]] > largest:
                largest = share[columns[e]]
                out[m] = columns[e]
            own[columns[e]] = 0
        share[:] = 0
    return out
