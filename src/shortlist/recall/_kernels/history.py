"""Kernel: a batch of histories as sparse rows over the model's items, weighted by strength and recency."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array

SUM, LOG, ONCE = 0, 1, 2
"""How the events of one pair add up: their sum, log2(1 + sum), or the largest alone."""


@njit(cache=True, nogil=True)
def weighted(
    offsets: Array,
    item: Array,
    strength: Array,
    time: Array,
    column: Array,
    n_columns: int,
    rate: float,
    fade: float,
    last: int,
    mode: int,
) -> tuple[Array, Array, Array]:
    """(offsets [n + 1], columns, weights): the distinct known items of each history, latest first.

    An event counts strength * 2^(-rate * (latest - time)) * 2^(-fade * place) where ``latest`` is the newest counted
    event of the same history and ``place`` how many distinct items were last met after its own. Events of no strength
    and items outside ``column`` (a code beyond it, or -1 in it) are skipped; at most ``last`` distinct items a history
    are kept (no bound if it is 0).
    """
    n = len(offsets) - 1
    out_offsets = np.zeros(n + 1, np.int64)
    columns = np.empty(len(item), np.int32)
    weights = np.empty(len(item), np.float32)
    place = np.zeros(n_columns, np.int64)  # 1 + where the column stands in this row, 0 = not yet
    m = 0
    for r in range(n):
        first = m
        latest = 0
        for e in range(offsets[r + 1] - 1, offsets[r] - 1, -1):
            i = item[e]
            if strength[e] <= 0 or i < 0 or i >= len(column) or column[i] < 0:
                continue
            c = column[i]
            if place[c] == 0:
                if last > 0 and m - first == last:
                    break
                if m == first:
                    latest = time[e]
                columns[m] = c
                weights[m] = 0
                m += 1
                place[c] = m
            at = place[c] - 1
            decay = 2.0 ** (-rate * (latest - time[e])) if rate > 0 else 1.0
            if fade > 0:
                decay *= 2.0 ** (-fade * (at - first))
            if mode == ONCE:
                weights[at] = max(weights[at], np.float32(strength[e] * decay))
            else:
                weights[at] += np.float32(strength[e] * decay)
        for at in range(first, m):
            place[columns[at]] = 0
            if mode == LOG:
                weights[at] = np.log2(1 + weights[at])
        out_offsets[r + 1] = m
    return out_offsets, columns[:m], weights[:m]
