"""Trees as flat arrays, and the kernel that scores them.

A library's own predict spends more time in its interface than in the trees when a request has 300 rows. This kernel
gives the same numbers without the library being loaded. It moves a block of rows down one tree level by level: the rows
do not wait for each other, so the processor works on many at once (a walk row by row takes eight times as long).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from shortlist.types import Array, Float32, Float64, Int32, Ragged

BLOCK = 64
"""Rows moved together: their table still fits the innermost cache."""


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees of a model.

    ``nodes`` is a ``Ragged`` with a row per tree, the root first; node numbers count within the tree. Columns:
    ``feature`` UInt32, 2 × column where a missing value goes below, 2 × column + 1 where it goes above; ``threshold``
    Float32, x <= threshold goes below; ``below``, ``above`` UInt32, of a leaf the leaf itself; ``value`` Float64 of a
    leaf; ``set`` Int32, -1, or for a split on a category the number of the set whose
    members go below; all others go above.
    """

    nodes: Ragged
    depth: Int32  # [trees] steps from the root to the deepest leaf
    sets: Ragged  # rows of "word" UInt32: bit c % 32 of word c // 32 says whether category c is a member

    def __len__(self) -> int:
        return len(self.nodes)

    def leaves(self, x: Float32) -> Int32:
        """[m, trees]: the node in which each row of ``x`` [m, f] ends; NaN is missing."""
        out = np.empty((len(x), len(self)), np.int32)
        self._run(x, np.empty(0), out)
        return out

    def total(self, x: Float32) -> Float64:
        """[m]: the sum over all trees of the value of the leaf in which each row of ``x`` [m, f] ends."""
        out = np.zeros(len(x))
        self._run(x, out, np.empty((0, 0), np.int32))
        return out

    def _run(self, x: Float32, total: Float64, leaves: Int32) -> None:
        node, sets = self.nodes.columns, self.sets
        run(
            self.nodes.offsets,
            self.depth,
            node["feature"],
            node["threshold"],
            node["below"],
            node["above"],
            node["value"],
            node["set"],
            sets.offsets,
            sets["word"],
            prepared(x),
            total,
            leaves,
        )


def mean(forests: Sequence[Forest]) -> Forest:
    """One forest whose total is the mean of the totals of ``forests``."""
    if len(forests) == 1:
        return forests[0]
    nodes = Ragged.concat([forest.nodes for forest in forests])
    sets_before = np.cumsum([0, *(len(forest.sets) for forest in forests)])
    group = [np.where(f.nodes["set"] >= 0, f.nodes["set"] + b, -1) for f, b in zip(forests, sets_before, strict=False)]
    columns = {**nodes.columns, "value": nodes["value"] / len(forests), "set": np.concatenate(group).astype(np.int32)}
    return Forest(
        Ragged(nodes.offsets, columns),
        np.concatenate([forest.depth for forest in forests]),
        Ragged.concat([forest.sets for forest in forests]),
    )


@numba.njit(cache=True)
def prepared(x: Array) -> Array:
    """[2 f, m]: each column of ``x`` [m, f] twice, with missing as -inf (goes below) and as +inf (goes above)."""
    out = np.empty((2 * x.shape[1], x.shape[0]), np.float32)
    for column in range(x.shape[1]):
        for row in range(x.shape[0]):
            cell = np.float32(x[row, column])
            missing = np.isnan(cell)
            out[2 * column, row] = np.float32(-np.inf) if missing else cell
            out[2 * column + 1, row] = np.float32(np.inf) if missing else cell
    return out


@numba.njit(cache=True)
def run(
    offsets: Array,
    depth: Array,
    feature: Array,
    threshold: Array,
    below: Array,
    above: Array,
    value: Array,
    group: Array,
    starts: Array,
    words: Array,
    x: Array,  # Float32 [2 f, m] from prepared
    total: Array,  # Float64 [m] or empty, out
    leaves: Array,  # Int32 [m, trees] or empty, out
) -> None:
    """Sends every row down every tree. Unsigned numbers spare the check for negative ones at each look-up."""
    flat, rows = x.reshape(-1), np.uint64(x.shape[1])
    at = np.empty(BLOCK, np.uint32)
    numbers = np.ones(len(depth), np.bool_)  # trees without a split on a category
    for tree in range(len(depth)):
        for node in range(offsets[tree], offsets[tree + 1]):
            if group[node] >= 0:
                numbers[tree] = False
    for begin in range(0, x.shape[1], BLOCK):
        size = min(BLOCK, x.shape[1] - begin)
        base = np.uint64(begin)
        for tree in range(len(offsets) - 1):
            first, last = offsets[tree], offsets[tree + 1]
            columns, cuts, sets = feature[first:last], threshold[first:last], group[first:last]
            low, high, values = below[first:last], above[first:last], value[first:last]
            at[:] = 0
            for _ in range(depth[tree]):
                if numbers[tree]:
                    for row in range(size):
                        now = np.uint64(at[row])
                        cell = flat[np.uint64(columns[now]) * rows + base + np.uint64(row)]
                        at[row] = high[now] if cell > cuts[now] else low[now]
                else:
                    for row in range(size):
                        now = np.uint64(at[row])
                        cell = flat[np.uint64(columns[now]) * rows + base + np.uint64(row)]
                        if sets[now] < 0:
                            at[row] = high[now] if cell > cuts[now] else low[now]
                        else:
                            at[row] = low[now] if member(cell, sets[now], starts, words) else high[now]
            if len(total):
                for row in range(size):
                    total[begin + row] += values[np.uint64(at[row])]
            else:
                for row in range(size):
                    leaves[begin + row, tree] = at[row]


@numba.njit(inline="always")
def member(cell: float, group: int, starts: Array, words: Array) -> bool:
    """Whether the category ``cell`` is in the set, or missing where missing goes below; an unheard-of one is not."""
    if cell == -np.inf:
        return True
    if not (cell >= 0 and cell < 32 * (starts[group + 1] - starts[group])):
        return False
    code = np.int64(cell)
    return (words[starts[group] + (code >> 5)] >> np.uint32(code & 31)) & np.uint32(1) != 0
