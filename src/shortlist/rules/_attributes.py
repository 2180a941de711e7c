"""Attribute values of candidate rows, several attributes in one numbering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.component import InputError
from shortlist.data import Table
from shortlist.types import Array, Int32, Int64

KINDS = ("category", "list")


class Values(NamedTuple):
    """Row r has the values ``code[offsets[r] : offsets[r + 1]]``; equal codes are equal values of one attribute."""

    offsets: Int64  # [m + 1]
    code: Int64  # [e] of all attributes together, 0..n-1
    attribute: Int64  # [e] which of the names asked for
    n: int


def check(path: str, names: Iterable[str], table: Table) -> None:
    """Raises ``InputError`` where the items have no attribute with categories or lists of such a name."""
    columns = table.columns()
    for name in names:
        if columns.get(name) not in KINDS:
            wrong = f"{name!r} is of kind {columns[name]}" if name in columns else f"no item attribute {name!r}"
            known = ", ".join(sorted(name for name, kind in columns.items() if kind in KINDS)) or "none"
            raise InputError(f"{path}: {wrong}; attributes with categories or lists: {known}")


def values_of(items: Int32, times: Int64, table: Table, names: Sequence[str]) -> Values:
    """The values of each of ``items`` [m] as of ``times`` [m]; a code that the table does not know has none."""
    found, base = [], 0
    for at, name in enumerate(names):
        known, places = table.known(name, items, times)
        if name in known.codes:
            column = known.codes[name]
            found.append((column.values.offsets, column.values["code"], places, base, at))
            base += len(column.levels)
    offsets = np.zeros(len(items) + 1, np.int64)
    for starts, _, places, _, _ in found:
        _count(starts, places, offsets)
    np.cumsum(offsets, out=offsets)
    code, attribute = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int64)
    free = offsets[:-1].copy()
    for starts, codes, places, first, at in found:
        _fill(starts, codes, places, first, at, free, code, attribute)
    return Values(offsets, code, attribute, base)


@njit(cache=True)
def _count(starts: Array, places: Array, out: Array) -> None:
    """out[m + 1] += how many values each of ``places`` [m] has."""
    for r in range(len(places)):
        if 0 <= places[r] < len(starts) - 1:
            out[r + 1] += starts[places[r] + 1] - starts[places[r]]


@njit(cache=True)
def _fill(
    starts: Array, codes: Array, places: Array, base: int, at: int, free: Array, code: Array, attribute: Array
) -> None:
    """Puts the values of ``places`` [m] from ``free`` [m] on, which moves on with them."""
    for r in range(len(places)):
        if 0 <= places[r] < len(starts) - 1:
            for e in range(starts[places[r]], starts[places[r] + 1]):
                code[free[r]], attribute[free[r]] = codes[e] + base, at
                free[r] += 1


def members(table: Table, name: str, wanted: Iterable[str]) -> tuple[Array, list[str]]:
    """Items with one of the values ``wanted`` of an attribute, ascending, and those of ``wanted`` it does not have.

    Of an attribute that the log tells: the last value that ``table`` knows of.
    """
    known, places = table.known(name, np.arange(table.n))
    column = known.codes[name]
    wanted = list(wanted)
    levels = np.flatnonzero(np.isin(np.array(column.levels, np.str_), np.array(wanted, np.str_)))
    found = column.of(places)
    rows = found.rows[np.isin(found["code"], levels)]
    return np.unique(rows).astype(np.int32), [value for value in wanted if value not in column.levels]
