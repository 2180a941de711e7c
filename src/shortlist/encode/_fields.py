"""The kernel of ``Design``: every row of a table to one column number and one value per field."""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array

STANDARD, BUCKET, CATEGORY, MISSING, CROSS = range(5)
"""Kinds of field: a standardised number, its bucket, a category, "is missing", a pair of earlier fields."""

Spec = tuple[Array, Array, Array, Array, Array, Array, Array]
"""What ``encode`` and ``summed`` need to know of k fields: their arguments from ``kind`` to ``table``."""
STRIP = 128
"""Rows taken together: what is written of them stays in the innermost caches."""


SHORT = 24
"""Entries up to which comparing with all of them is faster than to search."""


@numba.njit(cache=True)
def place(table: Array, start: int, end: int, cells: Array, out: Array) -> None:
    """``out`` [n]: for each of ``cells`` [n], the entries of ``table[start:end]`` (ascending) below it; NaN: none.

    The search halves what is left for all cells before it goes on: several cells an instruction, no branches.
    """
    out[:] = 0
    if end - start <= SHORT:
        for entry in table[start:end]:
            for row in range(len(cells)):
                out[row] += entry < cells[row]
        return
    part = table[start:end]
    left = len(part)
    while left > 0:
        half = (left + 1) >> 1
        for row in range(len(cells)):
            low = out[row]
            out[row] = low + half if part[np.uint64(low + half - 1)] < cells[row] else low
        left -= half


@numba.njit(cache=True)
def encode(
    x: Array,  # Float64 [f, m]
    kind: Array,  # Int8 [k]
    left: Array,  # Int32 [k] a column of the table, or for a cross the number of an earlier field
    right: Array,  # Int32 [k] for a cross the number of another earlier field
    width: Array,  # Int64 [k] codes a field has
    first: Array,  # Int32 [k] the design column of its code 0; -1 = only an ingredient of crosses
    starts: Array,  # Int64 [k + 1] its part of the table
    table: Array,  # Float64 edges, known values, or (mean, deviation)
    columns: Array,  # Int32 [m, e] out: one design column for each field that is shown
    values: Array,  # Float32 [m, e] out
) -> None:
    """Fills ``columns`` and ``values``, each unless it is empty, for the m rows whose columns ``x`` holds.

    A definition in numpy, a column at a time, stands in the tests.
    """
    k, m = len(kind), x.shape[1]
    codes, cells, at = np.empty((k, STRIP), np.int64), np.empty(STRIP), np.empty(STRIP, np.int64)
    value = np.empty(STRIP, np.float32)
    for begin in range(0, m, STRIP):
        size = min(STRIP, m - begin)
        shown = 0
        for field in range(k):
            read(field, begin, size, x, kind, left, right, width, starts, table, codes, cells, at)
            if first[field] < 0:
                continue
            if columns.shape[0]:
                for row in range(size):
                    columns[begin + row, shown] = first[field] + codes[field, row]
            if values.shape[0]:
                stands(kind[field], table[starts[field] : starts[field + 1]], cells[:size], value)
                values[begin : begin + size, shown] = value[:size]
            shown += 1


@numba.njit(cache=True)
def summed(
    x: Array,
    kind: Array,
    left: Array,
    right: Array,
    width: Array,
    first: Array,
    starts: Array,
    table: Array,
    weights: Array,
    out: Array,
) -> None:
    """out_r += Σ_j values[r, j] weights[columns[r, j]] of what ``encode`` makes of ``x``, which is not written down."""
    k, m = len(kind), x.shape[1]
    codes, cells, at = np.empty((k, STRIP), np.int64), np.empty(STRIP), np.empty(STRIP, np.int64)
    value = np.empty(STRIP, np.float32)
    for begin in range(0, m, STRIP):
        size = min(STRIP, m - begin)
        for field in range(k):
            read(field, begin, size, x, kind, left, right, width, starts, table, codes, cells, at)
            if first[field] < 0:
                continue
            if kind[field] == STANDARD or kind[field] == MISSING:
                stands(kind[field], table[starts[field] : starts[field + 1]], cells[:size], value)
                weight = weights[first[field]]
                for row in range(size):
                    out[begin + row] += value[row] * weight
            else:
                for row in range(size):
                    out[begin + row] += weights[first[field] + codes[field, row]]


@numba.njit(cache=True)
def read(
    field: int,
    begin: int,
    size: int,
    x: Array,
    kind: Array,
    left: Array,
    right: Array,
    width: Array,
    starts: Array,
    table: Array,
    codes: Array,
    cells: Array,
    at: Array,
) -> None:
    """One field of the ``size`` rows from ``begin`` on: ``cells`` as they stand in ``x``, and ``codes[field]``."""
    start, end, code = starts[field], starts[field + 1], codes[field]
    if kind[field] == CROSS:
        a, b, by = codes[left[field]], codes[right[field]], width[right[field]]
        for row in range(size):
            cells[row] = a[row] * by + b[row]
    else:
        cells[:size] = x[left[field], begin : begin + size]
    if kind[field] == CROSS or kind[field] == CATEGORY:
        place(table, start, end, cells[:size], at[:size])
        for row in range(size):
            known = start + at[row] < end and table[start + at[row]] == cells[row]
            code[row] = at[row] + 1 if known else 0
    elif kind[field] == BUCKET:
        place(table, start, end, cells[:size], at[:size])
        for row in range(size):
            code[row] = 0 if np.isnan(cells[row]) else 1 + at[row]
    else:
        code[:size] = 0


@numba.njit(cache=True, error_model="numpy")
def stands(kind: int, entries: Array, cells: Array, value: Array) -> None:
    """``value``: what stands in a field's design column, of cells and its part of the table."""
    if kind == STANDARD:
        mean, deviation = entries[0], entries[1]
        for row in range(len(cells)):
            standard = (cells[row] - mean) / deviation
            value[row] = standard if np.isfinite(cells[row]) else 0.0
    elif kind == MISSING:
        for row in range(len(cells)):
            value[row] = 1.0 if np.isnan(cells[row]) else 0.0
    else:
        value[: len(cells)] = 1.0


@numba.njit(cache=True)
def weighted(columns: Array, values: Array, weights: Array, bias: float, out: Array) -> None:
    """out_r = bias + Σ_j values[r, j] weights[columns[r, j]]."""
    for row in range(columns.shape[0]):
        total = bias
        for j in range(columns.shape[1]):
            total += values[row, j] * weights[columns[row, j]]
        out[row] = total
