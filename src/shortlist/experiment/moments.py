"""Counts, means and covariances by group in one pass: all that a comparison of two arms needs to know of its users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from shortlist.types import Array, Float64

LINES = ("y", "x", "before y", "before x")
"""Rows of ``Moments``: numerator, denominator, and both in the time before the experiment."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n users with four numbers each (see ``LINES``): the means [4] and the covariances [4, 4], divided by n - 1."""

    n: int
    mean: Float64
    covariance: Float64

    def __add__(self, other: Moments) -> Moments:
        """Those of both groups together (Chan, Golub and LeVeque 1983)."""
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        apart = other.mean - self.mean
        scatter = max(self.n - 1, 0) * self.covariance + max(other.n - 1, 0) * other.covariance
        scatter = scatter + np.outer(apart, apart) * (self.n * other.n / n)
        return Moments(n, self.mean + apart * (other.n / n), scatter / (n - 1))


def moments(
    y: Array,
    x: Array | None = None,
    before_y: Array | None = None,
    before_x: Array | None = None,
    *,
    group: Array | None = None,
    groups: int = 1,
) -> list[Moments]:
    """[groups] moments of each group of users.

    All arrays are [n], one number a user; an absent one is 1 everywhere. ``group`` [n] is a number below ``groups``, or
    -1 for users who are left out. Sums are taken about the first user's values, so that a large mean costs no digits.
    """
    n = len(y)
    given = [np.asarray(c) for c in (y, x, before_y, before_x) if c is not None]
    lines = [line for line, c in enumerate((y, x, before_y, before_x)) if c is not None]
    if any(len(c) != n for c in given):
        raise ValueError(f"columns of {[len(c) for c in given]} users, expected {n} of each")
    code = np.zeros(n, np.int16) if group is None else np.asarray(group)
    columns = [np.ascontiguousarray(c, np.float64) for c in given]
    centre = np.array([c[0] if n else 0.0 for c in columns])
    count, total, square = np.zeros(groups, np.int64), np.zeros((groups, 4)), np.zeros((groups, 4, 4))
    slots: list[Float64] = [*columns, *[np.empty(0)] * (4 - len(columns))]
    about = np.append(centre, np.zeros(4 - len(columns)))
    _add(slots[0], slots[1], slots[2], slots[3], len(columns), about, code, count, total, square)
    found = []
    for g in range(groups):
        mean, covariance = np.ones(4), np.zeros((4, 4))
        m, k = int(count[g]), len(columns)
        average = total[g, :k] / max(m, 1)
        mean[lines] = centre + average
        if m > 1:
            scatter = square[g, :k, :k] - m * np.outer(average, average)
            covariance[np.ix_(lines, lines)] = scatter / (m - 1)
        found.append(Moments(m, mean, covariance))
    return found


@njit(cache=True)
def _add(a: Array, b: Array, c: Array, d: Array, k: int, centre: Array, group: Array, count: Array, total: Array,
         square: Array) -> None:  # fmt: skip
    """Adds counts, sums and sums of products of the first ``k`` columns, all about ``centre``."""
    row = np.zeros(4)
    for u in range(len(group)):
        g = group[u]
        if g < 0:
            continue
        count[g] += 1
        row[0] = a[u] - centre[0]
        if k > 1:
            row[1] = b[u] - centre[1]
        if k > 2:
            row[2] = c[u] - centre[2]
        if k > 3:
            row[3] = d[u] - centre[3]
        for i in range(k):
            total[g, i] += row[i]
            for j in range(i + 1):
                square[g, i, j] += row[i] * row[j]
    for g in range(len(count)):
        for i in range(k):
            for j in range(i):
                square[g, j, i] = square[g, i, j]


def pooled(parts: Sequence[Moments]) -> Moments:
    """Those of all groups together."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


__all__ = ["LINES", "Moments", "moments", "pooled"]
