"""How sure an off-policy estimate is: by drawing clusters, or by the delta method."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from shortlist.metrics.interval import Interval, clusters, mean_interval
from shortlist.offpolicy.estimators import Terms
from shortlist.types import Array, Float64

LEVEL = 0.95


def bootstrap(terms: Terms, cluster: Array, seed: int = 0, *, level: float = LEVEL) -> Interval:
    """The estimate with the percentile interval of ``metrics.interval``: whole clusters are drawn."""
    return mean_interval(terms.value, cluster, seed, weights=terms.weight, level=level)


def normal(terms: Terms, cluster: Array, *, level: float = LEVEL) -> Interval:
    """estimate ± z error, with the error of ``error`` over the rounds' influence."""
    half = _z(level) * error(terms.influence, cluster)
    return Interval(terms.estimate, terms.estimate - half, terms.estimate + half)


def lift(terms: Terms, reward: Float64, cluster: Array, *, level: float = LEVEL) -> Interval:
    """The estimate minus the mean reward that was logged, on the same rounds: what changes with the new policy."""
    logged = Terms(reward, np.ones(len(reward)))
    difference = terms.estimate - logged.estimate
    half = _z(level) * error(terms.influence - logged.influence, cluster)
    return Interval(difference, difference - half, difference + half)


def error(influence: Float64, cluster: Array) -> float:
    """sqrt(C / (C - 1) sum over the C clusters (sum of influence)²) / m; infinite for fewer than two clusters.

    Source: Liang and Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika.
    """
    number, n = clusters(cluster)
    if n < 2:
        return float("inf")
    each = np.bincount(number, influence, n)
    return float(np.sqrt(n / (n - 1) * np.sum(each**2))) / len(influence)


def _z(level: float) -> float:
    return float(norm.ppf((1 + level) / 2))
