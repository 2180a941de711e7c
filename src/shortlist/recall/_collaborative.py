"""What the channels that learn from the log share: what of it counts, as a matrix, and of a request's history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset, Signal
from shortlist.durations import Duration
from shortlist.recall._kernels.history import LOG, ONCE, SUM, weighted
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._vocabulary import Vocabulary
from shortlist.types import Array, Float32, Float64, Int32, Int64, Requests

_MODES = {"sum": SUM, "log": LOG, "once": ONCE}

FAINT = 2.0**-40
"""What age leaves of an event at least: however old, it has happened, and float32 still holds its square."""

AGES = Search(choices=(None, "10m", "1h", "1d", "7d", "30d", "90d"))
LOG_AGES = Search(choices=(None, "7d", "30d", "90d", "180d", "365d"))
"""Half-lives worth trying, of a history and of the log; none = the field left out, as it is by default."""


class Collaborative(Vocabulary):
    """Learns from the log: what its events are worth, and what those of a history are that is asked about."""

    sizes: ClassVar[Mapping[str, str]] = {"strengths_": "b"}

    signal: Signal = "positive"
    """Which events are learned from and count as history: the positive ones by their weight, or the others too, by the
    strength of their kind."""
    repeats: Literal["once", "log", "sum"] = "once"
    """What several events of a user with an item are worth: the strongest, log2(1 + summed strength), or the sum."""
    half_life: Annotated[Duration | None, AGES] = None
    """An event of the history that is this much older than its latest one counts half; none = age does not matter."""
    fade: Annotated[Annotated[float, Field(gt=0)] | None, Search(choices=(None, 0.5, 1, 2, 3, 5, 10))] = None
    """An item of the history counts half for every so many distinct ones after it; none = its place does not matter."""
    log_half_life: Annotated[Duration | None, LOG_AGES] = None
    """An event of the log that is this much older than the log's last counts half in the fit; none = as any other."""
    last: Annotated[Annotated[int, Field(ge=1)] | None, Search(choices=(None, 5, 10, 20, 50))] = None
    """How many of the latest distinct items of the history count; none = all."""
    clip: Annotated[float, Field(ge=1)] | None = 5.0
    """An event counts at most this many times the median one; none = as its strength says. Of a strength far beyond,
    a model learns the few such events and little else."""
    min_count: int = Field(default=1, ge=1)
    """Items with fewer events that count are unknown to the model."""

    def _vocabulary(self, data: Dataset) -> None:
        """Learns which items the model knows, and what each kind of event is worth."""
        self.strengths_: Float32 = np.asarray(data.behaviours.strengths, np.float32)
        events = data.events
        strength = self._told(events.weight, events.event)
        counts = np.bincount(events.item[strength > 0], minlength=data.n_items)
        self.typical_: float = float(np.median(strength[strength > 0])) if counts.any() else 1.0
        self._know(np.flatnonzero(counts >= self.min_count), data.n_items)

    def _strength(self, weight: Float32, event: Array) -> Float32:
        """[m]: what events count, in the log as in a history: what they are said to, at most ``clip`` times the
        median; one of strength 0 is as if it had not happened."""
        told = self._told(weight, event)
        return told if self.clip is None else np.minimum(told, np.float32(self.clip * self.typical_))

    def _told(self, weight: Float32, event: Array) -> Float32:
        """[m]: events' own weight if they are positive, else nothing, or with ``signal = "all"`` the strength of their
        kind."""
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

    def _sessions(self, data: Dataset, rows: Int64, gap: int | None) -> Int32 | None:
        """[len(rows)]: the log's sessions, of whose cut a channel without a ``gap`` of its own makes use."""
        session = data.events.session
        return None if gap is not None or session is None else session[rows]

    def _taken(self, requests: Requests) -> Sparse:
        """The history of each request as weights of columns, latest first."""
        history = requests.history
        strength = self._strength(history["weight"], history["event"])
        log = history.offsets, history["item"], strength, history["time"]
        rate = 1 / self.half_life if self.half_life else 0.0
        fade = 1 / self.fade if self.fade else 0.0
        how = rate, fade, self.last or 0, _MODES[self.repeats]
        return Sparse(*weighted(*log, self.column_, len(self.items_), *how))
