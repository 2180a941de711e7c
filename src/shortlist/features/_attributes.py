"""Look-ups in attribute tables, for a few rows out of many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from shortlist.component import InputError
from shortlist.data import MISSING_TIME, Codes, Table
from shortlist.durations import UNITS
from shortlist.types import Array, Float32, Int32


def of_kind(table: Table, wanted: Sequence[str] | None, *kinds: str) -> list[str]:
    """The columns of the given kinds, in the table's order; raises ``InputError`` for a wanted one it has not."""
    if wanted is not None:
        for name in wanted:
            if name not in table.kinds:
                raise InputError(f"features: no attribute {name!r}; the table has {', '.join(table.kinds) or 'none'}")
    return [name for name, kind in table.kinds.items() if kind in kinds and (wanted is None or name in wanted)]


def first(column: Codes, rows: Array) -> Int32:
    """[len(rows)]: the first code of each row, -1 where there is none or the row is not in the table."""
    offsets, values = column.values.offsets, column.values["code"]
    if not len(values):
        return np.full(len(rows), -1, np.int32)
    known = (rows >= 0) & (rows < len(column.values))
    start = offsets[np.where(known, rows, 0)]
    known &= start < offsets[np.where(known, rows, 0) + 1]
    return np.where(known, values[np.minimum(start, len(values) - 1)], -1).astype(np.int32)


def number(table: Table, name: str, rows: Array) -> Float32:
    """[len(rows)]: a number column, or a time column in days since 1970, at the rows; NaN = missing or not there."""
    known = (rows >= 0) & (rows < table.n)
    out = np.full(len(rows), np.nan, np.float32)
    if name in table.numbers:
        out[known] = table.numbers[name][rows[known]]
    else:
        times = table.times[name][rows[known]]
        out[known] = np.where(times == MISSING_TIME, np.nan, times / UNITS["d"])
    return out


@njit(cache=True)
def flags(offsets: Array, codes: Array, rows: Array, chosen: Array, out: Array) -> None:
    """out[k, r] = 1 where row r has code chosen[k] (ascending); the last row of ``out`` counts all codes of the row."""
    last = len(chosen)
    for r in range(len(rows)):
        i = rows[r]
        if i < 0 or i + 1 >= len(offsets):
            continue
        out[last, r] = offsets[i + 1] - offsets[i]
        for e in range(offsets[i], offsets[i + 1]):
            k = np.searchsorted(chosen, codes[e])
            if k < last and chosen[k] == codes[e]:
                out[k, r] = 1
