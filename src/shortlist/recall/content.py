"""What is like the things this user took, by what the catalogue says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall import _topics
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._profiles import Profiles, Query, decayed, newness
from shortlist.types import Array, Candidates, Float32, Ragged

KINDS = ("category", "list", "text", "number", "time")


class Content(Profiles):
    """Profiles of items over topics, and of users over what they took; no other user is asked.

    x_i = the blocks of the item's attributes side by side, times ``weights``, ‖x_i‖ = 1 with its vectors: a category,
    list or text by TF-IDF (x_it = tf log(1 + n / df)), numbers and times by bucket, each block of length 1.
    p_u = sum_j w_uj x_j, ‖p_u‖ = 1, w = strength × 2^(-age / ``half_life``) of the history.
    With answer = "nearest": score(u, i) = q_i^popularity p_u · x_i.
    With answer = "topics": score(u, i) = sum over the ``best`` largest topics t of p_ut / place_t(i), where place_t(i)
    is the item's place, up to ``each``, in the order of x_it q_i^popularity: the topics' lists interleaved by the
    weight that the user gives each. Vectors are no topics and take no part in it.
    q_i as of the fit is, of "popular", (1 + sum_e 2^(-age_e / quality_half_life)) / (1 + the largest such sum), and of
    "recent" 2^(-(end - since_i) / quality_half_life), 1 for what nobody has met.

    An item needs no event to be found, a user one. It knows nothing of taste beyond what is written down.

    Source: Pazzani and Billsus (2007), Content-based recommendation systems; Lops, de Gemmis, Semeraro (2011),
    Content-based Recommender Systems: State of the Art and Trends.
    """

    sizes: ClassVar[Mapping[str, str]] = {"users_": "u t"}

    answer: Annotated[Literal["nearest", "topics"], Search(choices=("nearest", "topics"))] = "nearest"
    """``nearest``: items nearest to the user's profile. ``topics``: the best items of the user's best topics."""
    columns: list[str] | None = None
    """Attributes of items that are read; none named means every one."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """How much an attribute counts, by name; 1 where not named."""
    best: Annotated[int, Field(ge=1), Search(3, 100, log=True)] = 20
    """How many topics of the user are asked, with ``topics``."""
    each: Annotated[int, Field(ge=1)] = 200
    """How many items of a topic are in its list, with ``topics``."""
    quality: Annotated[Literal["popular", "recent"], Search(choices=("popular", "recent"))] = "popular"
    """What makes an item better than another of equal fit."""
    quality_half_life: Annotated[Duration, Search(choices=("7d", "30d", "90d", "365d"))] = 90 * 86_400_000_000
    """An event this much older than the log's last counts half in what is popular; an item this old is half as new."""
    popularity: Annotated[float, Field(ge=0), Search(0, 1)] = 0.2
    """The power of the quality; 0 = only the fit to the profile counts, and new items stand beside old ones."""
    buckets: Annotated[int, Field(ge=2), Search(3, 30, log=True)] = 10
    """Into about how many parts numbers and times are cut."""
    min_documents: Annotated[int, Field(ge=1), Search(2, 10, log=True)] = 2
    """A topic of fewer items is left out."""

    def fit(self, data: Dataset) -> Self:
        """Learns profiles of the catalogue and what its items are worth; raises ``InputError`` for unknown columns."""
        self._vocabulary(data)
        items, path = data.items, "recall.content.columns"
        columns = items.columns()
        names = [name for name in items.of_kind(path, self.columns, *KINDS) if self.weights.get(name, 1.0) > 0]
        items.of_kind("recall.content.weights", list(self.weights), *KINDS)
        found = [_topics.block(name, columns[name], items, self.buckets, self.min_documents) for name in names]
        scaled = [x * np.float32(self.weights.get(name, 1.0)) for name, (_, x) in zip(names, found, strict=True)]
        x = sp.hstack([sp.csr_matrix((data.n_items, 0), dtype=np.float32), *scaled], format="csr", dtype=np.float32)
        dense = [name for name in items.of_kind(path, self.columns, "vector") if self.weights.get(name, 1.0) > 0]
        parts = zip(dense, _topics.dense(items, dense), strict=True)
        weighed = (part * np.float32(self.weights.get(name, 1.0)) for name, part in parts)
        v = np.hstack([np.zeros((data.n_items, 0), np.float32), *weighed])
        length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel() + (v**2).sum(axis=1))
        known = np.flatnonzero(length > 0)
        self._know(known, data.n_items)
        scale = (1 / length[known]).astype(np.float32)
        self.profiles_ = sp.diags(scale).dot(x[known]).astype(np.float32).tocsr()
        self.vectors_ = np.ascontiguousarray(v[known] * scale[:, None], np.float32)
        topics = [topic for part, _ in found for topic in part]
        self.names_: Array = np.array([*topics, " and ".join(dense)], dtype=str)
        worth = self._worth(data)[known]
        self._list(worth**self.popularity)
        self.users_ = self._of_users(data)
        return self

    def _worth(self, data: Dataset) -> Array:
        """[n_items]: q."""
        if self.quality == "recent":
            return newness(data, self.quality_half_life)
        counts = decayed(data, self.quality_half_life)
        return (1 + counts) / (1 + counts.max(initial=0))

    def _list(self, worth: Array) -> None:
        """Learns M: the profiles themselves, or for each topic 1 / place of its first items."""
        by_topic = self.profiles_.T.tocsr()
        self.quality_ = worth.astype(np.float32)
        if self.answer == "topics":
            topic = np.repeat(np.arange(by_topic.shape[0]), np.diff(by_topic.indptr))
            order = np.lexsort((by_topic.indices, -(by_topic.data * worth[by_topic.indices]), topic))
            place = np.arange(len(order)) - by_topic.indptr[topic]
            kept = place < self.each
            ends = np.concatenate([[0], np.cumsum(np.bincount(topic[kept], minlength=by_topic.shape[0]))])
            data = (1 / (1.0 + place[kept])).astype(np.float32)
            by_topic = sp.csr_matrix((data, by_topic.indices[order][kept], ends), shape=by_topic.shape)
            self.quality_ = np.ones(len(worth), np.float32)
        self.table_ = by_topic

    def _asks(self, taken: sp.csr_matrix, vectors: Float32) -> Query:
        if self.answer == "nearest":
            return super()._asks(taken, vectors)
        return Query(Sparse.of(_largest(taken, self.best)), np.zeros_like(vectors))

    def _of_users(self, data: Dataset) -> sp.csr_matrix:
        """[n_users, t]: the ``best`` topics of everybody in the log."""
        rows, starts, user, column = self._grouped(data)
        if not len(starts):
            return sp.csr_matrix((data.n_users, self.profiles_.shape[1]), dtype=np.float32)
        events, shape = data.events, (data.n_users, len(self.items_))
        worth = self._strength(events.weight[rows], events.event[rows]) * self._faded(data, events.time[rows])
        w = sp.csr_matrix((np.maximum.reduceat(worth, starts), (user, column)), shape=shape, dtype=np.float32)
        return _largest((w @ self.profiles_).tocsr(), self.best).astype(np.float32)

    def n_topics(self) -> int:
        """How many levels, words and buckets there are."""
        return self.profiles_.shape[1]

    def topics(self, factor: int, k: int = 10) -> Candidates:
        """The ``k`` first items of a topic's list: column "score" by M, "loading" = x_it."""
        row = self.table_[factor]
        order = np.lexsort((row.indices, -row.data * self.quality_[row.indices]))[:k]
        columns = row.indices[order]
        loading = np.asarray(self.profiles_[columns][:, [factor]].todense()).ravel().astype(np.float32)
        score = (row.data * self.quality_[row.indices])[order].astype(np.float32)
        return Candidates(np.zeros(len(order), np.uint32), self.items_[columns], {"score": score, "loading": loading})

    def user_top_like(self, users: Array, k: int) -> Candidates:
        """The ``k`` items with the best score by the topics of users of the log (request = row of ``users``)."""
        users = np.asarray(users, np.int64)
        known = (users >= 0) & (users < self.users_.shape[0])
        asked = sp.diags(known.astype(np.float32)).dot(self.users_[np.where(known, users, 0)]).tocsr()
        asked.eliminate_zeros()
        query = Query(Sparse.of(asked), np.zeros((len(users), self.vectors_.shape[1]), np.float32))
        return self._best(query, Ragged.empty(len(users), item=np.int32), k, self.quality_)


def _largest(x: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """The ``k`` largest entries of each row; of equals the first columns."""
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    order = np.lexsort((x.indices, -x.data, rows))
    kept = np.arange(len(order)) - x.indptr[rows] < k
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=x.shape[0]))])
    return sp.csr_matrix((x.data[order][kept], x.indices[order][kept], ends), shape=x.shape)
