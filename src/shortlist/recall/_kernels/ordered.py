"""Lists that many requests share: how deep an order is kept, and the kernel that reads it for each request."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array, Int64, Requests

SHORTEST = 512
"""Places an order has at least, where there are as many items."""
WHOLE = 1 << 32
"""The depth of an order with every item."""


def reach(requests: Requests, k: int) -> int:
    """How long an order must be for ``k`` items of each request, whatever it excludes; of few different sizes."""
    needed = max(k + int(requests.exclude.lengths.max(initial=0)), SHORTEST)
    return min(1 << (needed - 1).bit_length(), WHOLE)


def foremost(scores: Array, depth: int) -> Int64:
    """Where the ``depth`` highest of ``scores`` stand and all that equal the last of them, ascending."""
    if depth >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, len(scores) - depth)[len(scores) - depth])


@njit(cache=True, nogil=True)
def read(
    which: Array, starts: Array, items: Array, scores: Array, ex_offsets: Array, ex_items: Array, width: int, k: int
) -> tuple[Array, Array, Array]:
    """(request, item, score) of the first ``k`` of each request that are not excluded; item codes below ``width``.

    Request r has list ``which[r]``: ``items[starts[w]:starts[w + 1]]`` and their ``scores``, best first.
    """
    n, most = len(which), 0
    for r in range(n):
        most += min(k, starts[which[r] + 1] - starts[which[r]])
    request = np.empty(most, np.uint32)
    item = np.empty(most, np.int32)
    score = np.empty(most, np.float32)
    barred = np.full(width, -1, np.int32)  # the last request that excludes the item
    m = 0
    for r in range(n):
        for e in range(ex_offsets[r], ex_offsets[r + 1]):
            if ex_items[e] < width:
                barred[ex_items[e]] = r
        first = m
        for at in range(starts[which[r]], starts[which[r] + 1]):
            if m - first == k:
                break
            if barred[items[at]] != r:
                request[m], item[m], score[m] = r, items[at], scores[at]
                m += 1
    return request[:m], item[:m], score[:m]
