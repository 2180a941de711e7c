"""Loops over pairs of items in a list. Their plain definitions are in tests/metrics/test_variety.py."""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array, Float64

BITS = 64
"""So many codes fit into one word, where a pair costs a nanosecond or two."""


@numba.njit(cache=True)
def similarity(
    items: Array, starts: Array, ends: Array, offsets: Array, codes: Array, words: Array, cosine: bool
) -> Float64:
    """[n]: mean similarity of the pairs of items in each list; NaN without a pair.

    ``items[starts[r]:ends[r]]`` is list r; ``codes[offsets[i]:offsets[i + 1]]`` are the attributes of item i,
    ascending, and bits of ``words[i]`` where no code is above 63 (else ``words`` is empty). An item without
    attributes is left out.
    """
    n = len(starts) - 1
    result = np.full(n, np.nan)
    for r in range(n):
        total, pairs = 0.0, 0
        for left in range(starts[r], ends[r]):
            i = items[left]
            size_i = offsets[i + 1] - offsets[i]
            if size_i == 0:
                continue
            for right in range(left + 1, ends[r]):
                j = items[right]
                size_j = offsets[j + 1] - offsets[j]
                if size_j == 0:
                    continue
                shared = 0
                if len(words):
                    both = words[i] & words[j]
                    while both:
                        both &= both - np.uint64(1)
                        shared += 1
                else:
                    shared = _shared(codes, offsets[i], offsets[i + 1], offsets[j], offsets[j + 1])
                if cosine:
                    total += shared / np.sqrt(size_i * size_j)
                else:
                    total += shared / (size_i + size_j - shared)
                pairs += 1
        if pairs:
            result[r] = total / pairs
    return result


@numba.njit(cache=True)
def _shared(codes: Array, x: int, x_end: int, y: int, y_end: int) -> int:
    shared = 0
    while x < x_end and y < y_end:
        if codes[x] == codes[y]:
            shared, x, y = shared + 1, x + 1, y + 1
        elif codes[x] < codes[y]:
            x += 1
        else:
            y += 1
    return shared


@numba.njit(cache=True)
def vector_similarity(items: Array, starts: Array, ends: Array, place: Array, unit: Array) -> Float64:
    """[n]: mean cosine of the pairs of items in each list: (|Σ v|² − m) / (m (m − 1)) of m vectors of length 1.

    ``place[i]`` is the row of ``unit`` [c, f] with the vector of item i, -1 where it has none; NaN without a pair.
    """
    n, f = len(starts) - 1, unit.shape[1]
    result, total = np.full(n, np.nan), np.empty(f)
    for r in range(n):
        total[:] = 0
        m = 0
        for row in range(starts[r], ends[r]):
            at = place[items[row]]
            if at >= 0:
                m += 1
                for d in range(f):
                    total[d] += unit[at, d]
        if m > 1:
            result[r] = (np.sum(total * total) - m) / (m * (m - 1))
    return result
