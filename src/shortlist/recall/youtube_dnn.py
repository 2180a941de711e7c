"""The candidate generator of YouTube: a net over what was watched, what was searched for, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from shortlist.component import InputError, Search
from shortlist.data import Dataset, Table
from shortlist.durations import UNITS
from shortlist.nn.examples import Examples, latest
from shortlist.nn.rivals import Draw, Rivals
from shortlist.nn.sequences import Each
from shortlist.nn.transformer import Table as Codes
from shortlist.recall._learned import Retrieval
from shortlist.recall._towers import Asker, Towers, pooled
from shortlist.recall._vocabulary import columns_of
from shortlist.types import Array, Bool, Ragged


class YouTubeDNN(Towers):
    """What comes next, told by softmax over the items from pooled histories, attributes and the example's age.

    score(u, i) = p_u · q_i,  p_u = MLP([mean of watched v_j, mean of searched s_j, attributes of u, a, a², √a])

    v, s and q are three tables of vectors. a is how long before the log's end an example happened, as a share of the
    log: what was popular then is explained by it, and a request is told that it is asked at the end (``serve_as``). An
    example has for history what its user did before it, never after. Learned by sampled softmax. Use it where there is
    a second history (searches, views) or where what is popular changes quickly; ``sasrec`` sees the order as well.

    Source: Covington, Adams, Sargin (2016), Deep Neural Networks for YouTube Recommendations.
    """

    draw: Annotated[Draw, Search(choices=("uniform", "log", "popularity", "batch", "mixed"))] = "log"
    """How rivals are drawn, as for ``sasrec``."""
    each: Each = "batch"
    """What has rivals of its own; the more, the slower."""
    sizes: ClassVar[Mapping[str, str]] = {"searched_": "n"}

    second: str | None = None
    """The behaviour whose items are the second history, a search say; it is neither told nor part of the first."""
    age: bool = True
    """Whether the example's age is read; logs without times have none."""
    serve_as: Annotated[float, Field(ge=0)] = 0.0
    """The age that requests have, in days."""
    tied: Annotated[bool, Search(choices=(False, True))] = False
    """Whether watched items have the vectors that they are found by, v = q."""

    def learn_inputs(self, data: Dataset, log: Ragged) -> None:
        """The log's span as well."""
        super().learn_inputs(data, log)
        time = log["time"]
        self.span_: float = float(time.max() - time.min()) if len(time) and self.age and not data.order_only else 0.0
        self.end_: float = float(time.max(initial=0))

    def _log(self, data: Dataset) -> Ragged:
        """Learns both vocabularies; what counts of each user's events, with the columns of either."""
        self.second_: int = -1 if self.second is None else data.behaviours.code(self.second)
        if self.second is not None and self.second_ < 0:
            known = ", ".join(data.behaviours.names)
            raise InputError(f"recall.second: the log has no behaviour {self.second!r}; it has {known}")
        log = data.sequences(signal="all")
        counts = np.bincount(log["item"][self._watched(log)], minlength=data.n_items)
        self._know(np.flatnonzero(counts >= self.min_count), data.n_items)
        searched = np.bincount(log["item"][log["event"] == self.second_], minlength=data.n_items)
        self.searched_ = np.where(searched >= self.min_count, np.cumsum(searched >= self.min_count) - 1, -1)
        return self._counted(log)

    def _watched(self, log: Ragged) -> Bool:
        positive: Bool = (log["weight"] > 0) | (self.signal == "all")
        return positive & (log["event"] != self.second_)

    def _counted(self, log: Ragged) -> Ragged:
        """Entries of either history: ``item`` is -1 for searches, ``second`` for what was watched."""
        item = np.where(self._watched(log), self._columns(log["item"]), -1)
        second = np.where(log["event"] == self.second_, columns_of(log["item"], self.searched_), -1)
        kept = Ragged(log.offsets, {**log.columns, "item": item, "second": second})
        return kept.keep((item >= 0) | (second >= 0))

    def counts(self, log: Ragged) -> Bool:
        """What was watched."""
        told: Bool = log["item"] >= 0
        return told

    def build(self) -> Retrieval:
        """Untrained."""
        return _Net(self)

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Examples:
        """Each event watched, with its age as seen from the end of ``log``."""
        self.end_ = float(log["time"].max(initial=0))
        return super().batches(log, rivals, users)

    def entries(
        self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table, width: int
    ) -> dict[str, Array]:
        """``item``, ``second`` [n, width], ``age`` [n, 3] as far as they are read, and what is known of ``who``."""
        found = super().entries(log, start, end, now, who, users, width)
        if self.second is not None:
            found["second"] = latest(log["second"], start, end, width)
        if self.span_ > 0:
            before = self.end_ - np.asarray(now, np.float64)
            share = np.clip(np.where(before < 0, self.serve_as * UNITS["d"], before) / self.span_, 0, 1)
            found["age"] = np.stack([share, share**2, np.sqrt(share)], 1).astype(np.float32)
        return found


class _Net(Retrieval):
    def __init__(self, own: YouTubeDNN) -> None:
        super().__init__()
        deviation = own.factors**-0.5  # of length 1 or so: what is short at first is learned late
        self.found = Codes(1 + len(own.items_), own.factors, deviation=deviation)
        self.watched = self.found if own.tied else Codes(1 + len(own.items_), own.factors, deviation=deviation)
        searched = 1 + int(own.searched_.max(initial=-1)) + 1
        self.searched = None if own.second is None else Codes(searched, own.factors, deviation=deviation)
        self.asker = Asker(own.askers, own.factors)
        self.aged = own.span_ > 0
        histories = 1 + (self.searched is not None)
        self.layers = own.layers(histories * own.factors + self.asker.size + 3 * self.aged)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        parts = [pooled(self.watched.table, x["item"], x["item"] > 0), *self.asker(x)]
        if self.searched is not None:
            parts.append(pooled(self.searched.table, x["second"], x["second"] > 0))
        if self.aged:
            parts.append(x["age"])
        out: Tensor = self.layers(torch.cat(parts, 1))
        return out[:, None]

    def begin(self, columns: Tensor, vectors: Tensor) -> None:
        with torch.no_grad():
            self.found.table[columns + 1] = vectors

    def items(self, columns: Tensor | None) -> Tensor:
        if columns is None:
            return self.found.table[1:]
        out: Tensor = self.found(columns + 1)
        return out
