"""The order of rows within their requests, by sorting one number of 64 bits a row instead of several columns."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shortlist.types import Array, Int64, UInt32

SHIFT = np.uint64(32)
NAN_BITS = np.uint32(0x7FFFFFFF)
"""The NaN that sorts as the largest."""
FEW = 8
"""Rows a request up to which columns are sorted at once: each request costs a call."""


def sortable(values: Array) -> UInt32:
    """[...] numbers that sort as float32 ``values`` [...] do: those of -0 and 0 are equal, NaN's is the largest."""
    values = values + np.float32(0)  # -0 is 0 then
    bits = values.view(np.uint32)
    np.copyto(bits, NAN_BITS, where=np.isnan(values))
    sign = (bits.view(np.int32) >> 31).view(np.uint32)
    return bits ^ (sign | np.uint32(0x80000000))


def falling(score: Array, ties: Array, request: Array) -> Int64:
    """[m] rows by ``request`` (which ascends), falling ``score`` and rising ``ties`` (codes or places, no two equal).

    What is not finite sinks to the end of its request. ``ties`` may be -1 throughout, of rows that are of no item: then
    they stay as they were.
    """
    known, starts = np.isfinite(score), np.flatnonzero(request[1:] != request[:-1]) + 1
    with np.errstate(over="ignore"):
        single = score.astype(np.float32, copy=False)
    rounds = score.dtype != np.float32 and not np.array_equal(single[known], score[known])
    if rounds or len(score) < FEW * len(starts) or (ties < 0).any():
        return np.lexsort((ties, np.where(known, -score.astype(np.float64), np.inf), request))
    key = sortable(np.where(known, -single, np.float32(np.inf))).astype(np.uint64) << SHIFT
    key |= ties.astype(np.uint32)
    order = np.empty(len(key), np.int64)
    for a, b in itertools.pairwise([0, *starts.tolist(), len(key)]):  # vectorised by numpy, as lexsort is not
        order[a:b] = key[a:b].argsort()
        order[a:b] += a
    return order
