"""No more than a few alike in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules._attributes import check, values_of
from shortlist.rules._fallback import fallback_of
from shortlist.rules._reason import placed
from shortlist.rules._scatter import excess, scattered
from shortlist.types import Candidates, Float64, Int64, Requests


class Scatter(Rule):
    """Orders rows so that among any w neighbours at most m share a value of an attribute, for several attributes.

    Greedy and stable: the next place goes to the first row left that breaks no limit; if each breaks one, to the first
    of those with the least excess, the sum over its values v of max(0, count of v in the last w - 1 places + 1 - m). Of
    a list attribute each value counts. The fallback's rows stay behind the ranked ones. The first ``n`` places are
    arranged, the rows beyond keep their order. Missed: rows too many in the windows of a slate, over all places and
    values.

    Source: Shortlist's own definition.
    """

    example: ClassVar[Mapping[str, Any]] = {"most": {"colour": 2, "tags": 3}, "window": 4}

    most: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """How many rows of a window may share a value, for each item attribute: ``{genres = 2, director = 1}``."""
    window: Annotated[int, Field(ge=2)] | dict[str, Annotated[int, Field(ge=2)]] = 5
    """Length of the window, one for all attributes or one for each (5 for those left out)."""
    n: Annotated[int, Field(ge=1)] = 100
    """Places to arrange."""

    def fit(self, data: Dataset) -> Self:
        """Checks the attributes."""
        check("rules.scatter.most", self.most, data.items)
        if isinstance(self.window, dict):
            check("rules.scatter.window", self.window, data.items)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows in the new order."""
        names = list(self.most)
        values = values_of(candidates.item, requests.time[candidates.request], state.items, names)
        most, windows = self._limits()
        order = scattered(
            candidates.offsets(len(requests)),
            fallback_of(candidates),
            values,
            most,
            windows,
            self.n,
        )
        return placed(candidates, order, "brought forward to break a run", "held back: enough alike around")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: over the places and values of each slate, how many rows too many the window that ends there has."""
        values = values_of(slate.item, requests.time[slate.request], state.items, list(self.most))
        return excess(slate.offsets(len(requests)), values, *self._limits())

    def _limits(self) -> tuple[Int64, Int64]:
        """[attributes], [attributes]: how many may share a value, among how many."""
        windows = [self.window.get(name, 5) if isinstance(self.window, dict) else self.window for name in self.most]
        return np.array(list(self.most.values()), np.int64), np.array(windows, np.int64)
