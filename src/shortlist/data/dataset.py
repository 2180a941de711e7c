"""A log with its catalogue, users and relations, in codes; cut by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

from shortlist.data.events import Behaviours, Events
from shortlist.data.exposures import Exposures
from shortlist.data.order import MINUTE, Clock
from shortlist.data.state import State
from shortlist.data.table import MISSING_TIME, Table
from shortlist.data.vocab import Vocab
from shortlist.durations import stamp
from shortlist.types import HISTORY, Int64, Ragged

Signal = Literal["positive", "all"]
FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Dataset:
    """What channels, features and rules are fitted on.

    ``until(t)`` is what was known before ``t``: the events cut off, and what the log tells of items and users with
    them; the identities and the other attributes kept (an item's row in the catalogue is not an event;
    ``available_from`` says since when it could be shown).
    """

    events: Events
    behaviours: Behaviours
    user_ids: Vocab
    item_ids: Vocab
    users: Table
    items: Table
    available_from: Int64  # [n_items] MISSING_TIME = always, FOREVER = not yet
    exposures: pl.DataFrame | None = None  # as [data.exposures] has them, users and items in codes, time ascending
    triples: pl.DataFrame | None = None
    ties: pl.DataFrame | None = None
    clock: Clock = "time"  # what the events' times are: moments, or places in an order
    session_gap: int | None = None  # microseconds: a longer pause begins a new session; None = there are no sessions
    end: int | None = None  # events are known before this moment; None = to the end of the log
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """How many identities of users there are, with or without events before the cut."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """How many identities of items there are, with or without events before the cut."""
        return len(self.item_ids)

    @property
    def order_only(self) -> bool:
        """Whether the log has no times."""
        return self.clock != "time"

    def when(self, time: int) -> str:
        """A moment of this log as people write it, or its place where the log has no times."""
        return f"event {round(time / MINUTE):,}" if self.order_only else stamp(time)

    @property
    def fitted_until(self) -> int:
        """The last moment this data knows of: what is fitted on it may answer requests from then on."""
        if self.end is not None:
            return self.end - 1
        return int(self.events.time[-1]) if len(self.events) else MISSING_TIME

    def until(self, t: int) -> Dataset:
        """The same with the events (and exposures) before ``t`` only."""
        return self.between(None, t)

    def between(self, a: int | None, b: int | None) -> Dataset:
        """The same with the events (and exposures) of a <= time < b only, and what the log told before b."""
        users, items = (table if b is None else table.until(b) for table in (self.users, self.items))
        events, shown = self.events.between(a, b), self._shown(a, b)
        return replace(self, events=events, exposures=shown, end=b, users=users, items=items)

    def _shown(self, a: int | None, b: int | None) -> pl.DataFrame | None:
        shown, time = self.exposures, pl.col("time")
        if shown is not None and a is not None:
            shown = shown.filter(time >= a)
        return shown.filter(time < b) if shown is not None and b is not None else shown

    def cut(self, at: float | int) -> int:
        """The moment a split means: a fraction of the events by time, or microseconds as they are."""
        if isinstance(at, float) and at <= 1:
            m = len(self.events)
            return int(self.events.time[min(int(at * m), m - 1)]) if m else 0
        return int(at)

    def state(self) -> State:
        """The as-of view of this log."""
        shown = None if self.exposures is None else Exposures.read(self.exposures)
        return State(self.behaviours, self.users, self.items, self.available_from, self.events, shown)

    def matrix(self, signal: Signal = "positive", half_life: int | None = None) -> sp.csr_matrix:
        """CSR float32 [n_users, n_items]: summed strength of each pair, optionally decayed from the last event on.

        ``"positive"`` counts positive events by their weight; ``"all"`` also the others, by the strength of their kind.
        """
        events = self.events
        rows = np.flatnonzero((events.user >= 0) & ((events.weight > 0) | (signal == "all")))
        weight = events.weight[rows]
        strength = np.where(weight > 0, weight, self.behaviours.strengths[events.event[rows]]).astype(np.float64)
        if half_life and len(rows):
            strength *= 0.5 ** ((events.time[-1] - events.time[rows]) / half_life)
        matrix = sp.coo_matrix((strength, (events.user[rows], events.item[rows])), shape=(self.n_users, self.n_items))
        return matrix.tocsr().astype(np.float32)

    def sequences(self, n: int | None = None, signal: Signal = "all") -> Ragged:
        """[n_users] rows of HISTORY columns: each user's last ``n`` events, oldest first; with "session" of a log that
        has them."""
        events = self.events
        rows = np.flatnonzero((events.user >= 0) & ((events.weight > 0) | (signal == "all")))
        rows = rows[np.argsort(events.user[rows], kind="stable")]
        names = [*HISTORY, *(["session"] if events.session is not None else [])]
        whole = Ragged.of(events.user[rows], self.n_users, **{name: getattr(events, name)[rows] for name in names})
        if n is None:
            return whole
        place = np.arange(len(rows)) - np.repeat(whole.offsets[1:], whole.lengths)
        return whole.keep(place >= -n)

    def item_counts(self, which: str = "positive") -> Int64:
        """[n_items]: events of each item; ``which`` is "positive", "all" or a behaviour."""
        return np.bincount(self.events.item[self.events.select(which, self.behaviours)], minlength=self.n_items)

    def user_counts(self, which: str = "positive") -> Int64:
        """[n_users]: events of each user."""
        users = self.events.user[self.events.select(which, self.behaviours)]
        return np.bincount(users[users >= 0], minlength=self.n_users)
