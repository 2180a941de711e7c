"""How sure an off-policy estimate is: by the delta method, or by drawing clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from shortlist.metrics.interval import Interval, clusters, mean_intervals
from shortlist.offpolicy.estimators import Terms
from shortlist.types import Array, Float64

LEVEL = 0.95


def delta(terms: Terms, cluster: Array, *, level: float = LEVEL, mended: bool = True) -> Interval:
    """The estimate with the interval of the delta method over whole clusters.

    Plain: estimate ± z error. ``mended``: weights make estimates skewed, so the ends are moved by Hall's
    transformation. With g the skewness of the C clusters' sums of influence and a = g / sqrt C, the ends are
    estimate - h(± z) error, h(z) = 3 / a ((1 + a (z - a / 6))^(1/3) - 1).

    Source: Hall (1992), On the removal of skewness by transformation, JRSS B.
    """
    return _around(terms.estimate, terms.influence, cluster, level, mended)


def lift(terms: Terms, reward: Float64, cluster: Array, *, level: float = LEVEL) -> Interval:
    """The estimate minus the mean reward that was logged, on the same rounds: what changes with the new policy."""
    logged = Terms(reward, np.ones(len(reward)))
    return _around(terms.estimate - logged.estimate, terms.influence - logged.influence, cluster, level, True)


def bootstrap(several: Sequence[Terms], cluster: Array, seed: int = 0, *, level: float = LEVEL) -> list[Interval]:
    """The estimates with percentile intervals: whole clusters are drawn, the same for all; see ``metrics.interval``."""
    values, weights = (np.stack([getattr(terms, part) for terms in several], axis=1) for part in ("value", "weight"))
    return mean_intervals(values, cluster, seed, weights=weights, level=level)


def error(influence: Float64, cluster: Array) -> float:
    """sqrt(C / (C - 1) sum over the C clusters (sum of influence)²) / m; infinite for fewer than two clusters.

    Source: Liang and Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika.
    """
    each = _sums(influence, cluster)
    n = len(each)
    return float(np.sqrt(n / (n - 1) * np.sum(each**2))) / len(influence) if n > 1 else float("inf")


def _around(estimate: float, influence: Float64, cluster: Array, level: float, mended: bool) -> Interval:
    each, z = _sums(influence, cluster), np.array([1, -1]) * norm.ppf((1 + level) / 2)
    spread = float(each.std())
    if mended and len(each) > 1 and spread > 0:
        a = float(np.mean(((each - each.mean()) / spread) ** 3)) / len(each) ** 0.5
        z = z if abs(a) < 1e-6 else 3 / a * (np.cbrt(1 + a * (z - a / 6)) - 1)
    low, high = estimate - z * error(influence, cluster)
    return Interval(estimate, float(low), float(high))


def _sums(influence: Float64, cluster: Array) -> Float64:
    """[C]: the influence of each cluster."""
    number, n = clusters(cluster)
    sums: Float64 = np.bincount(number, influence, n).astype(np.float64)
    return sums
