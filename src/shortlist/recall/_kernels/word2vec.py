"""Kernels of word2vec: one example, one pass over the sentences, the Huffman tree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import Alias, draw, drawn
from shortlist.types import Array

LIMIT = 8
"""Beyond it the logistic function is taken to be 0 or 1."""
STEPS = 128
"""Entries of its table for one unit; between them it is linear."""


class Corpus(NamedTuple):
    """Sentence s is ``tokens[offsets[s]:offsets[s + 1]]``."""

    tokens: Array  # [m]
    offsets: Array
    weights: Array  # [m]
    kept: Array  # [c] the probability that a token stays


class Tree(NamedTuple):
    """The inner nodes from the root of a binary tree to each item, and which way it turns there."""

    offsets: Array  # [c + 1]
    path: Array
    branches: Array


class Plan(NamedTuple):
    """What kind of examples are made; see ``Word2Vec``."""

    window: int
    negatives: int
    cbow: bool
    hierarchical: bool
    shuffle: bool


_LOGISTIC = (1 / (1 + np.exp(-np.arange(-LIMIT * STEPS, LIMIT * STEPS + 2) / STEPS))).astype(np.float32)
_LOGISTIC.setflags(write=False)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def logistic(x: Any) -> Any:
    """σ(x) within 1e-6 inside the limit."""
    if x <= -LIMIT:
        return np.float32(0)
    if x >= LIMIT:
        return np.float32(1)
    place = (x + np.float32(LIMIT)) * np.float32(STEPS)
    at = min(np.uint32(place), np.uint32(2 * LIMIT * STEPS))  # within the table even where x is no number
    return _LOGISTIC[at] + (place - np.float32(at)) * (_LOGISTIC[at + np.uint32(1)] - _LOGISTIC[at])


@njit(cache=True, nogil=True, fastmath=True)
def example(
    inputs: Array,
    words: Array,
    shares: Array,
    first: int,
    last: int,
    outputs: Array,
    rows: Array,
    labels: Array,
    n_rows: int,
    step: float,
    hidden: Array,
    error: Array,
) -> None:
    """One step down the gradient of  -sum_k y_k log σ(h · o_k) + (1 - y_k) log σ(-h · o_k),  h = sum_j share_j v_j.

    k over the first ``n_rows`` of ``rows`` (of ``outputs``) with ``labels`` y, j over ``words[first:last]`` (of
    ``inputs``). ``hidden`` and ``error`` [f] are room to work in.
    """
    f = inputs.shape[1]
    for d in range(f):
        hidden[d] = 0
        error[d] = 0
    for j in range(first, last):
        v, share = words[j], shares[j]
        for d in range(f):
            hidden[d] += share * inputs[v, d]
    for k in range(n_rows):
        o = rows[k]
        dot = np.float32(0)
        for d in range(f):
            dot += hidden[d] * outputs[o, d]
        g = (labels[k] - logistic(dot)) * np.float32(step)
        for d in range(f):  # two loops are quicker than one that reads and writes the same row
            error[d] += g * outputs[o, d]
        for d in range(f):
            outputs[o, d] += g * hidden[d]
    for j in range(first, last):
        v, share = words[j], shares[j]
        for d in range(f):
            inputs[v, d] += share * error[d]


@njit(cache=True, nogil=True, fastmath=True)
def epoch(
    order: Array,
    rate: float,
    last_rate: float,
    seed: int,
    corpus: Corpus,
    popular: Alias,
    tree: Tree,
    inputs: Array,
    outputs: Array,
    plan: Plan,
) -> None:
    """One pass over the sentences numbered ``order``, the step falling from ``rate`` to ``last_rate``.

    An example of a weight above 1 is taken in as many steps, each with negatives of its own, as keep each at the rate.
    """
    tokens, offsets, weights, kept = corpus
    stays, other = popular
    path_offsets, path, branches = tree
    window, negatives, cbow, hierarchical, shuffle = plan
    f = inputs.shape[1]
    state = np.array([seed], np.uint64)
    total, longest, deepest = 0, 1, negatives + 1
    for s in order:
        total += offsets[s + 1] - offsets[s]
        longest = max(longest, offsets[s + 1] - offsets[s])
    for i in range(len(path_offsets) - 1):
        deepest = max(deepest, path_offsets[i + 1] - path_offsets[i])
    sentence, worth = np.empty(longest, np.int32), np.empty(longest, np.float32)
    words, shares = np.empty(2 * window, np.int32), np.empty(2 * window, np.float32)
    rows, labels = np.empty(deepest, np.int32), np.empty(deepest, np.float32)
    hidden, error = np.empty(f, np.float32), np.empty(f, np.float32)
    done = 0
    for s in order:
        n = 0
        for e in range(offsets[s], offsets[s + 1]):
            i = tokens[e]
            if kept[i] >= 1 or draw(state, 1 << 24) < kept[i] * np.float32(1 << 24):
                sentence[n], worth[n] = i, weights[e]
                n += 1
        if shuffle:
            for at in range(n - 1, 0, -1):
                to = draw(state, at + 1)
                sentence[at], sentence[to] = sentence[to], sentence[at]
                worth[at], worth[to] = worth[to], worth[at]
        step = rate + (last_rate - rate) * done / total
        done += offsets[s + 1] - offsets[s]
        for t in range(n):
            reach = 1 + draw(state, window)
            start, end = max(t - reach, 0), min(t + reach + 1, n)
            if end - start < 2:
                continue
            target, m, mass = sentence[t], 0, np.float32(0)
            for j in range(start, end):
                if j != t:
                    words[m], shares[m] = sentence[j], worth[j]
                    mass += worth[j]
                    m += 1
            for x in range(1 if cbow else m):
                first, last, scale = 0, m, step * worth[t]
                if cbow:
                    for j in range(m):
                        shares[j] /= mass
                else:
                    first, last, scale = x, x + 1, scale * shares[x]
                    shares[x] = 1
                times = max(int(np.ceil(scale / step)), 1) if step > 0 else 1
                for _ in range(times):
                    k = _outputs(
                        target, state, negatives, hierarchical, stays, other, path_offsets, path, branches, rows, labels
                    )
                    example(inputs, words, shares, first, last, outputs, rows, labels, k, scale / times, hidden, error)


@njit(cache=True, nogil=True, inline="always")
def _outputs(
    target: int,
    state: Array,
    negatives: int,
    hierarchical: bool,
    stays: Array,
    other: Array,
    path_offsets: Array,
    path: Array,
    branches: Array,
    rows: Array,
    labels: Array,
) -> int:
    """Fills ``rows`` and ``labels`` with what is to be told from the hidden layer; returns how many."""
    k = 0
    if hierarchical:
        for p in range(path_offsets[target], path_offsets[target + 1]):
            rows[k], labels[k] = path[p], branches[p]
            k += 1
        return k
    rows[0], labels[0] = target, 1
    k = 1
    for _ in range(negatives):
        i = drawn(state, stays, other)
        if i != target:
            rows[k], labels[k] = i, 0
            k += 1
    return k


def huffman(counts: Array) -> Tree:
    """The tree of c items with the least sum_i counts_i * length_i.

    Inner nodes are numbered 0..c-2, the root last; a branch is 1 to the rarer side.

    Source: Huffman (1952), A Method for the Construction of Minimum-Redundancy Codes.
    """
    c = len(counts)
    if c < 2:
        return Tree(np.zeros(c + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    order = np.argsort(counts, kind="stable")
    parent, branch, depth = _tree(np.concatenate([counts[order], np.zeros(c - 1)]))
    lengths = np.empty(c, np.int64)
    lengths[order] = depth[:c]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tree(offsets, *_paths(order, offsets, parent, branch))


@njit(cache=True, nogil=True)
def _tree(mass: Array) -> tuple[Array, Array, Array]:
    """(parent, branch, depth), each [2 c - 1], of c leaves with ascending ``mass``; room for the inner nodes behind."""
    c = (len(mass) + 1) // 2
    parent, branch, depth = (
        np.zeros(2 * c - 1, np.int64),
        np.zeros(2 * c - 1, np.float32),
        np.zeros(2 * c - 1, np.int64),
    )
    leaf, inner = 0, c  # leaves and inner nodes both ascend, so the least is first of one or the other
    for node in range(c, 2 * c - 1):
        for side in range(2):
            if leaf < c and (inner >= node or mass[leaf] <= mass[inner]):
                least = leaf
                leaf += 1
            else:
                least = inner
                inner += 1
            mass[node] += mass[least]
            parent[least], branch[least] = node, 1 - side
    for node in range(2 * c - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
    return parent, branch, depth


@njit(cache=True, nogil=True)
def _paths(order: Array, offsets: Array, parent: Array, branch: Array) -> tuple[Array, Array]:
    """(path, branches) from the root to each leaf; leaf i is the item ``order[i]``."""
    c = len(order)
    path, branches = np.empty(offsets[c], np.int32), np.empty(offsets[c], np.float32)
    for i in range(c):
        node = i
        for at in range(offsets[order[i] + 1] - 1, offsets[order[i]] - 1, -1):
            path[at], branches[at] = parent[node] - c, branch[node]
            node = parent[node]
    return path, branches
