"""Attribute values of candidate rows, several attributes in one numbering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

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
    rows, codes, attributes, base = [], [], [], 0
    for at, name in enumerate(names):
        known, places = table.known(name, items, times)
        if name in known.codes:
            column = known.codes[name]
            found = column.of(places)
            rows.append(found.rows)
            codes.append(found["code"].astype(np.int64) + base)
            attributes.append(np.full(len(found["code"]), at, np.int64))
            base += len(column.levels)
    if not rows:
        return Values(np.zeros(len(items) + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), 0)
    if len(rows) == 1:
        row, code, attribute = rows[0], codes[0], attributes[0]
    else:
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        row, code, attribute = row[order], np.concatenate(codes)[order], np.concatenate(attributes)[order]
    offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=len(items)), out=offsets[1:])
    return Values(offsets, code, attribute, base)


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
