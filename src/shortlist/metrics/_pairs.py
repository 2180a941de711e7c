"""Loops over pairs of items in a list. Their plain definitions are in tests/metrics/test_variety.py."""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array, Float64

BITS = 64
"""So many codes fit into one word, where a pair costs a nanosecond or two."""
ONE, TWO, FOUR, HIGH = (np.uint64(n) for n in (1, 2, 4, 56))
PAIRS, QUADS, HALVES, SUM = (
    np.uint64(n) for n in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x0101010101010101)
)


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
    longest = 0
    for r in range(n):
        longest = max(longest, ends[r] - starts[r])
    own, size, word = np.empty(longest, np.int64), np.empty(longest), np.empty(longest, np.uint64)
    for r in range(n):
        m = 0
        for row in range(starts[r], ends[r]):
            i = items[row]
            if offsets[i + 1] > offsets[i]:
                own[m], size[m] = i, offsets[i + 1] - offsets[i]
                if len(words):
                    word[m] = words[i]
                m += 1
        if len(words):
            total = _of_words(word[:m], size[:m], cosine)
        else:
            total = 0.0
            for left in range(m):
                for right in range(left + 1, m):
                    shared = _shared(codes, offsets, own[left], own[right])
                    if cosine:
                        total += shared / np.sqrt(size[left] * size[right])
                    else:
                        total += shared / (size[left] + size[right] - shared)
        if m > 1:
            result[r] = total / (m * (m - 1) / 2)
    return result


@numba.njit(cache=True, fastmath={"reassoc", "nsz"}, error_model="numpy")
def _of_words(word: Array, size: Array, cosine: bool) -> float:
    """The similarities of all pairs of one list, added up; bits are counted without a branch.

    The sum may take any order and no size is 0, which is never asked: so the processor takes several pairs at a time.
    """
    total = 0.0
    for left in range(len(word)):
        mine, its, others, sizes = word[left], size[left], word[left + 1 :], size[left + 1 :]
        for i in range(len(others)):
            x = mine & others[i]
            x = x - ((x >> ONE) & PAIRS)
            x = (x & QUADS) + ((x >> TWO) & QUADS)
            x = (x + (x >> FOUR)) & HALVES
            shared = float((x * SUM) >> HIGH)
            if cosine:
                total += shared / np.sqrt(its * sizes[i])
            else:
                total += shared / (its + sizes[i] - shared)
    return total


@numba.njit(cache=True)
def _shared(codes: Array, offsets: Array, i: int, j: int) -> int:
    """How many codes two items have in common."""
    x, y, shared = offsets[i], offsets[j], 0
    while x < offsets[i + 1] and y < offsets[j + 1]:
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
