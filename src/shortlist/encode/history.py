"""Windows of a request's history: its last events as arrays of one length, oldest first, padded on the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.component import InputError
from shortlist.types import Array, Bool, Int64, Requests

EVENT, VALUE, AGE = "event", "value", "age"
CARRIED = (EVENT, VALUE, AGE)
"""What an entry may carry beside its item and the item's attributes."""


@dataclass(frozen=True, slots=True)
class Window:
    """The last ``length`` events of a history, or those of them that are not older than ``within``.

    Each entry has its item, under the window's name (a word without a dot), and what it ``carries`` under
    ``name.event``, ``name.value``, ``name.age`` (moment of the request - moment of the event) or ``name.ATTRIBUTE``,
    the item's.
    """

    name: str
    length: int
    carries: tuple[str, ...] = ()
    shares: str = "item"  # the column of item codes whose vectors the items use
    within: int | None = None  # microseconds; None = however old

    def parts(self) -> dict[str, str]:
        """Names of fields, and what of an entry each is; the item's is ``""``."""
        return {self.name: "", **{f"{self.name}.{part}": part for part in self.carries}}


def part_of(field: str) -> str:
    """What of an entry the field called ``field`` is: the text behind its window's name."""
    return field.partition(".")[2]


def last(requests: Requests, length: int, within: int | None = None) -> tuple[Int64, Bool]:
    """``(place, inside)`` [n, length]: where in the history's columns the last entries stand, oldest first.

    ``inside`` is false for padding, which is on the left, and for what is older than ``within``.
    """
    history = requests.history
    place = history.offsets[1:, None] - np.arange(length, 0, -1)
    inside = place >= history.offsets[:-1, None]
    if within is not None and len(history["time"]):
        inside &= requests.time[:, None] - history["time"][np.where(inside, place, 0)] <= within
    return place, inside


def entries(requests: Requests, part: str, place: Int64, inside: Bool) -> Array:
    """[n, length]: items (for ``""`` and for attributes) or events, padded with -1; values or ages, with NaN."""
    history = requests.history
    if part == VALUE:
        return np.where(inside, np.append(history["value"], np.nan)[np.where(inside, place, -1)], np.nan)
    if part == AGE:
        time = np.append(history["time"], 0)[np.where(inside, place, -1)]
        return np.where(inside, requests.time[:, None] - time, np.nan)
    codes = np.append(history[EVENT if part == EVENT else "item"], -1)
    return np.where(inside, codes[np.where(inside, place, -1)], -1)


def check(windows: list[Window], columns: list[str], attributes: list[str]) -> None:
    """Raises ``InputError`` for a field called as a column or as another, and for what an entry cannot carry."""
    taken = [*columns, "numbers", "codes", "lists", "request"]
    for window in windows:
        for field in window.parts():
            if field in taken:
                raise InputError(f"{field}: the last items are a field of that name, and so is a column: leave one out")
            taken.append(field)
        for part in window.carries:
            if part not in (*CARRIED, *attributes):
                known = ", ".join((*CARRIED, *attributes))
                raise InputError(f"{window.name}: its entries cannot carry {part!r}; there are {known}")
