"""The kernel of scatter: counts of values in a sliding window, moved on with every place."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.rules._attributes import Values
from shortlist.types import Array


@njit(cache=True)
def scattered(
    offsets: Array,
    fallback: Array,
    values: Values,
    most: Array,
    window: Array,
    places: int,
) -> Array:
    """[m]: row numbers in the new order. ``offsets`` [requests + 1] are the rows of each request."""
    value_offsets, code, attribute, count = values.offsets, values.code, values.attribute, np.zeros(values.n, np.int64)
    m = len(fallback)
    order = np.empty(m, np.int64)
    used = np.zeros(m, np.bool_)
    for r in range(len(offsets) - 1):
        low, high = offsets[r], offsets[r + 1]
        front = low  # everything before it is used
        for place in range(low, high):
            while front < high and used[front]:
                front += 1
            chosen = front
            if place - low < places:
                # what leaves the window that ends here
                for a in range(len(window)):
                    gone = place - window[a]
                    if gone >= low:
                        for e in range(value_offsets[order[gone]], value_offsets[order[gone] + 1]):
                            if attribute[e] == a:
                                count[code[e]] -= 1
                least = np.int64(-1)
                for row in range(front, high):
                    if used[row]:
                        continue
                    if fallback[row] and not fallback[chosen]:
                        break
                    excess = np.int64(0)
                    for e in range(value_offsets[row], value_offsets[row + 1]):
                        excess += max(0, count[code[e]] + 1 - most[attribute[e]])
                    if least < 0 or excess < least:
                        least, chosen = excess, row
                    if least == 0:
                        break
                for e in range(value_offsets[chosen], value_offsets[chosen + 1]):
                    count[code[e]] += 1
            order[place] = chosen
            used[chosen] = True
        for place in range(low, high):
            for e in range(value_offsets[order[place]], value_offsets[order[place] + 1]):
                count[code[e]] = 0
    return order


@njit(cache=True)
def excess(offsets: Array, values: Values, most: Array, window: Array) -> Array:
    """[requests]: over places and their values, how many more than allowed share it in the window that ends there."""
    out, count = np.zeros(len(offsets) - 1), np.zeros(values.n, np.int64)
    for r in range(len(offsets) - 1):
        low, high = offsets[r], offsets[r + 1]
        for row in range(low, high):
            for e in range(values.offsets[row], values.offsets[row + 1]):
                c, a = values.code[e], values.attribute[e]
                count[c] = 0
                for other in range(max(low, row - window[a] + 1), row + 1):
                    for o in range(values.offsets[other], values.offsets[other + 1]):
                        count[c] += values.code[o] == c
                out[r] += max(0, count[c] - most[a])
    return out
