"""How far two arms lie apart, with the user as the unit.

A metric is R = mean(y) / mean(x) over users: clicks over items shown; with x = 1 a mean per user. Users are drawn, not
rows: somebody who looks at a hundred slates is one observation. To first order R varies as the mean of
z_u = (y_u - R x_u) / mean(x), so that (delta method)

    var(R) = [var(y) - 2 R cov(y, x) + R^2 var(x)] / (n mean(x)^2)

**CUPED** takes off what was there before: R_adjusted = R - theta (R_before - R_before of all), where R_before is the
same metric before the experiment and theta = cov(z, z_before) / var(z_before) over the users of both arms. As
assignment knows nothing of the past, the difference stays unbiased, and its variance falls to 1 - correlation^2 of what
it was.

The interval of the difference is Welch's; that of the relative lift is Welch's on the logarithm of R, and stands above
-100 %. Errors: fewer than two users in an arm, or a mean of 0 below the line, give NaN and no opinion.

Source: Deng, Xu, Kohavi and Walker (2013), Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data, WSDM; Deng, Knoblich and Lu (2018), Applying the delta method in metric analytics, KDD; Welch
(1947), The generalization of 'Student's' problem, Biometrika 34.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from shortlist.experiment.moments import Moments

Y, X, BEFORE_Y, BEFORE_X = range(4)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of one arm, and the variance of that figure."""

    value: float
    variance: float
    n: int


@dataclass(frozen=True, slots=True)
class Effect:
    """A treatment beside its control: values, difference, relative lift, their 95 % bounds, a two-sided p value."""

    control: float
    treatment: float
    difference: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float
    p: float
    variance: float
    """Of the difference."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def coefficient(together: Moments) -> float:
    """theta of CUPED from the moments of both arms' users together; 0 where the past does not vary."""
    past = _ratio_covariance(together, (BEFORE_Y, BEFORE_X), (BEFORE_Y, BEFORE_X))
    if not np.isfinite(past) or past <= 1e-300:
        return 0.0
    return _ratio_covariance(together, (Y, X), (BEFORE_Y, BEFORE_X)) / past


def estimate(of: Moments, together: Moments | None = None, theta: float = 0.0) -> Estimate:
    """The metric of one arm, adjusted by ``theta`` times its past's distance from that of ``together``."""
    if of.n < 2 or of.mean[X] == 0:
        return Estimate(_ratio(of, Y, X), np.nan, of.n)
    value, variance = _ratio(of, Y, X), _ratio_covariance(of, (Y, X), (Y, X))
    if theta and together is not None:
        value -= theta * (_ratio(of, BEFORE_Y, BEFORE_X) - _ratio(together, BEFORE_Y, BEFORE_X))
        variance += theta**2 * _ratio_covariance(of, (BEFORE_Y, BEFORE_X), (BEFORE_Y, BEFORE_X))
        variance -= 2 * theta * _ratio_covariance(of, (Y, X), (BEFORE_Y, BEFORE_X))
    return Estimate(value, max(variance, 0.0) / of.n, of.n)


def effect(control: Moments, treatment: Moments, cuped: bool = True, level: float = 0.95) -> Effect:
    """The treatment's metric beside the control's; with ``cuped`` adjusted by the past, where it says something."""
    together = control + treatment
    theta = coefficient(together) if cuped else 0.0
    a, b = estimate(control, together, theta), estimate(treatment, together, theta)
    return compared(a, b, level)


def compared(a: Estimate, b: Estimate, level: float = 0.95) -> Effect:
    """Welch's comparison of two estimates, ``a`` the control."""
    difference = b.value - a.value
    error, df = _welch(a.variance, a.n, b.variance, b.n)
    reach = _reach(df, level) * error
    p = np.nan
    if error > 0:
        p = float(2 * stdtr(df, -abs(difference) / error))
    elif error == 0:
        p = 1.0 if difference == 0 else 0.0
    lift, low, high = np.nan, np.nan, np.nan
    if a.value > 0:
        lift = b.value / a.value - 1
        if b.value > 0:
            log_error, log_df = _welch(a.variance / a.value**2, a.n, b.variance / b.value**2, b.n)
            times = np.exp(_reach(log_df, level) * log_error)
            low, high = (1 + lift) / times - 1, (1 + lift) * times - 1
    values = (a.value, b.value, difference, difference - reach, difference + reach, lift, low, high, p, error**2)
    return Effect(*(float(value) for value in values))


def _welch(variance_a: float, n_a: int, variance_b: float, n_b: int) -> tuple[float, float]:
    """Standard error and degrees of freedom of a difference, by the variances of the two figures."""
    both = variance_a + variance_b
    if min(n_a, n_b) < 2 or not np.isfinite(both):
        return np.nan, np.nan
    if both == 0:
        return 0.0, float(n_a + n_b - 2)
    return float(np.sqrt(both)), float(both**2 / (variance_a**2 / (n_a - 1) + variance_b**2 / (n_b - 1)))


def _reach(df: float, level: float) -> float:
    return float(stdtrit(df, (1 + level) / 2)) if np.isfinite(df) else np.nan


def _ratio(of: Moments, above: int, below: int) -> float:
    return float(of.mean[above] / of.mean[below]) if of.mean[below] else np.nan


def _ratio_covariance(of: Moments, one: tuple[int, int], other: tuple[int, int]) -> float:
    """cov(z, z') of two linearised ratios; a denominator of 0 says nothing."""
    (a, b), (c, d) = one, other
    if not of.mean[b] or not of.mean[d]:
        return 0.0
    r, s, v = _ratio(of, a, b), _ratio(of, c, d), of.covariance
    return float((v[a, c] - s * v[a, d] - r * v[b, c] + r * s * v[b, d]) / (of.mean[b] * of.mean[d]))


__all__ = ["Effect", "Estimate", "coefficient", "compared", "effect", "estimate"]
