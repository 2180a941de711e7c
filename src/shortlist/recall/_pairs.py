"""Kernels of pair scores that are no matrix product: association in sequences, and swing."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._top import offer
from shortlist.types import Array


@njit(cache=True, nogil=True)
def associate(
    starts: Array,
    ends: Array,
    columns: Array,
    times: Array,
    occurrences: Array,
    occurrence_offsets: Array,
    base: float,
    backward: float,
    rate: float,
    window: int,
    k: int,
) -> tuple[Array, Array, Array]:
    """Heaps (score [c, k], column [c, k], size [c]) of the items i most associated with each item j.

    ``starts``, ``ends`` [m]: where the sequence of event e begins and ends; ``occurrences``: events grouped by column.
    """
    c = len(occurrence_offsets) - 1
    score = np.empty((c, k), np.float32)
    column = np.empty((c, k), np.int32)
    size = np.zeros(c, np.int64)
    total = np.zeros(c, np.float32)
    touched = np.empty(c, np.int32)
    by_gap = base ** np.arange(window)
    for j in range(c):
        count = 0
        for o in range(occurrence_offsets[j], occurrence_offsets[j + 1]):
            e = occurrences[o]
            per_user = 1 / np.log(1.0 + (ends[e] - starts[e]))
            for other in range(max(starts[e], e - window), min(ends[e], e + window + 1)):
                i = columns[other]
                if i == j:
                    continue
                w = per_user * (by_gap[other - e - 1] if other > e else backward * by_gap[e - other - 1])
                if rate > 0:
                    w *= 2.0 ** (-rate * abs(times[other] - times[e]))
                if w > 0:
                    if total[i] == 0:
                        touched[count] = i
                        count += 1
                    total[i] += w
        for t in range(count):
            i = touched[t]
            size[j] = offer(score[j], column[j], size[j], k, total[i], i)
            total[i] = 0
    return score, column, size


@njit(cache=True, nogil=True)
def swing(
    indptr: Array,
    items: Array,
    user_weight: Array,
    by_item: Array,
    users: Array,
    scale: Array,
    alpha: float,
    k: int,
    first: int,
    end: int,
) -> tuple[Array, Array, Array]:
    """Heaps of the columns most tied to each column first <= i < end (the others stay empty).

    ``indptr``, ``items``: what each user took; ``by_item``, ``users``: some of the users of each item; ``scale`` [c].
    """
    c = len(by_item) - 1
    score = np.empty((c, k), np.float32)
    column = np.empty((c, k), np.int32)
    size = np.zeros(c, np.int64)
    total = np.zeros(c, np.float32)
    touched = np.empty(c, np.int32)
    mine = np.zeros(c, np.bool_)
    common = np.empty(c, np.int32)
    for i in range(first, end):
        count = 0
        for a in range(by_item[i], by_item[i + 1]):
            u = users[a]
            for p in range(indptr[u], indptr[u + 1]):
                mine[items[p]] = True
            for b in range(a + 1, by_item[i + 1]):
                v = users[b]
                shared = 0
                for p in range(indptr[v], indptr[v + 1]):
                    common[shared] = items[p]
                    shared += mine[items[p]]
                if shared < 2:
                    continue
                w = user_weight[u] * user_weight[v] / (alpha + shared)
                for s in range(shared):
                    j = common[s]
                    if total[j] == 0:
                        touched[count] = j
                        count += 1
                    total[j] += w
            for p in range(indptr[u], indptr[u + 1]):
                mine[items[p]] = False
        for t in range(count):
            j = touched[t]
            if j != i:
                size[i] = offer(score[i], column[i], size[i], k, total[j] * scale[i], j)
            total[j] = 0
    return score, column, size
