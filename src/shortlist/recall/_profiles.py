"""What the channels share that know items by what is said of them: profiles of items, of users, and their product.

score(r, i) = quality_i (sum_t p_rt M[t, i] + a_r · v_i)

x_j is the profile of item j over topics, v_j its vector; p_r and a_r are what the history adds up to. Nothing is asked
of the item's own events, so one that nobody has met is found like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from shortlist.data import MISSING_TIME, Dataset, State
from shortlist.recall._collaborative import Collaborative
from shortlist.recall._kernels import top
from shortlist.recall._kernels.mixed import mixed_score, mixed_top
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array, Candidates, Float32, Float64, Int32, Ragged, Requests


class Query(NamedTuple):
    """What a batch asks for."""

    topics: Sparse  # [n] over the t rows of M
    vectors: Float32  # [n, d]


class Profiles(Collaborative):
    """Scoring by profiles.

    ``fit`` of a subclass learns ``profiles_`` (x: CSR [c, t]), ``table_`` (M: CSR [t, c]), ``vectors_`` ([c, d], d = 0
    where there are none), ``quality_`` ([c]) and ``names_`` (of M's rows, and behind them of the vectors).
    """

    sizes: ClassVar[Mapping[str, str]] = {
        "profiles_": "c t",
        "table_": "m c",
        "vectors_": "c d",
        "quality_": "c",
        "names_": "m+1",
    }

    if TYPE_CHECKING:
        profiles_: Any
        table_: Any
        vectors_: Float32
        quality_: Float32
        names_: Array

    def _asks(self, taken: sp.csr_matrix, vectors: Float32) -> Query:
        """Profiles [n, t] and vectors [n, d] as what is asked; a subclass may choose among topics."""
        return Query(Sparse.of(taken), vectors)

    def _topic_weights(self) -> Float32:
        """[t]: how much each topic counts."""
        return np.ones(self.profiles_.shape[1], np.float32)

    def _vector_weight(self) -> float:
        """How much the vectors count."""
        return 1.0

    def _query(self, requests: Requests) -> Query:
        offsets, columns, weights = self._taken(requests)
        w = sp.csr_matrix((weights, columns, offsets), shape=(len(requests), len(self.items_)))
        return self._profile(w)

    def _profile(self, w: sp.csr_matrix) -> Query:
        """What weights [n, c] of items add up to, of length 1 with topics and vectors together."""
        taken, vectors = (w @ self.profiles_).tocsr(), np.ascontiguousarray(w @ self.vectors_, np.float32)
        rows = np.repeat(np.arange(w.shape[0]), np.diff(taken.indptr))
        square = np.bincount(rows, taken.data.astype(np.float64) ** 2, w.shape[0]) + (vectors.astype(float) ** 2).sum(1)
        length = np.sqrt(np.maximum(square, 1e-30))
        taken.data = (taken.data / length[rows]).astype(np.float32)
        return self._asks(taken, (vectors / length[:, None]).astype(np.float32))

    def _asked(self, requests: Requests) -> Query:
        return self._kept(self._query, requests)

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items with a positive score; a request whose history says nothing gets none."""
        return self._best(self._asked(requests), requests.exclude, k, self.quality_)

    def _best(self, asked: Query, exclude: Ragged, k: int, quality: Float32) -> Candidates:
        barred = exclude.offsets, self._columns(exclude["item"])
        found = mixed_top(asked.topics, Sparse.of(self.table_), asked.vectors, self.vectors_, quality, *barred, k)
        return Candidates(found[0], self.items_[found[1]], {"score": found[2]})

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for items the model does not know."""
        asked, rows = self._asked(requests), (candidates.request, self._columns(candidates.item))
        table = Sparse.of(self.table_)
        return mixed_score(asked.topics, table, asked.vectors, self.vectors_, self.quality_, *rows)

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` other items nearest to each item's own profile, whatever their quality; unknown items have none."""
        items = np.asarray(items, np.int32)
        columns = self._columns(items)
        known = columns >= 0
        offsets = np.concatenate([[0], np.cumsum(known)])
        w = sp.csr_matrix((np.ones(known.sum(), np.float32), columns[known], offsets), (len(items), len(self.items_)))
        itself = Ragged(np.arange(len(items) + 1), {"item": items})
        return self._best(self._profile(w), itself, k, np.ones_like(self.quality_))

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history whose profile adds most to the score; -1 where none speaks for the row."""
        asked, taken = self._asked(requests), self._taken(requests)
        columns, out = self._columns(candidates.item), np.full(len(candidates), -1, np.int32)
        by_item = self.table_.tocsc()
        for row in np.flatnonzero(columns >= 0):
            r, i = int(candidates.request[row]), int(columns[row])
            mine = slice(taken.offsets[r], taken.offsets[r + 1])
            wanted = np.zeros(self.table_.shape[0], np.float32)
            about = asked.topics.columns[asked.topics.offsets[r] : asked.topics.offsets[r + 1]]
            wanted[about] = np.asarray(by_item[:, [i]].todense()).ravel()[about]
            own, t = taken.columns[mine], self.profiles_.shape[1]
            shared = self.profiles_[own] @ (wanted[:t] * self._topic_weights())
            again = (own == i) & wanted[t:].any()
            alike = self._vector_weight() * (self.vectors_[own] @ self.vectors_[i])
            terms = taken.weights[mine] * (shared + alike + again)
            if len(terms) and terms.max() > 0:
                out[row] = self.items_[own[int(np.argmax(terms))]]
        return out

    def reasons(self, requests: Requests, candidates: Candidates, state: State) -> list[str]:
        """[m]: the name of the topic with the largest term of each score; "" where none speaks for the row."""
        asked, columns = self._asked(requests), self._columns(candidates.item)
        table = Sparse.of(self.table_)
        topic = top.sparse_largest(asked.topics, table, candidates.request, columns)
        dense = np.where(columns >= 0, (asked.vectors[candidates.request] * self.vectors_[columns]).sum(1), 0)
        names = []
        for row, (t, by_vector) in enumerate(zip(topic.tolist(), dense.tolist(), strict=True)):
            term = 0.0
            if t >= 0:
                r = int(candidates.request[row])
                here = slice(asked.topics.offsets[r], asked.topics.offsets[r + 1])
                weight = asked.topics.weights[here][asked.topics.columns[here] == t].sum()
                term = float(weight * self.table_[t, columns[row]])
            names.append(str(self.names_[-1]) if by_vector > term else str(self.names_[t]) if t >= 0 else "")
        return names


def decayed(data: Dataset, half_life: int | None) -> Float64:
    """[n_items]: positive events of each item as of the end of the log, of which the earlier count less."""
    events, rows = data.events, np.flatnonzero(data.events.weight > 0)
    if not len(rows):
        return np.zeros(data.n_items)
    age = events.time[-1] - events.time[rows]
    return np.bincount(events.item[rows], 0.5 ** (age / half_life) if half_life else None, data.n_items).astype(float)


def newness(data: Dataset, half_life: int) -> Float64:
    """[n_items]: 2^(-age / half_life) since the first event or since it could be had; 1 for what nobody has met yet."""
    end, first = data.fitted_until, np.full(data.n_items, MISSING_TIME)
    items, at = np.unique(data.events.item, return_index=True)  # the log is in time order
    first[items] = data.events.time[at]
    stated = (data.available_from != MISSING_TIME) & (data.available_from <= end)
    since = np.where(stated, data.available_from, first)
    age = np.where(since == MISSING_TIME, 0, np.maximum(end - since, 0))
    return 0.5 ** (age / half_life)


def unit(x: sp.csr_matrix) -> sp.csr_matrix:
    """Rows of length 1; empty ones stay empty."""
    length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    return sp.diags(1 / np.maximum(length, 1e-12)).dot(x).tocsr()
