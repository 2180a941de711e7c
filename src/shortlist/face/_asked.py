"""What the verbs share: ids in, requests in batches, frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from shortlist import answer
from shortlist.component import InputError
from shortlist.durations import stamp
from shortlist.face.log import Log, Moment, moment
from shortlist.rules.seen import Seen
from shortlist.types import Array, Int32, Requests

BATCH = 1024
"""Requests answered together."""
Id = str | int | np.integer[Any]
Ids = Id | Iterable[Id]
"""One id or many: a list, a column of a frame, an array. Numbers are read as the text they are written as."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked about, at which moment."""

    log: Log
    users: list[str]  # each once
    time: int

    @staticmethod
    def of(log: Log, users: Ids, now: Moment | None, until: int | None) -> Asked:
        """``until`` is the last moment that was learned from; raises ``InputError`` if ``now`` is none or before it."""
        until = until or 0
        time = max(log.state.last, until) if now is None else moment("now", now)
        if time < until:
            raise InputError(f"now: {stamp(time)} is before {stamp(until)}, the end of what was learned from")
        return Asked(log, list(dict.fromkeys(ids_of(users))), time)

    def batches(self, exclude_seen: bool) -> Iterator[tuple[int, Requests]]:
        """(number of the first, requests) of at most ``BATCH`` users; strangers have the code -1."""
        codes = np.array([self.log.data.user_ids.code(user) for user in self.users], np.int32)
        for first in range(0, len(codes), BATCH):
            requests = answer.requests_of(self.log.state, codes[first : first + BATCH], self.time)
            if exclude_seen:
                requests = requests.excluding(Seen().forbids(requests, self.log.state))
            yield first, requests


def ids_of(asked: Ids) -> list[str]:
    """Ids as strings; raises ``InputError`` for what holds none, such as a whole frame."""
    if isinstance(asked, str | int | np.integer):
        return [str(asked)]
    if isinstance(asked, Iterable) and not hasattr(asked, "columns"):  # a frame would give its columns
        return [str(one) for one in asked]
    raise InputError(f"expected an id or many (a list, one column of a frame), found a {type(asked).__name__}")


def at_most(n: int) -> int:
    """How many rows are asked for; raises ``InputError`` unless that is a whole number from 0 on."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise InputError(f"n: expected a whole number from 0 on, found {n!r}")
    return int(n)


def item_codes(log: Log, items: Sequence[str]) -> Int32:
    """[n] codes; -1 for an item not known."""
    return np.array([log.data.item_ids.code(item) for item in items], np.int32)


def picked(names: pl.Series, codes: Array) -> pl.Series:
    """The names of codes, null for -1."""
    rows = pl.Series(codes)
    return names.gather(rows.set(rows < 0, None))


def concat(parts: Sequence[pl.DataFrame], schema: Any) -> pl.DataFrame:
    """The rows of all parts, with the columns of ``schema`` even if there are none."""
    return pl.concat([pl.DataFrame(schema=schema), *parts])
