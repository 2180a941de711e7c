"""What the session is about moves up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.rules._attributes import Values, check, values_of
from shortlist.rules._moved import move
from shortlist.rules._share import share_of
from shortlist.types import Array, Candidates, Float64, Ragged, Requests, spans

NOBODY = np.empty(0, np.int64)


class Intent(Rule):
    """score(i) + amount × spread × max over values c of i of max(0, p(c) - q(c)) / (1 - q(c)).

    p(c) is the share of the session's events whose item has the value c, q(c) that of all the log's events before the
    cut: what everybody looks at anyhow says nothing about a session. The session are the last events, at most ``last``,
    with no pause longer than ``idle`` between them or up to the request. Spread: the standard deviation of the
    request's scores before any rule. What it holds to: no row gains more than the amount, one of no value that the
    session prefers gains nothing, and such rows keep their order. Missed: how much of a slate is about something else,
    1 less the mean of that maximum over it.

    Source: Shortlist's own definition; that short sessions tell what a visit is for: Jannach, Lerche and Jugovac
    (2015), Adaptation and evaluation of recommendations for short-term shopping goals.
    """

    example: ClassVar[Mapping[str, Any]] = {"by": ["colour", "tags"], "idle": "none"}

    by: Annotated[list[str], Field(min_length=1)]
    """Item attributes (categories or lists) that say what a session is about."""
    last: Annotated[int, Field(ge=1)] = 10
    """At most so many events are looked at."""
    idle: Duration | None = 30 * UNITS["m"]
    """A pause this long ends a session; none = the last events, however long ago."""
    amount: Annotated[float, Field(gt=0)] = 1.0
    """By how much a row moves up of which the whole session has a value, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``usual_``: of each attribute, the share of the log's events whose item has each value."""
        check("rules.intent.by", self.by, data.items)
        shares: list[Array] = []
        for name in self.by:
            table, rows = data.items.known(name, data.events.item, data.events.time)
            codes = table.codes[name].of(rows)["code"]
            shares.append(np.bincount(codes, minlength=len(table.codes[name].levels)) / max(1, len(data.events)))
        lengths = np.cumsum([0, *map(len, shares)]).astype(np.int64)
        self.usual_ = Ragged(lengths, {"share": np.concatenate(shares).astype(np.float32)})
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, those the session is about further up."""
        about = self._about(requests, candidates, state)
        return move(candidates, len(requests), about > 0, self.amount * about, "what you look at now")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: 1 - how far each slate is about what the session is about; NaN where there is no session."""
        session = self._session(requests)
        share = 1 - share_of(self._about(requests, slate, state), slate, len(requests))
        return np.where(session.lengths > 0, share, np.nan)

    def _session(self, requests: Requests) -> Ragged:
        """[n] rows of item and time: the last events before each request without a long pause."""
        past = requests.history
        first = _begin(past.offsets, past["time"], requests.time, self.last, self.idle or -1)
        entries = spans(first, past.offsets[1:])
        offsets = np.zeros(len(past) + 1, np.int64)
        np.cumsum(past.offsets[1:] - first, out=offsets[1:])
        return Ragged(offsets, {"item": past["item"][entries], "time": past["time"][entries]})

    def _about(self, requests: Requests, candidates: Candidates, state: State) -> Float64:
        """[m]: from 0 to 1."""
        session = self._session(requests)
        if not len(session["item"]) or not len(candidates):
            return np.zeros(len(candidates))
        theirs = values_of(session["item"], session["time"], state.items, self.by)
        ours = values_of(candidates.item, requests.time[candidates.request], state.items, self.by)
        return _closeness(session.offsets, theirs, candidates.offsets(len(requests)), ours, self._usual(state))

    def _usual(self, state: State) -> Array:
        """[values]: q, in the numbering of ``values_of``; 0 of values that came later."""
        tables = [(row, state.attributes("item", name, NOBODY, NOBODY)[0], name) for row, name in enumerate(self.by)]
        sizes = [(row, len(table.codes[name].levels)) for row, table, name in tables if name in table.codes]
        if [size for _, size in sizes] == np.diff(self.usual_.offsets).tolist():
            return self.usual_["share"]
        parts = [self.usual_.row(row)["share"] for row, _ in sizes]
        padded = [np.pad(p, (0, max(0, size - len(p)))) for p, (_, size) in zip(parts, sizes, strict=True)]
        return np.concatenate([*padded, np.empty(0, np.float32)])


@njit(cache=True)
def _begin(offsets: Array, times: Array, now: Array, last: int, idle: int) -> Array:
    """[n]: where the session begins in each request's history."""
    first = offsets[1:].copy()
    for q in range(len(now)):
        later, least = now[q], max(offsets[q], offsets[q + 1] - last)
        while first[q] > least and (idle < 0 or later - times[first[q] - 1] <= idle):
            first[q] -= 1
            later = times[first[q]]
    return first


@njit(cache=True)
def _closeness(sessions: Array, theirs: Values, rows: Array, ours: Values, usual: Array) -> Array:
    """[m]: the largest max(0, p - q) / (1 - q) among a row's values."""
    out, seen = np.zeros(len(ours.offsets) - 1), np.zeros(len(usual))
    for q in range(len(sessions) - 1):
        events = sessions[q + 1] - sessions[q]
        low, high = theirs.offsets[sessions[q]], theirs.offsets[sessions[q + 1]]
        if low == high:
            continue
        for e in range(low, high):
            seen[theirs.code[e]] += 1.0 / events
        for row in range(rows[q], rows[q + 1]):
            for e in range(ours.offsets[row], ours.offsets[row + 1]):
                c = ours.code[e]
                if seen[c] > usual[c]:
                    out[row] = max(out[row], (seen[c] - usual[c]) / (1 - usual[c]))
        for e in range(low, high):
            seen[theirs.code[e]] = 0.0
    return out
