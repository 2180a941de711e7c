"""What the channels that learn from the log alone share: vocabulary, the request's history as weights, scoring.

Each of them scores linearly, score(r, i) = sum_j w_rj M[j, i]: w from the request's own history, M learned. A user is
only a history, so unknown users are answered like known ones and live events count at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Retriever, Search
from shortlist.data import Dataset, Signal, State
from shortlist.durations import Duration
from shortlist.recall._kernels import top
from shortlist.recall._kernels.history import LOG, ONCE, SUM, weighted
from shortlist.types import Array, Candidates, Float32, Float64, Int32, Int64, Requests

Query = tuple[Int64, Array, Float32]
"""A sparse batch over the rows of M: offsets [n + 1], rows, weights."""

_MODES = {"sum": SUM, "log": LOG, "once": ONCE}

FAINT = 2.0**-40
"""What age leaves of an event at least: however old, it has happened, and float32 still holds its square."""

AGES = Search(choices=(None, "10m", "1h", "1d", "7d", "30d", "90d"))
LOG_AGES = Search(choices=(None, "7d", "30d", "90d", "180d", "365d"))
"""Half-lives worth trying, of a history and of the log; none = the field left out, as it is by default."""


class Collaborative(Retriever):
    """Linear scoring of items by the request's history.

    A subclass learns ``table_`` (M: dense [rows, c] or CSR [rows, c]) and may replace ``_query`` where the rows of M
    are not the c items of the vocabulary themselves.
    """

    if TYPE_CHECKING:
        table_: Any  # M

    signal: Signal = "positive"
    """Which events are learned from and count as history: the positive ones by their weight, or the others too, by the
    strength of their kind."""
    repeats: Literal["once", "log", "sum"] = "once"
    """What several events of a user with an item are worth: the strongest, log2(1 + summed strength), or the sum."""
    half_life: Annotated[Duration | None, AGES] = None
    """An event of the history that is this much older than its latest one counts half; none = age does not matter."""
    log_half_life: Annotated[Duration | None, LOG_AGES] = None
    """An event of the log that is this much older than the log's last counts half in the fit; none = as any other."""
    last: Annotated[Annotated[int, Field(ge=1)] | None, Search(choices=(None, 5, 10, 20, 50))] = None
    """How many of the latest distinct items of the history count; none = all."""
    min_count: int = Field(default=1, ge=1)
    """Items with fewer events that count are unknown to the model."""

    def _vocabulary(self, data: Dataset) -> None:
        """Learns which items the model knows, and what each kind of event is worth."""
        self.strengths_: Float32 = np.asarray(data.behaviours.strengths, np.float32)
        events = data.events
        counts = np.bincount(events.item[self._strength(events.weight, events.event) > 0], minlength=data.n_items)
        self.items_: Int32 = np.flatnonzero(counts >= self.min_count).astype(np.int32)  # [c] codes, ascending
        self.column_: Int32 = np.full(data.n_items, -1, np.int32)  # [n_items]
        self.column_[self.items_] = np.arange(len(self.items_), dtype=np.int32)

    def _strength(self, weight: Float32, event: Array) -> Float32:
        """[m]: what events count, in the log as in a history: their own weight if they are positive, else nothing, or
        with ``signal = "all"`` the strength of their kind; one of strength 0 is as if it had not happened."""
        return weight if self.signal == "positive" else np.where(weight > 0, weight, self.strengths_[event])

    def _matrix(self, data: Dataset) -> sp.csr_matrix:
        """Learns the vocabulary; the log as CSR float32 [n_users, c], column numbers sorted."""
        self._vocabulary(data)
        rows, starts, user, column = self._grouped(data)
        events = data.events
        worth = self._strength(events.weight[rows], events.event[rows]) * self._faded(data, events.time[rows])
        if self.repeats == "once":
            each = np.maximum.reduceat(worth, starts) if len(starts) else worth
        else:
            each = np.add.reduceat(worth, starts) if len(starts) else worth
        if self.repeats == "log":
            each = np.log2(1 + each)
        offsets = np.searchsorted(user, np.arange(data.n_users + 1))
        shape = data.n_users, len(self.items_)
        return sp.csr_matrix((each.astype(np.float32), column, offsets), shape=shape)

    def _faded(self, data: Dataset, times: Int64) -> Float64:
        """What age leaves of events of the log at ``times``: 2^(-(end - t) / log_half_life), or 1."""
        if not self.log_half_life or not len(times):
            return np.ones(len(times))
        return np.maximum(0.5 ** ((data.events.time[-1] - times) / self.log_half_life), FAINT)

    def _grouped(self, data: Dataset) -> tuple[Int64, Int64, Int32, Int32]:
        """The events learned from by user, column and time; where each pair begins, its user and its column."""
        rows, events = self._rows(data), data.events
        key = events.user[rows] * np.int64(max(len(self.items_), 1)) + self.column_[events.item[rows]]
        order = np.argsort(key, kind="stable")  # the log is in time order
        rows, key = rows[order], key[order]
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        return rows, starts, events.user[rows[starts]], self.column_[events.item[rows[starts]]]

    def _latest(self, data: Dataset) -> Int64:
        """[nnz of the matrix]: when each of its pairs last happened, in its order."""
        rows, starts, _, _ = self._grouped(data)
        return data.events.time[rows[np.append(starts[1:], len(rows))[: len(starts)] - 1]]

    def _rows(self, data: Dataset) -> Int64:
        """The events of known users with known items that are learned from."""
        events = data.events
        counted = self._strength(events.weight, events.event) > 0
        return np.flatnonzero(counted & (events.user >= 0) & (self.column_[events.item] >= 0))

    def _taken(self, requests: Requests) -> Query:
        """The history of each request as weights of columns, latest first."""
        history = requests.history
        rate = 1 / self.half_life if self.half_life else 0.0
        return weighted(
            history.offsets,
            history["item"],
            self._strength(history["weight"], history["event"]),
            history["time"],
            self.column_,
            len(self.items_),
            rate,
            self.last or 0,
            _MODES[self.repeats],
        )

    def _query(self, requests: Requests) -> Query:
        return self._taken(requests)

    def _kept(self, make: Callable[[Requests], Query], requests: Requests) -> Query:
        """``make(requests)``, worked out once: retrieve, score and explain ask it of the same requests in turn."""
        key = id(self), make.__name__
        learned, kept = self.table_, requests.memo.get(key)
        if kept is None or kept[0] is not learned:  # fitted anew since
            kept = requests.memo[key] = (learned, make(requests))
        return kept[1]

    def _asked(self, requests: Requests) -> Query:
        return self._kept(self._query, requests)

    def _columns(self, items: Array) -> Int32:
        """[m] columns of item codes, -1 where the model does not know the item."""
        known = (items >= 0) & (items < len(self.column_))
        return np.where(known, self.column_[np.where(known, items, 0)], -1) if len(self.column_) else known - 1

    def fit(self, data: Dataset) -> Self:
        """Learns M from a log that ends at the cut."""
        raise NotImplementedError

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items with a positive score; a request without a known history gets none."""
        return self._best(self.table_, self._asked(requests), requests.exclude.offsets, requests.exclude["item"], k)

    def _best(self, table: Any, query: Query, ex_offsets: Int64, ex_items: Int32, k: int) -> Candidates:
        """The best ``k`` columns of ``table`` for each row of the query."""
        if sp.issparse(table):
            csr = table.indptr, table.indices, table.data, table.shape[1]
            found = top.sparse_top(*query, *csr, ex_offsets, ex_items, self.column_, k)
        else:
            found = top.dense_top(*query, table, ex_offsets, ex_items, self.column_, k)
        request, column, score = found
        return Candidates(request, self.items_[column], {"score": score})

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for items the model does not know."""
        query, table, asked = self._asked(requests), self.table_, (candidates.request, candidates.item, self.column_)
        if sp.issparse(table):
            return top.sparse_score(*query, table.indptr, table.indices, table.data, table.shape[1], *asked)
        return top.dense_score(*query, table, *asked)

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history with the largest term of the score; -1 where none speaks for the row."""
        query, table, asked = self._asked(requests), self.table_, (candidates.request, candidates.item, self.column_)
        if sp.issparse(table):
            row = top.sparse_largest(*query, table.indptr, table.indices, table.data, *asked)
        else:
            row = top.dense_largest(*query, table, *asked)
        return np.where(row >= 0, self.items_[row], -1).astype(np.int32) if len(self.items_) else row


class ItemToItem(Collaborative):
    """Linear scoring where M [c, c] says how much item j speaks for item i."""

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` items with the largest M[j, .] for each item j; unknown items have none."""
        columns = self._columns(np.asarray(items))
        known = columns >= 0
        offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
        query = offsets, columns[known].astype(np.int32), np.ones(known.sum(), np.float32)
        return self._best(self.table_, query, np.arange(len(items) + 1), np.asarray(items, np.int32), k)
