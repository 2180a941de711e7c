"""What merges that order by a weighted sum over channels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Merge, Search
from shortlist.merge._ascent import learn_weights
from shortlist.merge._channels import check_names, weights_of
from shortlist.merge._join import Joined, best, join, weighted_sum
from shortlist.types import Candidates, Float32, Float64, Int64, Ragged


class Fusion(Merge):
    """score(i) = sum over channels c that found i of w_c x_c(i); what x is, a merge says in ``_terms``.

    The weights w_c are 1, or given, or learned on requests with known targets by coordinate ascent on the quality of
    the merge order. A channel that failed is silent; a channel that was not there when the weights were learned gets
    their mean.
    """

    sizes: ClassVar[Mapping[str, str]] = {"channels_": "h", "weights_": "h", "quotas_": "h"}

    k: Annotated[int, Field(ge=1)] = 300
    """Rows handed on for each request, at most."""
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Weight of each channel by name, 1 for those left out; none given = learned as ``learn`` says."""
    learn: Annotated[Literal["ndcg", "recall", "none"], Search()] = "ndcg"
    """The quality that learned weights maximise; ``none`` leaves every weight at 1."""
    at: Annotated[int, Field(ge=1)] = 10
    """Cut-off of that quality."""
    sample: Annotated[int, Field(ge=1)] = 2000
    """Requests to learn from, at most; more are drawn from at random."""
    seed: int = 0
    """Seed of that draw."""

    def without_effect(self) -> frozenset[str]:
        """Given weights are not learned."""
        return frozenset() if self.weights is None else frozenset({"learn"})

    def fit(self, found: Mapping[str, Candidates], targets: Ragged) -> Self:
        """Learns ``weights_`` [C] of ``channels_`` [C]; ``targets`` [n] rows of "item"."""
        check_names("weights", self.weights, found)
        self.channels_ = np.array(sorted(found), np.str_)
        if self.weights is not None or self.learn == "none":
            given = self.weights or {}
            self.weights_ = np.array([given.get(name, 1.0) for name in self.channels_.tolist()], np.float64)
        else:
            self.weights_ = self._learned(found, targets)
        return self

    def merge(self, found: Mapping[str, Candidates], n: int) -> Candidates:
        """One row per (request, item), best first."""
        known = getattr(self, "channels_", np.empty(0, np.str_)).tolist()
        joined = join(found, n, known)
        weights = weights_of(joined.channels, known, getattr(self, "weights_", None), self.weights or {})
        score = weighted_sum(weights, self._terms(joined.score, joined.rank, joined.offsets))
        return self._best(joined, score, dict.fromkeys([*found, *known]))

    def _learned(self, found: Mapping[str, Candidates], targets: Ragged) -> Float64:
        """[C]: the weights of the channels in the order of their names."""
        return learn_weights(found, targets, self._terms, self.learn, self.at, self.sample, self.seed)

    def _terms(self, score: Float32, rank: Float32, offsets: Int64) -> Float32:
        """[C, u]: x, NaN where the channel was silent."""
        raise NotImplementedError

    def _best(self, joined: Joined, score: Float32, names: Mapping[str, None]) -> Candidates:
        """The ``k`` rows of each request that are handed on, by falling score."""
        return best(joined, score, self.k, names)
