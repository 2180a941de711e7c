"""Columns that are not in a file, said by how they come out of others of the same row."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal, Self

import polars as pl
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from shortlist.configured import Configured

OPERATIONS = ("match", "join", "first", "buckets", "part", "difference", "ratio")
KINDS = {
    "match": ("category", "number", "text"),
    "join": ("category", "text"),
    "first": ("category", "number", "text", "time"),
    "buckets": ("category",),
    "part": ("category", "number"),
    "difference": ("number",),
    "ratio": ("number",),
}
"""What each operation can make; the first is what it makes unless ``kind`` says otherwise."""


def groups(pattern: str) -> int:
    """How many groups a pattern has; raises ``ValueError`` where polars cannot compile it."""
    try:
        return len(pl.Series([""]).str.extract_groups(pattern).struct.fields)
    except pl.exceptions.ComputeError as error:
        why = str(error).strip().split("\n")[-1].removeprefix("error: ").removeprefix("regex error: ")
        raise ValueError(f"expected a regular expression of Rust's regex crate ({why}), found {pattern!r}") from None


def _compiles(pattern: str) -> str:
    groups(pattern)
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]
"""A regular expression as polars has them: Rust's regex crate, without look-around and back-references."""
Names = Annotated[list[str], Field(min_length=2)]


class DerivedSpec(Configured):
    """A column worked out of others of the same row: one of ``match``, ``join``, ``first``, ``buckets``,
    ``part``, ``difference``, ``ratio``. It is missing where one of its sources is, but for ``first``.

    Sources are columns of the recipe, columns of the file that the recipe does not name, and other derived columns.
    """

    model_config = ConfigDict(frozen=True)

    match: Pattern | None = None
    """The first group of this pattern in ``of`` (all that matched, where it has no group); missing where it is not
    found. Rust's regular expressions: no look-around."""
    join: Names | None = None
    """These columns as one text."""
    first: Names | None = None
    """The first of these columns in which something is written: ``time = { first = ["paid_at", "created_at"] }``."""
    buckets: Annotated[list[float], Field(min_length=1)] | None = None
    """The stretch between these bounds, ascending, that the number ``of`` lies in: ``below 1``, ``1 to 5``,
    ``from 5``. The lower bound belongs to it."""
    part: Literal["year", "month", "day", "weekday", "hour"] | None = None
    """That part of the time ``of``, in UTC; the weekday from 0 = Monday."""
    difference: Annotated[Names, Field(max_length=2)] | None = None
    """The first less the second: of two numbers, or with a ``unit`` of two times."""
    ratio: Annotated[Names, Field(max_length=2)] | None = None
    """The first by the second, missing where that is 0."""
    of: str | None = None
    """The source of ``match``, ``buckets`` and ``part``."""
    unit: Literal["s", "m", "h", "d", "w"] | None = None
    """In what a ``difference`` of times counts; ``m`` is minutes."""
    separator: str | None = None
    """Between what ``join`` joins; a blank when absent."""
    kind: Literal["category", "number", "text", "time"] | None = None
    """What the column is: of ``match`` a category (or number, text), of ``part`` a category (or number), of ``join`` a
    category (or text), of ``first`` a category (or number, text, time); ``buckets`` makes categories, ``difference``
    and ``ratio`` make numbers."""

    @property
    def operation(self) -> str:
        """The one that is said."""
        return next(name for name in OPERATIONS if getattr(self, name) is not None)

    @property
    def sources(self) -> list[str]:
        """Names of the columns it comes out of."""
        if self.of is not None:
            return [self.of]
        named: list[str] = getattr(self, self.operation)
        return named

    @model_validator(mode="after")
    def _sound(self) -> Self:
        said = [name for name in OPERATIONS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"expected exactly one of {', '.join(OPERATIONS)}, found {', '.join(said) or 'none'}")
        how = said[0]
        if (self.of is not None) != (how in ("match", "buckets", "part")):
            told = "needs of = the column it reads" if self.of is None else "names its columns itself: leave out of"
            raise ValueError(f"{how} {told}")
        for key, owner in (("unit", "difference"), ("separator", "join")):
            if getattr(self, key) is not None and how != owner:
                raise ValueError(f"{key} belongs to {owner}, found {how}")
        if self.kind is not None and self.kind not in KINDS[how]:
            raise ValueError(f"kind: {how} makes {' or '.join(KINDS[how])}, found {self.kind}")
        edges = self.buckets or []
        if not all(map(math.isfinite, edges)) or any(b <= a for a, b in itertools.pairwise(edges)):
            raise ValueError(f"buckets: expected numbers that ascend, found {edges}")
        return self
