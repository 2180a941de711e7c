"""The outer join of what the channels found, and the cut to the best rows of each request.

Both are one pass over the requests, linear in their number, with little overhead for one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit

from shortlist.types import Array, Bool, Candidates, Float32, Int32, Int64


@dataclass(frozen=True, slots=True)
class Joined:
    """One row per (request, item) in no particular order within a request, and what each channel said about it."""

    channels: tuple[str, ...]  # [C] sorted by name, so that sums over channels do not depend on the order of a recipe
    offsets: Int64  # [n + 1] where each request's rows begin
    item: Int32  # [u]
    score: Float32  # [C, u] NaN where the channel was silent
    rank: Float32  # [C, u] place in the channel's list, from 1; NaN where it was silent


def join(found: Mapping[str, Candidates], n: int, also: Iterable[str] = ()) -> Joined:
    """Joins the channels' rows of ``n`` requests; channels only named in ``also`` were silent throughout."""
    channels = tuple(sorted({*found, *also}))
    parts = [found[name] for name in channels if name in found]
    starts = np.zeros(len(channels) + 1, np.int64)
    np.cumsum([len(found[name]) if name in found else 0 for name in channels], out=starts[1:])
    if not parts or not starts[-1]:
        empty = np.empty((len(channels), 0), np.float32)
        return Joined(channels, np.zeros(n + 1, np.int64), np.empty(0, np.int32), empty, empty)
    request = np.concatenate([part.request for part in parts]).astype(np.uint32, copy=False)
    item = np.concatenate([part.item for part in parts]).astype(np.int32, copy=False)
    score = np.concatenate([part.columns["score"] for part in parts]).astype(np.float32, copy=False)
    return Joined(channels, *_outer(starts, request, item, score, n))


def best(
    joined: Joined,
    score: Float32,
    k: int,
    names: Iterable[str] | None = None,
    guaranteed: Bool | None = None,
    fill: Float32 | None = None,
) -> Candidates:
    """The best ``k`` rows of each request by ``score`` [u], best first, ties by item code, with who found what.

    ``names`` gives the order of the channels' columns. With ``guaranteed`` [u], those rows are among the ``k`` as far
    as there is room, and the others are chosen by ``fill`` [u]; ``score`` still gives the order.
    """
    keys = _keys(score, joined.item)
    chosen_by = keys if fill is None else _keys(fill, joined.item)
    bounds = joined.offsets.tolist()
    picked = []
    for low, high in pairwise(bounds):
        order = np.argsort(chosen_by[low:high])  # of whole numbers: several times faster than of floats in a kernel
        if guaranteed is not None:
            sure = guaranteed[low:high][order]
            order = order[sure | (np.cumsum(~sure) <= k - int(sure.sum()))]
        order = order[:k] + low
        picked.append(order if fill is None else order[np.argsort(keys[order])])
    rows = np.concatenate(picked) if picked else np.empty(0, np.int64)
    request = np.repeat(np.arange(len(picked), dtype=np.uint32), [len(order) for order in picked])
    columns: dict[str, Any] = {"score": score[rows]}
    scores, ranks = joined.score.take(rows, axis=1), joined.rank.take(rows, axis=1)
    for name in joined.channels if names is None else names:
        c = joined.channels.index(name)
        columns[f"{name}.score"] = scores[c]
        columns[f"{name}.rank"] = ranks[c]
    return Candidates(request, joined.item[rows], columns)


def weighted_sum(weights: Array, terms: Array) -> Float32:
    """[u]: sum over channels of weights[c] * terms[c], NaN counting as nothing; the same bits in every batch."""
    return _weighted_sum(np.asarray(weights, np.float64), terms)


@njit(cache=True)
def _outer(starts: Array, request: Array, item: Array, score: Array, n: int) -> tuple[Array, Array, Array, Array]:
    """Offsets [n + 1], items [u], scores [C, u] and ranks [C, u]; ``starts`` [C + 1] bounds each channel's rows.

    A table with open addressing holds the items of one request at a time. Where a channel names an item twice, its
    first place counts.
    """
    n_channels, total = len(starts) - 1, len(item)
    slot = np.empty(total, np.int64)
    place = np.empty(total, np.int32)
    items = np.empty(total, np.int32)
    offsets = np.zeros(n + 1, np.int64)
    at = starts[:-1].copy()
    table = np.full(16, -1, np.int64)
    u = 0
    for r in range(n):
        begin, rows = at.copy(), 0
        for c in range(n_channels):
            while at[c] < starts[c + 1] and request[at[c]] == r:
                at[c] += 1
            rows += at[c] - begin[c]
        size = 16
        while size < 2 * rows:
            size *= 2
        if size > len(table):
            table = np.full(size, -1, np.int64)
        else:
            table[:size] = -1
        for c in range(n_channels):
            for row in range(begin[c], at[c]):
                h = (np.uint64(np.uint32(item[row])) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & np.uint64(
                    size - 1
                )
                while table[h] >= 0 and items[table[h]] != item[row]:
                    h = (h + np.uint64(1)) & np.uint64(size - 1)
                if table[h] < 0:
                    table[h] = u
                    items[u] = item[row]
                    u += 1
                slot[row] = table[h]
                place[row] = row - begin[c] + 1
        offsets[r + 1] = u
    scores = np.full((n_channels, u), np.nan, np.float32)
    ranks = np.full((n_channels, u), np.nan, np.float32)
    for c in range(n_channels):
        for row in range(starts[c], at[c]):
            if np.isnan(ranks[c, slot[row]]):
                scores[c, slot[row]] = score[row]
                ranks[c, slot[row]] = place[row]
    return offsets, items[:u].copy(), scores, ranks


@njit(cache=True)
def _keys(score: Array, item: Array) -> Array:
    """[u]: whole numbers that ascend as the score falls, NaN and infinities last, and then by item code."""
    fallen = np.empty(len(score), np.float32)
    for i in range(len(score)):
        fallen[i] = np.float32(0) - score[i] if np.isfinite(score[i]) else np.float32(np.inf)
    bits = fallen.view(np.uint32)
    keys = np.empty(len(score), np.uint64)
    for i in range(len(score)):
        # the bits of a float order as those of a whole number, once negative ones are turned over
        place = ~bits[i] if bits[i] >> np.uint32(31) else bits[i] | np.uint32(0x80000000)
        keys[i] = np.uint64(place) << np.uint64(32) | np.uint64(np.uint32(item[i]))
    return keys


@njit(cache=True)
def _weighted_sum(weights: Array, terms: Array) -> Array:
    out = np.empty(terms.shape[1], np.float32)
    for i in range(terms.shape[1]):
        total = 0.0
        for c in range(terms.shape[0]):
            if not np.isnan(terms[c, i]):
                total += weights[c] * terms[c, i]
        out[i] = total
    return out
