"""What a person comes back to: buy again, watch again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import InputError, Retriever, Search
from shortlist.data import Dataset, State
from shortlist.durations import Duration
from shortlist.types import Bool, Candidates, Float32, Int32, Int64, Requests, keys

LEAST = np.float32(1e-38)
"""The score of what was taken so long ago that nothing is left of it."""


class Repeat(Retriever):
    """A person's own items, by how often and how lately they were taken.

    score(u, i) = sum over the events e of u with item i: strength_e 2^(-(latest_u - t_e) / half_life)

    over the kinds of event in ``events``, with latest_u the time of the last of them. Items with fewer than
    ``min_count`` such events, or with one less than ``min_age`` ago, do not come. For logs in which people take the
    same thing again (groceries, music): often the strongest channel there. Where a rule forbids what was seen it finds
    nothing. It knows nothing of likeness, so it has no ``similar``.

    Source: Anderson, Kumar, Tomkins, Vassilvitskii (2014), The Dynamics of Repeat Consumption; Bhagat, Muralidharan,
    Lobzhanidze, Vishwanath (2018), Buy It Again: Modeling Repeat Purchase Recommendations.
    """

    sizes: ClassVar[Mapping[str, str]] = {"counted_": "b", "strengths_": "b"}

    events: list[str] = ["positive"]
    """Which events count: "positive", "all" and names of behaviours."""
    half_life: Annotated[Duration | None, Search(choices=("1d", "3d", "7d", "14d", "30d", "90d", "365d"))] = (
        30 * 86_400_000_000
    )
    """An event this much older than the person's latest counts half; none = plain counts."""
    min_age: Annotated[Duration | None, Search(choices=(None, "1h", "1d", "3d", "7d", "14d"))] = None
    """What was taken less than this ago does not come back yet; none = at once."""
    min_count: Annotated[int, Field(ge=1), Search(1, 3)] = 1
    """How often the person must have taken an item."""

    def fit(self, data: Dataset) -> Self:
        """Learns which kinds of event count; raises ``InputError`` on one the log has not."""
        names = data.behaviours.names
        for name in self.events:
            if name not in ("positive", "all", *names):
                raise InputError(f"repeat.events: {name!r} is not positive, all or one of {names}")
        self.counted_: Bool = np.array(["all" in self.events or name in self.events for name in names], bool)
        self.strengths_: Float32 = np.asarray(data.behaviours.strengths, np.float32)
        return self

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` of the person's own items; nobody else has any."""
        key, score = self._own(requests)
        free = ~np.isin(key, keys(requests.exclude.rows, requests.exclude["item"]))
        key = key[free]
        rows = Candidates((key >> 32).astype(np.uint32), (key & 0xFFFFFFFF).astype(np.int32), {"score": score[free]})
        return rows.top(k)

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for what the person has not taken, or not so."""
        key, score = self._own(requests)
        at, found = _places(key, candidates.keys)
        out = np.zeros(len(candidates), np.float32)
        out[found] = score[at[found]]
        return out

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item itself, where the person took it; else -1."""
        key, _ = self._own(requests)
        return np.where(_places(key, candidates.keys)[1], candidates.item, -1).astype(np.int32)

    def _own(self, requests: Requests) -> tuple[Int64, Float32]:
        """One number for each (request, item) that may come, ascending; and its score."""
        kept = requests.memo.get((id(self), "own"))
        if kept is not None and kept[0] is self.counted_:
            return kept[1]
        history = requests.history
        positive = history["weight"] > 0
        counted = self.counted_[history["event"]] | (positive & ("positive" in self.events))
        own = history.keep(counted)
        rows, time = own.rows, own["time"]
        key, pair = np.unique(keys(rows, own["item"]), return_inverse=True)
        worth = np.where(own["weight"] > 0, own["weight"], self.strengths_[own["event"]]).astype(np.float64)
        if self.half_life and len(time):
            ends = own.offsets[1:][rows] - 1  # oldest first: the last entry of the row
            worth *= 0.5 ** ((time[ends] - time) / self.half_life)
        score = np.maximum(np.bincount(pair, worth, len(key)).astype(np.float32), LEAST)
        latest = np.zeros(len(key), np.int64)
        latest[pair] = time  # of several, the last is kept
        comes = np.bincount(pair, minlength=len(key)) >= self.min_count
        if self.min_age:
            comes &= latest <= requests.time[key >> 32] - self.min_age
        made = key[comes], score[comes]
        requests.memo[id(self), "own"] = self.counted_, made
        return made


def _places(key: Int64, wanted: Int64) -> tuple[Int64, Bool]:
    """[m]: where each wanted number stands in the ascending ``key``, and whether it does."""
    at = np.searchsorted(key, wanted)
    found = at < len(key)
    found[found] = key[at[found]] == wanted[found]
    return at, found
