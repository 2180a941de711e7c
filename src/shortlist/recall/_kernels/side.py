"""Kernels of skip-gram whose item vectors are mixed of the item's own and those of its side information."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import Alias, draw, drawn
from shortlist.recall._kernels.word2vec import logistic
from shortlist.types import Array


class Parts(NamedTuple):
    """What item i is mixed of: entries ``offsets[i]:offsets[i + 1]``, ``share`` of row ``row`` in slot ``slot``."""

    offsets: Array  # [c + 1]
    slot: Array
    row: Array
    share: Array


@njit(cache=True, nogil=True, fastmath=True)
def mixed(i: int, parts: Parts, table: Array, attention: Array, weights: Array, out: Array) -> None:
    """out [f] = Σ_s weights_s Σ_e share_e W_row(e), weights [s] = softmax(attention_i); slots of -∞ take no part."""
    offsets, slot, row, share = parts
    most, total = attention[i, 0], np.float32(0)
    for s in range(attention.shape[1]):
        most = max(most, attention[i, s])
    for s in range(attention.shape[1]):
        weights[s] = np.exp(attention[i, s] - most) if attention[i, s] > -1e30 else np.float32(0)
        total += weights[s]
    for s in range(attention.shape[1]):
        weights[s] /= total
    for d in range(table.shape[1]):
        out[d] = 0
    for e in range(offsets[i], offsets[i + 1]):
        scale, r = weights[slot[e]] * share[e], row[e]
        for d in range(table.shape[1]):
            out[d] += scale * table[r, d]


@njit(cache=True, nogil=True, fastmath=True)
def against(hidden: Array, outputs: Array, o: int, label: float, step: float, error: Array) -> None:
    """A step of o down -log σ(±h · o), + where ``label`` is 1; ``error`` gathers what h is to move by."""
    dot = np.float32(0)
    for d in range(len(hidden)):
        dot += hidden[d] * outputs[o, d]
    g = (np.float32(label) - logistic(dot)) * np.float32(step)
    for d in range(len(hidden)):  # two loops are quicker than one that reads and writes the same row
        error[d] += g * outputs[o, d]
    for d in range(len(hidden)):
        outputs[o, d] += g * hidden[d]


@njit(cache=True, nogil=True, fastmath=True)
def moved(
    i: int, parts: Parts, table: Array, attention: Array, weights: Array, hidden: Array, error: Array, dots: Array
) -> None:
    """Moves the rows that item i is mixed of and its attention, as h = ``hidden`` [f] is to move by ``error`` [f].

    W_e += weights_s share_e error,  a_s += weights_s (W_s - h) · error.  ``dots`` [s] is room to work in.
    """
    offsets, slot, row, share = parts
    own = np.float32(0)
    for d in range(len(hidden)):
        own += hidden[d] * error[d]
    for s in range(len(dots)):
        dots[s] = 0
    for e in range(offsets[i], offsets[i + 1]):
        dot, r = np.float32(0), row[e]
        for d in range(len(hidden)):
            dot += table[r, d] * error[d]
        dots[slot[e]] += share[e] * dot
    for e in range(offsets[i], offsets[i + 1]):
        scale, r = weights[slot[e]] * share[e], row[e]
        for d in range(len(hidden)):
            table[r, d] += scale * error[d]
    for s in range(len(dots)):
        if weights[s] > 0:
            attention[i, s] += weights[s] * (dots[s] - own)


@njit(cache=True, nogil=True, fastmath=True)
def epoch(
    order: Array,
    rate: float,
    last_rate: float,
    seed: int,
    tokens: Array,
    offsets: Array,
    popular: Alias,
    parts: Parts,
    table: Array,
    attention: Array,
    outputs: Array,
    window: int,
    negatives: int,
) -> None:
    """One pass over the sentences numbered ``order``, the step falling from ``rate`` to ``last_rate``.

    An item is mixed once for all its neighbours in a window of random reach, each of which it is to tell from
    ``negatives`` drawn ones, and moves once.
    """
    stays, other = popular
    f, slots = table.shape[1], attention.shape[1]
    state = np.array([seed], np.uint64)
    hidden, error = np.empty(f, np.float32), np.empty(f, np.float32)
    weights, dots = np.empty(slots, np.float32), np.empty(slots, np.float32)
    total, done = 0, 0
    for s in order:
        total += offsets[s + 1] - offsets[s]
    for s in order:
        first, last = offsets[s], offsets[s + 1]
        step = rate + (last_rate - rate) * done / total
        done += last - first
        for t in range(first, last):
            reach = 1 + draw(state, window)
            start, end = max(t - reach, first), min(t + reach + 1, last)
            if end - start < 2:
                continue
            mixed(tokens[t], parts, table, attention, weights, hidden)
            for d in range(f):
                error[d] = 0
            for j in range(start, end):
                if j == t:
                    continue
                against(hidden, outputs, tokens[j], 1, step, error)
                for _ in range(negatives):
                    n = drawn(state, stays, other)
                    if n != tokens[j]:
                        against(hidden, outputs, n, 0, step, error)
            moved(tokens[t], parts, table, attention, weights, hidden, error, dots)
