"""Kernels of pair scores that are no matrix product: association in sequences, and swing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.index.heap import offer
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array


class Sequences(NamedTuple):
    """The m events of all sequences, one sequence after the other."""

    starts: Array  # [m] where the event's sequence begins
    ends: Array  # [m] and where it ends
    columns: Array  # [m]
    times: Array  # [m]
    worth: Array  # [m] what age leaves of a pair with the event as its later one
    occurrences: Array  # [m] event numbers grouped by column
    offsets: Array  # [c + 1] where each column's occurrences begin


class Sample(NamedTuple):
    """Some of the users of each of c items."""

    offsets: Array  # [c + 1]
    users: Array
    places: Array  # their entry for the item
    scale: Array  # [c] how much their pairs fall short of all


@njit(cache=True, nogil=True)
def associate(
    log: Sequences,
    base: float,
    backward: float,
    together: float,
    length_power: float,
    rate: float,
    window: int,
    scale: Array,
    k: int,
) -> tuple[Array, Array, Array]:
    """Heaps (score [c, k], column [c, k], size [c]) of the items i most associated with each item j.

    ``scale`` [2, c]: what the sums of each j, and those for each i, are multiplied by. With ``together`` every pair of
    a sequence is looked at, else those at most ``window`` apart.
    """
    starts, ends, columns, times, worth, occurrences, offsets = log
    c = len(offsets) - 1
    score = np.empty((c, k), np.float32)
    column = np.empty((c, k), np.int32)
    size = np.zeros(c, np.int64)
    total = np.zeros(c, np.float32)
    touched = np.empty(c, np.int32)
    by_gap = base ** np.arange(window)
    reach = len(columns) if together > 0 else window
    for j in range(c):
        count = 0
        for o in range(offsets[j], offsets[j + 1]):
            e = occurrences[o]
            per_user = 1 / np.log(1.0 + (ends[e] - starts[e])) ** length_power
            for other in range(max(starts[e], e - reach), min(ends[e], e + reach + 1)):
                i, gap = columns[other], abs(other - e)
                if i == j:
                    continue
                near = by_gap[gap - 1] if gap <= window else 0.0
                w = per_user * ((near if other > e else backward * near) + together)
                w *= worth[max(e, other)]
                if rate > 0:
                    w *= 2.0 ** (-rate * abs(times[other] - times[e]))
                if np.float32(w) > 0:  # what a sum cannot hold would list its column again and again
                    if total[i] == 0:
                        touched[count] = i
                        count += 1
                    total[i] += w
        for t in range(count):
            i = touched[t]
            size[j] = offer(score[j], column[j], size[j], k, total[i] * scale[0, j] * scale[1, i], i)
            total[i] = 0
    return score, column, size


@njit(cache=True, nogil=True)
def swing(
    log: Sparse,
    times: Array,
    rate: float,
    sample: Sample,
    alpha: float,
    score: Array,
    column: Array,
    size: Array,
    first: int,
    end: int,
) -> None:
    """Fills the heaps (score [c, k], column [c, k], size [c]) of the columns first <= i < end: those most tied to i.

    ``log``: what each user took and what that is worth; ``times`` [nnz] where ``rate`` > 0.

    The users of an anchor i are listed under every item j they took: what two of them share is how often they meet in
    a list, and s(i, j) sums over the pairs of one list. So the work is the number of (pair of users, item in common).
    """
    indptr, items, worth = log
    by_item, users, places, scale = sample
    c, k = score.shape
    most, longest = 0, 0
    for i in range(first, end):
        length = 0
        for a in range(by_item[i], by_item[i + 1]):
            length += indptr[users[a] + 1] - indptr[users[a]]
        most, longest = max(most, by_item[i + 1] - by_item[i]), max(longest, length)
    who = np.empty(longest, np.int32)  # the lists, one after the other
    gain = np.empty(longest, np.float32)
    place = np.zeros(c, np.int64)  # how long each item's list is, then where it ends
    touched = np.empty(c, np.int32)
    pair = np.zeros((most, most), np.float32)
    for i in range(first, end):
        n, count = by_item[i + 1] - by_item[i], 0
        for a in range(by_item[i], by_item[i + 1]):
            for p in range(indptr[users[a]], indptr[users[a] + 1]):
                if place[items[p]] == 0:
                    touched[count] = items[p]
                    count += 1
                place[items[p]] += 1
        before = 0
        for t in range(count):
            length, place[touched[t]] = place[touched[t]], before
            before += length
        for a in range(n):
            u, own = users[by_item[i] + a], places[by_item[i] + a]
            for p in range(indptr[u], indptr[u + 1]):
                w = worth[own] * worth[p]
                if rate > 0:
                    w *= np.float32(2.0 ** (-rate * abs(times[p] - times[own])))
                at = place[items[p]]
                who[at], gain[at] = a, w
                place[items[p]] = at + 1
        start = 0
        for t in range(count):
            stop = place[touched[t]]
            for x in range(start, stop - 1):
                shared = pair[who[x]]
                for y in range(x + 1, stop):
                    shared[who[y]] += 1
            start = stop
        for a in range(n):
            for b in range(a + 1, n):
                pair[a, b] = np.float32(1) / (np.float32(alpha) + pair[a, b]) if pair[a, b] > 1 else np.float32(0)
        start = 0
        for t in range(count):
            j = touched[t]
            stop = place[j]
            total = np.float32(0)
            if j != i:
                for x in range(start, stop - 1):
                    shared, other = pair[who[x]], np.float32(0)
                    for y in range(x + 1, stop):
                        other += gain[y] * shared[who[y]]
                    total += gain[x] * other
            if total > 0:
                size[i] = offer(score[i], column[i], size[i], k, total * scale[i], j)
            start = stop
            place[j] = 0
        pair[:n, :n] = 0
