"""What the profile prefers moves up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules._attributes import values_of
from shortlist.rules._moved import move
from shortlist.rules._profile import Groups, groups_of, pairs, touched, wanted_by
from shortlist.rules._share import share_of
from shortlist.types import Bool, Candidates, Float64, Requests


class Boost(Rule):
    """score(i) + amount × spread, if item i has a value that the profile of the user prefers.

    Once, however many of its values do. The preferred values are stated (``likes``), or those that are called like the
    user's own (a user's ``favourites`` against the item's ``genres``). Spread: the standard deviation of the request's
    scores before any rule. What it holds to: the scores of all other rows, and their order among each other, stay as
    they are; a preferred row gains the stated amount and no more. Missed: the share of a slate that the profile does
    not prefer.

    Source: Shortlist's own definition.
    """

    sizes: ClassVar[Mapping[str, str]] = {"likes_": "g v"}

    example: ClassVar[Mapping[str, Any]] = {"user": "team", "item": "colour", "likes": {"odd": ["even"]}}

    user: str
    """Attribute of users: categories, a list, or a number with ``groups``."""
    item: str
    """Attribute of items: categories or a list."""
    likes: dict[str, list[str]] = {}
    """Values of ``item`` that users with a value (or of a group) prefer: ``{ F = ["Romance"] }``; none given = the
    values of the same name."""
    groups: Groups = {}
    """Groups of a number, each from a value to below another: ``{ young = [0, 25], old = [60, 130] }``."""
    amount: Annotated[float, Field(gt=0)] = 0.5
    """By how much, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``likes_``: which values of users prefer which of items."""
        self.likes_ = pairs("rules.boost", data, self.user, self.item, self.groups, ("likes", self.likes))
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, preferred ones further up."""
        liked = self._liked(requests, candidates, state)
        return move(candidates, len(requests), liked, self.amount, f"{self.item} suits {self.user}")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: share of each slate that the profile does not prefer; NaN where it prefers nothing."""
        share = 1 - share_of(self._liked(requests, slate, state), slate, len(requests))
        return np.where(self._wanted(requests, state).any(1), share, np.nan)

    def _wanted(self, requests: Requests, state: State) -> Bool:
        """[n, values]: what each request's user prefers."""
        return wanted_by(groups_of(requests, state, self.user, self.groups, len(self.likes_)), self.likes_)

    def _liked(self, requests: Requests, candidates: Candidates, state: State) -> Bool:
        wanted = self._wanted(requests, state)
        if not wanted.any():
            return np.zeros(len(candidates), bool)
        values = values_of(candidates.item, requests.time[candidates.request], state.items, [self.item])
        return touched(candidates.request, values, wanted)
