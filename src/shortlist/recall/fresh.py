"""What is new, with room for what nobody has tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import InputError, Retriever, Search
from shortlist.data import FOREVER, MISSING_TIME, Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.recall._kernels import fresh, ordered
from shortlist.types import Candidates, Float32, Float64, Int32, Int64, Ragged, Requests, UInt32, keys

BLOCK = 16_000_000
"""Cells of decayed counts held at once (64 MB)."""


class Fresh(Retriever):
    """New items inside a time window, by the rate at which they are taken, with a budget for exploring.

    An item is new at t if it can be had since some s with tick(t) - window < s <= tick(t). By rate:
        rate(i) = (n_i + prior) / (T_i + prior / μ)   with   n_i = sum over its events strength_e 2^(-a_e / half_life),
        T_i = ∫ 2^(-a / half_life) da over the ages a from 0 to now - s,   μ = sum_i n_i / sum_i T_i
    where now, from which ages are counted, is the latest event at or before the tick. Of the places a share ``explore``
    is given, at random, to new items with fewer than ``budget`` events.

    tick(t) = floor(t / refresh) refresh: a list is as of the last refresh, in a replay as in live service; the draws
    are of the request's id. score = 1 / place, from 1. s is what the catalogue says, else the item's first event, so in
    the beginning of a log every item is new. The same for everybody but for the draws. It knows
    nothing of likeness, so it has no ``similar``.

    Source: Thompson (1933), On the Likelihood that One Unknown Probability Exceeds Another, for trying what little is
    known of; Schein, Popescul, Ungar, Pennock (2002), Methods and Metrics for Cold-Start Recommendations.
    """

    sizes: ClassVar[Mapping[str, str]] = {"since_": "n"}

    personalised: ClassVar[bool] = False

    window: Annotated[Duration, Search(choices=("1d", "3d", "7d", "14d", "30d", "90d"))] = 30 * 86_400_000_000
    """How long an item is new."""
    half_life: Annotated[Duration | None, Search(choices=("6h", "12h", "1d", "3d", "7d", "14d"))] = 3 * 86_400_000_000
    """An event this much older than the latest counts half, and so does the time in which it could happen."""
    prior: Annotated[float, Field(gt=0), Search(0.1, 10, log=True)] = 1.0
    """How many events at the mean rate an item is believed to have had: more = an item's own few count less."""
    explore: Annotated[float, Field(ge=0, le=1), Search(0, 0.5)] = 0.1
    """The share of places for items hardly tried."""
    budget: Annotated[int, Field(ge=1), Search(1, 50, log=True)] = 5
    """With so many events an item has been tried."""
    refresh: Duration = 3_600_000_000
    """How often the list is made anew."""
    event: str = "positive"
    """Which events count: "positive", "all" or the name of a behaviour."""
    seed: int = 0
    """Of the draws, beside the request's id."""

    def fit(self, data: Dataset) -> Self:
        """Learns when the items began of which the catalogue does not say it."""
        if self.event not in ("positive", "all", *data.behaviours.names):
            raise InputError(f"fresh.event: {self.event!r} is not positive, all or one of {data.behaviours.names}")
        first = np.full(data.n_items, MISSING_TIME)
        items, at = np.unique(data.events.item, return_index=True)  # the log is in time order
        first[items] = data.events.time[at]
        self.since_: Int64 = np.where(data.available_from == MISSING_TIME, first, data.available_from)  # [n_items]
        return self

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` new items."""
        parts = [
            Candidates(rows[request].astype(np.uint32), item, {"score": _score(place)})
            for rows, request, item, place in self._mixed(requests, state, k)
        ]
        return Candidates.concat(parts) if parts else Candidates.empty(score=np.float32)

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row, excluded or not; 0 for what is not new."""
        out = np.zeros(len(candidates), np.float32)
        everything = replace(requests, exclude=Ragged.empty(len(requests), item=np.int32))
        wanted = candidates.keys
        for rows, request, item, place in self._mixed(everything, state, FOREVER):
            key = keys(rows[request], item)
            order = np.argsort(key)
            at = np.searchsorted(key, wanted, sorter=order)
            found = np.flatnonzero(at < len(key))
            found = found[key[order[at[found]]] == wanted[found]]
            out[found] = _score(place[order[at[found]]])
        return out

    def _mixed(self, requests: Requests, state: State, k: int) -> Iterator[tuple[Int64, UInt32, Int32, Int64]]:
        """(numbers of some requests, rows among them, item, place) in pieces of bounded size."""
        ticks, which = np.unique(requests.time // self.refresh * self.refresh, return_inverse=True)
        # what an item's draw depends on: the request's id and the seed
        seeds = requests.id * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self.seed % 2**64)
        depth = ordered.reach(requests, k)
        size = max(1, BLOCK // max(1, state.items.n))
        for start in range(0, len(ticks), size):
            best, pools, totals = zip(*self._kept(ticks[start : start + size], state, depth), strict=True)
            rows = np.flatnonzero((which >= start) & (which < start + size))
            exclude = requests.exclude.take(rows)
            items, drawn = np.concatenate(best), np.concatenate(pools)
            width = 1 + max(int(items.max(initial=-1)), int(drawn.max(initial=-1)))
            found = fresh.mixed(
                which[rows] - start, _offsets(best), items, _offsets(pools), drawn, np.array(totals), seeds[rows],
                self.explore, exclude.offsets, exclude["item"], width, k,
            )  # fmt: skip
            yield rows, *found

    def _kept(self, ticks: Int64, state: State, depth: int) -> list[tuple[Int32, Int32, int]]:
        """For each tick what ``_lists`` says, worked out once."""
        kept = state.kept  # before anything is read
        what = ("fresh", self.event, self.half_life, self.window, self.prior, self.budget)
        found = [kept.get(what, tick, self.since_) for tick in ticks.tolist()]
        missing = np.array([t for t, one in enumerate(found) if one is None or one[2][1] < depth], np.int64)
        for t, (best, pool, total) in zip(missing.tolist(), self._lists(ticks[missing], state, depth), strict=True):
            reaches = ordered.WHOLE if len(best) == total else depth
            found[t] = one = best, pool, np.array([total, reaches])
            kept.put(what, int(ticks[t]), one, self.since_)
        return [(one[0], one[1], int(one[2][0])) for one in found if one is not None]

    def _lists(self, ticks: Int64, state: State, depth: int) -> Iterator[tuple[Int32, Int32, int]]:
        """For each tick the first ``depth`` new items or more by falling rate, those hardly tried by code, how many."""
        if not len(ticks):
            return
        counts = state.decayed("item", ticks, self.event, self.half_life)
        log = np.zeros(len(ticks), np.int64)
        latest = state.last_seen("log", log, ticks, self.event)
        for tick, now, decayed in zip(ticks, latest, counts, strict=True):
            since = self._since(state, int(tick), len(decayed))
            items = np.flatnonzero((since <= tick) & (since > tick - self.window))
            since, n = since[items], np.zeros(len(items))
            met = items < len(decayed)
            n[met] = decayed[items[met]]
            time = self._faded(np.maximum(now - since, 0))
            mean = n.sum() / time.sum() if n.sum() > 0 and time.sum() > 0 else 1.0
            rate = (n + self.prior) / (time + self.prior / mean)
            first = ordered.foremost(rate, depth)
            order = first[np.lexsort((items[first], -since[first], -rate[first]))]
            at = np.full(len(items), tick)
            tried = state.counts("item", items, at, [self.event], [None])[:, 0, 0]
            yield items[order].astype(np.int32), items[tried < self.budget].astype(np.int32), len(items)

    def _since(self, state: State, tick: int, n: int) -> Int64:
        """[items known by now]: since when each item can be had; FOREVER = not yet, as far as the state knows."""
        since = np.full(max(n, len(self.since_), len(state.available_from)), MISSING_TIME)
        since[: len(state.available_from)] = state.available_from  # items met live have a row there or none
        since[: len(self.since_)] = self.since_
        unknown = np.flatnonzero(since == MISSING_TIME)
        first = state.first_seen("item", unknown, np.full(len(unknown), tick))
        since[unknown] = np.where(first >= 0, first, FOREVER)
        return since

    def _faded(self, age: Int64) -> Float64:
        """The time an item was there, in days, of which the earlier counts less: the integral of 2^(-a / half_life)."""
        days = age / UNITS["d"]
        if not self.half_life:
            return days
        h = self.half_life / UNITS["d"]
        return h / np.log(2) * -np.expm1(-np.log(2) * days / h)


def _score(place: Int64) -> Float32:
    return (1 / (1.0 + place)).astype(np.float32)


def _offsets(parts: Sequence[Int32]) -> Int64:
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)
