"""What was bought sinks, and comes back when it is used up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.rules._attributes import check
from shortlist.rules._moved import move
from shortlist.rules._past import check_events, last_met
from shortlist.rules._share import share_of
from shortlist.types import Array, Bool, Candidates, Float64, Int64, Requests


class BoughtRecently(Rule):
    """score(i) - amount × spread, while t - (last purchase of i by u) < back × cycle(i).

    cycle(i) is the median time between purchases of i and the next of i by the same user, in the log before the cut;
    where there are fewer than ``evidence`` of them, that over all items with i's first value of ``by``; where these too
    are few, ``cycle``. Only those who did buy again tell of it, so a cycle is rather too short than too long. Spread:
    the standard deviation of the request's scores before any rule. What it holds to: an item falls by the amount from
    its purchase until ``back`` of its cycle is over, and by nothing after; the order of all other rows stays as it is.
    Missed: the share of a slate that was bought that recently.

    Source: Bhagat, Muralidharan, Lobzhanidze and Vishwanath (2018), Buy It Again: Modeling Repeat Purchase
    Recommendations, for the time between repeated purchases; the medians and their fallback are Shortlist's own.
    """

    sizes: ClassVar[Mapping[str, str]] = {"cycles_": "n", "category_cycles_": "v"}

    example: ClassVar[Mapping[str, Any]] = {"by": "colour"}

    events: str = "positive"
    """What is a purchase: "positive", "all" or the name of a behaviour."""
    by: str | None = None
    """Item attribute (category or list) whose items have a cycle in common; none = only items have one."""
    evidence: Annotated[int, Field(ge=1)] = 10
    """So many repeats make a cycle of their own."""
    cycle: Duration = 30 * UNITS["d"]
    """The cycle of what is bought again too seldom to tell."""
    back: Annotated[float, Field(gt=0, le=10)] = 0.8
    """After this share of the cycle an item is back where its score puts it."""
    amount: Annotated[float, Field(gt=0)] = 3.0
    """How far they sink, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``cycles_`` of items and ``category_cycles_`` in microseconds, 0 where too little is known."""
        check("rules.bought_recently.by", [self.by] if self.by else [], data.items)
        check_events("rules.bought_recently.events", self.events, data)
        item, gap, when = _repeats(data, self.events)
        self.cycles_ = _medians(item, gap, data.n_items, self.evidence)
        self.category_cycles_ = np.zeros(0, np.int64)
        if self.by is not None:
            table, rows = data.items.known(self.by, item, when)
            level = table.codes[self.by].first(rows)
            levels = len(table.codes[self.by].levels)
            self.category_cycles_ = _medians(level[level >= 0], gap[level >= 0], levels, self.evidence)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, what was bought recently further down."""
        recent = self._recent(requests, candidates, state)
        return move(candidates, len(requests), recent, -self.amount, "bought recently")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: share of each slate that was bought recently."""
        return share_of(self._recent(requests, slate, state), slate, len(requests))

    def cycle_of(self, items: Array, times: Int64, state: State) -> Int64:
        """[m]: the cycle of items in microseconds, their category as of then."""
        cycle = np.zeros(len(items), np.int64)
        known = (items >= 0) & (items < len(self.cycles_))
        cycle[known] = self.cycles_[items[known]]
        if self.by is not None and len(self.category_cycles_):
            table, rows = state.attributes("item", self.by, items, times)
            level = table.codes[self.by].first(rows)
            level = np.where(level < len(self.category_cycles_), level, -1)  # a category that came later
            cycle = np.where((cycle == 0) & (level >= 0), self.category_cycles_[level], cycle)
        return np.where(cycle == 0, self.cycle, cycle)

    def _recent(self, requests: Requests, candidates: Candidates, state: State) -> Bool:
        last = last_met(requests, candidates, state, self.events)
        recent = np.zeros(len(candidates), bool)
        own = np.flatnonzero(last >= 0)
        if len(own):
            now = requests.time[candidates.request[own]]
            recent[own] = now - last[own] < self.back * self.cycle_of(candidates.item[own], now, state)
        return recent


def _repeats(data: Dataset, which: str) -> tuple[Array, Int64, Int64]:
    """[r] each: item, time since the same user's purchase of it before, and when, of every purchase but the first."""
    events = data.events
    rows = np.flatnonzero(events.select(which, data.behaviours) & (events.user >= 0))
    rows = rows[np.lexsort((events.time[rows], events.item[rows], events.user[rows]))]
    user, item, time = events.user[rows], events.item[rows], events.time[rows]
    again = np.flatnonzero((user[1:] == user[:-1]) & (item[1:] == item[:-1]) & (time[1:] > time[:-1])) + 1
    return item[again], time[again] - time[again - 1], time[again]


def _medians(group: Array, gap: Int64, n: int, least: int) -> Int64:
    """[n]: the (lower) median gap of each group with at least ``least`` of them, else 0."""
    order = np.lexsort((gap, group))
    count = np.bincount(group, minlength=n)
    out, first = np.zeros(n, np.int64), np.cumsum(count) - count
    enough = count >= least
    out[enough] = gap[order][(first + (count - 1) // 2)[enough]]
    return out
