"""What a source hands over: tables as read, before anything is coded, sorted or split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from shortlist.data.order import Clock

REJECTED = {"table": pl.String, "file": pl.String, "row": pl.Int64, "reason": pl.String, "text": pl.String}
"""Columns of ``Raw.rejected``: which table, which file, the 1-based line in it (the row number where a file has no
lines), the filter or fault that dropped it, and the row itself."""


@dataclass(frozen=True, slots=True)
class Described:
    """An attribute that the log tells: a column of ``Raw.events``, as what it is kept and how its cells become one."""

    column: str
    kind: str
    how: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Tables as read: ids are strings, times are int64 microseconds UTC, missing is null.

    By kind, a column is: ``category`` and ``text`` String, ``list`` List(String), ``number`` Float32, ``time`` Int64,
    ``vector`` List(Float32), all of one length.
    """

    events: pl.DataFrame
    """user String (null = no id), item String, event String, time Int64, value Float32 (null = none), and where the
    recipe names them weight Float32 and context columns; rows in the order of the file."""
    items: pl.DataFrame | None = None
    """item String, unique, and its columns."""
    users: pl.DataFrame | None = None
    """user String, unique, and their columns."""
    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"items": {}, "users": {}, "events": {}})
    """Kind of every column of ``items`` and ``users``, and of the context columns of ``events`` and ``exposures``."""
    described: Mapping[str, Mapping[str, Described]] = field(default_factory=dict)
    """Attributes of ``items`` and ``users`` that the log tells, by table and name."""
    exposures: pl.DataFrame | None = None
    """user, item, time and where named position, propensity, propensity_given, label (Float32), request (String) and
    context."""
    triples: pl.DataFrame | None = None
    """head, relation, tail String and where named weight Float32."""
    ties: pl.DataFrame | None = None
    """user, friend String and where named weight Float32, time Int64."""
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    """Every row that was not taken, see ``REJECTED``."""
    clock: Clock = "time"
    """What ``events.time`` holds: moments, or places in an order."""
    doubts: tuple[str, ...] = ()
    """A line for everything that could be read but can hardly be meant."""
    fingerprint: str = ""
    """sha256 over the contents of the source's files."""

    def dropped(self) -> dict[str, int]:
        """How many rows were not taken, by ``table: reason``."""
        return dropped(self.rejected)


@dataclass(frozen=True, slots=True)
class PlainTable:
    """Labelled rows without users and items: what a ranking experiment without recall learns from."""

    train: pl.DataFrame
    test: pl.DataFrame
    label: str
    """Name of the column that holds 0 or 1 (Int8)."""
    kinds: Mapping[str, str]
    """``number`` (Float32), ``category`` (String) or ``list`` (List(String)) for every column that is learned from;
    missing = null."""
    fingerprint: str = ""
    group: str | None = None
    """Name of the column (String) whose cells say which rows are one request."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns of the file that are not learned from, and why."""
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    """Every row that was not taken, see ``REJECTED``."""


def dropped(rejected: pl.DataFrame) -> dict[str, int]:
    """How many rows were not taken, by ``table: reason``."""
    counts = rejected.group_by("table", "reason", maintain_order=True).len()
    return {f"{table}: {reason}": n for table, reason, n in counts.iter_rows()}
