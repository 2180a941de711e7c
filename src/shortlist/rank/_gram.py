"""Compiled loops of linear bandits: sums over rows with few entries, and how uncertain such a row is."""

from __future__ import annotations

import numba

from shortlist.types import Array


@numba.njit(cache=True)
def add(
    columns: Array,  # Int32 [m, f] the design column of each entry
    values: Array,  # Float32 [m, f]
    weight: Array,  # Float64 [m]
    reward: Array,  # Float64 [m]
    slot: Array,  # Int64 [m] whose sums a row belongs to
    at: Array,  # Int32 [d] the place of a design column in the shorter vector; -1 = none
    sums: Array,  # Float64 [s, e, d] in and out
    rewards: Array,  # Float64 [s, e] in and out
) -> None:
    """sums[s] += Σ_r w x zᵀ, rewards[s] += Σ_r w y x over the rows of slot s; z [d] is a row, x [e] a part of it.

    Rows are added one by one in their order, so adding them in two parts gives the bits of adding them at once.
    """
    for row in range(columns.shape[0]):
        s, w, y = slot[row], weight[row], reward[row]
        for j in range(columns.shape[1]):
            e = at[columns[row, j]]
            if e < 0:
                continue
            x = w * values[row, j]
            rewards[s, e] += x * y
            for k in range(columns.shape[1]):
                sums[s, e, columns[row, k]] += x * values[row, k]


@numba.njit(cache=True)
def quadratic(starts: Array, columns: Array, values: Array, matrix: Array, out: Array) -> None:
    """out_r = u_rᵀ C u_r for the rows u of a CSR matrix and C = ``matrix`` [d, d]."""
    for row in range(len(starts) - 1):
        total = 0.0
        for j in range(starts[row], starts[row + 1]):
            line, part = matrix[columns[j]], 0.0
            for k in range(starts[row], starts[row + 1]):
                part += values[k] * line[columns[k]]
            total += values[j] * part
        out[row] = total
