"""Kernels of the as-of questions: every answer is a binary search in one entity's sorted times."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array

NEVER = np.iinfo(np.int64).min
"""The reference of a decayed sum over nothing."""


@njit(cache=True)
def upper(times: Array, low: int, high: int, t: int) -> int:
    """The first place in times[low:high] with a time after ``t``."""
    while low < high:
        middle = (low + high) >> 1
        if times[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def upper_back(times: Array, low: int, high: int, t: int) -> int:
    """The same as ``upper``, looking backwards from ``high`` in doubling steps."""
    step = 1
    while high > low and times[max(high - step, low)] > t:
        high = max(high - step, low)
        step *= 2
    return upper(times, max(high - step, low), high, t)


@njit(cache=True)
def grouped(codes: Array, rows: Array, n: int) -> tuple[Array, Array]:
    """[n + 1], [len(rows)]: ``rows`` by their code in 0..n-1, each code's in the order they have; one pass, no sort."""
    offsets = np.zeros(n + 1, np.int64)
    for row in rows:
        offsets[codes[row] + 1] += 1
    for code in range(n):
        offsets[code + 1] += offsets[code]
    place = offsets[:-1].copy()
    out = np.empty(len(rows), np.int64)
    for row in rows:
        out[place[codes[row]]] = row
        place[codes[row]] += 1
    return offsets, out


@njit(cache=True)
def ends(offsets: Array, times: Array, ids: Array, at: Array) -> tuple[Array, Array]:
    """[n], [n]: where each id's entries begin and where those at or before its moment end."""
    n = len(ids)
    start = np.zeros(n, np.int64)
    end = np.zeros(n, np.int64)
    for r in range(n):
        i = ids[r]
        if i >= 0 and i + 1 < len(offsets):
            start[r] = offsets[i]
            end[r] = upper_back(times, offsets[i], offsets[i + 1], at[r])
    return start, end


@njit(cache=True)
def window_counts(offsets: Array, times: Array, ids: Array, at: Array, windows: Array, out: Array) -> None:
    """out[r, w] += entries of ids[r] in (at[r] - windows[w], at[r]]; a window below 0 has no beginning."""
    for r in range(len(ids)):
        i = ids[r]
        if i < 0 or i + 1 >= len(offsets):
            continue
        high = upper_back(times, offsets[i], offsets[i + 1], at[r])
        low, before = high, 0
        for w in range(len(windows)):
            if windows[w] < 0:
                out[r, w] += high - offsets[i]
                continue
            if windows[w] < before:  # windows that grow continue where the last one began
                low = high
            low = upper_back(times, offsets[i], low, at[r] - windows[w])
            before = windows[w]
            out[r, w] += high - low


@njit(cache=True)
def crossed_counts(
    starts: Array,
    buckets: Array,
    offsets: Array,
    times: Array,
    ids: Array,
    bucket: Array,
    at: Array,
    window: int,
    out: Array,
) -> None:
    """out[r] += entries of ids[r] with bucket[r] in (at[r] - window, at[r]]; a window below 0 has no beginning.

    The buckets of id i, ascending, are ``buckets[starts[i]:starts[i + 1]]``, and ``offsets`` bounds their times. A
    negative id or bucket has no entries.
    """
    for r in range(len(ids)):
        i, wanted = ids[r], bucket[r]
        if i < 0 or wanted < 0 or i + 1 >= len(starts):
            continue
        place = upper(buckets, starts[i], starts[i + 1], wanted) - 1
        if place < starts[i] or buckets[place] != wanted:
            continue
        first = offsets[place]
        high = upper_back(times, first, offsets[place + 1], at[r])
        if window >= 0:
            first = upper_back(times, first, high, at[r] - window)
        out[r] += high - first


@njit(cache=True)
def running_minimum(offsets: Array, values: Array) -> Array:
    """[m]: the smallest value from the beginning of its group up to each place; NaN while there is none."""
    out = values.copy()
    for group in range(len(offsets) - 1):
        for place in range(offsets[group] + 1, offsets[group + 1]):
            out[place] = np.fmin(out[place - 1], out[place])
    return out


LEAST = 1.1754943508222875e-38
"""The smallest normal float32: what a decayed sum is at least, if there is anything in it."""
VANISHING = 1e-300
"""The same within the sum, so far below ``LEAST`` that it changes no bit of what is handed out."""


@njit(cache=True)
def decayed_counts(
    ids: Array, weights: Array, times: Array, ticks: Array, rate: float, running: Array, reference: int, out: Array
) -> int:
    """out[t, i] = running[i] + sum of w 2^(-rate (reference - time)) over events at or before ticks[t]; ticks ascend.

    ``running`` [n] is the sum over earlier events as of ``reference``, and afterwards that over all events at or before
    the last tick. The reference is the last event at or before the tick, so an old log never underflows to zero; nor
    does an item that nobody took for long: its sum stays at least ``LEAST``, or a list of the popular would lose it.
    NEVER = nothing is summed yet. Returned: the last reference.
    """
    done = 0
    for t in range(len(ticks)):
        stop = upper(times, done, len(times), ticks[t])
        if stop > done:
            now = times[stop - 1]
            if rate > 0 and reference != NEVER:
                fade = 2.0 ** (-rate * (now - reference))
                for i in range(len(running)):
                    if running[i] > 0:
                        running[i] = max(running[i] * fade, VANISHING)
            reference = now
            for e in range(done, stop):
                running[ids[e]] += weights[e] * (2.0 ** (-rate * (reference - times[e])) if rate > 0 else 1.0)
                if weights[e] > 0:
                    running[ids[e]] = max(running[ids[e]], VANISHING)
            done = stop
        for i in range(len(running)):
            out[t, i] = max(running[i], LEAST) if running[i] > 0 else 0.0
    return reference
