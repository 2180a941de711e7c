"""How close the candidate is to the items the user chose last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Feature
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
    history has none. A cosine does not grow with the log, so it may feed a ranker although it is learned. Use it where
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

    def fit(self, data: Dataset) -> Self:
        """Counts pairs and keeps each item's nearest, sorted by code."""
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
        return _named(self.last, out)


def _named(last: Sequence[int], out: Array) -> dict[str, Array]:
    return {
        f"neighbours.{kind}.{k}": column
        for k, pair in zip(last, out, strict=True)
        for kind, column in zip(("max", "mean"), pair, strict=True)
    }
