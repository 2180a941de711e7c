"""How close the candidate is to the items the user chose last."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Feature, InputError
from shortlist.data import Dataset, State
from shortlist.features import _neighbours
from shortlist.features._history import Past
from shortlist.types import Array, Candidates, Requests


class Neighbours(Feature):
    """Cosine of the candidate with the last 1, 3, 5 ... items of the history, by who chose both.

    s(i, j) = n_ij / sqrt(n_i n_j), where n_i is the number of users with i among their last ``length`` positive items
    and n_ij of users with both; with ``window``, only pairs at most so many places apart count in n_ij. Per item the
    ``neighbours`` most alike are kept, others are 0. For each k in ``last``, over the last k items of the history that
    were known at ``fit``: ``max.k``, ``mean.k``, and with ``positive`` only liked ones are looked at. NaN where the
    history has none. With ``vector`` the same by the cosine of the items' own vectors, over those of the last k that
    have one, also for items that were not known at ``fit``: ``vector.max.k``, ``vector.mean.k``. A cosine does not grow
    with the log, so it may feed a ranker although it is learned. Use it where
    people follow a thread: channels sum over the whole history, this one asks about the last step.

    Source: Sarwar, Karypis, Konstan and Riedl (2001), Item-based collaborative filtering recommendation algorithms.
    """

    sizes: ClassVar[Mapping[str, str]] = {"starts_": "n+1 <e+1", "codes_": "e <n", "cosine_": "e"}

    last: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 3, 5], min_length=1)
    """How many of the latest items are looked at; one column pair for each."""
    positive: bool = False
    """Whether only positive events of the history count as items chosen."""
    signal: str = Field(default="positive", pattern="^(positive|all)$")
    """Which events the similarity is learned from: "positive" or "all"."""
    length: int = Field(default=500, ge=2)
    """How many of a user's latest items count; the work grows with its square."""
    window: int | None = Field(default=None, ge=1)
    """Pairs further apart in the sequence than this are not counted; none = no limit."""
    neighbours: int = Field(default=200, ge=1)
    """How many similar items are kept for each."""
    vector: str | None = None
    """An attribute of items that is a vector, compared too; none = only by who chose both."""

    def fit(self, data: Dataset) -> Self:
        """Counts pairs and keeps each item's nearest, sorted by code; raises ``InputError`` if ``vector`` is none."""
        if self.vector and not data.items.of_kind("features.neighbours.vector", [self.vector], "vector"):
            raise InputError(f"features.neighbours.vector: {self.vector!r} is no vector")
        signal = "positive" if self.signal == "positive" else "all"
        sequences = data.sequences(self.length, signal)  # type: ignore[arg-type]
        window = self.window or self.length
        starts, codes, cosine = _neighbours.nearest(
            sequences.offsets, sequences["item"], data.n_items, window, self.neighbours
        )
        self.starts_, self.codes_, self.cosine_ = starts, codes, cosine
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``neighbours.*``, each [m]."""
        near, last = _neighbours.Nearest(self.starts_, self.codes_, self.cosine_), np.array(self.last, np.int64)
        out = np.empty((len(last), 2, len(candidates)), np.float32)
        past, first = Past.of(requests), candidates.offsets(len(requests))
        _neighbours.closeness(near, past, self.positive, last, first, candidates.item, out)
        named = _named("neighbours", self.last, out)
        return named | self._by_vector(past, last, candidates, state) if self.vector else named

    def _by_vector(self, past: Past, last: Array, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``neighbours.vector.*``."""
        column, out = (
            state.items.vectors[str(self.vector)],
            np.full((len(last), 2, len(candidates)), np.nan, np.float32),
        )
        first = candidates.offsets(len(past.offsets) - 1)
        for q, (a, b) in enumerate(itertools.pairwise(past.offsets.tolist())):
            rows = slice(first[q], first[q + 1])
            chosen = past.items[a:b][past.weights[a:b] > 0] if self.positive else past.items[a:b]
            vectors, known = column.of(chosen[::-1][: last.max()])
            theirs, there = column.of(candidates.item[rows])
            cosine = np.einsum("md,hd->mh", _unit(theirs), _unit(vectors))
            cosine[~there] = np.nan
            for n, k in enumerate(last.tolist()):
                some = cosine[:, :k][:, known[:k]]
                if some.shape[1]:
                    out[n, :, rows] = some.max(axis=1), some.mean(axis=1)
        return _named("neighbours.vector", self.last, out)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


def _named(prefix: str, last: Sequence[int], out: Array) -> dict[str, Array]:
    return {
        f"{prefix}.{kind}.{k}": column
        for k, pair in zip(last, out, strict=True)
        for kind, column in zip(("max", "mean"), pair, strict=True)
    }
