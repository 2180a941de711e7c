"""Loops over the rows of lists: row numbers of list r are ``starts[r]`` to ``ends[r]``.

The plain definitions are the tests' oracles, in tests/metrics.
"""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array


@numba.njit(cache=True)
def joined(
    request: Array, item: Array, offsets: Array, wanted: Array, possible: Array, codes: int
) -> tuple[Array, Array, bool]:
    """(hit [m], known_hit [m], whether a request names a target twice); an item's stamp says whose target it is."""
    hit, known_hit = np.zeros(len(item), np.bool_), np.zeros(len(item), np.bool_)
    stamp, at, row = np.full(codes, -1, np.int64), np.zeros(codes, np.int64), 0
    for r in range(len(offsets) - 1):
        for t in range(offsets[r], offsets[r + 1]):
            if stamp[wanted[t]] == r:
                return hit, known_hit, True
            stamp[wanted[t]], at[wanted[t]] = r, t
        while row < len(item) and request[row] == r:
            if stamp[item[row]] == r:
                hit[row], known_hit[row] = True, possible[at[item[row]]]
                stamp[item[row]] = -1
            row += 1
    return hit, known_hit, False


@numba.njit(cache=True)
def unexpected(request: Array, item: Array, its_request: Array, its_item: Array, n: int, codes: int) -> Array:
    """[n]: how many rows (request, item) of each request are none of its rows in the others; both by request."""
    found, stamp, other = np.zeros(n, np.int64), np.full(codes, -1, np.int64), 0
    for row in range(len(item)):
        r = request[row]
        while other < len(its_item) and its_request[other] <= r:
            stamp[its_item[other]] = its_request[other]
            other += 1
        found[r] += stamp[item[row]] != r
    return found


@numba.njit(cache=True)
def ends_of(starts: Array, rank: Array, k: int) -> Array:
    """[n]: where the rows of rank ``k`` or better end."""
    ends = np.empty(len(starts) - 1, np.int64)
    for r in range(len(ends)):
        end = min(starts[r] + k, starts[r + 1])
        while end > starts[r] and rank[end - 1] > k:  # only where ranks have gaps
            end -= 1
        ends[r] = end
    return ends


@numba.njit(cache=True)
def means(starts: Array, ends: Array, item: Array, of_item: Array) -> Array:
    """[n]: mean of ``of_item`` over the rows, without NaN."""
    found = np.full(len(ends), np.nan)
    for r in range(len(ends)):
        total, count = 0.0, 0
        for row in range(starts[r], ends[r]):
            value = of_item[item[row]]
            if not np.isnan(value):
                total, count = total + value, count + 1
        if count:
            found[r] = total / count
    return found


@numba.njit(cache=True)
def counts(starts: Array, ends: Array, item: Array, codes: int) -> Array:
    """[codes]: how many rows hold each item."""
    found = np.zeros(codes, np.int64)
    for r in range(len(ends)):
        for row in range(starts[r], ends[r]):
            found[item[row]] += 1
    return found


@numba.njit(cache=True)
def younger(starts: Array, ends: Array, item: Array, since: Array, known: Array, times: Array, window: int) -> Array:
    """[n]: share of the rows whose item is ``known`` to have begun less than ``window`` before the list's moment."""
    found = np.full(len(ends), np.nan)
    for r in range(len(ends)):
        young, told = 0, 0
        for row in range(starts[r], ends[r]):
            if known[item[row]]:
                told += 1
                young += times[r] - since[item[row]] < window
        if told:
            found[r] = young / told
    return found


@numba.njit(cache=True)
def first_shown(starts: Array, ends: Array, item: Array, times: Array, first: Array) -> None:
    """``first`` [codes] becomes the earliest of the lists' moments at which each item stands in one."""
    for r in range(len(ends)):
        for row in range(starts[r], ends[r]):
            first[item[row]] = min(first[item[row]], times[r])
