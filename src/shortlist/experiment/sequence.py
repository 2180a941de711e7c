"""Intervals that may be looked at every day.

A 95 % interval of a fixed sample promises its coverage for one look, planned beforehand. Whoever looks every day and
stops at the first day without zero in it is wrong far more often. A confidence sequence covers at all moments at once:
under no effect it excludes zero, ever, with probability at most alpha.

The mixture sequential probability ratio test puts a normal prior of variance tau^2 on the difference. With the variance
V of the difference found so far, the mixture's likelihood ratio is

    Lambda = sqrt(V / (V + tau^2)) exp(d^2 tau^2 / (2 V (V + tau^2))),

a non-negative martingale under "no difference" to the order of the central limit theorem, so that by Ville's inequality
P(ever Lambda >= 1 / alpha) <= alpha. Turned round, d lies within

    sqrt(2 V (V + tau^2) / tau^2 * log(sqrt((V + tau^2) / V) / alpha))

of the truth at all times. The always-valid p value is 1 / Lambda, at most 1, and the smallest so far counts.
tau is the effect that is planned for: there the interval is nearly as narrow as it can be. V must be the variance of
the whole difference since the start, and tau must not be chosen by the data.

Source: Robbins (1970), Statistical methods related to the law of the iterated logarithm, Annals of Mathematical
Statistics 41; Howard, Ramdas, McAuliffe and Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence
sequences, Annals of Statistics 49; Johari, Koomen, Pekelis and Walsh (2022), Always valid inference, Operations
Research 70; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory and asymptotic
confidence sequences, Annals of Statistics 52.
"""

from __future__ import annotations

import numpy as np

from shortlist.types import Array, Float64


def reach(variance: Array | float, tau: Array | float, alpha: float = 0.05) -> Float64:
    """Half the width of the interval, of the shape of ``variance``: of the difference found so far (same units²)."""
    v, t = np.asarray(variance, np.float64), np.asarray(tau, np.float64) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.sqrt(2 * v * (v + t) / t * (np.log1p(t / v) / 2 - np.log(alpha)))
    return np.where((v == 0) & (t > 0), 0.0, wide)


def p_value(difference: Array | float, variance: Array | float, tau: Array | float) -> Float64:
    """Always-valid p of one look; take the smallest of all looks so far (``np.minimum.accumulate``)."""
    d, v, t = np.asarray(difference, np.float64), np.asarray(variance, np.float64), np.asarray(tau, np.float64) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log1p(t / v) / 2 - d**2 * t / (2 * v * (v + t))
    log = np.where(v == 0, np.where(d == 0, 0.0, -np.inf), log)
    return np.exp(np.minimum(log, 0.0))


__all__ = ["p_value", "reach"]
