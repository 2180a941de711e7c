"""Vectors of items from triples and from who took what: TransE or DistMult, whichever tells better what came next."""

from __future__ import annotations

import numpy as np
import polars as pl

from shortlist.data import Dataset, Vocab
from shortlist.recall._kernels import entities as kernel
from shortlist.types import Array, Float32

MODELS = ("transe", "distmult")
RIDGE, NEGATIVES = 1e-4, 4


def vectors(
    told: pl.DataFrame, data: Dataset, model: str, factors: int, epochs: int, rate: float, seed: int, known: Vocab
) -> Float32:
    """[n_items, factors] of length 1, zeros for items of which no triple and no positive event says anything.

    Entities are items, users (of positive events, as (user, took, item)) and whatever else triples name.
    """
    events = data.events
    liked = np.flatnonzero((events.weight > 0) & (events.user >= 0))
    n, users = data.n_items, np.unique(events.user[liked])
    names = pl.concat([told["head"], told["tail"]]).unique()
    others = Vocab.of(names.filter(~names.is_in(pl.Series(known.ids, dtype=pl.String).implode())))
    base = n + len(others)

    def code(column: str) -> Array:
        item = known.encode(told[column])
        return np.where(item >= 0, item, n + others.encode(told[column]))

    relations = Vocab.of(told["relation"])
    head = np.concatenate([code("head"), base + np.searchsorted(users, events.user[liked])]).astype(np.int64)
    tail = np.concatenate([code("tail"), events.item[liked]]).astype(np.int64)
    relation = np.concatenate([relations.encode(told["relation"]), np.full(len(liked), len(relations))]).astype(
        np.int64
    )
    m, total = len(relations) + 1, base + len(users)
    met = np.zeros(total, bool)
    met[head] = met[tail] = True
    compact = np.cumsum(met) - 1  # who is in no triple is not drawn either
    head, tail, size = compact[head], compact[tail], int(met.sum())
    low, high = np.full(m, size), np.zeros(m, np.int64)
    np.minimum.at(low, relation, tail)
    np.maximum.at(high, relation, tail + 1)
    rng = np.random.default_rng(seed)
    e = (rng.standard_normal((size, factors)) / np.sqrt(factors)).astype(np.float32)
    r = (rng.standard_normal((m, factors)) / np.sqrt(factors)).astype(np.float32)
    translates = model == "transe"
    if not translates:
        e *= 2
        r = np.ones_like(r)
    state = np.array([seed + 1], np.uint64)
    for done in range(epochs):
        step = rate * (1 - 0.9 * done / epochs)
        order = rng.permutation(len(head))
        kernel.epoch(head, relation, tail, low, high, e, r, translates, step, RIDGE, 2.0, NEGATIVES, order, state)
    out = np.zeros((n, factors), np.float32)
    mine = np.flatnonzero(met[:n])
    out[mine] = e[compact[mine]]
    return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)).astype(np.float32)
