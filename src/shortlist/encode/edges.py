"""Boundaries of a number's buckets."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array, Float64


def even_edges(values: Array, buckets: int) -> Float64:
    """Inner edges, ascending, midway between neighbouring observed values, for about ``buckets`` buckets.

    A value that 1 / ``buckets`` of the rows share or more has a bucket to itself; the other rows share the buckets that
    are left evenly, but for the cuts that the former make among them, so there may be twice as many. Plain quantiles
    would give a column of mostly zeros hardly any bucket for what is not zero.
    """
    present = np.asarray(values, np.float64)
    distinct, counts = np.unique(present[np.isfinite(present)], return_counts=True)
    if len(distinct) < 2:
        return np.empty(0, np.float64)
    middle = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    if len(middle) < buckets:
        return np.unique(middle)
    heavy = counts * buckets >= counts.sum()
    light = np.where(heavy, 0, counts)
    left = max(1, buckets - int(heavy.sum()))
    part = (np.cumsum(light) - light) * left // max(1, light.sum())
    cut = heavy[1:] | heavy[:-1] | (part[1:] != part[:-1])
    return np.unique(middle[cut])
