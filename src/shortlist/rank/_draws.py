"""A pool of draws of all rows' values, of which a request's id picks one: orders, and exactly how likely they were."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.special import ndtri

from shortlist.types import Array, Float32, Float64, Int64


@njit(cache=True)
def _uniforms(item: Array, seed: int, out: Array) -> None:
    """out[r, m] in (0, 1) from (item, m, seed) alone; the mixing is splitmix64's (Steele et al. 2014)."""
    for row in range(out.shape[0]):
        first = np.uint64(item[row]) * np.uint64(0xD1342543DE82EF95) + np.uint64(seed)
        for draw in range(out.shape[1]):
            z = first ^ ((np.uint64(draw) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
            for _ in range(2):
                z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                z = z ^ (z >> np.uint64(31))
            out[row, draw] = (np.float64(z >> np.uint64(11)) + 0.5) * 2.0**-53


def normals(item: Array, draws: int, seed: int) -> Float64:
    """[m, draws]: standard normal numbers that belong to an item: the same in every request, batch and process."""
    out = np.empty((len(item), draws))
    _uniforms(item.astype(np.int64), seed, out)
    return np.asarray(ndtri(out, out=out))


def places(values: Float32, item: Array) -> Int64:
    """[draws, n]: numbers that ascend in the order in which draw d shows the n rows of one request.

    By falling value [draws, n], ties by item code, as ``Candidates.ranked`` orders them; no two are equal.
    """
    bits = (values + np.float32(0)).view(np.int32).astype(np.int64)  # + 0 makes one zero of both
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # floats as whole numbers of the same order
    tie = np.empty(len(item), np.int64)
    tie[np.argsort(item, kind="stable")] = np.arange(len(item))
    return (-rising << 32) + tie


def chances(keys: Int64, shown: int) -> Float64:
    """[n]: in which share of the draws each row stands at the place where draw ``shown`` puts it; see ``places``.

    Exact, no estimate: the request's id picks one of these draws, each with the same chance.
    """
    ordered = np.argsort(keys[shown])
    same = np.sort(keys, axis=1) == keys[:, ordered]
    share = np.empty(keys.shape[1])
    share[ordered] = same.mean(0)
    return share


def firsts(keys: Int64) -> Float64:
    """[n]: in which share of the draws each row is the first; they sum to 1."""
    return np.bincount(keys.argmin(1), minlength=keys.shape[1]) / len(keys)
