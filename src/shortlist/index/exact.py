"""Exact search: every inner product is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numba import njit

from shortlist.index import Asked, Found
from shortlist.index.heap import drain, offer
from shortlist.types import Array, Float32, Ragged

BLOCK = 2048
"""Columns scored at once: their scores stay in the fastest cache while all dimensions are added."""


class Exact:
    """The best columns by all inner products.

    The terms of a product are added from the first dimension to the last and never reassociated, so a batch, a single
    request and a single row (``inner``) give the same bits and equal items are exact ties. The table is quickest in
    Fortran order: a dimension's values of all items beside each other.
    """

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """Nothing: the table is enough."""
        return {}

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """By dimension."""
        return "F"

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """Nothing, as before."""
        return {}

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """The best ``k`` columns above ``floor`` of each request; see ``Index``."""
        return _search(np.ascontiguousarray(table.T), vectors, forbidden.offsets, forbidden["column"], k, floor)


def inner(table: Float32, vectors: Float32, request: Array, column: Array) -> Float32:
    """[m]: the score (``Index``) of each row; NaN where its ``column`` is negative or its request asks nothing."""
    return _inner(table.T, vectors, request, column)  # a row at a time: no order is worth a copy


@njit(cache=True, nogil=True)
def _search(
    table: Array, vectors: Array, offsets: Array, forbidden: Array, k: int, floor: float
) -> tuple[Array, Array, Array]:
    """``Exact.search`` of a table [f, c]."""
    n, heads, f = vectors.shape
    c = table.shape[1]
    k, last = min(k, c), (c - 1) // BLOCK * BLOCK
    request, column, score = np.empty(n * k, np.uint32), np.empty(n * k, np.int32), np.empty(n * k, np.float32)
    barred = np.zeros(c, np.int32)  # 1 + the last request that may not have the column
    best, own = np.empty(min(BLOCK, c), np.float32), np.empty(min(BLOCK, c), np.float32)
    least, bins = np.nextafter(np.float32(floor), np.float32(np.inf)), np.empty(256, np.int64)
    m = 0
    for r in range(n):
        for e in range(offsets[r], offsets[r + 1]):
            if forbidden[e] >= 0:
                barred[forbidden[e]] = r + 1
        kept, kept_column = score[m : m + k], column[m : m + k]
        size, bar = 0, least
        for start in range(last if k > 0 else -1, -1, -BLOCK):  # backwards: a table that ascends fills no heap anew
            width = min(BLOCK, c - start)
            best[:] = -np.inf
            for h in range(heads):
                if not vectors[r, h].any():
                    continue
                own[:] = 0
                for d in range(f):
                    p, q = vectors[r, h, d], table[d, start : start + width]
                    for i in range(width):
                        own[i] += p * q[i]
                for i in range(width):
                    if own[i] > best[i]:
                        best[i] = own[i]
            for i in range(width):
                if barred[start + i] == r + 1 or not best[i] < np.inf:
                    best[i] = -np.inf
            if size == 0 and width > 2 * k:
                bar = bar_of(best[:width], k, bar, bins)
            for i in range(width):
                if best[i] >= bar:
                    size = offer(kept, kept_column, size, k, best[i], start + i)
                    if size == k:
                        bar = max(bar, kept[0])
        drain(kept, kept_column, size)
        request[m : m + size] = r
        m += size
    return request[:m], column[:m], score[:m]


@njit(cache=True, nogil=True)
def bar_of(scores: Array, k: int, least: np.float32, bins: Array) -> np.float32:
    """A score that at least ``k`` of ``scores`` reach, or ``least``: a heap offered no lower ones is filled sooner.

    A histogram between the lowest and the highest score from ``least`` on; the bar is the lowest score in the bins that
    the best ``k`` fill.
    """
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for i in range(len(scores)):
        if scores[i] >= least:
            low, high = min(low, scores[i]), max(high, scores[i])
    spread = high - low
    if not 1e-30 < spread < 1e30:
        return least
    scale = np.float32(len(bins) - 1) / spread
    bins[:] = 0
    for i in range(len(scores)):
        if scores[i] >= least:
            bins[int((scores[i] - low) * scale)] += 1
    b, above = len(bins) - 1, bins[-1]
    while b > 0 and above < k:
        b -= 1
        above += bins[b]
    if above < k:
        return least
    bar = high
    for i in range(len(scores)):
        if scores[i] >= least and scores[i] < bar and int((scores[i] - low) * scale) >= b:
            bar = scores[i]
    return bar


@njit(cache=True, nogil=True)
def _inner(table: Array, vectors: Array, request: Array, column: Array) -> Array:
    heads, f = vectors.shape[1:]
    out = np.full(len(column), np.nan, np.float32)
    for m in range(len(column)):
        if column[m] < 0:
            continue
        for h in range(heads):
            p = vectors[request[m], h]
            if not p.any():
                continue
            score = np.float32(0)
            for d in range(f):
                score += p[d] * table[d, column[m]]
            if score > out[m] or np.isnan(out[m]):  # better, or the first that is a number
                out[m] = score
    return out
