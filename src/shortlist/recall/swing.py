"""Swing: two items are alike if pairs of users who share them share little else."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._kernels import pairs
from shortlist.recall._kernels.neighbours import as_csr, fill, no_heaps
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._linear import ItemToItem

FAINT = 2.0**-28
"""What age leaves of an event at least: a tie is the product of four of them, and float32 still holds it."""


class Swing(ItemToItem):
    """Item similarity from the swings (user, item, user) of the log's graph.

    s(i, j) = sum over pairs {u, v} of users who took both i and j: m_u m_v / (α + |I_u ∩ I_v|)
    with m_u = |I_u|^-user_power · 2^(-|t_ui - t_uj| / pair_half_life) · y_ui y_uj,
    score(u, i) = sum_j w(u, j) s(j, i) over the ``neighbours`` of each item j of the history

    t_ui is when u last took i, y_ui = 2^(-(end of the log - t_ui) / log_half_life); both are 1 where not asked for.

    Robust to chance co-occurrence: a pair of users with everything in common proves little. Of an item with more than
    ``max_users`` users a random sample is taken and the sum scaled up to all pairs.

    Source: Yang, Ma, Zhu, Yu, Zhao (2020), Large Scale Product Graph Construction for Recommendation in E-commerce.
    """

    alpha: Annotated[float, Field(ge=0), Search(0.1, 20, log=True)] = 1.0
    """α: larger evens out pairs of users with little and with much in common."""
    user_power: Annotated[float, Field(ge=0), Search(0, 1)] = 0.5
    """How much less a user with many items counts: |I_u| to minus this power."""
    pair_half_life: Annotated[Duration | None, Search(choices=(None, "1h", "1d", "7d", "30d"))] = None
    """Two events of a user that lie this far apart count half as a pair; none = the time between does not matter."""
    max_users: int = Field(default=200, ge=2)
    """How many users of an item are paired; the time to fit grows with its square where users have much in common."""
    neighbours: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100
    """How many most similar items are kept of each item."""
    threads: int = Field(default=1, ge=1)
    """Threads of the fit; the result does not depend on it."""
    seed: int = 0
    """Of the sample of users."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the nearest items of every item."""
        x = self._matrix(data)
        c, taken = x.shape[1], np.diff(x.indptr)
        times = self._latest(data) if self.log_half_life or self.pair_half_life else np.zeros(0, np.int64)
        worth = np.repeat(np.maximum(taken, 1).astype(np.float64) ** (-self.user_power / 2), taken)  # both ends have it
        if self.log_half_life:
            worth *= np.maximum(self._faded(data, times), FAINT)
        rate = 1 / self.pair_half_life if self.pair_half_life else 0.0
        sample = self._sample(x)
        heaps = no_heaps(c, max(min(self.neighbours, c - 1), 0))
        log = Sparse(x.indptr, x.indices, worth.astype(np.float32))
        fill(partial(pairs.swing, log, times, rate, sample, self.alpha), heaps, self.threads)
        self.table_ = as_csr(*heaps)
        return self

    def _sample(self, x: sp.csr_matrix) -> pairs.Sample:
        """At most ``max_users`` users of each item."""
        order = np.lexsort((np.random.default_rng(self.seed).random(x.nnz), x.indices))
        taken = np.bincount(x.indices, minlength=x.shape[1])
        place = np.arange(x.nnz) - np.repeat(np.cumsum(taken) - taken, taken)
        entries = order[place < self.max_users]
        users = np.repeat(np.arange(x.shape[0], dtype=np.int32), np.diff(x.indptr))[entries]
        kept = np.minimum(taken, self.max_users)
        scale = np.maximum(taken * (taken - 1.0), 1) / np.maximum(kept * (kept - 1.0), 1)
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return pairs.Sample(offsets, users, entries, scale.astype(np.float32))
