"""Items made for somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules._attributes import values_of
from shortlist.rules._moved import move
from shortlist.rules._profile import Groups, for_others, groups_of, pairs, touched
from shortlist.rules._share import share_of
from shortlist.types import Bool, Candidates, Float64, Requests


class Mismatch(Rule):
    """score(i) - amount × spread, if item i is made for groups of people and the user is in none of them.

    A value of the item's attribute is made for the groups that name it (``suits``; without, for the group of the same
    name) and for everybody if none does. An item without a value, or with one that suits, is fine; so is every item to
    a user of whom nothing is known. Spread: the standard deviation of the request's scores before any rule. What it
    holds to: the scores of all other rows, and their order among each other, stay as they are; no row falls by more
    than the amount. Missed: the share of a slate that is made for others.

    Source: Shortlist's own definition.
    """

    sizes: ClassVar[Mapping[str, str]] = {"suits_": "g v"}

    example: ClassVar[Mapping[str, Any]] = {"user": "team", "item": "colour"}

    user: str
    """Attribute of users: categories, a list, or a number with ``groups``."""
    item: str
    """Attribute of items that says for whom they are made: categories or a list."""
    suits: dict[str, list[str]] = {}
    """Values of ``item`` that are made for users with a value (or of a group): ``{ F = ["women", "unisex"], M = ["men",
    "unisex"] }``; none given = the values of the same name."""
    groups: Groups = {}
    """Groups of a number, each from a value to below another: ``{ child = [0, 14], adult = [14, 130] }``."""
    amount: Annotated[float, Field(gt=0)] = 2.0
    """How far they sink, in spreads of the request's scores."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``suits_``: which values of items are made for which of users."""
        self.suits_ = pairs("rules.mismatch", data, self.user, self.item, self.groups, ("suits", self.suits))
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, those made for others further down."""
        others = self._others(requests, candidates, state)
        return move(candidates, len(requests), others, -self.amount, f"{self.item} for another {self.user}")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: share of each slate that is made for others."""
        return share_of(self._others(requests, slate, state), slate, len(requests))

    def _others(self, requests: Requests, candidates: Candidates, state: State) -> Bool:
        groups = groups_of(requests, state, self.user, self.groups, len(self.suits_))
        others = for_others(groups, self.suits_)
        if not others.any():
            return np.zeros(len(candidates), bool)
        values = values_of(candidates.item, requests.time[candidates.request], state.items, [self.item])
        return touched(candidates.request, values, others) & ~touched(candidates.request, values, ~others)
