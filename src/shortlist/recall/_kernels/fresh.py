"""Kernel: a list by score into which items drawn at random are mixed."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import uniform
from shortlist.types import Array


@njit(cache=True, nogil=True)
def mixed(
    which: Array,
    starts: Array,
    items: Array,
    pool_starts: Array,
    pools: Array,
    totals: Array,
    seeds: Array,
    share: float,
    ex_offsets: Array,
    ex_items: Array,
    width: int,
    k: int,
) -> tuple[Array, Array, Array]:
    """(request, item, place from 0) of the first ``k`` of each request that are not excluded; codes below ``width``.

    Request r has list ``which[r]`` of ``totals[w]`` items. ``items[starts[w]:starts[w + 1]]`` are the best of them, in
    order, at least k and as many as the request excludes; ``pools`` has those of the whole list that may be drawn.
    Place p is drawn, without replacement, where floor((p + 1) share) > floor(p share) and the pool is not yet empty;
    any other place has the best item not yet placed. So an item's place does not depend on k or on what is excluded.
    ``seeds`` [n]: of each request's draws.
    """
    n, most, largest = len(which), 0, 0
    for r in range(n):
        most += min(k, totals[which[r]])
        largest = max(largest, pool_starts[which[r] + 1] - pool_starts[which[r]])
    request = np.empty(most, np.uint32)
    item = np.empty(most, np.int32)
    place = np.empty(most, np.int64)
    placed = np.full(width, -1, np.int64)  # the last request that placed the item
    barred = np.full(width, -1, np.int64)
    pool = np.empty(largest, np.int32)
    state = np.empty(1, np.uint64)
    m = 0
    for r in range(n):
        for e in range(ex_offsets[r], ex_offsets[r + 1]):
            if ex_items[e] < width:
                barred[ex_items[e]] = r
        at = starts[which[r]]
        first = pool_starts[which[r]]
        left = pool_starts[which[r] + 1] - first
        for d in range(left):
            pool[d] = pools[first + d]
        state[0] = seeds[r]
        found = 0
        for p in range(totals[which[r]]):
            if found == k:
                break
            i = -1
            if np.floor((p + 1) * share) > np.floor(p * share):
                while left > 0 and i < 0:
                    d = int(uniform(state) * left)
                    left -= 1
                    i, pool[d] = pool[d], pool[left]
                    if placed[i] == r:
                        i = -1
            if i < 0:
                while placed[items[at]] == r:
                    at += 1
                i = items[at]
            placed[i] = r
            if barred[i] != r:
                request[m], item[m], place[m] = r, i, p
                m += 1
                found += 1
    return request[:m], item[:m], place[:m]
