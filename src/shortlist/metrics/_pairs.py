"""The one loop over pairs of items in a list. Its plain definition is in tests/metrics/test_beyond.py."""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array, Float64


@numba.njit(cache=True)
def similarity(items: Array, starts: Array, offsets: Array, codes: Array, cosine: bool) -> Float64:
    """[n]: mean similarity of the pairs of items in each list; NaN without a pair.

    ``items[starts[r]:starts[r + 1]]`` is list r; ``codes[offsets[i]:offsets[i + 1]]`` are the attributes of item i,
    ascending. An item without attributes is left out.
    """
    n = len(starts) - 1
    result = np.full(n, np.nan)
    for r in range(n):
        total, pairs = 0.0, 0
        for left in range(starts[r], starts[r + 1]):
            a, a_end = offsets[items[left]], offsets[items[left] + 1]
            if a == a_end:
                continue
            for right in range(left + 1, starts[r + 1]):
                b, b_end = offsets[items[right]], offsets[items[right] + 1]
                if b == b_end:
                    continue
                x, y, shared = a, b, 0
                while x < a_end and y < b_end:
                    if codes[x] == codes[y]:
                        shared, x, y = shared + 1, x + 1, y + 1
                    elif codes[x] < codes[y]:
                        x += 1
                    else:
                        y += 1
                size_a, size_b = a_end - a, b_end - b
                if cosine:
                    total += shared / np.sqrt(size_a * size_b)
                else:
                    total += shared / (size_a + size_b - shared)
                pairs += 1
        if pairs:
            result[r] = total / pairs
    return result
