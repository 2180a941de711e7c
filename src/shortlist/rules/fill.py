"""A slate is never short."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import State
from shortlist.rules._reason import because
from shortlist.types import Candidates, Requests


class Fill(Rule):
    """Keeps of the fallback's rows behind the ranked ones the first max(0, n - rows before) and drops the others.

    Put it last: rules before it may have dropped ranked rows. A row of the fallback that a rule has placed among the
    ranked ones stays there. Without a fallback nothing changes. The rows it keeps say so in ``reason``.

    Source: Shortlist's own definition.
    """

    n: Annotated[int, Field(ge=1)] = 100
    """Rows a request should have; ranked rows beyond that are kept."""

    def room(self, n: int) -> int:
        """No more than it fills."""
        return min(n, self.n)

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """Ranked rows, then as many of the fallback's as are missing."""
        if "fallback" not in candidates:
            return candidates
        fallback = candidates["fallback"]
        if not fallback.any():
            return because(candidates, fallback, "")
        place = candidates.positions()
        last = np.full(int(candidates.request[-1]) + 1, -1)  # of each request's ranked rows
        last[candidates.request[~fallback]] = place[~fallback]  # of several, the last is kept
        behind = fallback & (place > last[candidates.request])
        keep = ~behind | (place < self.n)
        return because(candidates.take(keep), behind[keep], "fills the slate")
