"""Reciprocal rank fusion."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.merge._fusion import Fusion
from shortlist.types import Float32, Int64


class ReciprocalRank(Fusion):
    """Fuses the channels by rank: score(i) = sum over channels c that found i of w_c / (c0 + rank_c(i)).

    Needs no common scale of scores, which makes it the safe choice for channels that differ in kind. The weights w_c
    are 1, or given, or learned on requests with known targets by coordinate ascent on the quality of the merge order.
    A channel that failed is silent; a channel that was not there when the weights were learned gets their mean.

    Source: Cormack, Clarke and Büttcher (2009), Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods, SIGIR.
    """

    c0: Annotated[float, Field(ge=0), Search(5.0, 200.0, log=True)] = 60.0
    """How little the first ranks stand out: 0 makes rank 1 worth twice rank 2, 60 nearly the same."""

    def _terms(self, score: Float32, rank: Float32, offsets: Int64) -> Float32:
        return self._reciprocal(rank)

    def _reciprocal(self, rank: Float32) -> Float32:
        """[C, u]: 1 / (c0 + rank), NaN where the channel was silent."""
        return np.float32(1) / (np.float32(self.c0) + rank)
