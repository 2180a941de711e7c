"""Chances of the rows of a pool, and draws that a request's id decides."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.special import betainc, ndtr

from shortlist.types import Array, Float64

GRID = 200


@njit(cache=True)
def uniform(request: int, seed: int, number: int) -> float:
    """In [0, 1), the same for the same three on every machine; the mixing is splitmix64's (Steele et al. 2014)."""
    z = np.uint64(request)
    for part in (np.uint64(seed), np.uint64(number)):
        z = z ^ (part + np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * 2.0**-53


def softmax(score: Array, scale: float) -> Float64:
    """[m]: exp(s / scale) over its sum; a row without a score counts as the lowest."""
    known = np.isfinite(score)
    s = np.where(known, score, score[known].min() if known.any() else 0.0) / scale
    e = np.exp(s - s.max())
    return e / e.sum()


def best_of(hits: Float64, misses: Float64) -> Float64:
    """[m]: P(x_j is the largest) of independent x_j ~ Beta(hits_j, misses_j): what Thompson sampling draws from."""
    total = hits + misses
    mean = hits / total
    reach = 8 * np.sqrt(mean * (1 - mean) / (total + 1))
    x = np.linspace(max(0.0, (mean - reach).min()), min(1.0, (mean + reach).max()), GRID + 1)
    return _largest(betainc(hits[:, None], misses[:, None], x))


def best_normal(mean: Float64, deviation: Float64) -> Float64:
    """[m]: P(x_j is the largest) of independent x_j ~ N(mean_j, deviation_j²), a deviation of 0 being certain."""
    low, high = float((mean - 8 * deviation).max()), float((mean + 8 * deviation).max())  # the largest is never below
    if not high > low:
        return (mean == mean.max()) / np.sum(mean == mean.max())
    x = np.linspace(low, high, GRID + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = ndtr((x - mean[:, None]) / deviation[:, None])
    return _largest(np.where(deviation[:, None] > 0, below, x > mean[:, None]))


def _largest(below: Float64) -> Float64:
    """[m]: integral of f_j(x) prod over k != j of F_k(x), as a sum over a grid; F = ``below`` [m, grid]; normalised."""
    below = np.maximum(below, 1e-300)
    middle = np.log((below[:, 1:] + below[:, :-1]) / 2)
    chance = (np.diff(below) * np.exp(middle.sum(0) - middle)).sum(1)
    whole = chance.sum()
    return chance / whole if whole > 0 else np.full(len(below), 1 / len(below))
