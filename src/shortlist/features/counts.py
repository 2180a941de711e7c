"""How often an item was chosen lately, and how well it was liked."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import State
from shortlist.durations import UNITS, Duration, text
from shortlist.features import _rows
from shortlist.types import Array, Candidates, Float32, Int64, Requests

DAY = UNITS["d"]


class Counts(Feature):
    """Item and user counts per event and window as of the request, shares, trends and smoothed averages.

    For an item i, an event kind e and a window w, with c = events in (time - w, time] and C the whole log's:
    ``item.e.w`` = log(1 + c), ``.share`` = c / C, ``.percentile`` = its place among the request's rows, 0 to 1;
    ``item.e.trend.a.b`` = log2((c_a |b|/|a| + 1) / (c_b + 1)), above 0 when the item is rising;
    ``item.positive_rate`` = (positives + prior p) / (events + prior), p the log's rate; ``item.value`` the same with
    values; ``user.e.w`` = log(1 + the user's events). Use it always: what is popular now is the strongest single sign
    on most logs, and the rate tells much seen from much liked.

    Source: Kohavi, Longbotham, Sommerfield and Henne (2009), Controlled experiments on the web (rates need priors);
    Micci-Barreca (2001), A preprocessing scheme for high-cardinality categorical attributes (the smoothing).
    """

    events: list[str] = Field(default=["positive", "all"], min_length=1)
    """What is counted: "positive", "all" or names of behaviours."""
    windows: list[Duration] = [DAY, 7 * DAY, 30 * DAY]
    """How far back, shortest first; the whole past is always counted too."""
    users: bool = True
    """Whether the user's own counts become columns."""
    prior: float = Field(default=10.0, ge=0)
    """Strength of the smoothing: so many events at the log's average are added to every item."""

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``counts.*``, each [m]."""
        n, m = len(requests), len(candidates)
        times = requests.time[candidates.request]
        windows = [*sorted(self.windows), None]
        labels = [*map(text, sorted(self.windows)), "ever"]
        offsets = candidates.offsets(n)
        counts = state.counts("item", candidates.item, times, self.events, windows)  # [m, E, W]
        totals = state.counts("log", np.zeros(n, np.int64), requests.time, self.events, windows)
        out: dict[str, Array] = {}
        for e, event in enumerate(self.events):
            for w, label in enumerate(labels):
                columns = np.empty((3, m), np.float32)
                _rows.popularity(offsets, counts[:, e, w], totals[:, e, w], columns)
                for name, column in zip(("", ".share", ".percentile"), columns, strict=True):
                    out[f"counts.item.{event}.{label}{name}"] = column
            for w in range(len(windows) - 2):
                ratio = np.float32(sorted(self.windows)[w + 1] / sorted(self.windows)[w])
                rising = (counts[:, e, w] * ratio + 1) / (counts[:, e, w + 1] + 1)
                out[f"counts.item.{event}.trend.{labels[w]}.{labels[w + 1]}"] = np.log2(rising)
        out |= self._averages(requests, candidates, times, state)
        if self.users:
            mine = np.log1p(state.counts("user", requests.user, requests.time, self.events, windows))
            for e, event in enumerate(self.events):
                for w, label in enumerate(labels):
                    out[f"counts.user.{event}.{label}"] = mine[candidates.request, e, w]
        return out

    def _averages(self, requests: Requests, rows: Candidates, times: Int64, state: State) -> dict[str, Float32]:
        """The item's rate of positives and its mean value, both drawn to the whole log's by ``prior`` events."""
        log = np.zeros(len(requests), np.int64)
        both = state.counts("item", rows.item, times, ["positive", "all"], [None])[:, :, 0]
        of_log = state.counts("log", log, requests.time, ["positive", "all"], [None])[:, :, 0]
        count, total = state.sums("item", rows.item, times)
        log_count, log_total = state.sums("log", log, requests.time)
        with np.errstate(invalid="ignore", divide="ignore"):  # an empty log has no rate: NaN
            rate = (of_log[:, 0] / of_log[:, 1])[rows.request]
            mean = (log_total / log_count)[rows.request]
            return {
                "counts.item.positive_rate": ((both[:, 0] + self.prior * rate) / (both[:, 1] + self.prior)).astype(
                    np.float32
                ),
                "counts.item.value": ((total + self.prior * mean) / (count + self.prior)).astype(np.float32),
            }
