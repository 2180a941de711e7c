"""Swing: two items are alike if pairs of users who share them share little else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.data import Dataset
from shortlist.recall import _pairs
from shortlist.recall._collaborative import ItemToItem
from shortlist.recall._neighbours import as_csr
from shortlist.types import Float32, Int32, Int64


class Swing(ItemToItem):
    """Item similarity from the swings (user, item, user) of the log's graph.

    s(i, j) = sum over pairs {u, v} of users who took both i and j: m_u m_v / (α + |I_u ∩ I_v|)
    with m_u = |I_u|^-user_power,
    score(u, i) = sum_j w(u, j) s(j, i) over the ``neighbours`` of each item j of the history

    Robust to chance co-occurrence: a pair of users with everything in common proves little. Of an item with more than
    ``max_users`` users a random sample is taken and the sum scaled up to all pairs.

    Source: Yang, Ma, Zhu, Yu, Zhao (2020), Large Scale Product Graph Construction for Recommendation in E-commerce.
    """

    alpha: float = Field(default=1.0, ge=0)
    """α: larger evens out pairs of users with little and with much in common."""
    user_power: float = Field(default=0.5, ge=0)
    """How much less a user with many items counts: |I_u| to minus this power."""
    max_users: int = Field(default=200, ge=2)
    """How many users of an item are paired; the time to fit grows with its square."""
    neighbours: int = Field(default=100, ge=1)
    """How many most similar items are kept of each item."""
    threads: int = Field(default=1, ge=1)
    """Threads of the fit; the result does not depend on it."""
    seed: int = 0
    """Of the sample of users."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the nearest items of every item."""
        x = self._matrix(data)
        c = x.shape[1]
        weight = np.maximum(np.diff(x.indptr), 1).astype(np.float64) ** -self.user_power
        offsets, users, scale = self._sample(x)
        k = max(min(self.neighbours, c - 1), 0)
        bounds = np.linspace(0, c, self.threads + 1).astype(int)

        def part(t: int) -> tuple[Float32, Int32, Int64]:
            log = x.indptr, x.indices, weight, offsets, users, scale
            return _pairs.swing(*log, self.alpha, k, bounds[t], bounds[t + 1])

        with ThreadPoolExecutor(self.threads) as pool:
            heaps = list(pool.map(part, range(self.threads)))
        score, column, size = heaps[0]
        for t, more in enumerate(heaps[1:], 1):
            own = slice(bounds[t], bounds[t + 1])
            score[own], column[own], size[own] = more[0][own], more[1][own], more[2][own]
        self.table_ = as_csr(score, column, size)
        return self

    def _sample(self, x: sp.csr_matrix) -> tuple[Int64, Int32, Float32]:
        """At most ``max_users`` users of each item (offsets, users) and by how much their pairs fall short."""
        users = np.repeat(np.arange(x.shape[0], dtype=np.int32), np.diff(x.indptr))
        order = np.lexsort((np.random.default_rng(self.seed).random(x.nnz), x.indices))
        taken = np.bincount(x.indices, minlength=x.shape[1])
        place = np.arange(x.nnz) - np.repeat(np.cumsum(taken) - taken, taken)
        chosen = users[order[place < self.max_users]]
        kept = np.minimum(taken, self.max_users)
        scale = np.maximum(taken * (taken - 1.0), 1) / np.maximum(kept * (kept - 1.0), 1)
        return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64), chosen, scale.astype(np.float32)
