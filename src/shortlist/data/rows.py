"""The ``[data.rows]`` section of a recipe: a plain table of labelled rows, for rankers without a log."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from shortlist.data.derived import DerivedSpec
from shortlist.data.files import ColumnSpec, FileSpec, Spec

Cell = StrictBool | StrictInt | StrictFloat | str


class PartsSpec(Spec):
    """Which rows are held back to test on: by a column, the last by an order, or drawn at random."""

    column: str | None = None
    """The column that says to which part a row belongs."""
    test: str | list[str] | None = None
    """The cells of it that mean a row to test on, ``"test"`` where nothing is said; every other is learned from."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """So many of the rows, where no column says it; a fifth where nothing is said."""
    by: str | None = None
    """The share is that of the last rows by this column, a time or a number, and not drawn."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draw."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.column is not None and (self.share is not None or self.by is not None):
            raise ValueError("expected a column that names the parts, or a share of the rows, found both")
        if self.column is None and self.test is not None:
            raise ValueError("test: names cells of a column; say column = ... as well")
        return self


class RowsSpec(FileSpec):
    """A row to learn from or to test on, with a label.

    ``columns`` maps names to kinds: ``{ age = "number", job = "category", genres = "list" }``. Without it every column
    is taken that can say something, and what each was taken for is said.
    """

    format: Literal["csv", "parquet", "sql", "libsvm"] | None = None  # type: ignore[assignment]
    """As of every table; ``libsvm`` has to be said: ``1 3:1 20:0.5``, ``qid:7`` among it, or with fields ``2:3:1``."""
    columns: dict[str, str | ColumnSpec] = {}
    """Names to kinds: category, list or number."""
    without: list[str] = []
    """Columns left out, where ``columns`` does not name those to take."""
    derive: dict[str, DerivedSpec] = {}
    """Columns worked out of others: ``{ hour = { part = "hour", of = "time" } }``."""
    label: str = "label"
    """The column that is learned: 1 and 0, 1 and -1, true and false, or anything where ``positive`` says what is 1."""
    positive: Cell | list[Cell] | None = None
    """The cells of it that count as 1: ``">50K"``, ``[4, 5]``; every other that is there counts as 0."""
    group: str | None = None
    """Rows with the same cell here are one request: the order of its rows is learned and measured (GAUC, NDCG)."""
    test: str | None = None
    """A file of the rows to test on, written as that of ``path``."""
    split: PartsSpec | None = None
    """Which rows of the file are held back instead; a fifth, drawn at random, when neither is said."""
    bad_rows: Literal["error", "drop"] = "error"
    """A row that cannot be read stops the run, or is dropped, counted and kept in ``rejected``."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.test is not None and self.split is not None:
            raise ValueError("expected test = the file of the test rows, or split, found both")
        if self.columns and self.without:
            raise ValueError("without: columns names what is taken, so nothing else is; leave one of them out")
        if self.test is not None and self.query is not None:
            raise ValueError("test: a query has one answer; expected split = { column = ... } or a share")
        return self
