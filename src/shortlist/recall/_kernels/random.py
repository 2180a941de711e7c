"""Kernels: random numbers from an explicit state [1] of uint64, and draws from a given distribution."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from shortlist.types import Array


class Alias(NamedTuple):
    """Entry i, drawn evenly, stays i with probability ``stays`` and is ``other`` else."""

    stays: Array  # float32 [c]
    other: Array  # int32 [c]


@njit(cache=True, nogil=True, inline="always")
def bits(state: Array) -> Any:
    """The next 64 bits of the splitmix64 sequence that ``state`` [1] stands in.

    Source: Steele, Lea, Flood (2014), Fast Splittable Pseudorandom Number Generators.
    """
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def uniform(state: Array) -> float:
    """The next number in [0, 1)."""
    return float(bits(state) >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True, inline="always")
def draw(state: Array, n: int) -> Any:
    """A whole number from 0 to n - 1, n < 2^31."""
    return np.int64(((bits(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True, inline="always")
def drawn(state: Array, stays: Array, other: Array) -> Any:
    """An item by the distribution of ``alias_table``."""
    found = bits(state)
    i = ((found >> np.uint64(32)) * np.uint64(len(stays))) >> np.uint64(32)
    if np.float32(found & np.uint64(0xFFFFFF)) < stays[i] * np.float32(0x1000000):
        return np.int64(i)
    return np.int64(other[i])


@njit(cache=True, nogil=True)
def alias_table(weights: Array) -> Alias:
    """The table that draws i with probability weights_i / sum of weights.

    Source: Vose (1991), A Linear Algorithm for Generating Random Numbers with a Given Distribution.
    """
    c, total = len(weights), 0.0
    stays, other, left = np.ones(c, np.float32), np.empty(c, np.int32), np.empty(c, np.float64)
    for i in range(c):
        other[i] = i
        total += weights[i]
    if total <= 0:
        return Alias(stays, other)
    for i in range(c):
        left[i] = weights[i] * (c / total)
    waiting = np.empty(c, np.int64)  # the poor from the front, the rich from the back
    poor, rich = 0, c
    for i in range(c):
        if left[i] < 1:
            waiting[poor] = i
            poor += 1
        else:
            rich -= 1
            waiting[rich] = i
    while poor > 0 and rich < c:
        poor -= 1
        i, j = waiting[poor], waiting[rich]
        stays[i], other[i] = left[i], j
        left[j] -= 1 - left[i]
        if left[j] < 1:
            waiting[poor] = j
            poor += 1
            rich += 1
    return Alias(stays, other)
