"""Kernels over the rows of one request: percentiles, ratios to the best, counts against totals."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.types import Array


@njit(cache=True)
def percentile(offsets: Array, values: Array, out: Array) -> None:
    """out[r] = (rows of the request with a smaller value + half of those with the same) / rows with a value."""
    for q in range(len(offsets) - 1):
        a, b = offsets[q], offsets[q + 1]
        ordered = np.empty(b - a, values.dtype)
        n = 0
        for r in range(a, b):
            if not np.isnan(values[r]):
                ordered[n] = values[r]
                n += 1
        ordered = np.sort(ordered[:n])
        for r in range(a, b):
            v = values[r]
            if np.isnan(v):
                out[r] = np.nan
                continue
            below = np.searchsorted(ordered, v)
            upto = below + 1
            while upto < n and upto < below + 8 and ordered[upto] == v:
                upto += 1
            if upto < n and ordered[upto] == v:
                upto = np.searchsorted(ordered, v, side="right")
            out[r] = 0.5 * (below + upto) / n


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
def popularity(offsets: Array, counts: Array, totals: Array, out: Array) -> None:
    """Of one column of counts [m]: out[0] = log(1 + c), out[1] = c / total, out[2] = percentile in the request.

    Counts are whole numbers, so that a histogram ranks them without sorting.
    """
    size = 0
    for q in range(len(offsets) - 1):
        for r in range(offsets[q], offsets[q + 1]):
            size = max(size, int(counts[r]))
    below = np.zeros(size + 2, np.int64)
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
            ordered = np.sort(counts[a:b])
            for r in range(a, b):
                low = np.searchsorted(ordered, counts[r])
                high = np.searchsorted(ordered, counts[r], side="right")
                out[2, r] = 0.5 * (low + high) / (b - a)
        total = totals[q]
        for r in range(a, b):
            out[0, r] = np.log1p(counts[r])
            out[1, r] = counts[r] / total if total > 0 else np.nan
