"""Item2vec: word2vec on what people did in turn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._embeddings import Embeddings
from shortlist.recall._kernels.sentences import sentences
from shortlist.recall._word2vec import Word2Vec, embed


class Item2Vec(Embeddings, Word2Vec):
    """Item vectors from the company items keep in users' sequences (word2vec); a user is where their history points.

    score(u, i) = p_u · o_i,  p_u = sum_j w(u, j) v_j divided by its length,  v_j of length 1

    v by skip-gram or CBOW with negative sampling or hierarchical softmax over sentences: each user's items by time, or
    each user's set of items in an order drawn anew in every pass (``order = "shuffled"``, the paper's view), cut at
    pauses longer than ``gap``. o_i is what tells item i as a neighbour (less the mean of all): what goes with this
    history. ``answer = "vector"`` has o = v, a cosine, as the paper has it: good for similar items, but it knows
    nothing of how much an item is wanted. With ``weighted`` an example counts as much as the strengths of its two
    events (a view says less than a purchase). Cheap on large logs, and answers for anybody with a history.

    Source: Barkan, Koenigstein (2016), Item2Vec: Neural Item Embedding for Collaborative Filtering; Caselles-Dupré,
    Lesaint, Royo-Letelier (2018), Word2Vec Applied to Recommendation: Hyperparameters Matter.
    """

    popularity: Annotated[float, Field(ge=-2, le=2), Search(-0.75, 1)] = 0.0
    """The power of an item's count it is drawn by as a negative. 0: the context's score is the log-odds of the item as
    such, popular ones first; 0.75, as for words: of the item beyond its popularity."""
    window: Annotated[int, Field(ge=1), Search(2, 50, log=True)] = 10
    """The farthest neighbour on either side; the reach at each item is drawn from 1 to this: near ones count more."""
    negatives: Annotated[int, Field(ge=1), Search(2, 30, log=True)] = 10
    """Sampled negatives an example."""
    order: Annotated[Literal["time", "shuffled"], Search(choices=("time", "shuffled"))] = "time"
    """Whether neighbours in time count, or all items of a sentence alike."""
    gap: Duration | None = None
    """A pause longer than this begins a new sentence; none = a session of ``[data.sessions]`` is one, and without them
    all a user did."""
    weighted: bool = False
    """Whether examples count by the strength of their events, relative to the mean, or all alike."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the item vectors, each of length 1."""
        self._vocabulary(data)
        rows, events = self._rows(data), data.events
        worth = self._faded(data, events.time[rows])
        if self.weighted:
            worth *= self._strength(events.weight[rows], events.event[rows])
        token = self.column_[events.item[rows]]
        repeats = self.repeats if self.weighted else "once"
        log = events.user[rows], token, events.time[rows], worth
        tokens, offsets, weights = sentences(*log, self.gap, repeats, self._sessions(data, rows, self.gap))
        weights /= max(weights.mean(), np.float32(1e-12)) if len(weights) else 1
        vectors, contexts = embed(tokens, offsets, weights, len(self.items_), self, shuffle=self.order == "shuffled")
        self._learned(vectors, contexts, data)
        return self
