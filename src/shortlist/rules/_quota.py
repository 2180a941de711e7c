"""Which rows keep the number of each value inside its bounds: greedily, and exactly where that may not be the best."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.optimize import Bounds, LinearConstraint, milp

from shortlist.rules._attributes import Values
from shortlist.types import Array, Bool, Int64


def chosen(pool: Array, places: int, values: Values, low: Int64, high: Int64, have: Int64) -> Bool:
    """[len(pool)]: the ``places`` rows of the pool (row numbers, best first) with the least violation.

    ``low`` and ``high`` [values] bound how many rows may have a value, ``have`` [values] have it already. Violation is
    the sum over values of what is missing and what is too much. Greedy: next comes the first row that mends most, the
    number of bounds it helps to reach less those it breaks. That is the least where rows have one value each; where it
    is more than is surely needed, a small integer program has the last word, of equally good answers the one with rows
    further up.
    """
    taken, count = greedy(pool, places, values.offsets, values.code, low, high, have)
    short = _violation(count, low, high)
    if short > 0 and short > _least(pool, places, values, low, high, have):
        exact = _exact(pool, places, values, low, high, have)
        if exact is not None and _violation(have + counts(pool[exact], values, len(low)), low, high) < short:
            return exact
    return taken


@njit(cache=True)
def greedy(
    pool: Array, places: int, offsets: Array, code: Array, low: Array, high: Array, have: Array
) -> tuple[Array, Array]:
    """[len(pool)], [values]: which rows, and how many rows then have each value."""
    taken, count = np.zeros(len(pool), np.bool_), have.copy()
    for _ in range(min(places, len(pool))):
        best, most = -1, np.iinfo(np.int64).min
        for i in range(len(pool)):
            if taken[i]:
                continue
            gain = 0
            for e in range(offsets[pool[i]], offsets[pool[i] + 1]):
                c = code[e]
                gain += (count[c] < low[c]) - np.int64(count[c] >= high[c])
            if gain > most:
                best, most = i, gain
        taken[best] = True
        for e in range(offsets[pool[best]], offsets[pool[best] + 1]):
            count[code[e]] += 1
    return taken, count


def counts(rows: Array, values: Values, n: int) -> Int64:
    """[n]: how many of the rows have each value."""
    codes = [values.code[values.offsets[row] : values.offsets[row + 1]] for row in rows.tolist()]
    return np.bincount(np.concatenate([*codes, np.empty(0, np.int64)]), minlength=n)


def _violation(count: Int64, low: Int64, high: Int64) -> int:
    return int(np.maximum(low - count, 0).sum() + np.maximum(count - high, 0).sum())


def _least(pool: Array, places: int, values: Values, low: Int64, high: Int64, have: Int64) -> int:
    """What no choice can avoid, each value looked at by itself."""
    there = counts(pool, values, len(low))
    most = have + np.minimum(there, places)
    least = have + np.maximum(0, places - (len(pool) - there))
    return int(np.maximum(low - most, 0).sum() + np.maximum(least - high, 0).sum())


def _exact(pool: Array, places: int, values: Values, low: Int64, high: Int64, have: Int64) -> Bool | None:
    """[len(pool)]: the least violation, then the least sum of places in the pool; None if no answer was found.

    x_i in {0, 1}, s_c, t_c >= 0: minimise sum s + sum t + small × sum i x_i with sum x = places and
    low_c - s_c <= have_c + sum over i with c of x_i <= high_c + t_c.
    """
    n = len(pool)
    lengths = values.offsets[pool + 1] - values.offsets[pool]
    of_row = np.repeat(np.arange(n), lengths)
    codes = np.concatenate([values.code[values.offsets[row] : values.offsets[row + 1]] for row in pool.tolist()])
    bound, names = np.unique(codes, return_inverse=True)  # of the other values nothing can be changed
    v = len(bound)
    has = np.zeros((v, n))
    has[names, of_row] = 1
    none = np.zeros((v, v))
    constraints = [
        LinearConstraint(np.concatenate([np.ones(n), np.zeros(2 * v)])[None], places, places),
        LinearConstraint(np.hstack([has, np.eye(v), none]), (low - have)[bound], np.inf),
        LinearConstraint(np.hstack([has, none, -np.eye(v)]), -np.inf, (high - have)[bound]),
    ]
    cost = np.concatenate([np.arange(n) / (n * places + 1), np.ones(2 * v)])
    upper = np.concatenate([np.ones(n), np.full(2 * v, np.inf)])
    integral = np.concatenate([np.ones(n), np.zeros(2 * v)])
    found = milp(
        cost, integrality=integral, bounds=Bounds(0, upper), constraints=constraints, options={"mip_rel_gap": 0}
    )
    return None if found.x is None else found.x[:n] > 0.5
