"""Rows behind rows, and rows of some requests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from shortlist.types import Array, Bool, Candidates


def backed(rows: Candidates, spare: Candidates) -> Candidates:
    """The rows with the spare ones behind them, marked ``fallback`` and without a score."""
    rows = rows.with_columns(fallback=np.zeros(len(rows), bool))
    if not len(spare):
        return rows
    spare = spare.take(~np.isin(spare.keys, rows.keys))
    return Candidates.concat([rows, spare.with_columns(fallback=np.ones(len(spare), bool))])


def numbered(rows: Candidates, chosen: Array) -> Candidates:
    """The rows of the requests numbered ``chosen`` (ascending), numbered from 0."""
    rows = rows.take(np.isin(rows.request, chosen))
    return replace(rows, request=np.searchsorted(chosen, rows.request).astype(np.uint32))


def among(wanted: Array, ascending: Array) -> Array:
    """Which of ``wanted`` are in ``ascending``."""
    if not len(ascending):
        return np.zeros(len(wanted), np.bool_)
    return ascending[np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)] == wanted


def undecided(before: Candidates, after: Candidates) -> Candidates:
    """``after`` with ``propensity`` NaN where the ranker's rows of a request do not all stand where they stood.

    A ranker's chances are of places in its own order: what a rule moves or drops in one draw, it moves in another.
    """
    n = int(before.request[-1]) + 1 if len(before) else 0
    mine = before.take(~before["fallback"]) if "fallback" in before else before
    counts = np.bincount(mine.request, minlength=n)
    first = after.take(after.positions() < counts[after.request])
    moved = np.bincount(first.request, minlength=n) != counts
    mine, first = mine.take(~moved[mine.request]), first.take(~moved[first.request])
    moved |= np.bincount(mine.request, mine.keys != first.keys, n) > 0
    if not moved.any():
        return after
    return after.with_columns(propensity=np.where(moved[after.request], np.float32(np.nan), after["propensity"]))


def foremost(rows: Candidates, k: int) -> Bool:
    """[m]: ``rows.rank_of() <= k``, found without sorting all rows."""
    score = rows["score"]
    score = np.where(np.isfinite(score), score, -np.inf)
    kept = np.ones(len(rows), bool)
    starts = np.flatnonzero(np.append(True, rows.request[1:] != rows.request[:-1])[: len(rows)]).tolist()
    for first, last in itertools.pairwise([*starts, len(rows)]):
        if last - first > k:
            own, mine = score[first:last], kept[first:last]
            least = np.partition(own, len(own) - k)[len(own) - k]
            np.greater_equal(own, least, out=mine)
            if np.count_nonzero(mine) > k:
                np.greater(own, least, out=mine)
                equal = np.flatnonzero(own == least)
                mine[equal[np.argsort(rows.item[first + equal])[: k - np.count_nonzero(mine)]]] = True
    return kept
