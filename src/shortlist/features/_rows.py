"""Kernels over the rows of one request: percentiles, ratios to the best, counts against totals."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit

from shortlist.types import Array
from shortlist.types.sorting import SHIFT, sortable

NONE = sortable(np.array([np.nan], np.float32))[0]
"""What no value sorts as."""


def percentiles(offsets: Array, values: Array, out: Array) -> None:
    """out[c, r] = (rows of the request with a smaller value + half of those with the same) / rows with a value.

    Of columns [C, m] of float32 without infinities, NaN where there is no value.
    """
    keys = sortable(values).astype(np.uint64)
    keys <<= SHIFT  # in place: for 32 requests of 1,000 rows, two more arrays took as long as the sorting
    keys |= np.arange(values.shape[1], dtype=np.uint64)
    for a, b in itertools.pairwise(offsets.tolist()):
        keys[:, a:b].sort()  # numpy's is vectorised; no two keys are equal, so whatever way it goes about it
    placed(offsets, keys, out)


@njit(cache=True)
def placed(offsets: Array, keys: Array, out: Array) -> None:
    """The percentiles of keys [C, m], each ``sortable`` value and its row behind it, sorted within each request."""
    for c in range(len(keys)):
        for q in range(len(offsets) - 1):
            first, last = offsets[q], offsets[q + 1]
            while last > first and np.uint32(keys[c, last - 1] >> SHIFT) == NONE:
                last -= 1
                out[c, np.uint32(keys[c, last])] = np.nan
            a = first
            while a < last:
                b = a + 1
                while b < last and keys[c, b] >> SHIFT == keys[c, a] >> SHIFT:
                    b += 1
                for k in range(a, b):
                    out[c, np.uint32(keys[c, k])] = (0.5 * (a + b) - first) / (last - first)
                a = b


@njit(cache=True, error_model="numpy")
def of_best(offsets: Array, values: Array, out: Array) -> None:
    """value / the request's best, NaN unless that is above 0; of values without infinities, NaN where there is none."""
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        best = -np.inf
        for r in range(a, b):
            if values[r] > best:
                best = values[r]
        for r in range(a, b):
            out[r] = values[r] / best if best > 0 else np.nan


@njit(cache=True, error_model="numpy")
def standardised(offsets: Array, values: Array, out: Array) -> None:
    """(value - mean) / sd of the request's values, 0 where they are all the same; NaN where there is none."""
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        n, mean, square = 0, 0.0, 0.0
        for r in range(a, b):
            if not np.isnan(values[r]):
                n += 1
                mean += values[r]
        mean /= max(n, 1)
        for r in range(a, b):
            if not np.isnan(values[r]):
                square += (values[r] - mean) ** 2
        sd = np.sqrt(square / max(n, 1))
        for r in range(a, b):
            out[r] = (values[r] - mean) / sd if sd > 1e-12 else 0.0 if values[r] == values[r] else np.nan


def popularities(offsets: Array, counts: Array, totals: Array, ratios: Array, out: Array, trends: Array) -> None:
    """Of counts [m, E, W] and the log's totals [n, E, W]: three columns out[e, w] and how the windows compare.

    out[e, w] = log(1 + c), c / total, percentile in the request; trends[e, w] = log2((ratios[w] x count of window
    w + 1) / (count of window w + 1 + 1)); ``ratios`` has W - 2.
    """
    many = counts.max(0, initial=0) * len(totals) > 64 * len(counts)  # more than a histogram is good for
    counted(offsets, counts, totals, ratios, many, out, trends)
    if many.any():
        places = np.empty((many.sum(), len(counts)), np.float32)
        percentiles(offsets, counts[:, many].T.astype(np.float32, "C"), places)
        out[many, 2] = places


@njit(cache=True)
def counted(
    offsets: Array, counts: Array, totals: Array, ratios: Array, many: Array, out: Array, trends: Array
) -> None:
    """What ``popularities`` says; without the percentiles of columns of which there are ``many`` [E, W]."""
    for e in range(counts.shape[1]):
        for w in range(counts.shape[2]):
            popularity(offsets, counts[:, e, w], totals[:, e, w], many[e, w], out[e, w])
        for w in range(len(ratios)):
            for r in range(len(counts)):
                trends[e, w, r] = np.log2((counts[r, e, w] * ratios[w] + 1) / (counts[r, e, w + 1] + 1))


@njit(cache=True)
def popularity(offsets: Array, counts: Array, totals: Array, many: bool, out: Array) -> None:
    """Of one column of counts [m]: out[0] = log(1 + c), out[1] = c / total, out[2] = percentile in the request.

    Counts are whole numbers: unless they are ``many`` a histogram ranks them without sorting.
    """
    below = np.zeros(2 if many or not len(counts) else int(counts.max()) + 2, np.int64)
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        if not many:
            top = 0
            for r in range(a, b):
                top = max(top, int(counts[r]))
            below[: top + 2] = 0
            for r in range(a, b):
                below[int(counts[r]) + 1] += 1
            for c in range(1, top + 2):
                below[c] += below[c - 1]
            for r in range(a, b):
                c = int(counts[r])
                out[2, r] = 0.5 * (below[c] + below[c + 1]) / (b - a)
        total = totals[q]
        for r in range(a, b):
            out[0, r] = np.log1p(counts[r])
            out[1, r] = counts[r] / total if total > 0 else np.nan


@njit(cache=True, error_model="numpy")
def channels(offsets: Array, score: Array, rank: Array, dense: Array, out: Array, over: Array) -> None:
    """The columns of C channels from their scores, ranks and dense scores, each [C, m] with NaN where there is none.

    out[:, c] = found, rank, percentile, ratio, then (left to ``percentiles``) dense percentile, dense ratio, dense z;
    over = found, best rank, fusion.
    """
    over[0, :] = 0
    over[1, :] = np.inf
    over[2, :] = 0
    for c in range(len(score)):
        of_best(offsets, score[c], out[3, c])
        of_best(offsets, dense[c], out[5, c])
        standardised(offsets, dense[c], out[6, c])
        for q in range(len(offsets) - 1):
            a, b = offsets[q], offsets[q + 1]
            deepest = np.float32(0)
            for r in range(a, b):
                if rank[c, r] > deepest:
                    deepest = rank[c, r]
            reached(rank[c, a:b], deepest, out[0, c, a:b], out[1, c, a:b], out[2, c, a:b])
            joined(rank[c, a:b], over[0, a:b], over[1, a:b], over[2, a:b])
    for r in range(over.shape[1]):
        if over[1, r] == np.inf:
            over[1, r] = np.nan


@njit(cache=True, error_model="numpy")
def reached(rank: Array, deepest: np.float32, found: Array, place: Array, percentile: Array) -> None:
    """One channel's columns of its ranks in a request."""
    for r in range(len(rank)):
        found[r] = 1 if rank[r] == rank[r] else 0
        place[r] = rank[r]
        percentile[r] = 1 - (rank[r] - 0.5) / deepest


@njit(cache=True, error_model="numpy")
def joined(rank: Array, found: Array, best: Array, fusion: Array) -> None:
    """Adds one channel's ranks in a request to what is said over all."""
    for r in range(len(rank)):
        place = rank[r] if rank[r] == rank[r] else np.float32(np.inf)  # no branch, which nobody could foretell
        found[r] += 1 if place < np.inf else 0
        best[r] = min(best[r], place)
        fusion[r] += 1 / (60 + place)


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
