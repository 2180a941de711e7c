"""User-based collaborative filtering: what people with a like history took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.recall._kernels import askers
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._linear import Linear
from shortlist.types import Array, Candidates, Float32, Int32, Ragged, Requests


class UserCF(Linear):
    """Cosine similarity of the asker's live history to all known users, found when the request comes.

    s(u, v) = sum_j b_j w(u, j) x_vj / (||w(u)|| ||x_v|| + shrinkage)
    score(u, i) = sum_v s(u, v) x_vi over the ``neighbours`` users v nearest to u

    b_j = 1 / log(1 + |N(j)|) with ``inverse_item_frequency`` (rare items in common say more), else 1. Works for people
    never seen before; keeps the training rows of all users, so prefer item_cf where they do not fit. The time of an
    answer grows with the length of the history and with ``max_users``: of an item that more users have, only the latest
    of them are compared by it.

    Source: Herlocker, Konstan, Borchers, Riedl (1999), An Algorithmic Framework for Performing Collaborative Filtering;
    Breese, Heckerman, Kadie (1998), Empirical Analysis of Predictive Algorithms for Collaborative Filtering.
    """

    sizes: ClassVar[Mapping[str, str]] = {"table_": "u c", "users_of_": "c u", "norms_": "u", "item_weight_": "c"}

    neighbours: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100
    """How many nearest users vote."""
    inverse_item_frequency: Annotated[bool, Search(choices=(True, False))] = True
    """Whether items that few users have count more in the similarity."""
    shrinkage: Annotated[float, Field(ge=0), Search(0, 100)] = 0.0
    """Added to the denominator: users with little in common sink."""
    max_users: int = Field(default=10_000, ge=1)
    """How many users an item brings into the comparison: the latest who took it."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the log by user and by item."""
        x = self._matrix(data)
        self.table_ = x  # [n_users, c]
        by_item = x.T.tocsr()
        taken = np.diff(by_item.indptr)
        self.users_of_: sp.csr_matrix = (
            self._capped(by_item, x, data) if taken.max(initial=0) > self.max_users else by_item
        )
        self.norms_: Float32 = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel()).astype(np.float32)
        weight = 1 / np.log1p(np.maximum(taken, 1)) if self.inverse_item_frequency else np.ones(len(taken))
        self.item_weight_: Float32 = weight.astype(np.float32)
        return self

    def _capped(self, by_item: sp.csr_matrix, x: sp.csr_matrix, data: Dataset) -> sp.csr_matrix:
        """The log by item with the latest ``max_users`` users of each, in the order of their codes."""
        latest = sp.csr_matrix((np.arange(x.nnz), x.indices, x.indptr), shape=x.shape).T.tocsr()  # places in x
        times = self._latest(data)[latest.data]
        item = np.repeat(np.arange(by_item.shape[0]), np.diff(by_item.indptr))
        order = np.lexsort((by_item.indices, -times, item))
        place = np.arange(len(order)) - np.repeat(by_item.indptr[:-1], np.diff(by_item.indptr))
        kept = np.sort(order[place < self.max_users])
        offsets = np.searchsorted(item[kept], np.arange(by_item.shape[0] + 1))
        return sp.csr_matrix((by_item.data[kept], by_item.indices[kept], offsets), shape=by_item.shape)

    def _query(self, requests: Requests) -> Sparse:
        return self._nearest(self._kept(self._taken, requests), requests.user)

    def _nearest(self, taken: Sparse, users: Int32) -> Sparse:
        by_item, options = Sparse.of(self.users_of_), (self.shrinkage, self.neighbours)
        return Sparse(*askers.nearest(taken, self.item_weight_, by_item, self.norms_, users, *options))

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` items with the largest cosine to each item, by who took them; unknown items have none.

        Of an item that more than ``max_users`` took, as many of the latest are looked at.
        """
        items, x = np.asarray(items, np.int32), self.table_
        columns = self._columns(items)
        known = columns[columns >= 0]
        norms = np.sqrt(np.bincount(x.indices, x.data.astype(np.float64) ** 2, x.shape[1])).astype(np.float32)
        unit = sp.csr_matrix((x.data / norms[x.indices], x.indices, x.indptr), shape=x.shape)
        asked = self.users_of_[known]
        lengths = np.zeros(len(items) + 1, np.int64)
        lengths[1:][columns >= 0] = np.diff(asked.indptr)
        weights = asked.data / np.repeat(norms[known], np.diff(asked.indptr))
        query = Sparse(np.cumsum(lengths), asked.indices, weights)
        return self._best(unit, query, Ragged(np.arange(len(items) + 1), {"item": items}), k)

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history that ties the asker most to the neighbours who took the row; -1 for none."""
        taken, near = self._kept(self._taken, requests), self._asked(requests)
        weighted = taken._replace(weights=taken.weights * self.item_weight_[taken.columns])
        rows = candidates.request, self._columns(candidates.item)
        found = askers.behind(weighted, near, Sparse.of(self.table_), self.norms_, *rows)
        return self._named(found)
