"""Kernels over the rows of one request: percentiles, ratios to the best, counts against totals."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array


@njit(cache=True)
def order(values: Array, keys: Array, spare: Array, places: Array, moved: Array, bins: Array) -> None:
    """places[:n] = the order that sorts values [n] (float32, no NaN), by radix; the others are room to work in."""
    n = len(values)
    bits = values.view(np.uint32)
    for r in range(n):
        b = bits[r] if values[r] != 0 else np.uint32(0)  # -0 is 0
        keys[r] = ~b if b >> np.uint32(31) else b | np.uint32(0x80000000)
        places[r] = r
    for digit in range(4):
        shift = np.uint32(8 * digit)
        bins[:] = 0
        for r in range(n):
            bins[((keys[r] >> shift) & np.uint32(255)) + 1] += 1
        for d in range(1, 256):
            bins[d] += bins[d - 1]
        for r in range(n):
            d = (keys[r] >> shift) & np.uint32(255)
            spare[bins[d]] = keys[r]
            moved[bins[d]] = places[r]
            bins[d] += 1
        keys, spare, places, moved = spare, keys, moved, places


@njit(cache=True)
def percentile(offsets: Array, values: Array, out: Array) -> None:
    """out[r] = (rows of the request with a smaller value + half of those with the same) / rows with a value."""
    m = len(values)
    keys, spare = np.empty(m, np.uint32), np.empty(m, np.uint32)
    places, moved = np.empty(m, np.int32), np.empty(m, np.int32)
    known, rows, bins = np.empty(m, np.float32), np.empty(m, np.int32), np.empty(257, np.int32)
    for q in range(len(offsets) - 1):
        n = 0
        for r in range(offsets[q], offsets[q + 1]):
            if np.isnan(values[r]):
                out[r] = np.nan
            else:
                known[n], rows[n] = values[r], r
                n += 1
        order(known[:n], keys, spare, places, moved, bins)
        a = 0
        while a < n:
            b = a + 1
            while b < n and known[places[b]] == known[places[a]]:
                b += 1
            for k in range(a, b):
                out[rows[places[k]]] = 0.5 * (a + b) / n
            a = b


@njit(cache=True)
def relative(offsets: Array, values: Array, ratio: Array, z: Array) -> None:
    """Against the request's other values: value / best (NaN unless the best is above 0) and (value - mean) / sd."""
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        n, best, mean = 0, -np.inf, 0.0
        for r in range(a, b):
            if np.isfinite(values[r]):
                n += 1
                best = max(best, values[r])
                mean += values[r]
        mean /= max(n, 1)
        square = 0.0
        for r in range(a, b):
            if np.isfinite(values[r]):
                square += (values[r] - mean) ** 2
        sd = np.sqrt(square / max(n, 1))
        for r in range(a, b):
            known = np.isfinite(values[r])
            ratio[r] = values[r] / best if known and best > 0 else np.nan
            z[r] = np.nan if not known else (values[r] - mean) / sd if sd > 1e-12 else 0.0


@njit(cache=True)
def popularities(offsets: Array, counts: Array, totals: Array, ratios: Array, out: Array, trends: Array) -> None:
    """Of counts [m, E, W] and the log's totals [n, E, W]: ``popularity`` in out[e, w] and how the windows compare.

    trends[e, w] = log2((ratios[w] x count of window w + 1) / (count of window w + 1 + 1)); ``ratios`` has W - 2.
    """
    for e in range(counts.shape[1]):
        for w in range(counts.shape[2]):
            popularity(offsets, counts[:, e, w], totals[:, e, w], out[e, w])
        for w in range(len(ratios)):
            for r in range(len(counts)):
                trends[e, w, r] = np.log2((counts[r, e, w] * ratios[w] + 1) / (counts[r, e, w + 1] + 1))


@njit(cache=True)
def popularity(offsets: Array, counts: Array, totals: Array, out: Array) -> None:
    """Of one column of counts [m]: out[0] = log(1 + c), out[1] = c / total, out[2] = percentile in the request.

    Counts are whole numbers, so that a histogram ranks them without sorting.
    """
    size = 0
    for q in range(len(offsets) - 1):
        for r in range(offsets[q], offsets[q + 1]):
            size = max(size, int(counts[r]))
    below, plain = np.zeros(size + 2, np.int64), np.empty(len(counts), np.float32)
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        if a == b:
            continue
        top = 0
        for r in range(a, b):
            top = max(top, int(counts[r]))
        if top <= 64 * (b - a):
            below[: top + 2] = 0
            for r in range(a, b):
                below[int(counts[r]) + 1] += 1
            for c in range(1, top + 2):
                below[c] += below[c - 1]
            for r in range(a, b):
                c = int(counts[r])
                out[2, r] = 0.5 * (below[c] + below[c + 1]) / (b - a)
        else:
            for r in range(a, b):
                plain[r] = counts[r]
            percentile(offsets[q : q + 2], plain, out[2])
        total = totals[q]
        for r in range(a, b):
            out[0, r] = np.log1p(counts[r])
            out[1, r] = counts[r] / total if total > 0 else np.nan


@njit(cache=True)
def channels(offsets: Array, score: Array, rank: Array, dense: Array, out: Array, over: Array) -> None:
    """The columns of C channels from their scores, ranks and dense scores, each [C, m] with NaN where there is none.

    out[c] = found, rank, percentile, ratio, dense percentile, dense ratio, dense z; over = found, best rank, fusion.
    """
    unused = np.empty(score.shape[1], np.float32)
    over[0, :] = 0
    over[1, :] = np.nan
    over[2, :] = 0
    for c in range(len(score)):
        relative(offsets, score[c], out[c, 3], unused)
        percentile(offsets, dense[c], out[c, 4])
        relative(offsets, dense[c], out[c, 5], out[c, 6])
        for q in range(len(offsets) - 1):
            deepest = np.float32(0)
            for r in range(offsets[q], offsets[q + 1]):
                deepest = max(deepest, rank[c, r]) if not np.isnan(rank[c, r]) else deepest
            for r in range(offsets[q], offsets[q + 1]):
                place = rank[c, r]
                silent = np.isnan(place)
                out[c, 0, r] = 0 if silent else 1
                out[c, 1, r] = place
                out[c, 2, r] = np.nan if silent else 1 - (place - 0.5) / deepest
                if not silent:
                    over[0, r] += 1
                    over[1, r] = place if np.isnan(over[1, r]) else min(over[1, r], place)
                    over[2, r] += 1 / (60 + place)


@njit(cache=True)
def lifts(
    of_item: Array,
    of_all: Array,
    overall: Array,
    bucket: Array,
    request: Array,
    prior: float,
    share: Array,
    lift: Array,
) -> None:
    """share = (of_item + prior x overall) / (of_all + prior), lift = log2(share / overall), 0 where overall is 0.

    ``of_all`` and ``bucket`` are per request; without a bucket both are NaN.
    """
    for r in range(len(request)):
        q = request[r]
        if bucket[q] < 0:
            share[r] = lift[r] = np.nan
            continue
        share[r] = (of_item[r] + prior * overall[r]) / (of_all[q] + prior)
        lift[r] = np.log2(share[r] / overall[r]) if overall[r] > 0 else 0


@njit(cache=True)
def hours(now: Array, since: Array, missing: int, unit: float, out: Array) -> None:
    """log(1 + time from ``since`` to ``now`` in units), 0 for a time to come, NaN where ``since`` is ``missing``."""
    for r in range(len(now)):
        out[r] = np.nan if since[r] == missing else np.log1p(max(now[r] - since[r], 0) / unit)
