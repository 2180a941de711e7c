"""What a recipe says of a file: where it is, how it is written, and how its columns are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from shortlist.configured import Configured

Kind = Literal["category", "list", "number", "text", "time", "vector", "order"]
Unit = Literal["s", "ms", "us", "ns"]
How = Literal["last", "first", "mean", "commonest"]


class Spec(Configured):
    """A part of the section: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class ColumnSpec(Spec):
    """One column of a file, where its kind alone does not say enough."""

    column: str | None = None
    """Its name in the file; the same as in the recipe when absent."""
    kind: Kind = "category"
    """category, list, number, text, time or vector (as many numbers in every row, as embeddings are); of the log's
    ``time`` alone also order: numbers that are no moments but rise from event to event."""
    how: How | None = None
    """Of an item or a user, what the log's column tells: the ``last`` cell or the ``first`` up to the moment asked
    about, the ``mean`` of its numbers, the ``commonest``. Absent: a column of the table's own file."""
    separator: str = "|"
    """Between the entries of a list or a vector; ``[,]`` for lists in brackets, as JSON, Python, numpy or databases
    write them. A vector in brackets is read as one whatever stands here."""
    field: str | None = None
    """Of a list of objects (``[{"id": 1, "name": "Drama"}]``): the one that is taken; ``name`` when absent."""
    time_unit: Unit | None = None
    """Of a time given as a number; the table's when absent."""
    time_format: str | None = None
    """Of a time given as text; the table's when absent."""


class FileSpec(Spec):
    """Where a table is and how it is written."""

    path: str
    """A file, relative to ``--data``; for SQL a SQLite file or a URL, in which $NAME is taken from the environment."""
    format: Literal["csv", "parquet", "sql"] | None = None
    """Told by the ending of ``path`` when absent: .parquet, .db/.sqlite or a URL, anything else is csv."""
    query: str | None = None
    """For SQL: the statement whose rows are the table."""
    separator: Annotated[str, Field(min_length=1)] = ","
    """Between the columns of a csv: one character, or several (``::``), then without quoting."""
    header: bool | None = None
    """Whether the first line names the columns; when absent, yes unless ``names`` is given."""
    names: list[str] | None = None
    """Names of the columns in order, for a file without a header; without both they are column_1, column_2, ..."""
    quote: Annotated[str, Field(pattern=r"^[\x01-\x7f]?$")] | None = '"'
    """Quote character of a csv; ``""`` = none."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """Lines of a csv above its first row (or header) that begin with it are passed over."""
    encoding: str = "utf-8"
    """Of a csv. Any other than UTF-8 is converted through a temporary file."""
    compression: Literal["auto", "gzip", "none"] = "auto"
    """Of a csv; auto looks at the first bytes, and reads bz2, xz and zstd too."""
    null_values: list[str] = [""]
    """Cells that mean missing; numbers and times also take NA, NaN, null, None and \\N for it."""
    time_unit: Unit | None = None
    """Of times given as numbers; judged from their size when absent."""
    time_format: str | None = None
    """Of times given as text, as strftime writes it (``%d-%b-%Y``); ISO 8601 when absent."""
