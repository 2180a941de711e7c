"""Whether a log can tell anything of a policy at all: how the weights are spread, and when to say no."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.metrics.interval import Interval
from shortlist.offpolicy.estimators import Terms
from shortlist.offpolicy.intervals import delta
from shortlist.offpolicy.rounds import Rounds
from shortlist.types import Float64

EFFECTIVE = 100
"""Fewer rounds, counted by their weights, say nothing: not even how wide the interval is (to ± 14 % with 100)."""
REWARDED = 5
"""So many rewarded rounds that the policy would have shown are the least from which a rate can be told."""
ASTRAY = 0.2
"""Mean weights so far from 1, and beyond chance (99.9 %), say that propensities are wrong or items were never shown."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How the weights w = target / logged of a log are spread."""

    rounds: int
    effective: float  # see ``effective_size``
    mean: Interval  # of the weights; 1 if the logged policy could show whatever the new one shows (99.9 %)
    largest: float
    quantiles: dict[str, float]  # "0.5", "0.9", "0.99", "0.999" of the weights
    shown: int  # rounds with a weight above 0
    rewarded: int  # of these, rounds with a reward

    @staticmethod
    def of(rounds: Rounds) -> Overlap:
        """The weights of ``rounds``."""
        weight = rounds.weight
        cuts = (0.5, 0.9, 0.99, 0.999)
        found = np.quantile(weight, cuts) if len(weight) else np.full(len(cuts), np.nan)
        return Overlap(
            len(rounds),
            effective_size(weight),
            delta(Terms(weight, np.ones(len(weight))), rounds.cluster, level=0.999),
            float(weight.max(initial=0)),
            {str(cut): float(value) for cut, value in zip(cuts, found, strict=True)},
            int(np.sum(weight > 0)),
            int(np.sum((weight > 0) & (rounds.reward != 0))),
        )

    @property
    def refused(self) -> str | None:
        """One line saying why nothing can be told; None if something can."""
        if self.effective < EFFECTIVE:
            return (
                f"overlap too poor: what was shown is worth {self.effective:,.0f} of {self.rounds:,} rounds under this "
                f"policy (effective sample size, expected at least {EFFECTIVE})"
            )
        if self.rewarded < REWARDED:
            return (
                f"overlap too poor: {self.rewarded} rewarded of the {self.shown:,} rounds that this policy would have "
                f"shown (expected at least {REWARDED})"
            )
        if abs(self.mean.mean - 1) > ASTRAY and not self.mean.low <= 1 <= self.mean.high:
            return (
                f"propensities do not fit: the mean weight is {self.mean.mean:.2f} where 1 is expected; they are "
                "wrong, or the log never shows some of what this policy shows"
            )
        return None


def effective_size(weight: Float64) -> float:
    """(sum w)² / sum w²: so many rounds of equal weight tell as much; 0 where no weight is left.

    Source: Kish (1965), Survey Sampling.
    """
    squares = float(np.sum(weight**2))
    return float(weight.sum()) ** 2 / squares if squares else 0.0
