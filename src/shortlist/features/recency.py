"""How new an item is, when it was last chosen, and when its user was last here."""

from __future__ import annotations

import numpy as np

from shortlist.component import Feature
from shortlist.data import MISSING_TIME, State
from shortlist.durations import UNITS, Duration, text
from shortlist.features import _history, _rows
from shortlist.types import Array, Candidates, Float32, Int64, Requests

HOUR, DAY = UNITS["h"], UNITS["d"]


class Recency(Feature):
    """Time since: the item's arrival and last event, the user's last events.

    All are log(1 + hours): ``item.age`` since the item could first be shown (the catalogue's word if it is known,
    else its first event), ``item.first`` since its first event, ``item.last`` and ``item.last_positive`` since its
    latest, ``item.NAME`` since each time attribute (released), ``user.last`` since the user's latest event,
    ``user.gap`` the mean time between the user's last ten; ``user.events.W`` = log(1 + events of the history within W).
    A release still to come counts as 0. Use it where items age, which is nearly everywhere: a count cannot tell a
    fresh item from one nobody wants.

    Source: Covington, Adams and Sargin (2016), Deep neural networks for YouTube recommendations (time since last watch,
    example age).
    """

    windows: list[Duration] = [HOUR, DAY, 7 * DAY, 30 * DAY]
    """Stretches of the user's history whose events are counted."""
    times: list[str] | None = None
    """Time attributes of the item table; none named means all."""

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``recency.*``, each [m]."""
        item, row = candidates.item, candidates.request
        now = requests.time[row]
        first = state.first_seen("item", item, now)
        first[first < 0] = MISSING_TIME
        out: dict[str, Array] = {}
        out["recency.item.age"] = _hours(now, _arrival(item, now, first, state))
        out["recency.item.first"] = _hours(now, first)
        for name, which in (("last", "all"), ("last_positive", "positive")):
            last = state.last_seen("item", item, now, which)
            last[last < 0] = MISSING_TIME
            out[f"recency.item.{name}"] = _hours(now, last)
        for name in state.items.of_kind("features.recency.times", self.times, "time"):
            table, rows = state.attributes("item", name, item, now)
            out[f"recency.item.{name}"] = _hours(now, table.time(name, rows))
        history, windows = requests.history, np.array(self.windows, np.int64)
        mine = np.empty((2 + len(windows), len(requests)), np.float32)
        _history.pace(history.offsets, history["time"], requests.time, windows, float(HOUR), mine)
        names = ("last", "gap", *(f"events.{text(window)}" for window in self.windows))
        columns = np.take(mine, row, axis=1)
        return out | {f"recency.user.{name}": column for name, column in zip(names, columns, strict=True)}


def _arrival(item: Array, now: Int64, first: Int64, state: State) -> Int64:
    """[m]: since when each item could be shown, as far as was known then; MISSING_TIME where nothing tells."""
    arrival = first.copy()
    listed = np.flatnonzero((item >= 0) & (item < len(state.available_from)))
    said = state.available_from[item[listed]]
    heard = (said != MISSING_TIME) & (said <= now[listed])
    arrival[listed[heard]] = said[heard]
    return arrival


def _hours(now: Int64, since: Int64) -> Float32:
    """log(1 + hours between), NaN where ``since`` is missing."""
    out = np.empty(len(now), np.float32)
    _rows.hours(now, since, MISSING_TIME, float(HOUR), out)
    return out
