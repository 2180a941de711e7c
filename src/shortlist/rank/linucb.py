"""Upper confidence bounds: what a row may be worth at best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.rank._bandit import LinearBandit
from shortlist.rank._gram import quadratic
from shortlist.types import Candidates, Float32, Float64, Requests

if TYPE_CHECKING:
    from shortlist.data import State


class LinUCB(LinearBandit):
    """score = zᵀβ + xᵀδ_item + alpha √(uᵀ A⁻¹ u + xᵀ A_a⁻¹ x), u = z - B_aᵀ A_a⁻¹ x: the mean and how unsure it is.

    Linear regression of the reward with a bonus for what was seldom tried, which shrinks as rows come in (``update``).
    ``shared`` has no x part, ``disjoint`` no u part, ``hybrid`` both: the paper's s = z'A⁻¹z - 2 z'A⁻¹B'A_a⁻¹x +
    x'A_a⁻¹x + x'A_a⁻¹BA⁻¹B'A_a⁻¹x. Unlike the paper's disjoint model, items are tried from what all share, not from 0.
    Nothing is drawn: the same rows give the same order, so there is no column ``propensity``. What it shows off the
    top of its list it shows with certainty, from which no other policy's worth can be told; ``thompson`` can, and so
    can ``explore`` slots behind it, which draw by what it believes of a row: ``posterior.mean``,
    ``posterior.deviation``.

    Source: Li, Chu, Langford, Schapire (2010), A Contextual-Bandit Approach to Personalized News Article
    Recommendation, WWW; Chu, Li, Reyzin, Schapire (2011), Contextual Bandits with Linear Payoff Functions, AISTATS.
    """

    sizes: ClassVar[Mapping[str, str]] = {"covariance_": "q+1 q+1"}

    alpha: Annotated[float, Field(ge=0), Search(0.01, 2.0, log=True)] = 0.5
    """How much a deviation counts beside the mean; 0 = nothing is tried for its own sake."""

    def _doubt(self, precision: Float64) -> None:
        self.covariance_ = np.linalg.inv(precision)

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``score``, and of the mean and the deviation it adds up ``posterior.mean`` and ``posterior.deviation``."""
        score, centre, deviation = np.empty((3, len(candidates)), np.float32)
        offsets = candidates.offsets(len(requests))
        for first, last in self._blocks(candidates, len(requests)):
            rows = slice(int(offsets[first]), int(offsets[last]))
            mean, u, own = self.believed(candidates.take(rows))
            variance = np.zeros(len(mean))
            if u is not None:
                quadratic(u.indptr, u.indices, u.data, self.covariance_, variance)
            variance += 0 if own is None else own**2
            spread = np.sqrt(np.maximum(variance, 0))
            score[rows], centre[rows], deviation[rows] = mean + self.alpha * spread, mean, spread
        return {"score": score, "posterior.mean": centre, "posterior.deviation": deviation}
