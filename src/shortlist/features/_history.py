"""Kernels over the histories that come with the requests (times in microseconds, oldest first)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.types import Array, Requests


class Past(NamedTuple):
    """The requests' histories as the kernels take them: request q has the entries offsets[q]..offsets[q + 1]."""

    offsets: Array
    items: Array
    times: Array
    values: Array
    weights: Array

    @staticmethod
    def of(requests: Requests) -> Past:
        """Of a batch."""
        history = requests.history
        return Past(history.offsets, history["item"], history["time"], history["value"], history["weight"])


@njit(cache=True)
def pace(offsets: Array, times: Array, now: Array, windows: Array, unit: float, out: Array) -> None:
    """out[0] = log(1 + time since the last event), out[1] = log(1 + mean gap of the last ten), then log(1 + events)."""
    for q in range(len(now)):
        a, b = offsets[q], offsets[q + 1]
        out[0, q] = np.log1p(max(now[q] - times[b - 1], 0) / unit) if b > a else np.nan
        first = max(a, b - 10)
        out[1, q] = np.log1p((times[b - 1] - times[first]) / unit / (b - 1 - first)) if b - first > 1 else np.nan
        for w in range(len(windows)):
            n = 0
            while b - 1 - n >= a and times[b - 1 - n] > now[q] - windows[w]:
                n += 1
            out[2 + w, q] = np.log1p(n)


@njit(cache=True)
def summary(
    offsets: Array, times: Array, values: Array, weights: Array, now: Array, idle: int, day: int, out: Array
) -> None:
    """Of each request's history: log(1 + length), share of positives, mean and sd of values, days, session, idle.

    out[4] = log(1 + distinct days), out[5] = log(1 + events within ``idle`` of the request, each within it of the
    next), out[6] = log(1 + days since the first event). NaN where nothing is known.
    """
    for q in range(len(now)):
        a, b = offsets[q], offsets[q + 1]
        positives, n, mean, square, days, session = 0, 0, 0.0, 0.0, 0, 0
        for e in range(a, b):
            positives += weights[e] > 0
            if not np.isnan(values[e]):
                n += 1
                step = values[e] - mean
                mean += step / n
                square += step * (values[e] - mean)
            days += e == a or times[e] // day != times[e - 1] // day
        until = now[q]
        for back in range(1, b - a + 1):
            if until - times[b - back] > idle:
                break
            until = times[b - back]
            session += 1
        out[0, q] = np.log1p(b - a)
        out[1, q] = positives / (b - a) if b > a else np.nan
        out[2, q] = mean if n else np.nan
        out[3, q] = np.sqrt(square / n) if n > 1 else np.nan
        out[4, q] = np.log1p(days)
        out[5, q] = np.log1p(session)
        out[6, q] = np.log1p(max(now[q] - times[a], 0) / day) if b > a else np.nan


@njit(cache=True)
def session(offsets: Array, times: Array, now: Array, gap: int, unit: float, out: Array) -> None:
    """Of the session that each request stands in: out = log(its moments + 1), log(1 + events), log(1 + time since).

    The session goes back from the request to the first pause longer than ``gap``.
    """
    for q in range(len(now)):
        begin, at, moments, events = now[q], now[q], 0, 0
        for e in range(offsets[q + 1] - 1, offsets[q] - 1, -1):
            if at - times[e] > gap:
                break
            moments += events == 0 or times[e] != at
            events += 1
            begin = at = times[e]
        out[0, q] = np.log1p(moments)
        out[1, q] = np.log1p(events)
        out[2, q] = np.log1p(max(now[q] - begin, 0) / unit)


@njit(cache=True)
def own(past: Past, now: Array, half_life: float, unit: float, first: Array, candidates: Array, out: Array) -> None:
    """How the user met each candidate before: out = log(1 + events), log(1 + positives), decayed, log(1 + time since).

    ``first`` [n + 1] are the requests' first rows. Every history is sorted by item once; a row is a binary search.
    """
    offsets, items, times, weights = past.offsets, past.items, past.times, past.weights
    for q in range(len(now)):
        a, b = offsets[q], offsets[q + 1]
        order = np.argsort(items[a:b], kind="mergesort")  # stable: an item's events stay in order of time
        mine = items[a:b][order]
        for r in range(first[q], first[q + 1]):
            at = np.searchsorted(mine, candidates[r])
            n, positives, decayed, last = 0, 0, 0.0, np.int64(0)
            while at < b - a and mine[at] == candidates[r]:
                e = a + order[at]
                n += 1
                positives += weights[e] > 0
                decayed += 0.5 ** ((now[q] - times[e]) / half_life)
                last = times[e]
                at += 1
            out[0, r] = np.log1p(n)
            out[1, r] = np.log1p(positives)
            out[2, r] = decayed
            out[3, r] = np.log1p(max(now[q] - last, 0) / unit) if n else np.nan
