"""What was shown often and never clicked."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.rules._moved import move
from shortlist.rules._past import check_events, last_met
from shortlist.rules._reason import because
from shortlist.rules._share import share_of
from shortlist.types import Bool, Candidates, Float64, Requests


class Fatigue(Rule):
    """score(i) - amount × spread, if u was shown i ``most`` times within ``window`` and since the last click.

    What was shown is what ``State.shown`` knows: ``[data.exposures]``, and what the service was told or recorded
    itself. A click is any event of the user with the item, or one of the kind ``events``; it begins the count anew.
    With ``does = "drop"`` such rows go, the fallback's too. Spread: the standard deviation of the request's scores
    before any rule. What it holds to: the order of all other rows stays as it is; nobody but the user is counted.
    Missed: the share of a slate the user is tired of.

    Source: Ma, Liu and Shen (2016), User Fatigue in Online News Recommendation, WWW, for what repeated showing does;
    the threshold is Shortlist's own.
    """

    most: Annotated[int, Field(ge=1)] = 3
    """So many exposures without a click are enough."""
    window: Duration = 14 * UNITS["d"]
    """How long an exposure counts."""
    events: str = "all"
    """What counts as a click: "all", "positive" or the name of a behaviour."""
    does: Literal["sink", "drop"] = "sink"
    """Whether tired rows sink by the amount or go."""
    amount: Annotated[float, Field(gt=0)] = 2.0
    """How far they sink, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Checks the name of the event."""
        check_events("rules.fatigue.events", self.events, data)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The rows, those the user is tired of further down or gone."""
        tired = self._tired(requests, candidates, state)
        if self.does == "drop":
            return because(candidates.take(~tired), np.zeros((~tired).sum(), bool), "")
        return move(candidates, len(requests), tired, -self.amount, "shown often without a click")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: share of each slate that the user is tired of."""
        return share_of(self._tired(requests, slate, state), slate, len(requests))

    def _tired(self, requests: Requests, candidates: Candidates, state: State) -> Bool:
        user, now = requests.user[candidates.request], requests.time[candidates.request]
        counts = state.shown.counts(user, candidates.item, now, [self.window, None])
        tired = counts[:, 0] >= self.most
        if tired.any():  # exposures since the click are those of all that are not as old as it
            some = np.flatnonzero(tired)
            asked = Candidates(candidates.request[some], candidates.item[some])
            acted = last_met(requests, asked, state, self.events)
            before = state.shown.counts(user[some], asked.item, acted)[:, 0]
            tired[some] = counts[some, 1] - np.where(acted < 0, 0, before) >= self.most
        return tired
