"""Item2vec: word2vec on what people did in turn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._sentences import sentences
from shortlist.recall._vectors import Vectors
from shortlist.recall._word2vec import Word2Vec, embed


class Item2Vec(Vectors, Word2Vec):
    """Item vectors from the company items keep in users' sequences (word2vec); a user is the sum of their history.

    score(u, i) = cos(sum_j w(u, j) v_j, v_i),  v by skip-gram or CBOW with negative sampling or hierarchical softmax

    over sentences: each user's items by time, or each user's set of items in an order drawn anew in every pass
    (``order = "shuffled"``, the paper's view), cut at pauses longer than ``gap``. With ``weighted`` an example counts
    as much as the strengths of its two events (a view says less than a purchase). Cheap on large logs, answers for
    anybody with a history, and gives similar items.

    Source: Barkan, Koenigstein (2016), Item2Vec: Neural Item Embedding for Collaborative Filtering; Caselles-Dupré,
    Lesaint, Royo-Letelier (2018), Word2Vec Applied to Recommendation: Hyperparameters Matter.
    """

    order: Annotated[Literal["time", "shuffled"], Search(choices=("time", "shuffled"))] = "time"
    """Whether neighbours in time count, or all items of a sentence alike."""
    gap: Duration | None = None
    """A pause longer than this begins a new sentence; none = all a user did is one."""
    answer: Annotated[Literal["context", "vector"], Search(choices=("context", "vector"))] = "context"
    """What the history's vector is compared with: the vector an item is told by as a neighbour (what goes with this
    history), or its own (what resembles it; the only one under hierarchical softmax)."""
    weighted: bool = True
    """Whether examples count by the strength of their events, relative to the mean, or all alike."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the item vectors, each of length 1."""
        self._vocabulary(data)
        rows, events = self._rows(data), data.events
        strength = events.weight[rows] if self.signal == "positive" else self.strengths_[events.event[rows]]
        token = self.column_[events.item[rows]]
        tokens, offsets, weights = sentences(
            events.user[rows], token, events.time[rows], strength, self.gap, self.repeats
        )
        weights = weights / max(weights.mean(), 1e-12) if self.weighted and len(weights) else np.ones_like(weights)
        vectors, contexts = embed(tokens, offsets, weights, len(self.items_), self, shuffle=self.order == "shuffled")
        self._learned(vectors, contexts if self.answer == "context" else None)
        return self
