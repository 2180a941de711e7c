"""Kernels of item-item closeness: counting pairs, keeping the nearest, looking pairs up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.features._history import Past
from shortlist.types import Array


class Nearest(NamedTuple):
    """CSR of cosines: row i has the items codes[starts[i]..starts[i + 1]], ascending."""

    starts: Array
    codes: Array
    cosine: Array


@njit(cache=True)
def _by_item(offsets: Array, items: Array, n_items: int) -> tuple[Array, Array, Array]:
    """Where each item stands, each (sequence, item) once: starts [n_items + 1], sequence numbers and places."""
    last = np.full(n_items, -1)
    starts = np.zeros(n_items + 1, np.int64)
    for u in range(len(offsets) - 1):
        for e in range(offsets[u], offsets[u + 1]):
            if last[items[e]] != u:
                last[items[e]] = u
                starts[items[e] + 1] += 1
    starts = np.cumsum(starts)
    sequence, place = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.int64)
    at = starts[:-1].copy()
    last[:] = -1
    for u in range(len(offsets) - 1):
        for e in range(offsets[u], offsets[u + 1]):
            i = items[e]
            if last[i] != u:
                last[i] = u
                sequence[at[i]], place[at[i]] = u, e
                at[i] += 1
    return starts, sequence, place


@njit(cache=True)
def _sort(values: Array) -> None:
    """Sorts in place. A kernel with numpy's own sort takes seconds to compile. Source: Shell (1959)."""
    gap = 1
    while gap < len(values) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, len(values)):
            value, at = values[i], i
            while at >= gap and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value
        gap //= 3


@njit(cache=True)
def _largest(values: Array, k: int) -> float:
    """The k-th largest value, k from 1; moves the values. Source: Hoare (1961), Algorithm 65: Find."""
    low, high = 0, len(values) - 1
    while low < high:
        middle, i, j = values[(low + high) >> 1], low, high
        while i <= j:
            while values[i] > middle:
                i += 1
            while values[j] < middle:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return values[k - 1]


@njit(cache=True)
def nearest(offsets: Array, items: Array, n_items: int, window: int, k: int) -> Nearest:
    """Of each item i at most ``k`` items j with n_ij / sqrt(n_i n_j) above 0.

    A user counts once for a pair, at most ``window`` places apart (the first time of i, any time of j).
    """
    starts, sequence, place = _by_item(offsets, items, n_items)
    count, mark = np.zeros(n_items, np.int64), np.full(n_items, -1)
    found = np.empty(n_items, np.int64)
    rows = np.zeros(n_items + 1, np.int64)
    codes, cosine = np.empty(1024, np.int32), np.empty(1024, np.float32)
    kept, stamp = 0, 0
    for i in range(n_items):
        n = 0
        for s in range(starts[i], starts[i + 1]):
            u, p = sequence[s], place[s]
            stamp += 1
            for e in range(max(offsets[u], p - window), min(offsets[u + 1], p + window + 1)):
                j = items[e]
                if j == i or mark[j] == stamp:
                    continue
                mark[j] = stamp
                if count[j] == 0:
                    found[n] = j
                    n += 1
                count[j] += 1
        near = found[:n]
        _sort(near)
        value = np.empty(n, np.float32)
        for x in range(n):
            j = near[x]
            value[x] = count[j] / np.sqrt((starts[i + 1] - starts[i]) * (starts[j + 1] - starts[j]))
            count[j] = 0
        if kept + min(n, k) > len(codes):  # twice the room, so that the total copied stays linear
            codes = np.concatenate((codes, np.empty(len(codes) + n, np.int32)))
            cosine = np.concatenate((cosine, np.empty(len(cosine) + n, np.float32)))
        least = _largest(value.copy(), k) if n > k else np.float32(0)
        ties = k - (value > least).sum() if n > k else n
        for x in range(n):
            if value[x] > least or (value[x] == least and ties > 0):
                ties -= value[x] == least
                codes[kept], cosine[kept] = near[x], value[x]
                kept += 1
        rows[i + 1] = kept
    return Nearest(rows, codes[:kept].copy(), cosine[:kept].copy())


@njit(cache=True)
def closeness(
    near: Nearest, past: Past, positive: bool, last: Array, first: Array, candidates: Array, out: Array
) -> None:
    """out[k, 0] = largest, out[k, 1] = mean cosine of each row's item with the last ``last[k]`` of its history."""
    starts, codes, cosine = near.starts, near.codes, near.cosine
    history, items, weights = past.offsets, past.items, past.weights
    n_items = len(starts) - 1
    deepest = 0
    for k in range(len(last)):
        deepest = max(deepest, last[k])
    recent = np.empty(deepest, np.int64)
    for q in range(len(history) - 1):
        n = 0
        for back in range(1, history[q + 1] - history[q] + 1):
            e = history[q + 1] - back
            if n < deepest and 0 <= items[e] < n_items and (weights[e] > 0 or not positive):
                recent[n] = items[e]
                n += 1
        for r in range(first[q], first[q + 1]):
            c = candidates[r]
            top, total = np.float32(0), np.float32(0)
            if n == 0 or c < 0 or c >= n_items:
                out[:, :, r] = np.nan
                continue
            for h in range(n):
                i = recent[h]
                low, high = starts[i], starts[i + 1]
                while low < high:
                    middle = (low + high) >> 1
                    if codes[middle] < c:
                        low = middle + 1
                    else:
                        high = middle
                alike = cosine[low] if low < starts[i + 1] and codes[low] == c else np.float32(i == c)
                top = max(top, alike)
                total += alike
                for k in range(len(last)):
                    if h == min(last[k], n) - 1:
                        out[k, 0, r] = top
                        out[k, 1, r] = total / (h + 1)
