"""The log as columns, and what each behaviour is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shortlist.types import Array, Bool, Float32, Int16, Int32, Int64


@dataclass(frozen=True, slots=True)
class Behaviours:
    """The kinds of event in a log, how strong each is, and from which value on it counts as positive."""

    names: tuple[str, ...]
    strengths: Float32  # [E]
    minimum: Float32  # [E] an event is positive from this value on; -inf = always; inf = never

    def code(self, name: str) -> int:
        """The code of a behaviour; -1 if the log has none of that name."""
        return self.names.index(name) if name in self.names else -1

    def weight(self, event: Int16, value: Float32) -> Float32:
        """[n] the strength of positive events, 0 for the others; an event without a value is judged by its kind."""
        minimum = self.minimum[event]
        positive = np.where(np.isnan(value), np.isneginf(minimum), value >= minimum)
        return np.where(positive, self.strengths[event], 0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of the log in time order; rows of equal time keep the order of the file."""

    user: Int32  # [m] identity code, -1 = no id
    item: Int32  # [m]
    event: Int16  # [m] code into Behaviours.names
    value: Float32  # [m] NaN = none
    time: Int64  # [m] ascending
    weight: Float32  # [m] strength of a positive event, 0 for any other
    context: Mapping[str, Array] = field(default_factory=dict)  # each [m]
    session: Int32 | None = None  # [m] which of its user's sessions, where the recipe says what one is; -1 = nobody's

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Array | slice) -> Events:
        """Some of the rows; the caller keeps them in time order."""
        return Events(
            self.user[rows],
            self.item[rows],
            self.event[rows],
            self.value[rows],
            self.time[rows],
            self.weight[rows],
            {name: column[rows] for name, column in self.context.items()},
            None if self.session is None else self.session[rows],
        )

    def between(self, start: int | None, end: int | None) -> Events:
        """Rows with start <= time < end, without a copy."""
        low = 0 if start is None else int(np.searchsorted(self.time, start))
        high = len(self) if end is None else int(np.searchsorted(self.time, end))
        return self.take(slice(low, max(low, high)))

    def select(self, which: str, behaviours: Behaviours) -> Bool:
        """[m] mask: ``"all"``, ``"positive"`` or the name of a behaviour."""
        if which == "all":
            return np.ones(len(self), bool)
        if which == "positive":
            return self.weight > 0
        return self.event == behaviours.code(which)

    @staticmethod
    def of(user: Array, item: Array, event: Array, value: Array, time: Array, behaviours: Behaviours) -> Events:
        """Sorts by time (stable) and weighs."""
        order = np.argsort(time, kind="stable")
        event = np.asarray(event, np.int16)[order]
        value = np.asarray(value, np.float32)[order]
        return Events(
            np.asarray(user, np.int32)[order],
            np.asarray(item, np.int32)[order],
            event,
            value,
            np.asarray(time, np.int64)[order],
            behaviours.weight(event, value),
        )

    @staticmethod
    def concat(parts: list[Events]) -> Events:
        """All rows, sorted by time; of equal times, those of an earlier part first."""
        time = np.concatenate([part.time for part in parts])
        order = np.argsort(time, kind="stable")

        def column(name: str) -> Array:
            return np.concatenate([getattr(part, name) for part in parts])[order]

        return Events(
            column("user"), column("item"), column("event"), column("value"), time[order], column("weight")
        )  # context and sessions belong to a replay, which is never joined
