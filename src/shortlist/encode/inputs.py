"""What a net reads of a batch, as arrays: what belongs to a request stands in it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shortlist.types import Array, Int64

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

    def part(self, start: int, end: int) -> Inputs:
        """The rows from ``start`` to before ``end`` and the requests between the first's and the last's."""
        rows = {name: array[start:end] for name, array in self.rows.items()}
        if self.request is None or not len(self.request[start:end]):
            return Inputs(rows, self.asked, None if self.request is None else self.request[start:end])
        request = self.request[start:end]
        first, last = int(request[0]), int(request[-1])
        asked = {name: array[first : last + 1] for name, array in self.asked.items()}
        return Inputs(rows, asked, np.asarray(request - first, np.int64))
