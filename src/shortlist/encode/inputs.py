"""What a net reads of a batch, as arrays: what belongs to a request stands in it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from shortlist.types import Array, Candidates, Int64, Requests

REQUEST = "request"
"""The input that says which row of ``asked`` each row belongs to."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arrays by name, those of rows and those of requests, and which request each row is of.

    A history of 50 items is 50 numbers for a request, however many of its rows are scored.
    """

    rows: Mapping[str, Array]  # each [m, ...]
    asked: Mapping[str, Array] = field(default_factory=dict)  # each [n, ...]
    request: Int64 | None = None  # [m] row of ``asked``, ascending; None where nothing is asked of requests

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    def named(self) -> dict[str, Array]:
        """All arrays by name; ``request`` is among them where there is anything of requests."""
        index = {} if self.request is None else {REQUEST: self.request}
        return {**self.rows, **self.asked, **index}

    def of_rows(self, rows: Array | slice) -> dict[str, Array]:
        """The arrays of the rows numbered ``rows``, in that order."""
        if isinstance(rows, slice):
            return {name: array[rows] for name, array in self.rows.items()}
        return {name: array.take(rows, axis=0) for name, array in self.rows.items()}

    def part(self, start: int, end: int) -> Inputs:
        """The rows from ``start`` to before ``end`` and the requests between the first's and the last's."""
        return _part(self, start, end)


@dataclass(frozen=True, slots=True)
class Streamed:
    """The same of rows that are encoded when they are read, a step's or a chunk's at a time.

    Encoded rows may take several times the memory of the columns that they come of.
    """

    encode: Callable[[Requests, Candidates], Mapping[str, Array]]  # the arrays of rows by name, each [m, ...]
    requests: Requests
    candidates: Candidates  # [m] rows with the columns that ``encode`` reads
    asked: Mapping[str, Array] = field(default_factory=dict)  # each [n, ...]
    request: Int64 | None = None  # [m] as that of ``Inputs``

    def __len__(self) -> int:
        return len(self.candidates)

    def of_rows(self, rows: Array | slice) -> Mapping[str, Array]:
        """The arrays of the rows numbered ``rows``, in that order."""
        return self.encode(self.requests, self.candidates.take(rows))

    def part(self, start: int, end: int) -> Inputs:
        """The rows from ``start`` to before ``end`` and the requests between the first's and the last's."""
        return _part(self, start, end)


def _part(whole: Inputs | Streamed, start: int, end: int) -> Inputs:
    rows = whole.of_rows(slice(start, end))
    if whole.request is None or not len(whole.request[start:end]):
        return Inputs(rows, whole.asked, None if whole.request is None else whole.request[start:end])
    request = whole.request[start:end]
    first, last = int(request[0]), int(request[-1])
    asked = {name: array[first : last + 1] for name, array in whole.asked.items()}
    return Inputs(rows, asked, np.asarray(request - first, np.int64))
