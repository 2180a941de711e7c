"""A slate is never short."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import State
from shortlist.rules._reason import because
from shortlist.types import Candidates, Float64, Requests


class Fill(Rule):
    """Keeps of the fallback's rows the first max(0, n - ranked rows) and drops the others.

    Put it last: rules before it may have dropped ranked rows. Without a fallback nothing changes. The rows it keeps say
    so in ``reason``.

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
        order = np.lexsort((fallback, candidates.request))  # stable: ranked rows first, each kind in its order
        candidates, fallback = candidates.take(order), fallback[order]
        keep = ~fallback | (candidates.positions() < self.n)
        return because(candidates.take(keep), fallback[keep], "fills the slate")

    def misses(self, requests: Requests, slate: Candidates, state: State, n: int) -> dict[str, Float64]:
        """``{"empty": [n]}``: share of the places that nothing stands at."""
        rows = np.bincount(slate.request, minlength=len(requests))
        return {"empty": 1 - np.minimum(rows / self.room(n), 1)}
