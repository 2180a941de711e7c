"""What a policy is worth by a log that another one made: one function an estimator, all over arrays.

w = target / logged, r the reward, q what a model expects of what was shown, v what it expects of the new policy. Every
estimate has the form sum weight·value / sum weight (``Terms``), so that one bootstrap and one delta method serve all.
``most`` is a bound of the weights: see ``bound`` for how to choose it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shortlist.component import InputError
from shortlist.offpolicy.rounds import Rounds
from shortlist.types import Float64


@dataclass(frozen=True, slots=True)
class Terms:
    """An estimate in parts: sum weight·value / sum weight."""

    value: Float64  # [m]
    weight: Float64  # [m]

    @property
    def estimate(self) -> float:
        """The estimate; NaN where no weight is left."""
        total = float(self.weight.sum())
        return float(np.sum(self.weight * self.value)) / total if total > 0 else float("nan")

    @property
    def influence(self) -> Float64:
        """[m]: how far each round pulls the estimate: weight (value - estimate) / mean weight; they add up to 0."""
        return self.weight * (self.value - self.estimate) / (self.weight.mean() if len(self.weight) else np.nan)


Bounded = Callable[[Rounds, float], Terms]
"""An estimator with a bound of the weights."""


def direct(rounds: Rounds) -> Terms:
    """mean v: believes the model. Biased as far as the model is wrong; hardly any variance.

    Source: Beygelzimer and Langford (2009), The offset tree for learning with partial labels, KDD.
    """
    _, value = _model(rounds)
    return _mean(value)


def inverse_propensity(rounds: Rounds) -> Terms:
    """mean w r: unbiased where the logged policy may show whatever the new one shows; its variance grows with w.

    Source: Horvitz and Thompson (1952), A generalization of sampling without replacement from a finite universe, JASA.
    """
    return _mean(rounds.weight * rounds.reward)


def self_normalised(rounds: Rounds) -> Terms:
    """sum w r / sum w: consistent, bounded by the rewards seen, and unmoved by adding a constant to every reward.

    Source: Swaminathan and Joachims (2015), The self-normalized estimator for counterfactual learning, NeurIPS.
    """
    return Terms(rounds.reward, rounds.weight)


def clipped(rounds: Rounds, most: float) -> Terms:
    """mean min(w, most) r: less variance, and biased downwards for rewards of at least 0.

    Source: Ionides (2008), Truncated importance sampling, JCGS; Bottou et al. (2013), Counterfactual reasoning and
    learning systems, JMLR.
    """
    return _mean(np.minimum(rounds.weight, most) * rounds.reward)


def doubly_robust(rounds: Rounds, most: float = np.inf) -> Terms:
    """mean v + min(w, most) (r - q): the model, mended where the log shows it wrong.

    Without a bound it is unbiased if the propensities are right, whatever the model; the better the model, the less
    variance.

    Source: Dudík, Langford and Li (2011), Doubly robust policy evaluation and learning, ICML.
    """
    expected, value = _model(rounds)
    return _mean(value + np.minimum(rounds.weight, most) * (rounds.reward - expected))


def switch(rounds: Rounds, most: float) -> Terms:
    """mean v + w [w <= most] (r - q): doubly robust, but with the model alone where weights are large.

    Source: Wang, Agarwal and Dudík (2017), Optimal and adaptive off-policy evaluation in contextual bandits, ICML.
    """
    expected, value = _model(rounds)
    weight = np.where(rounds.weight <= most, rounds.weight, 0)
    return _mean(value + weight * (rounds.reward - expected))


def _mean(value: Float64) -> Terms:
    return Terms(value, np.ones(len(value)))


def _model(rounds: Rounds) -> tuple[Float64, Float64]:
    if rounds.expected is None or rounds.value is None:
        raise InputError("expected, value: needed by estimators with a model of the reward, found none")
    return rounds.expected, rounds.value
