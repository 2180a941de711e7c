"""How sure a mean over requests is, when one person asks many times.

Requests of one user are alike, so *users* are drawn with replacement, not requests. Every replicate draws as many users
as there are and takes Σ_u w_u S_u / Σ_u w_u C_u, with S the user's sum, C the user's count and w how often the user was
drawn: the estimate stays the mean over requests. The interval is the percentile method: the 2.5 % and 97.5 %
quantiles of the replicates. A difference of two systems is taken request by request before anything is drawn.
NaN means that the metric is undefined for a request, which then takes no part. User -1 is nobody: each such request is
its own cluster. With fewer than two clusters the bounds are NaN.

Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap; Davison and Hinkley (1997), Bootstrap Methods and
their Application, for clusters and ratios.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shortlist.types import Array, Float64

REPLICATES = 2000
CELLS = 4_000_000
"""Draws held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it lies."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference a − b, where it lies, and how often chance alone makes one as large."""

    diff: float
    low: float
    high: float
    p: float


def mean_intervals(
    values: Array,
    users: Array,
    seed: int = 0,
    *,
    weights: Array | None = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> list[Interval]:
    """The mean and interval of every column of ``values`` [n, M], all from the same draws of ``users`` [n].

    ``weights`` [n], or [n, M] by column, makes it Σ weight·value / Σ weight (GAUC: groups weighted by their rows).
    """
    values, weight = _weighted(values, users, weights)
    if not len(values):
        return [Interval(np.nan, np.nan, np.nan)] * values.shape[1]
    cluster, n = clusters(users)
    filled = np.where(np.isnan(values), 0, values)
    totals = _sums(cluster, n, filled * weight)
    counts = _sums(cluster, n, weight)
    draws = [(drawn @ totals, drawn @ counts) for drawn in _draws(n, seed, replicates)]
    means = _ratio(totals.sum(0), counts.sum(0))
    replicate = _ratio(np.concatenate([t for t, _ in draws]), np.concatenate([c for _, c in draws]))
    enough = (counts > 0).sum(0) >= 2
    return [
        Interval(float(mean), *(_bounds(replicate[:, column], level) if enough[column] else (np.nan, np.nan)))
        for column, mean in enumerate(means)
    ]


def mean_interval(
    values: Array,
    users: Array,
    seed: int = 0,
    *,
    weights: Array | None = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> Interval:
    """The mean of ``values`` [n] over requests, with the interval from resampling ``users`` [n]."""
    column = np.asarray(values, np.float64)[:, None]
    return mean_intervals(column, users, seed, weights=weights, level=level, replicates=replicates)[0]


def paired_intervals(
    a: Array, b: Array, users: Array, seed: int = 0, *, level: float = 0.95, replicates: int = REPLICATES
) -> list[Difference]:
    """``paired_interval`` of every column of ``a`` and ``b`` [n, M], all from the same draws."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    found = mean_intervals(difference, users, seed, level=level, replicates=replicates)
    chance = _sign_flip(difference, users, seed, replicates)
    return [Difference(i.mean, i.low, i.high, float(p)) for i, p in zip(found, chance, strict=True)]


def paired_interval(
    a: Array, b: Array, users: Array, seed: int = 0, *, level: float = 0.95, replicates: int = REPLICATES
) -> Difference:
    """Mean of a − b [n] over the same requests, its interval, and a two-sided p value.

    p flips the sign of each user's whole difference at random: were the systems exchangeable, either sign is as likely.
    (1 + replicates at least as far from 0) / (1 + replicates). A request where either is NaN takes no part.
    """
    a, b = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[:, None]
    return paired_intervals(a, b, users, seed, level=level, replicates=replicates)[0]


def gain(one: Float64, other: Float64, users: Array) -> tuple[float, float]:
    """(mean of one - other, its standard error), both [n], NaN left out, with users as what is drawn.

    error = sqrt(sum over users (sum over theirs (d - mean d))^2) / n; infinite for fewer than two users.
    """
    difference = np.asarray(one, np.float64) - other
    told = np.isfinite(difference)
    difference, cluster = difference[told], np.unique(np.asarray(users)[told], return_inverse=True)[1]
    if not len(difference) or cluster.max() < 1:
        return (float(difference.mean()) if len(difference) else float("nan")), float("inf")
    mean = float(difference.mean())
    each = np.bincount(cluster, difference - mean)
    return mean, float(np.sqrt(np.sum(each**2))) / len(difference)


def user_means(values: Array, users: Array) -> Float64:
    """[clusters]: each user's own mean; its mean is the macro mean, where nobody counts for more by asking more."""
    cluster, n = clusters(users)
    values, weight = _weighted(np.asarray(values)[:, None], users, None)
    return _ratio(_sums(cluster, n, np.where(np.isnan(values), 0, values)), _sums(cluster, n, weight))[:, 0]


def user_mean_interval(
    values: Array, users: Array, seed: int = 0, *, level: float = 0.95, replicates: int = REPLICATES
) -> Interval:
    """The macro mean (mean over users of each user's mean) with its interval."""
    means = user_means(values, users)
    return mean_interval(means, np.arange(len(means)), seed, level=level, replicates=replicates)


def clusters(users: Array) -> tuple[Array, int]:
    """(cluster number of each request [n], how many clusters): one a user, and one a request of user -1."""
    users = np.asarray(users)
    names, number = np.unique(users, return_inverse=True)
    if users.dtype.kind != "i" or not len(names) or names[0] != -1:
        return number, len(names)
    nobody = users == -1
    number = number - 1
    number[nobody] = len(names) - 1 + np.arange(nobody.sum())
    return number, len(names) - 1 + int(nobody.sum())


def _draws(n: int, seed: int, replicates: int) -> Iterator[Float64]:
    """Blocks [replicates, n]: how often each cluster was drawn; the draws do not depend on the size of a block."""
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // n)
    for done in range(0, replicates, block):
        size = min(block, replicates - done)
        drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _sign_flip(difference: Float64, users: Array, seed: int, replicates: int) -> Float64:
    cluster, n = clusters(users)
    columns = difference.shape[1]
    sums = _sums(cluster, n, np.where(np.isnan(difference), 0, difference))
    found = np.abs(sums.sum(0)) * (1 - 1e-12)  # equal sums added in another order are equal
    rng = np.random.default_rng([seed, 1])
    beyond = np.zeros(columns)
    block = max(1, CELLS // max(n, 1))
    for done in range(0, replicates, block):
        size = min(block, replicates - done)
        signs = 2.0 * rng.integers(0, 2, size=(size, n)) - 1
        beyond += (np.abs(signs @ sums) >= found).sum(0)
    p = (1 + beyond) / (1 + replicates)
    return np.where(np.all(np.isnan(difference), axis=0), np.nan, p)


def _weighted(values: Array, users: Array, weights: Array | None) -> tuple[Float64, Float64]:
    """Values [n, M] and their weights [n, M], 0 where the value is NaN."""
    values = np.asarray(values, np.float64)
    if len(values) != len(np.asarray(users)):
        raise ValueError(f"{len(values)} values for {len(np.asarray(users))} users")
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    return values, np.where(np.isnan(values), 0, weight if weight.ndim == 2 else weight[:, None])


def _sums(cluster: Array, n: int, values: Float64) -> Float64:
    """[n, M]: sum of each column over each cluster."""
    columns = [np.bincount(cluster, weights=column, minlength=n) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.empty((n, 0))


def _ratio(total: Float64, count: Float64) -> Float64:
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _bounds(replicate: Float64, level: float) -> tuple[float, float]:
    low, high = np.nanquantile(replicate, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
