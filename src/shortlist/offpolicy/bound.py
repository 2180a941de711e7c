"""How far weights may go: the bound of ``clipped``, ``doubly_robust`` and ``switch``, chosen by bias and variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from shortlist.offpolicy.estimators import Bounded, clipped, switch
from shortlist.offpolicy.rounds import Rounds
from shortlist.types import Float64

STEPS = 20
"""Bounds that are tried where none are given."""
LEVEL = 0.95
"""Of the intervals and of the bound of the bias."""


def grid(rounds: Rounds, steps: int = STEPS) -> Float64:
    """[steps]: bounds from the median of the weights above 0 to the largest, evenly in their logarithm."""
    weight = rounds.weight[rounds.weight > 0]
    if not len(weight):
        return np.ones(1)
    return np.unique(np.geomspace(np.median(weight), weight.max(), steps))


def least_error(
    rounds: Rounds, estimator: Bounded, bounds: Sequence[float] | Float64 | None = None, *, sure: bool = True
) -> float:
    """The bound with the least estimated mean squared error: variance / m + bias², the ``bias-aware`` choice.

    bias = |mean (w - w') (r - q)|, w' the weights as the estimator bounds them and q = 0 for ``clipped``; with ``sure``
    plus Bernstein's margin sqrt(2 mean w² log(2/d) / m) + 2 max w log(2/d) / (3 m), d = 5 %. Of equals the largest.

    Source: Su, Dimakopoulou, Krishnamurthy and Dudík (2020), Doubly robust off-policy evaluation with shrinkage, ICML.
    """
    weight, m, chance = rounds.weight, len(rounds), np.log(2 / (1 - LEVEL))
    margin = np.sqrt(2 * np.mean(weight**2) * chance / m) + 2 * weight.max() * chance / (3 * m) if sure else 0.0
    left = rounds.reward if estimator is clipped or rounds.expected is None else rounds.reward - rounds.expected

    def error(most: float) -> float:
        bounded = np.where(weight <= most, weight, 0) if estimator is switch else np.minimum(weight, most)
        bias = abs(float(np.mean((weight - bounded) * left))) + margin
        return float(np.var(estimator(rounds, most).value)) / m + bias**2

    return min(_falling(rounds, bounds), key=error)


def slope(rounds: Rounds, estimator: Bounded, bounds: Sequence[float] | Float64 | None = None) -> float:
    """The bound by SLOPE: from the widest interval to the narrowest, as long as no bias shows.

    t_i and h_i are the estimate and half its interval under bound i, h falling. Bound i is taken as long as
    |t_i - t_j| <= h_i + (sqrt 6 - 1) h_j for every j before it; the last one taken is the answer. It needs no estimate
    of the bias.

    Source: Su, Srinath and Krishnamurthy (2020), Adaptive estimator selection for off-policy evaluation, ICML; with the
    test of Tucker and Lee (2021), Improved estimator selection for off-policy evaluation.
    """
    tried = _falling(rounds, bounds)
    values = np.stack([estimator(rounds, most).value for most in tried])  # [bounds, m]
    m = len(rounds)
    estimates, half = values.mean(1), values.std(1) / np.sqrt(m - 1) * student.ppf(LEVEL, m - 1)
    order = np.argsort(half)[::-1]
    taken = order[:1]
    for i in order[1:]:
        if np.any(np.abs(estimates[taken] - estimates[i]) > half[i] + (np.sqrt(6) - 1) * half[taken]):
            break
        taken = np.append(taken, i)
    return tried[taken[-1]]


def _falling(rounds: Rounds, bounds: Sequence[float] | Float64 | None) -> list[float]:
    return sorted((float(most) for most in (grid(rounds) if bounds is None else bounds)), reverse=True)
