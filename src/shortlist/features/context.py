"""When a request is made, what came with it, and what kind of user makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Feature, InputError
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.features import _history
from shortlist.types import Array, Candidates, Ragged, Requests

HOUR, DAY = UNITS["h"], UNITS["d"]
SUMMARY = ("history.length", "history.positive", "history.mean", "history.sd", "history.days", "session", "history.age")


class Context(Feature):
    """Hour and weekday of the request, its context columns, and a summary of the history behind it.

    ``hour`` (0-23) and ``weekday`` (0 = Monday) are codes in the time zone ``utc_offset``. Of the history:
    ``history.length`` = log(1 + events), ``history.positive`` = share of positive events, ``history.mean`` and
    ``history.sd`` of its values, ``history.days`` = log(1 + distinct days), ``history.age`` = log(1 + days since the
    first event), ``session`` = log(1 + events of the sitting that is still going on: no pause above ``idle``).
    Columns of the log's own context are codes of the levels met at the first ``fit``, or numbers. All of these are the
    same for every row of a request: they serve by telling the ranker when to trust which other column.

    Source: Adomavicius and Tuzhilin (2011), Context-aware recommender systems.
    """

    calendar: ClassVar[bool] = True
    sizes: ClassVar[Mapping[str, str]] = {"names_": "k", "numeric_": "k", "levels_": "k l"}

    utc_offset: float = Field(default=0.0, ge=-14, le=14)
    """Hours by which local time is ahead of UTC."""
    idle: Duration = 30 * UNITS["m"]
    """A pause longer than this ends a sitting."""

    def fit(self, data: Dataset) -> Self:
        """Learns the levels of the log's context columns that are not numbers; fitted again, it keeps their codes."""
        names = list(data.events.context)
        known = self.__dict__.get("names_")
        if known is not None and known.tolist() == names:
            return self  # a ranker has learned what these codes mean; a level it has not met stays unknown
        levels = [_levels(data.events.context[name]) for name in names]
        self.names_ = np.array(names, dtype=str)
        self.numeric_ = np.array([data.events.context[name].dtype.kind == "f" for name in names], bool)
        lengths = np.array([0, *map(len, levels)], np.int64)
        self.levels_ = Ragged(np.cumsum(lengths), {"level": np.concatenate([np.empty(0, "U1"), *levels])})
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``context.*``, each [m]; raises ``InputError`` for text where the log has numbers."""
        n, history = len(requests), requests.history
        local = requests.time + round(self.utc_offset * HOUR)
        out: dict[str, Array] = {
            "context.hour": (local % DAY // HOUR).astype(np.int32),
            "context.weekday": ((local // DAY + 3) % 7).astype(np.int32),  # 1970-01-01 was a Thursday
        }
        mine = np.empty((len(SUMMARY), n), np.float32)
        _history.summary(
            history.offsets, history["time"], history["value"], history["weight"], requests.time, self.idle, DAY, mine
        )
        out |= {f"context.{name}": column for name, column in zip(SUMMARY, mine, strict=True)}
        for row, name in enumerate(self.names_):
            given = requests.context.get(name)
            if self.numeric_[row]:
                out[f"context.{name}"] = np.full(n, np.nan, np.float32) if given is None else _number(name, given)
            else:
                levels = self.levels_.row(row)["level"]
                out[f"context.{name}"] = np.full(n, -1, np.int32) if given is None else _codes(given, levels)
        return {name: column[candidates.request] for name, column in out.items()}


def _levels(column: Array) -> Array:
    """Distinct values as text, sorted; none for a column of numbers with a fraction."""
    return np.empty(0, "U1") if column.dtype.kind == "f" else np.unique(column.astype(str))


def _codes(column: Array, levels: Array) -> Array:
    """The place of each value among ``levels``, -1 where it is not there."""
    if not len(levels):
        return np.full(len(column), -1, np.int32)
    text = np.asarray(column).astype(str)
    place = np.minimum(np.searchsorted(levels, text), len(levels) - 1)
    return np.where(levels[place] == text, place, -1).astype(np.int32)


def _number(name: str, column: Array) -> Array:
    try:
        number = np.asarray(column, np.float32)
    except ValueError as error:
        raise InputError(f"context.{name}: expected a number, found {str(column[0])!r}") from error
    return np.where(np.isfinite(number), number, np.float32(np.nan))
