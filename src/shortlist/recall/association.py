"""Association of items in sequences: what is taken soon after (or before) what."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._kernels.neighbours import as_csr
from shortlist.recall._kernels.pairs import Sequences, associate
from shortlist.recall._linear import ItemToItem


class Association(ItemToItem):
    """Directed pair scores of neighbours in each user's sequence, summed over users.

    s(j -> i) = 1 / (n_j^from_power · n_i^to_power) · sum_u sum over events of j and i in the sequence of u:
        (near + together) · 2^(-|t_i - t_j| / pair_half_life) / log(1 + length_u)^length_power
        · 2^(-(end of the log - max(t_i, t_j)) / log_half_life)
    near = base^(gap - 1) · (1 if i comes after j, else backward) where gap <= window places lie between, else 0
    score(u, i) = sum_j w(u, j) s(j -> i) over the ``neighbours`` of each item j of the history

    n_i is how many events item i has in the sequences.

    For logs where order means something: sessions, series, repurchases. ``last``, ``half_life`` and, above all where
    there are no times, ``fade`` matter more here than elsewhere. With ``together`` every pair of a sequence counts, so
    the work grows with the square of its length.

    Source: Agrawal, Imieliński, Swami (1993), Mining Association Rules between Sets of Items in Large Databases, with
    the weights by distance, direction, time and length that sequence-aware item-to-item recall adds.
    """

    base: Annotated[float, Field(gt=0, le=1), Search(0.5, 1)] = 0.8
    """What one more place between the two events leaves of a pair."""
    backward: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.7
    """What a pair counts for the item that came first: 1 = as much as for the one that followed, 0 = nothing."""
    together: Annotated[float, Field(ge=0), Search(0, 0.5)] = 0.0
    """What a pair counts besides, in any order and however many places lie between; 0 = only ``near`` counts."""
    from_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """How far the number of events of the item of the history is divided out: 0 = not, 1 = wholly."""
    to_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """The same of the item it speaks for: more finds rarer items."""
    length_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 1.0
    """How far the length of a sequence is divided out: 0 = the pairs of long and short ones count alike."""
    pair_half_life: Annotated[Duration | None, Search(choices=(None, "10m", "1h", "1d", "7d", "30d"))] = None
    """Two events this far apart in time count half as a pair; none = the time between does not matter."""
    window: Annotated[int, Field(ge=1, le=1000), Search(1, 50, log=True)] = 20
    """The longest distance, in places, between the events of a pair."""
    neighbours: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100
    """How many most associated items are kept of each item."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the strongest associations of every item."""
        self._vocabulary(data)
        c = len(self.items_)
        log = data.sequences(signal=self.signal)
        log = log.keep((self._strength(log["weight"], log["event"]) > 0) & (self.column_[log["item"]] >= 0))
        columns = self.column_[log["item"]]
        users = log.rows
        occurrences = np.argsort(columns, kind="stable")
        offsets = np.searchsorted(columns[occurrences], np.arange(c + 1)).astype(np.int64)
        rate = 1 / self.pair_half_life if self.pair_half_life else 0.0
        worth = self._faded(data, log["time"]).astype(np.float32)
        bounds = log.offsets[users], log.offsets[users + 1]
        sequences = Sequences(*bounds, columns, log["time"], worth, occurrences, offsets)
        k = max(min(self.neighbours, c - 1), 0)
        count = np.maximum(np.diff(offsets), 1.0)
        scale = np.stack([count**-self.from_power, count**-self.to_power]).astype(np.float32)
        how = self.base, self.backward, self.together, self.length_power, rate, self.window, scale
        self.table_ = as_csr(*associate(sequences, *how, k))
        return self
