"""Attributes that a log tells: of each item (or user) what its events have said up to any moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numba import njit

from shortlist.data import _asof
from shortlist.data.table import Dated, Table
from shortlist.data.vocab import Vocab
from shortlist.types import Array, Bool, Float32, Int32, Int64

APART = "\x1f"
"""Between the entries of a list, where no text has it."""


def told(
    codes: Int32, times: Int64, cells: pl.Series, kind: str, how: str, n: int, levels: Sequence[str] | None = None
) -> Dated:
    """The column that ``cells`` [m] of events make of items or users with ``codes`` [m], 0..n-1; times ascend.

    Of the cells at or before a moment that hold something, in the order of the log: ``last`` and ``first`` one,
    ``mean`` of numbers, ``commonest`` (of equals the one that has been it the longest). A row is kept only where the
    value changes. ``levels`` are those of an earlier column; a value that is not among them is missing.
    """
    name = cells.name
    key, held, cells = _keys(cells, kind, levels)
    rows = np.flatnonzero(held & (codes >= 0))
    offsets, rows = _asof.grouped(np.asarray(codes, np.int32), rows, n)
    value = key[rows]
    if how == "mean":
        value = _means(offsets, value)
    elif how == "commonest":
        value = _commonest(offsets, value, int(value.max(initial=-1)) + 1)
    owner = np.repeat(np.arange(n), np.diff(offsets))
    changes = np.ones(len(rows), bool)
    changes[1:] = owner[1:] != owner[:-1]
    if how != "first":
        changes[1:] |= value[1:] != value[:-1]
    kept = np.flatnonzero(changes)
    ends = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(owner[kept], minlength=n), out=ends[1:])
    column = pl.Series(name, value[kept]) if kind in ("number", "time") else cells.gather(value[kept])
    return of(name, kind, ends, np.asarray(times)[rows[kept]], column, levels)


def of(name: str, kind: str, offsets: Int64, times: Int64, column: pl.Series, levels: Sequence[str] | None) -> Dated:
    """From the values [m] of each row; see ``Table.of`` for ``levels``."""
    known = None if levels is None else {name: levels}
    frame = pl.DataFrame({name: column})
    return Dated(offsets, times, Table.rows(frame, {name: kind}, known, np.ones(len(frame), bool)))


def rows_of(name: str, dated: Dated) -> pl.DataFrame:
    """The column as rows: code, time and value, of what is known."""
    n = len(dated.times)
    values = dated.values.frame("row", [str(row) for row in range(n)])[name]
    rows = pl.DataFrame({"code": np.repeat(np.arange(len(dated.offsets) - 1), np.diff(dated.offsets)).astype(np.int32)})
    return rows.with_columns(time=pl.Series(dated.times), value=values).filter(pl.col("time") <= dated.last)


def of_rows(rows: pl.DataFrame, name: str, kind: str, n: int, levels: Sequence[str] | None) -> Dated:
    """The inverse of ``rows_of``."""
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows["code"].to_numpy(), minlength=n), out=offsets[1:])
    return of(name, kind, offsets, rows["time"].to_numpy(), rows["value"], levels)


def _keys(cells: pl.Series, kind: str, levels: Sequence[str] | None) -> tuple[Array, Bool, pl.Series]:
    """Numbers that are equal where cells are; which cells hold something; the cell that each number stands for."""
    if kind in ("number", "time"):
        dtype = pl.Float32 if kind == "number" else pl.Int64
        return cells.cast(dtype).fill_null(0).to_numpy(), cells.is_not_null().to_numpy(), cells
    written = cells.list.join(APART) if kind == "list" else cells.cast(pl.String)
    named = written.filter(written != "")
    key = (Vocab(levels) if levels is not None and kind != "list" else Vocab.of(named)).encode(written)
    held = (key >= 0) & (written != "").fill_null(False).to_numpy()
    stood, first = np.unique(key[held], return_index=True)
    place = np.searchsorted(stood, key).astype(np.int64)
    return place, held, cells.gather(np.flatnonzero(held)[first])


@njit(cache=True)
def _means(offsets: Int64, values: Float32) -> Float32:
    """[m]: the mean of each group's values up to each place."""
    out = np.empty_like(values)
    for group in range(len(offsets) - 1):
        mean = 0.0
        for place in range(offsets[group], offsets[group + 1]):
            mean += (values[place] - mean) / (place - offsets[group] + 1)
            out[place] = mean
    return out


@njit(cache=True)
def _commonest(offsets: Int64, values: Int64, size: int) -> Int64:
    """[m]: the commonest of each group's values (0..size-1) up to each place."""
    out, counts = np.empty_like(values), np.zeros(size, np.int64)
    for group in range(len(offsets) - 1):
        first, end = offsets[group], offsets[group + 1]
        for place in range(first, end):
            counts[values[place]] += 1
            best = values[place] if place == first else out[place - 1]
            out[place] = values[place] if counts[values[place]] > counts[best] else best
        for place in range(first, end):
            counts[values[place]] = 0
    return out
