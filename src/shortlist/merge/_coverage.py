"""Learns how many rows of each channel to guarantee, so that the rows handed on cover the most targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numba import njit

from shortlist.merge._ascent import drawn, hits
from shortlist.merge._join import join
from shortlist.types import Array, Bool, Candidates, Float32, Int64, Ragged


def learn_quotas(
    found: Mapping[str, Candidates],
    targets: Ragged,
    score: Callable[[Float32], Float32],
    k: int,
    block: int,
    sample: int,
    seed: int,
) -> Int64:
    """[C]: quotas, multiples of ``block`` (or what is left of k), of the channels in the order of their names.

    ``score`` makes the order of the fill [u] from ranks [C, u].
    """
    found, targets = drawn(found, targets, sample, seed)
    joined = join(found, len(targets))
    rows, hit_offsets = hits(joined.offsets, joined.item, targets)
    path = greedy(joined.rank[:, rows], k, block)
    fill = score(joined.rank)
    kept = [_covered(joined.offsets, joined.item, fill, hit_offsets, rows, within(joined.rank, q), k) for q in path]
    return path[int(np.argmax(kept))]  # the first of equals: the fewest guarantees


def within(rank: Float32, quotas: Int64) -> Bool:
    """[u]: rows that some channel ranks [C, u] no later than its quota [C]."""
    kept: Bool = np.any(rank <= quotas[:, None], axis=0)  # NaN <= q is false
    return kept


def greedy(rank: Float32, k: int, block: int) -> list[Int64]:
    """Allocations [C], each larger than the one before: at each step the rows that cover most new targets a row.

    ``rank`` [C, h] is each target's place in each channel's list, NaN where the channel did not find it. A step may
    take several blocks at once, so that a barren stretch does not hide what lies behind it.
    """
    quotas = np.zeros(len(rank), np.int64)
    covered = np.zeros(rank.shape[1], bool)
    path = [quotas.copy()]
    while (left := k - int(quotas.sum())) > 0:
        lengths = np.append(np.arange(block, left, block), left)
        density = np.zeros((len(rank), len(lengths)))
        for c, quota in enumerate(quotas.tolist()):
            new = np.sort(rank[c, ~covered & (rank[c] > quota)]) - quota
            density[c] = np.searchsorted(new, lengths, side="right") / lengths
        if not density.size or density.max() <= 0:
            break
        channel, step = np.unravel_index(int(np.argmax(density)), density.shape)
        quotas[channel] += lengths[step]
        covered |= rank[channel] <= quotas[channel]
        path.append(quotas.copy())
    return path


@njit(cache=True)
def _covered(
    offsets: Array, item: Array, fill: Array, hit_offsets: Array, hits: Array, guaranteed: Array, k: int
) -> int:
    """How many targets are among the k rows: guaranteed, or among the best of the others by ``fill``."""
    total = 0
    for r in range(len(offsets) - 1):
        sure = 0
        for row in range(offsets[r], offsets[r + 1]):
            if guaranteed[row]:
                sure += 1
        for h in range(hit_offsets[r], hit_offsets[r + 1]):
            own = hits[h]
            ahead = 0
            if not guaranteed[own]:
                for row in range(offsets[r], offsets[r + 1]):
                    if not guaranteed[row] and (
                        fill[row] > fill[own] or (fill[row] == fill[own] and item[row] < item[own])
                    ):
                        ahead += 1
            if guaranteed[own] or sure + ahead < k:
                total += 1
    return total
