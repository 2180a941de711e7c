"""Items that can be had at the moment of the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from shortlist.component import HardRule, InputError
from shortlist.data import MISSING_TIME, Dataset, State
from shortlist.types import Array, Int64, Ragged, Requests


class Available(HardRule):
    """Forbids item i at time t unless available_from(i) <= t < until(i).

    ``available_from`` is what the data says (the catalogue, else the items table, else the first event). An item met
    live, which has no row there, is available; an item without an end has none. An item in no catalogue begins with its
    first event, before which no channel has heard of it: it need not be forbidden beforehand, which spares each request
    the list of everything that a log is still to bring.

    Source: Shortlist's own definition.
    """

    example: ClassVar[Mapping[str, Any]] = {}

    until: str | None = None
    """Item attribute of kind time from which on an item is gone; none given = items stay."""

    def fit(self, data: Dataset) -> Self:
        """Checks the attribute."""
        if self.until is not None and self.until in data.items.dated:
            raise InputError(
                f"rules.available.until: {self.until!r} is told by the log; expected a time of a catalogue"
            )
        if self.until is not None and self.until not in data.items.times:
            known = ", ".join(sorted(data.items.times)) or "none"
            raise InputError(
                f"rules.available.until: no item attribute {self.until!r} of kind time; there are: {known}"
            )
        return self

    def forbids(self, requests: Requests, state: State) -> Ragged:
        """[n] rows of "item": not yet there, though a catalogue lists it, or gone."""
        n = len(requests)
        start, end = self._bounds(state, np.arange(max(len(state.available_from), state.items.n)))
        unlisted = np.append(~state.items.listed, np.ones(max(0, len(start) - len(state.items.listed)), bool))
        start[unlisted[: len(start)]] = MISSING_TIME
        if n == 1:
            items = np.flatnonzero((start > requests.time[0]) | (end <= requests.time[0]))
            return Ragged(np.array([0, len(items)], np.int64), {"item": items.astype(np.int32)})
        # sorted by start, what is not yet there is a tail; sorted by end, what is gone is a head
        by_start, by_end = np.argsort(start, kind="stable"), np.argsort(end, kind="stable")
        early = np.searchsorted(start[by_start], requests.time, side="right")
        late = np.searchsorted(end[by_end], requests.time, side="right")
        parts = []
        for r in range(n):
            gone = by_end[: late[r]]
            parts.append(np.concatenate([by_start[early[r] :], gone[start[gone] <= requests.time[r]]]))
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        return Ragged(offsets, {"item": np.concatenate([*parts, np.empty(0)]).astype(np.int32)})

    def _bounds(self, state: State, items: Array) -> tuple[Int64, Int64]:
        """[len(items)] twice: the first moment of each item, and the first after its last."""
        forever = np.iinfo(np.int64).max
        start = _at(state.available_from, items, MISSING_TIME)
        end = np.full(len(items), forever)
        if self.until is not None and self.until in state.items.times:
            end = _at(state.items.times[self.until], items, MISSING_TIME)
            end[end == MISSING_TIME] = forever
        return start, end


def _at(column: Int64, items: Array, otherwise: int) -> Int64:
    inside = (items >= 0) & (items < len(column))
    if inside.all():
        return column[items]
    out = np.full(len(items), otherwise, np.int64)
    out[inside] = column[items[inside]]
    return out
