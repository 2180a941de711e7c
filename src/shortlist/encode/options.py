"""How columns and histories are read: the hyperparameters that whoever learns a ``Schema`` inherits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from shortlist.component import Component, Search
from shortlist.encode.history import Window


class Options(Component):
    """The fields, written once; ``learn_schema`` reads them from any component that has them."""

    numeric: Annotated[
        Literal["standard", "quantile", "piecewise", "periodic"],
        Search(choices=("standard", "quantile", "piecewise", "periodic")),
    ] = "quantile"
    """A number's vector: the number times one, one for each bucket, or a piecewise linear or periodic curve.

    Buckets suit tables of people and things; ``standard`` suits many columns and few rows, as a funnel's features are.
    """
    buckets: Annotated[int, Field(ge=2), Search(10, 200, log=True)] = 50
    """About so many buckets of equally many rows for each number (``quantile``, ``piecewise``)."""
    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in training to get a vector of its own."""
    history: Annotated[int, Field(ge=0)] = 0
    """How many of the request's last items are a field, the mean of their vectors; 0 = none."""
    history_carries: list[str] = []
    """What else of each of them is a field: ``event``, ``value``, ``age``, or an attribute of the item (a category, or
    the first value of a list), which shares its vectors with the target's column ``profile.item.NAME``."""
    history_shares: str = "item"
    """The column of item codes whose vectors the history uses, if it is among the ranker's."""
    hashed: list[str] = []
    """Columns of codes or lists (hashed letter n-grams) that get ``hash_width`` vectors instead of a vocabulary."""
    hash_width: Annotated[int, Field(ge=1)] = 10_000
    """Vectors of a hashed column."""

    def windows(self) -> Sequence[Window]:
        """The histories that are read; override it where there are several, a short and a long one say."""
        if not self.history:
            return []
        return [Window("history", self.history, tuple(self.history_carries), self.history_shares)]
