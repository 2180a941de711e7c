"""Trees as flat arrays, and the kernels that score them.

A library's own predict spends more time in its interface than in the trees when a request has 300 rows. These kernels
give the same numbers without the library being loaded.

``quick``, for trees of at most 32 leaves: every split is asked of every row, whether the row comes by it or not, and
strikes out the leaves the answer rules out; the first leaf left is the row's. No step waits for another, so one
instruction does eight rows (Lucchese et al. (2016), Exploiting CPU SIMD Extensions to Speed-up Document Scoring with
Tree Ensembles). ``walk``, for any tree: moves a block of rows down level by level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numba
import numpy as np

from shortlist.types import Array, Float32, Float64, Int32, Ragged

BLOCK = 64
"""Rows that walk together: their table still fits the innermost cache."""
STRIP = 512
"""Rows that ``quick`` takes together."""
LEAVES = 32
"""Leaves that fit the bits of a mask."""


class Trees(NamedTuple):
    """What both kernels read of a ``Forest``, as they take it."""

    offsets: Array  # Int64 [trees + 1] nodes of each tree
    feature: Array
    threshold: Array
    group: Array  # the column ``set``
    value: Array
    starts: Array  # Int64 [sets + 1] words of each set
    words: Array


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees of a model.

    ``nodes`` is a ``Ragged`` with a row per tree, the root first; node numbers count within the tree. Columns:
    ``feature`` UInt32, 2 × column where a missing value goes below, 2 × column + 1 where it goes above; ``threshold``
    Float32, x <= threshold goes below; ``below``, ``above`` UInt32, of a leaf the leaf itself; ``value`` Float64 of a
    leaf; ``set`` Int32, -1, or for a split on a category the number of the set whose members go below; all others go
    above. ``masked`` adds what ``quick`` needs.
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

    def masked(self) -> Forest:
        """The same with the columns ``mask`` and ``exit`` where no tree has more than 32 leaves: see ``masks``."""
        if (np.diff(self.nodes.offsets) > 2 * LEAVES - 1).any():
            return self
        node = self.nodes.columns
        mask, leaf = masks(self.nodes.offsets, node["below"], node["above"])
        return replace(self, nodes=Ragged(self.nodes.offsets, {**node, "mask": mask, "exit": leaf}))

    def _run(self, x: Float32, total: Float64, leaves: Int32) -> None:
        node, sets = self.nodes.columns, self.sets
        trees = Trees(
            self.nodes.offsets,
            node["feature"],
            node["threshold"],
            node["set"],
            node["value"],
            sets.offsets,
            sets["word"],
        )
        if "mask" in node:
            quick(trees, node["mask"], node["exit"], prepared(x), total, leaves)
        else:
            walk(trees, node["below"], node["above"], self.depth, prepared(x), total, leaves)


def deepest(below: Array, above: Array) -> int:
    """Steps from the root of one tree to its deepest leaf; ``below``, ``above`` [nodes], of a leaf the leaf itself."""
    leaf = below == np.arange(len(below))
    level, at = 0, np.array([0])
    while not leaf[at].all():
        at = np.unique(np.concatenate([below[at], above[at]]))
        level += 1
    return level


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
def masks(offsets: Array, below: Array, above: Array) -> tuple[Array, Array]:
    """``(mask, exit)``, each UInt32 [nodes], for trees of at most 32 leaves.

    The leaves of a tree are numbered from below to above. Bit l of ``mask`` of an inner node is 0 where leaf l hangs
    below it: those are out of reach for a row that goes above. ``exit``, at place l of the tree, is the node of leaf l.
    """
    mask, leaf = np.zeros(len(below), np.uint32), np.zeros(len(below), np.uint32)
    path, passed = np.empty(2 * LEAVES, np.uint32), np.empty(2 * LEAVES, np.uint32)
    for tree in range(len(offsets) - 1):
        first = offsets[tree]
        found, size = np.uint32(0), 1
        path[0], passed[0] = 0, 0
        while size:  # depth first, below before above; ``passed``: leaves numbered before the node was reached, + 1
            node = path[size - 1]
            if below[first + node] == node:
                leaf[first + found] = node
                found += np.uint32(1)
                size -= 1
            elif passed[size - 1] == 0:
                passed[size - 1] = found + np.uint32(1)
                path[size], passed[size] = below[first + node], 0
                size += 1
            else:
                before = np.uint64(passed[size - 1] - np.uint32(1))
                gone = (np.uint64(1) << np.uint64(found)) - (np.uint64(1) << before)
                mask[first + node] = np.uint32(~gone & np.uint64(0xFFFFFFFF))
                path[size - 1], passed[size - 1] = above[first + node], 0
    return mask, leaf


@numba.njit(cache=True)
def quick(
    trees: Trees,
    mask: Array,
    leaf: Array,
    x: Array,  # Float32 [2 f, m] from prepared
    total: Array,  # Float64 [m] or empty, out
    leaves: Array,  # Int32 [m, trees] or empty, out
) -> None:
    """Asks every split of every row."""
    offsets, feature, threshold, group = trees.offsets, trees.feature, trees.threshold, trees.group
    value, starts, words = trees.value, trees.starts, trees.words
    left, bits = np.empty(STRIP, np.uint32), np.empty(STRIP, np.uint32)
    everything = np.uint32(0xFFFFFFFF)
    code = coded(x) if len(words) else np.empty((0, 0), np.uint32)
    alone = single(code)
    lowest = np.empty(STRIP, np.float32)
    power = lowest.view(np.uint32)  # of a power of two: its exponent + 127, in the upper bits
    for begin in range(0, x.shape[1], STRIP):
        size = min(STRIP, x.shape[1] - begin)
        for tree in range(len(offsets) - 1):
            first, last = offsets[tree], offsets[tree + 1]
            left[:size] = everything
            for node in range(first, last):
                keep = mask[node]
                if keep == 0:  # a leaf: of an inner node at least one bit is 1
                    continue
                cells = x[feature[node], begin : begin + size]
                if group[node] < 0:
                    cut = threshold[node]
                    for row in range(size):
                        left[row] &= keep if cells[row] > cut else everything
                    continue
                start, end = starts[group[node]], starts[group[node] + 1]
                if end - start == 1 and words[start]:  # nearly all sets; the rest takes three passes
                    held, bit = words[start], alone[feature[node], begin : begin + size]
                    for row in range(size):
                        left[row] &= everything if held & bit[row] else keep
                else:
                    codes = code[feature[node], begin : begin + size]
                    for row in range(size):
                        bits[row] = 0
                    for word in range(end - start):
                        held = words[start + word]
                        for row in range(size):
                            inside = codes[row] >> np.uint32(5) == np.uint32(word)
                            bits[row] |= (held >> (codes[row] & np.uint32(31))) & np.uint32(inside)
                    for row in range(size):
                        left[row] &= everything if bits[row] | (codes[row] == everything) else keep
            for row in range(size):
                lowest[row] = np.float32(left[row] & (~left[row] + np.uint32(1)))
            base = np.uint64(first - 127)  # modulo 2^64
            if len(total):
                for row in range(size):
                    node = leaf[base + np.uint64(power[row] >> np.uint32(23))]
                    total[begin + row] += value[np.uint64(first) + np.uint64(node)]
            else:
                for row in range(size):
                    leaves[begin + row, tree] = leaf[base + np.uint64(power[row] >> np.uint32(23))]


@numba.njit(cache=True)
def coded(x: Array) -> Array:
    """UInt32, shape of ``x``: the categories; all bits where missing goes below, the next lower number for no set's."""
    out = np.empty(x.shape, np.uint32)
    for column in range(x.shape[0]):
        for row in range(x.shape[1]):
            cell = x[column, row]
            out[column, row] = np.uint32(cell) if 0 <= cell < 4e9 else 0xFFFFFFFF if cell == -np.inf else 0xFFFFFFFE
    return out


@numba.njit(cache=True)
def single(code: Array) -> Array:
    """UInt32, shape of ``code``: what it shares a bit with in a set of one word, all bits where missing goes below."""
    out = np.empty(code.shape, np.uint32)
    for column in range(code.shape[0]):
        for row in range(code.shape[1]):
            now = code[column, row]
            out[column, row] = np.uint32(1) << now if now < LEAVES else now if now == 0xFFFFFFFF else 0
    return out


@numba.njit(cache=True)
def walk(
    trees: Trees,
    below: Array,
    above: Array,
    depth: Array,
    x: Array,  # Float32 [2 f, m] from prepared
    total: Array,  # Float64 [m] or empty, out
    leaves: Array,  # Int32 [m, trees] or empty, out
) -> None:
    """Sends every row down every tree. Unsigned numbers spare the check for negative ones at each look-up."""
    offsets, feature, threshold, group = trees.offsets, trees.feature, trees.threshold, trees.group
    value, starts, words = trees.value, trees.starts, trees.words
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
