"""How often an item was chosen lately, and how well it was liked."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import State
from shortlist.durations import UNITS, Duration, text
from shortlist.features import _rows
from shortlist.types import Array, Candidates, Float32, Requests

DAY = UNITS["d"]
VIEWS = ("", ".share", ".percentile")


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
        lengths = sorted(self.windows)
        windows = [*lengths, None]
        labels = [*map(text, lengths), "ever"]
        events, shape = len(self.events), (len(self.events), len(windows))
        counted = [*self.events, *(event for event in ("positive", "all") if event not in self.events)]
        counts = state.counts("item", candidates.item, times, counted, windows)  # [m, E, W]
        totals = state.counts("log", np.zeros(n, np.int32), requests.time, counted, windows)
        ratios = np.array(lengths[1:]) / np.array(lengths[:-1])
        views = np.empty((*shape, len(VIEWS), m), np.float32)
        trends = np.empty((events, len(ratios), m), np.float32)
        shown = counts[:, :events], np.ascontiguousarray(totals[:, :events])
        _rows.popularities(candidates.offsets(n), *shown, ratios, views, trends)
        out: dict[str, Array] = {}
        for e, event in enumerate(self.events):
            for w, label in enumerate(labels):
                for name, column in zip(VIEWS, views[e, w], strict=True):
                    out[f"counts.item.{event}.{label}{name}"] = column
            for w, column in enumerate(trends[e]):
                out[f"counts.item.{event}.trend.{labels[w]}.{labels[w + 1]}"] = column
        good, every = counted.index("positive"), counted.index("all")
        ever = counts[:, good, -1], counts[:, every, -1]
        with np.errstate(invalid="ignore", divide="ignore"):  # an empty log has no rate: NaN
            of_log = totals[:, good, -1] / totals[:, every, -1]
        out["counts.item.positive_rate"] = self._smoothed(*ever, of_log[candidates.request])
        count, total = state.sums("item", candidates.item, times)
        log_count, log_total = state.sums("log", np.zeros(n, np.int32), requests.time)
        mean = np.divide(log_total, log_count, out=np.full(n, np.nan), where=log_count > 0)
        out["counts.item.value"] = self._smoothed(total, count, mean[candidates.request])
        if self.users:
            mine = np.log1p(state.counts("user", requests.user, requests.time, self.events, windows))
            names = (f"counts.user.{event}.{label}" for event in self.events for label in labels)
            flat = mine.reshape(n, events * len(windows)).T
            out |= zip(names, np.take(flat, candidates.request, axis=1), strict=True)
        return out

    def _smoothed(self, total: Array, count: Array, average: Array) -> Float32:
        """(total + prior x average) / (count + prior)"""
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing counted and no prior: NaN
            return ((total + self.prior * average) / (count + self.prior)).astype(np.float32)
