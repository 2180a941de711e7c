"""Association of items in sequences: what is taken soon after (or before) what."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._collaborative import ItemToItem
from shortlist.recall._neighbours import as_csr
from shortlist.recall._pairs import associate


class Association(ItemToItem):
    """Directed pair scores of neighbours in each user's sequence, summed over users.

    s(j -> i) = sum_u sum over events of j and i in the sequence of u, at most ``window`` places apart:
        base^(gap - 1) · (1 if i comes after j, else backward) · 2^(-|t_i - t_j| / pair_half_life) / log(1 + length_u)
    score(u, i) = sum_j w(u, j) s(j -> i) over the ``neighbours`` of each item j of the history

    For logs where order means something: sessions, series, repurchases. ``last`` and ``half_life`` matter more here
    than elsewhere.

    Source: Agrawal, Imieliński, Swami (1993), Mining Association Rules between Sets of Items in Large Databases, with
    the weights by distance, direction, time and length that sequence-aware item-to-item recall adds.
    """

    base: float = Field(default=0.8, gt=0, le=1)
    """What one more place between the two events leaves of a pair."""
    backward: float = Field(default=0.7, ge=0, le=1)
    """What a pair counts for the item that came first: 1 = as much as for the one that followed, 0 = nothing."""
    pair_half_life: Duration | None = None
    """Two events this far apart in time count half as a pair; none = the time between does not matter."""
    window: int = Field(default=20, ge=1)
    """The longest distance, in places, between the events of a pair."""
    neighbours: int = Field(default=100, ge=1)
    """How many most associated items are kept of each item."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the strongest associations of every item."""
        c = self._matrix(data).shape[1]
        log = data.sequences(signal=self.signal)
        log = log.keep(self.column_[log["item"]] >= 0)
        columns = self.column_[log["item"]]
        users = log.rows
        occurrences = np.argsort(columns, kind="stable")
        offsets = np.searchsorted(columns[occurrences], np.arange(c + 1)).astype(np.int64)
        rate = 1 / self.pair_half_life if self.pair_half_life else 0.0
        heaps = associate(
            *(log.offsets[users], log.offsets[users + 1], columns, log["time"], occurrences, offsets),
            *(self.base, self.backward, rate, self.window, max(min(self.neighbours, c - 1), 0)),
        )
        self.table_ = as_csr(*heaps)
        return self
