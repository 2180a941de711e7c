"""Sentences from the log: what a user did in turn, as tokens for word2vec or paths for a graph of items."""

from __future__ import annotations

from typing import Literal

import numpy as np

from shortlist.types import Array, Float32, Int32, Int64


def sentences(
    user: Array,
    token: Array,
    time: Array,
    strength: Array,
    gap: int | None,
    repeats: Literal["once", "log", "sum"],
    session: Array | None = None,
) -> tuple[Int32, Int64, Float32]:
    """(tokens [m], offsets [s + 1], weights [m]) from events in time order.

    A sentence is what one user did, oldest first; a pause of more than ``gap`` microseconds begins a new one, and so
    does another ``session`` [m]. A token comes once in a sentence, when it first happened, and weighs the strongest of
    its events, log2(1 + their summed strength), or the sum.
    """
    order = np.argsort(user, kind="stable")
    user, token, time = user[order], token[order].astype(np.int64), time[order]
    strength = strength[order].astype(np.float64)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = user[1:] != user[:-1]
    if gap is not None:
        begins[1:] |= np.diff(time) > gap
    if session is not None:
        begins[1:] |= np.diff(session[order]) != 0
    sentence = np.cumsum(begins) - 1
    pair = np.lexsort((token, sentence))  # within a pair as the log goes
    new = np.ones(len(pair), np.bool_)
    new[1:] = (sentence[pair][1:] != sentence[pair][:-1]) | (token[pair][1:] != token[pair][:-1])
    starts = np.flatnonzero(new)
    if repeats == "once":
        weight = np.maximum.reduceat(strength[pair], starts) if len(pair) else strength
    else:
        weight = np.add.reduceat(strength[pair], starts) if len(pair) else strength
        weight = np.log2(1 + weight) if repeats == "log" else weight
    first = pair[starts]
    back = np.argsort(first)
    first, weight = first[back], weight[back]
    n = int(sentence[-1]) + 1 if len(sentence) else 0
    offsets = np.searchsorted(sentence[first], np.arange(n + 1)).astype(np.int64)
    return token[first].astype(np.int32), offsets, weight.astype(np.float32)
