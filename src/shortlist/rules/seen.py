"""Items the user has already met."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np

from shortlist.component import HardRule, InputError
from shortlist.data import Dataset, State
from shortlist.durations import Duration
from shortlist.types import Array, Bool, Int64, Ragged, Requests, distinct


class Seen(HardRule):
    """Forbids item i to user u at time t if u met i at s <= t by event e with t - s < window(e).

    By default any event counts, for ever. With ``events`` only those kinds count, each for its time: bought things for
    30 days, viewed things for a day, and anything else may come back at once. The history is looked up in full, however
    long ago, and what the request itself brings along counts as well.

    Source: Shortlist's own definition.
    """

    events: dict[str, Duration | Literal["ever"]] | None = None
    """How long each kind of event counts: ``{buy = "30d", view = "ever"}``; none given = every kind for ever."""

    def fit(self, data: Dataset) -> Self:
        """Checks the names of the events."""
        for name in self.events or {}:
            if name not in data.behaviours.names:
                known = ", ".join(data.behaviours.names)
                raise InputError(f"rules.seen.events.{name}: the log has no such event; there are {known}")
        return self

    def forbids(self, requests: Requests, state: State) -> Ragged:
        """[n] rows of "item", ascending."""
        windows = self._windows(state)
        parts = [state.history(requests.user, requests.time), requests.history]
        keys = []
        for part in parts:
            if not len(part["item"]):
                continue
            rows = part.rows
            counted = self._counted(part, requests.time[rows], windows)
            keys.append(rows[counted] << 32 | part["item"][counted])
        key = distinct(np.concatenate([*keys, np.empty(0, np.int64)]))
        return Ragged.of(key >> 32, len(requests), item=(key & 0xFFFFFFFF).astype(np.int32))

    def _windows(self, state: State) -> Int64:
        """[E]: how long each event counts; 0 = not at all, -1 = for ever."""
        if self.events is None:
            return np.full(len(state.behaviours.names), -1, np.int64)
        windows = [self.events.get(name, 0) for name in state.behaviours.names]
        return np.array([-1 if window == "ever" else window for window in windows], np.int64)

    def _counted(self, history: Ragged, now: Int64, windows: Int64) -> Bool:
        """[h]: entries that are known by now and not too long ago."""
        if self.events is None:
            return history["time"] <= now
        event: Array = history["event"]
        known = (event >= 0) & (event < len(windows))
        window = np.where(known, windows[np.where(known, event, 0)], 0)
        age = now - history["time"]
        return (age >= 0) & ((window < 0) | (age < window))
