"""A guaranteed number of rows for each channel, the rest by reciprocal rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from shortlist.component import Search
from shortlist.merge._channels import check_names
from shortlist.merge._coverage import learn_quotas, within
from shortlist.merge._join import Joined, best, weighted_sum
from shortlist.merge.reciprocal_rank import ReciprocalRank
from shortlist.types import Candidates, Float32, Int64, Ragged


class Quota(ReciprocalRank):
    """Keeps the first q_c rows of every channel c and fills up to k by the sum over c of 1 / (c0 + rank_c(i)).

    Use it where a ranker follows: it decides what the ranker may see, and a channel whose rows others never find (fresh
    items, a small segment) keeps its place. What is kept is ordered by score(i) = sum over c of w_c / (c0 + rank_c(i))
    with weights learned as in reciprocal rank fusion; the fill goes by equal weights, which covers more. Quotas are
    given, or learned to cover the most targets: greedily the block of rows that covers the most new targets a row (the
    covered targets are a submodular function of the rows kept), and of the allocations on that path, from none on, the
    one with the most targets among the k rows handed on. Unlearned, every channel has an equal share. A channel that
    failed leaves its rows to the fill; a channel without a quota competes for the fill.

    Source: Nemhauser, Wolsey and Fisher (1978), An analysis of approximations for maximizing submodular set functions,
    Mathematical Programming 14.
    """

    quotas: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Rows each channel is guaranteed, by name, together at most ``k``; none given = learned."""
    block: Annotated[int, Field(ge=1), Search(2, 40, log=True)] = 10
    """Learned quotas are multiples of this."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        total = sum((self.quotas or {}).values())
        if total > self.k:
            raise ValueError(f"quotas together must be at most k = {self.k}, not {total}")
        return self

    def fit(self, found: Mapping[str, Candidates], targets: Ragged) -> Self:
        """Learns ``quotas_`` and ``weights_`` [C] of ``channels_`` [C]; ``targets`` [n] rows of "item"."""
        check_names("quotas", self.quotas, found)
        super().fit(found, targets)
        if self.quotas is not None:
            self.quotas_ = np.array([self.quotas.get(name, 0) for name in self.channels_.tolist()], np.int64)
        else:
            self.quotas_ = learn_quotas(found, targets, self._fill, self.k, self.block, self.sample, self.seed)
        return self

    def _best(self, joined: Joined, score: Float32, names: Mapping[str, None]) -> Candidates:
        guaranteed = within(joined.rank, self._limits(joined.channels))
        return best(joined, score, self.k, names, guaranteed, self._fill(joined.rank))

    def _limits(self, channels: tuple[str, ...]) -> Int64:
        """[C]: the quota of each channel."""
        if hasattr(self, "quotas_"):
            quotas = dict(zip(self.channels_.tolist(), self.quotas_.tolist(), strict=True))
        elif self.quotas is not None:
            quotas = self.quotas
        else:
            quotas = dict.fromkeys(channels, self.k // max(len(channels), 1))
        return np.array([quotas.get(name, 0) for name in channels], np.int64)

    def _fill(self, rank: Float32) -> Float32:
        """[u]: reciprocal rank fusion with equal weights."""
        return weighted_sum(np.ones(len(rank)), self._reciprocal(rank))
