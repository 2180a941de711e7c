"""User-based collaborative filtering: what people with a like history took."""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.data import Dataset
from shortlist.recall import _askers
from shortlist.recall._collaborative import Collaborative, Query
from shortlist.types import Candidates, Float32, Int32, Requests


class UserCF(Collaborative):
    """Cosine similarity of the asker's live history to all known users, found when the request comes.

    s(u, v) = sum_j b_j w(u, j) x_vj / (||w(u)|| ||x_v|| + shrinkage)
    score(u, i) = sum_v s(u, v) x_vi over the ``neighbours`` users v nearest to u

    b_j = 1 / log(1 + |N(j)|) with ``inverse_item_frequency`` (rare items in common say more), else 1. Works for people
    never seen before; keeps the training rows of all users, so prefer item_cf where they do not fit.

    Source: Herlocker, Konstan, Borchers, Riedl (1999), An Algorithmic Framework for Performing Collaborative Filtering;
    Breese, Heckerman, Kadie (1998), Empirical Analysis of Predictive Algorithms for Collaborative Filtering.
    """

    neighbours: int = Field(default=100, ge=1)
    """How many nearest users vote."""
    inverse_item_frequency: bool = True
    """Whether items that few users have count more in the similarity."""
    shrinkage: float = Field(default=0.0, ge=0)
    """Added to the denominator: users with little in common sink."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the log by user and by item."""
        x = self._matrix(data)
        self.table_ = x  # [n_users, c]
        self.users_of_: sp.csr_matrix = x.T.tocsr()
        self.norms_: Float32 = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel()).astype(np.float32)
        taken = np.maximum(np.diff(self.users_of_.indptr), 1)
        weight = 1 / np.log1p(taken) if self.inverse_item_frequency else np.ones(len(taken))
        self.item_weight_: Float32 = weight.astype(np.float32)
        return self

    def _query(self, requests: Requests) -> Query:
        return self._nearest(self._kept(self._profile, requests), requests.user)

    def _nearest(self, profile: Query, users: Int32) -> Query:
        by_item = self.users_of_
        index = by_item.indptr, by_item.indices, by_item.data
        return _askers.nearest(*profile, self.item_weight_, *index, self.norms_, users, self.shrinkage, self.neighbours)

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history that ties the asker most to the neighbours who took the row; -1 for none."""
        offsets, columns, weights = self._kept(self._profile, requests)
        near_offsets, near, _ = self._asked(requests)
        by_user = self.table_
        found = _askers.behind(
            *(offsets, columns, weights * self.item_weight_[columns], near_offsets, near),
            *(by_user.indptr, by_user.indices, by_user.data, self.norms_),
            *(candidates.request, self._columns(candidates.item)),
        )
        return np.where(found >= 0, self.items_[found], -1).astype(np.int32) if len(self.items_) else found
