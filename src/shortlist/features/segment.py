"""How popular an item is among users like this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import Dataset, State
from shortlist.durations import Duration
from shortlist.features import _rows
from shortlist.types import Array, Candidates, Ragged, Requests


class Segment(Feature):
    """Popularity of the item among users of the same gender, occupation, age bucket ..., against its popularity at all.

    For a user attribute with the user's value (or bucket) g, as of the request: s = c_i / C is the item's share of the
    log's events, ``share`` = (c_ig + prior s) / (C_g + prior) its share among the events of users with g, drawn to s,
    and ``lift`` = log2(share / s): above 0 when people like this one choose it more than others do (0 for an item
    nobody chose yet). NaN where the user's value is not known. Use it when users have attributes: it is what can be
    said about someone who has no history.

    Source: Pazzani (1999), A framework for collaborative, content-based and demographic filtering.
    """

    sizes: ClassVar[Mapping[str, str]] = {"names_": "k", "edges_": "k e"}

    attributes: list[str] | None = None
    """Columns of the user table; none named means every category of at most ``levels`` levels and every number."""
    levels: int = Field(default=64, ge=2, le=65536)
    """Categories with more levels than this (postal codes) are left out unless they are named."""
    buckets: int = Field(default=5, ge=2, le=1000)
    """Into how many equally filled buckets a number is cut."""
    event: str = "positive"
    """What is counted: "positive", "all" or the name of a behaviour."""
    window: Duration | None = None
    """How far back events count; none = for ever."""
    prior: float = Field(default=50.0, gt=0)
    """Strength of the smoothing, in events of the segment."""

    def fit(self, data: Dataset) -> Self:
        """Chooses the attributes and cuts the numbers into buckets by the users who have events."""
        seen = np.flatnonzero(data.user_counts("all"))
        names, edges = [], []
        for name in data.users.of_kind("features.segment.attributes", self.attributes, "category", "number"):
            inner = np.empty(0)
            table, rows = data.users.known(name, seen)
            if name in table.numbers:
                number = table.number(name, rows)
                number = number[~np.isnan(number)].astype(np.float64)
                cuts = np.arange(1, self.buckets) / self.buckets
                inner = np.unique(np.quantile(number, cuts)) if len(number) else inner
            elif self.attributes is None and len(table.codes[name].levels) > self.levels:
                continue
            names.append(name)
            edges.append(inner)
        self.names_ = np.array(names, dtype=str)
        lengths = np.array([0, *map(len, edges)], np.int64)
        self.edges_ = Ragged(np.cumsum(lengths), {"edge": np.concatenate([np.empty(0), *edges])})
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``segment.*``, each [m]."""
        row, item, log = candidates.request, candidates.item, np.zeros(len(requests), np.int32)
        now = requests.time[row]
        windows = [self.window]
        count = state.counts("item", item, now, [self.event], windows)[:, 0, 0]
        total = state.counts("log", log, requests.time, [self.event], windows)[row, 0, 0]
        overall = np.divide(count, total, out=np.zeros(len(item), np.float32), where=total > 0)
        out: dict[str, Array] = {}
        for place, name in enumerate(self.names_):
            by, edges = str(name), tuple(self.edges_.row(place)["edge"].tolist())
            users, rows = state.attributes("user", by, requests.user, requests.time)
            bucket = users.buckets(by, rows, np.array(edges))
            options = by, edges, self.event, self.window
            of_all = state.segment_counts("log", log, bucket, requests.time, *options)
            of_item = state.segment_counts("item", item, bucket[row], now, *options)
            share, lift = np.empty((2, len(item)), np.float32)
            _rows.lifts(of_item, of_all, overall, bucket, row, self.prior, share, lift)
            out[f"segment.{by}.share"], out[f"segment.{by}.lift"] = share, lift
        return out
