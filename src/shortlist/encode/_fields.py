"""The kernel of ``Design``: every row of a table to one column number and one value per field."""

from __future__ import annotations

import numba
import numpy as np

from shortlist.types import Array

STANDARD, BUCKET, CATEGORY, MISSING, CROSS = range(5)
"""Kinds of field: a standardised number, its bucket, a category, "is missing", a pair of earlier fields."""


@numba.njit(cache=True)
def place(table: Array, start: int, end: int, x: float) -> int:
    """The number of entries of ``table[start:end]`` (ascending) that are below ``x``."""
    low, high = start, end
    while low < high:
        middle = (low + high) >> 1
        if table[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low - start


@numba.njit(cache=True)
def encode(
    x: Array,  # Float64 [m, f]
    kind: Array,  # Int8 [k]
    left: Array,  # Int32 [k] a column of x, or for a cross the number of an earlier field
    right: Array,  # Int32 [k] for a cross the number of another earlier field
    width: Array,  # Int64 [k] codes a field has
    first: Array,  # Int32 [k] the design column of its code 0; -1 = only an ingredient of crosses
    starts: Array,  # Int64 [k + 1] its part of the table
    table: Array,  # Float64 edges, known values, or (mean, deviation)
    columns: Array,  # Int32 [m, e] out: one design column for each field that is shown
    values: Array,  # Float32 [m, e] out
) -> None:
    """Fills ``columns`` and ``values``; the numpy definition is the encoders of this folder, compared in the tests."""
    k = len(kind)
    code = np.zeros(k, np.int64)
    for row in range(x.shape[0]):
        shown = 0
        for field in range(k):
            start, end = starts[field], starts[field + 1]
            value = 1.0
            if kind[field] == CROSS:
                pair = float(code[left[field]] * width[right[field]] + code[right[field]])
                at = place(table, start, end, pair)
                code[field] = at + 1 if start + at < end and table[start + at] == pair else 0
            else:
                cell = x[row, left[field]]
                if kind[field] == CATEGORY:
                    at = place(table, start, end, cell)
                    code[field] = at + 1 if start + at < end and table[start + at] == cell else 0
                elif kind[field] == BUCKET:
                    code[field] = 0 if np.isnan(cell) else 1 + place(table, start, end, cell)
                elif kind[field] == STANDARD:
                    value = (cell - table[start]) / table[start + 1] if np.isfinite(cell) else 0.0
                else:
                    value = 1.0 if np.isnan(cell) else 0.0
            if first[field] >= 0:
                columns[row, shown] = first[field] + code[field]
                values[row, shown] = value
                shown += 1


@numba.njit(cache=True)
def weighted(columns: Array, values: Array, weights: Array, bias: float, out: Array) -> None:
    """out_r = bias + Σ_j values[r, j] weights[columns[r, j]]."""
    for row in range(columns.shape[0]):
        total = bias
        for j in range(columns.shape[1]):
            total += values[row, j] * weights[columns[row, j]]
        out[row] = total
