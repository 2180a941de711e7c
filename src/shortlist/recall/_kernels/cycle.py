"""Kernels of buying again: typical gaps between a user's events with a thing, and what is due at a moment.

A thing is an item, or something that is said of items: ``things`` is CSR, which things each item stands for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array


@njit(cache=True, nogil=True)
def gaps(
    offsets: Array, item: Array, time: Array, indptr: Array, indices: Array, n_things: int
) -> tuple[Array, Array, Array, float, float]:
    """(gaps, sum of their logarithms, events) [things] and sum and square sum of all logarithms.

    ``item`` and ``time`` are users' events, the oldest first; an item below 0 is none, and no time between is no gap.
    """
    count, logs, events = np.zeros(n_things), np.zeros(n_things), np.zeros(n_things)
    last, whose = np.zeros(n_things, np.int64), np.full(n_things, -1)
    total, square = 0.0, 0.0
    for u in range(len(offsets) - 1):
        for e in range(offsets[u], offsets[u + 1]):
            for at in range(indptr[item[e]], indptr[item[e] + 1]) if item[e] >= 0 else range(0):
                thing = indices[at]
                if whose[thing] == u and time[e] > last[thing]:
                    gap = np.log(time[e] - last[thing])
                    count[thing] += 1
                    logs[thing] += gap
                    total += gap
                    square += gap * gap
                if whose[thing] != u or time[e] > last[thing]:
                    events[thing] += 1
                last[thing], whose[thing] = time[e], u
    return count, logs, events, total, square


@njit(cache=True, nogil=True)
def due(
    offsets: Array,
    item: Array,
    time: Array,
    now: Array,
    indptr: Array,
    indices: Array,
    rate: Array,
    middle: Array,
    spread: float,
) -> tuple[Array, Array, Array]:
    """CSR over things: rate_t exp(-(log(now - last_t) - middle_t)^2 / (2 spread^2)) for those of each history."""
    n = len(offsets) - 1
    size = 0
    for e in range(len(item)):
        if item[e] >= 0:
            size += indptr[item[e] + 1] - indptr[item[e]]
    ends, columns, weights = np.zeros(n + 1, np.int64), np.empty(size, np.int32), np.empty(size, np.float32)
    seen = np.full(len(rate), -1)
    m = 0
    for r in range(n):
        for e in range(offsets[r + 1] - 1, offsets[r] - 1, -1):
            for at in range(indptr[item[e]], indptr[item[e] + 1]) if item[e] >= 0 else range(0):
                thing = indices[at]
                if seen[thing] == r or rate[thing] <= 0:
                    continue
                seen[thing] = r
                off = (np.log(max(now[r] - time[e], 1)) - middle[thing]) / spread
                weight = rate[thing] * np.exp(-off * off / 2)
                if weight > 1e-6:
                    columns[m], weights[m] = thing, weight
                    m += 1
        ends[r + 1] = m
    return ends, columns[:m], weights[:m]
