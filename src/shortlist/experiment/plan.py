"""How many users and days an experiment needs, before it begins.

With z the normal quantile, relative sizes w of the arms' samples and the variance s² of one user's figure, a difference
d is found with the wanted power when

    n = (z(1 - alpha / 2) + z(power))² s² (1 / w_control + grown / w_treatment) / d²

users are in the arms together, w their shares. CUPED takes s² down to (1 - correlation²) s².

Source: Kohavi, Tang and Xu (2020), Trustworthy Online Controlled Experiments, chapter 17.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from shortlist.experiment.checks import MISMATCH
from shortlist.experiment.sequence import reach
from shortlist.types import Array


def users_needed(
    difference: float,
    variance: float,
    shares: tuple[float, float] = (0.5, 0.5),
    alpha: float = 0.05,
    power: float = 0.8,
    grown: float = 1.0,
) -> int:
    """Users in both arms together; ``shares`` of the control and the treatment add up to 1. Raises ``ValueError``.

    The treated users' variance is ``grown`` times the control's: what multiplies everybody's figure by 1 + effect
    multiplies its variance by (1 + effect)².
    """
    if not (difference and variance > 0 and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"difference {difference}, variance {variance}: nothing to plan for")
    return int(np.ceil(_quantiles(alpha, power) ** 2 * variance * _spread(shares, grown) / difference**2))


def detectable(
    n: float, variance: float, shares: tuple[float, float] = (0.5, 0.5), alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest difference that ``n`` users in both arms together find with the wanted power."""
    return float(_quantiles(alpha, power) * np.sqrt(variance * _spread(shares) / n)) if n > 0 else float("inf")


def power_of(
    n: float, difference: float, variance: float, shares: tuple[float, float] = (0.5, 0.5), alpha: float = 0.05
) -> float:
    """The chance to find a difference with ``n`` users, on either side."""
    shift = abs(difference) / np.sqrt(variance * _spread(shares) / n)
    reach = ndtri(1 - alpha / 2)
    return float(ndtr(shift - reach) + ndtr(-shift - reach))


def always_users(
    difference: float,
    variance: float,
    shares: tuple[float, float] = (0.5, 0.5),
    alpha: float = 0.05,
    power: float = 0.8,
    grown: float = 1.0,
) -> int:
    """As ``users_needed``, for whoever looks every day and goes by the interval of ``sequence``, planned for it.

    The variance V of the difference must fall until reach(V) + z(power) sqrt(V) = difference; n goes as 1 / V. That is
    the last look: most experiments that find the difference end before.
    """
    z, low, high = ndtri(power), difference**2 * 1e-6, difference**2
    for _ in range(100):
        middle = np.sqrt(low * high)
        enough = reach(middle, difference, alpha) + z * np.sqrt(middle) <= abs(difference)
        low, high = (middle, high) if enough else (low, middle)
    return int(np.ceil(variance * _spread(shares, grown) / low))


def ratio_users(expected: float, true: float, power: float = 0.9, alpha: float = MISMATCH) -> int:
    """Users until ``sample_ratio`` at ``alpha`` finds that an arm gets ``true`` of them and not ``expected``.

    n = (z(1 - alpha / 2) sqrt(e (1 - e)) + z(power) sqrt(t (1 - t)))² / (t - e)²
    """
    if expected == true:
        raise ValueError(f"{true} is the expected share")
    width = ndtri(1 - alpha / 2) * np.sqrt(expected * (1 - expected)) + ndtri(power) * np.sqrt(true * (1 - true))
    return int(np.ceil((width / (true - expected)) ** 2))


def arrivals(first_seen: Array, start: int, days: int, length: int = 86_400_000_000) -> Array:
    """[days] how many of the users were first seen by the end of each day after ``start`` (``first_seen`` [n])."""
    day = np.sort((np.asarray(first_seen, np.int64) - start) // length)
    return np.searchsorted(day, np.arange(days), side="right")


def users_by(by_day: Sequence[float] | Array, days: float) -> float:
    """Users seen by the end of a day, of how many were seen by the end of each (cumulative); past the last day it goes
    on as on the last seven."""
    seen = np.asarray(by_day, np.float64)
    if not len(seen):
        return 0.0
    return float(seen[int(days) - 1]) if days <= len(seen) else float(seen[-1] + (days - len(seen)) * _pace(seen))


def days_needed(users: int, by_day: Sequence[float] | Array) -> float:
    """Days until ``users`` were seen, as ``users_by`` counts them; infinity where too few come."""
    seen = np.asarray(by_day, np.float64)
    reached = np.flatnonzero(seen >= users)
    if len(reached):
        return float(reached[0] + 1)
    if not len(seen) or _pace(seen) <= 0:
        return float("inf")
    return float(len(seen) + np.ceil((users - seen[-1]) / _pace(seen)))


def _pace(seen: Array) -> float:
    """New users a day at the end."""
    last = min(7, len(seen) - 1)
    return float((seen[-1] - seen[-1 - last]) / last if last else seen[-1])


def _quantiles(alpha: float, power: float) -> float:
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def _spread(shares: tuple[float, float], grown: float = 1.0) -> float:
    return 1 / shares[0] + grown / shares[1]


__all__ = [
    "always_users",
    "arrivals",
    "days_needed",
    "detectable",
    "power_of",
    "ratio_users",
    "users_by",
    "users_needed",
]
