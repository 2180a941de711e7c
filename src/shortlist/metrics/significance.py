"""Could a difference be chance: users and seeds drawn, many comparisons at once, and how many users would tell.

A difference d[s, i] is that of two systems on request i, trained with seed s. People are drawn, and so are seeds: both
are random effects. With E[u, s] = sum over the requests i of user u of (d[s, i] - mean of seed s) / n, C users, S seeds

    V_users = C / (C - 1)  sum_u (mean_s E[u, s])²
    V_seeds = variance of the seeds' means / S
    V_both  = C / (C - 1)  sum_us (E[u, s] - mean_s E[u, s])² / (S (S - 1)), which stands in either of them
    error²  = V_users + V_seeds - V_both, and at least the larger of the first two

The interval is Student's with Satterthwaite's degrees of freedom. With one seed error² = V_users, with C - 1 degrees:
the paired t test where everybody asks once, else the same with users as clusters.

Sources: Student (1908), The probable error of a mean, Biometrika; Liang and Zeger (1986), Longitudinal data analysis
using generalized linear models, Biometrika, for clusters; Satterthwaite (1946), An approximate distribution of
estimates of variance components, Biometrics Bulletin; Searle, Casella and McCulloch (1992), Variance Components, for
both effects; Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics;
Bron and Kerbosch (1973), Finding all cliques of an undirected graph, CACM, and Piepho (2004), An algorithm for a
letter-based representation of all-pairwise comparisons, JCGS, for groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from shortlist.metrics.interval import clusters
from shortlist.types import Array, Bool, Float64

LEVEL = 0.95
POWER = 0.8
"""The chance with which ``users_needed`` would find the difference."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A mean difference and how sure it is."""

    diff: float
    low: float
    high: float
    error: float  # standard error
    t: float
    df: float  # degrees of freedom
    p: float  # two-sided
    users: int  # clusters
    users_needed: float  # with these a true difference of this size is found in 80 of 100 tests; infinite where none do
    seed_deviation: float  # of the seeds' means; NaN of one seed


def contrasts(difference: Array, users: Array, *, level: float = LEVEL) -> list[Contrast]:
    """Every column of ``difference`` [n, M], or [S, n, M] of several seeds, over ``users`` [n]; see the module.

    A request that is NaN with any seed takes no part. With fewer than two users the bounds and p are NaN.
    """
    whole = np.asarray(difference, np.float64)
    whole = whole[None] if whole.ndim == 2 else whole
    if whole.shape[1] != len(np.asarray(users)):
        raise ValueError(f"{whole.shape[1]} requests for {len(np.asarray(users))} users")
    return [_contrast(whole[:, :, column], np.asarray(users), level) for column in range(whole.shape[2])]


def holm(p: Sequence[float] | Array) -> Float64:
    """[m]: p values such that all below a are true but for a chance of a in all: p(i) -> max over j <= i of
    min(1, (m - j + 1) p(j)), ascending. NaN takes no part."""
    p = np.asarray(p, np.float64)
    told = np.flatnonzero(~np.isnan(p))
    order = told[np.argsort(p[told], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def groups(differ: Bool) -> list[str]:
    """[m]: letters; two systems share one just where ``differ`` [m, m] tells them not apart; the first has ``a``."""
    alike = [set(np.flatnonzero(~row)) - {i} for i, row in enumerate(np.asarray(differ, bool))]
    found: list[list[int]] = []

    def grow(taken: set[int], open_: set[int], done: set[int]) -> None:
        if not open_ | done:
            found.append(sorted(taken))
            return
        pivot = max(open_ | done, key=lambda i: len(alike[i] & open_))
        for i in sorted(open_ - alike[pivot]):
            grow(taken | {i}, open_ & alike[i], done & alike[i])
            open_, done = open_ - {i}, done | {i}

    grow(set(), set(range(len(alike))), set())
    letters = [""] * len(alike)
    for number, clique in enumerate(sorted(found)):
        for i in clique:
            letters[i] += chr(ord("a") + number % 26) * (number // 26 + 1)
    return letters


def users_needed(
    diff: float, variance: float, *, fixed: float = 0.0, level: float = LEVEL, power: float = POWER
) -> float:
    """Users n with which ``diff`` would be found: (z_level + z_power)² (variance / n + fixed) = diff².

    ``variance`` is that of one user, ``fixed`` what more users do not lessen (few seeds). Infinite where none would do.
    """
    z = norm.ppf((1 + level) / 2) + norm.ppf(power)
    room = (diff / z) ** 2 - fixed
    if not math.isfinite(variance) or room <= 0:
        return math.inf
    return float(math.ceil(variance / room)) if variance > 0 else 2.0


def _contrast(difference: Float64, users: Array, level: float) -> Contrast:
    told = ~np.isnan(difference).any(0)
    difference, users = difference[:, told], users[told]
    seeds, n = difference.shape
    cluster, c = clusters(users)
    if not n or c < 2:
        diff = float(difference.mean()) if n else np.nan
        return Contrast(diff, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, c, np.inf, np.nan)
    means = difference.mean(1)
    each = np.stack([np.bincount(cluster, d - mean, c) for d, mean in zip(difference, means, strict=True)], axis=1) / n
    more = c / (c - 1)
    of_users = more * float(np.sum(each.mean(1) ** 2))
    of_seeds = both = 0.0
    if seeds > 1:
        of_seeds = float(means.var(ddof=1)) / seeds
        both = more * float(np.sum((each - each.mean(1, keepdims=True)) ** 2)) / (seeds * (seeds - 1))
    variance = max(of_users + of_seeds - both, of_users, of_seeds)
    parts = of_users**2 / (c - 1)
    parts += (of_seeds**2 + both**2 / (c - 1)) / (seeds - 1) if seeds > 1 else 0
    df = variance**2 / parts if parts > 0 else c - 1.0
    diff, error = float(means.mean()), math.sqrt(variance)
    t = diff / error if error > 0 else math.copysign(math.inf, diff) if diff else 0.0
    half = float(student.ppf((1 + level) / 2, df)) * error
    needed = users_needed(diff, of_users * c, fixed=max(of_seeds - both, 0), level=level)
    p = 2 * float(student.sf(abs(t), df))
    deviation = float(means.std(ddof=1)) if seeds > 1 else np.nan
    return Contrast(diff, diff - half, diff + half, error, t, df, p, c, needed, deviation)
