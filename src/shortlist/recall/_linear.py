"""What the channels share that score linearly by the history: score(r, i) = sum_j w_rj M[j, i].

w comes from the request's own history, M is learned. A user is only a history, so unknown users are answered like known
ones and live events count at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse as sp

from shortlist.data import State
from shortlist.recall._collaborative import Collaborative
from shortlist.recall._kernels import top
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array, Candidates, Float32, Int32, Ragged, Requests


class Linear(Collaborative):
    """Linear scoring of items by the request's history.

    A subclass learns ``table_`` (M: dense [rows, c] or CSR [rows, c]) and may replace ``_query`` where the rows of M
    are not the c items of the vocabulary themselves.
    """

    if TYPE_CHECKING:
        table_: Any  # M

    def _query(self, requests: Requests) -> Sparse:
        """The request as weights of rows of M."""
        return self._taken(requests)

    def _asked(self, requests: Requests) -> Sparse:
        return self._kept(self._query, requests)

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items with a positive score; a request without a known history gets none."""
        return self._best(self.table_, self._asked(requests), requests.exclude, k)

    def _best(self, table: Any, query: Sparse, exclude: Ragged, k: int) -> Candidates:
        """The best ``k`` columns of ``table`` for each row of the query."""
        barred = exclude.offsets, self._columns(exclude["item"])
        if sp.issparse(table):
            request, column, score = top.sparse_top(query, Sparse.of(table), table.shape[1], *barred, k)
        else:
            request, column, score = top.dense_top(query, table, *barred, k)
        return Candidates(request, self.items_[column], {"score": score})

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for items the model does not know."""
        query, table, asked = self._asked(requests), self.table_, (candidates.request, self._columns(candidates.item))
        if sp.issparse(table):
            return top.sparse_score(query, Sparse.of(table), table.shape[1], *asked)
        return top.dense_score(query, table, *asked)

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history with the largest term of the score; -1 where none speaks for the row."""
        query, table, asked = self._asked(requests), self.table_, (candidates.request, self._columns(candidates.item))
        if sp.issparse(table):
            return self._named(top.sparse_largest(query, Sparse.of(table), *asked))
        return self._named(top.dense_largest(query, table, *asked))


class ItemToItem(Linear):
    """Linear scoring where M [c, c] says how much item j speaks for item i."""

    sizes: ClassVar[Mapping[str, str]] = {"table_": "c c"}

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` items with the largest M[j, .] for each item j; unknown items have none."""
        items = np.asarray(items, np.int32)
        columns = self._columns(items)
        known = columns >= 0
        offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
        query = Sparse(offsets, columns[known], np.ones(known.sum(), np.float32))
        return self._best(self.table_, query, Ragged(np.arange(len(items) + 1), {"item": items}), k)
