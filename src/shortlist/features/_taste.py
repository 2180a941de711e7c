"""Kernels that hold the user's history against the candidate's attributes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.features._history import Past
from shortlist.types import Array

COLUMNS = ("mean", "max", "cosine", "lift", "value", "recent")


class Attribute(NamedTuple):
    """A list or category column of the items."""

    starts: Array  # [items + 1]: item i has the levels codes[starts[i]..starts[i + 1]]
    codes: Array
    share: Array  # [levels] of the log's positives that carry a level


@njit(cache=True)
def tastes(
    past: Past,
    attribute: Attribute,
    half_life: float,
    last: int,
    prior: float,
    first: Array,
    candidates: Array,
    out: Array,
) -> None:
    """One list or category column: six columns of ``out`` [6, m], as COLUMNS; see ``affinity.Affinity``."""
    history, items, times, values, weights = past.offsets, past.items, past.times, past.values, past.weights
    starts, codes, share = attribute.starts, attribute.codes, attribute.share
    n_items, levels = len(starts) - 1, len(share)
    liked, recent = np.zeros(levels), np.zeros(levels)
    above, rated = np.zeros(levels), np.zeros(levels)
    for q in range(len(history) - 1):
        a, b = history[q], history[q + 1]
        mean, n = 0.0, 0
        for e in range(a, b):
            if not np.isnan(values[e]):
                mean += values[e]
                n += 1
        mean /= max(n, 1)
        total, of_last, norm = 0.0, 0, 0.0
        for back in range(1, b - a + 1):
            e = b - back
            i = items[e]
            if i < 0 or i >= n_items or starts[i] == starts[i + 1]:
                continue
            w = weights[e] * 0.5 ** ((times[history[q + 1] - 1] - times[e]) / half_life)
            total += w
            short = weights[e] > 0 and of_last < last
            of_last += short
            for c in codes[starts[i] : starts[i + 1]]:
                liked[c] += w
                recent[c] += short
                if not np.isnan(values[e]):
                    above[c] += values[e] - mean
                    rated[c] += 1
        for e in range(a, b):  # the norm, each level once: its weight is marked by a sign while it is counted
            i = items[e]
            if 0 <= i < n_items:
                for c in codes[starts[i] : starts[i + 1]]:
                    if liked[c] > 0:
                        norm += liked[c] ** 2
                        liked[c] = -liked[c]
        norm = np.sqrt(norm)
        for r in range(first[q], first[q + 1]):
            i = candidates[r]
            if i < 0 or i >= n_items or starts[i] == starts[i + 1]:
                out[:, r] = np.nan
                continue
            size = starts[i + 1] - starts[i]
            dot, top, lift, taste, short_dot = 0.0, 0.0, 0.0, 0.0, 0.0
            for c in codes[starts[i] : starts[i + 1]]:
                dot -= liked[c]
                top = max(top, -liked[c])
                if prior > 0 and share[c] > 0:
                    lift += np.log2((prior * share[c] - liked[c]) / ((prior + total) * share[c]))
                if rated[c] > 0:
                    taste += above[c] / (rated[c] + prior)
                short_dot += recent[c]
            out[0, r] = dot / size / total if total > 0 else np.nan
            out[1, r] = top / total if total > 0 else np.nan
            out[2, r] = dot / (norm * np.sqrt(size)) if norm > 0 else np.nan
            out[3, r] = lift / size if prior > 0 else np.nan
            out[4, r] = taste / size if n else np.nan
            out[5, r] = short_dot / size / of_last if of_last else np.nan
        for e in range(a, b):
            i = items[e]
            if 0 <= i < n_items:
                for c in codes[starts[i] : starts[i + 1]]:
                    liked[c], recent[c], above[c], rated[c] = 0.0, 0.0, 0.0, 0.0


@njit(cache=True)
def distances(
    past: Past,
    numbers: Array,
    spread: float,
    half_life: float,
    prior: float,
    first: Array,
    candidates: Array,
    out: Array,
) -> None:
    """One number of the history's items and of the candidates: out[0] = candidate - mean, out[1] = that / spread."""
    history, times, weights = past.offsets, past.times, past.weights
    for q in range(len(history) - 1):
        weight, mean, square = 0.0, 0.0, 0.0
        for e in range(history[q], history[q + 1]):
            if np.isnan(numbers[e]) or weights[e] <= 0:
                continue
            w = weights[e] * 0.5 ** ((times[history[q + 1] - 1] - times[e]) / half_life)
            if w <= 0:
                continue
            weight += w
            step = numbers[e] - mean
            mean += w / weight * step
            square += w * step * (numbers[e] - mean)
        scale = np.sqrt((square + prior * spread**2) / (weight + prior)) if weight + prior > 0 else 0.0
        for r in range(first[q], first[q + 1]):
            out[0, r] = candidates[r] - mean if weight > 0 else np.nan
            out[1, r] = out[0, r] / scale if scale > 0 else np.nan
