"""Kernel: matrix factorisation by stochastic gradient descent with sampled negatives."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import Alias, drawn, uniform
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array


@njit(cache=True, nogil=True, fastmath=True)
def epoch(
    log: Sparse,
    popular: Alias,
    users: Array,
    items: Array,
    rate: float,
    user_ridge: float,
    item_ridge: float,
    negatives: int,
    order: Array,
    seed: int,
) -> float:
    """One pass over the users in the given ``order``; returns the mean squared error seen.

    Each positive (target 1, the step weighted as in ``log``) is followed by ``negatives`` items the user has not
    (target 0), drawn by ``popular``. One of a weight above 1 is taken in as many steps as keep each at most ``rate``:
    a longer one leaps over the minimum, and a second one from there farther still. ``seed``: of order within a user and
    draws.
    """
    indptr, indices, values = log
    stays, other = popular
    f = users.shape[1]
    own = np.zeros(items.shape[0], np.bool_)
    state = np.array([seed], np.uint64)
    total, seen = 0.0, 0
    error = np.float32(0)
    for u in order:
        start, end = indptr[u], indptr[u + 1]
        for e in range(start, end):
            own[indices[e]] = True
        p = users[u]
        shuffled = np.arange(start, end)
        for at in range(end - start - 1, 0, -1):
            to = int(uniform(state) * (at + 1))
            shuffled[at], shuffled[to] = shuffled[to], shuffled[at]
        for e in shuffled:
            times = max(int(np.ceil(values[e])), 1)
            step = np.float32(rate * values[e] / times)
            for turn in range(times * (negatives + 1)):
                i, error = indices[e], np.float32(1)
                if turn % (negatives + 1) > 0:
                    i, error = drawn(state, stays, other), np.float32(0)
                    if own[i]:
                        continue
                q = items[i]
                for d in range(f):
                    error -= p[d] * q[d]
                for d in range(f):
                    before = p[d]
                    p[d] += step * (error * q[d] - np.float32(user_ridge) * before)
                    q[d] += step * (error * before - np.float32(item_ridge) * q[d])
                total += float(error * error)
                seen += 1
        for e in range(start, end):
            own[indices[e]] = False
    return total / max(seen, 1)
