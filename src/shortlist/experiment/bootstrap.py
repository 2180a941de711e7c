"""The difference of two arms by drawing users again: the delta method's second opinion."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array

CELLS = 4_000_000
"""Draws held in memory at a time."""


def bootstrap(
    y: Array, x: Array, treated: Array, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """(low, high, standard error) of R(treated) - R(others), R = Σ y / Σ x over users.

    ``y``, ``x`` and ``treated`` (bool) are [n], one a user. Each replicate draws as many users of each arm as it has,
    with replacement; the bounds are quantiles of the replicates. NaN where an arm has nobody.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap.
    """
    treated = np.asarray(treated, bool)
    rng = np.random.default_rng(seed)
    ratios = []
    for mask in (~treated, treated):
        pairs = np.stack([np.asarray(y, np.float64)[mask], np.asarray(x, np.float64)[mask]], axis=1)
        if not len(pairs):
            return np.nan, np.nan, np.nan
        ratios.append(_replicated(pairs, replicates, rng))
    apart = ratios[1] - ratios[0]
    low, high = np.nanquantile(apart, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), float(np.nanstd(apart, ddof=1))


def _replicated(pairs: Array, replicates: int, rng: np.random.Generator) -> Array:
    n = len(pairs)
    block = max(1, CELLS // n)
    found = []
    for done in range(0, replicates, block):
        size = min(block, replicates - done)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        found.append(counts @ pairs)
    sums = np.concatenate(found)
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(replicates, np.nan), where=sums[:, 1] != 0)


__all__ = ["bootstrap"]
