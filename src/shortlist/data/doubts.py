"""What can be read and yet is hardly meant: times that cannot be, tables that share no ids with the log."""

from __future__ import annotations

import time
from collections.abc import Iterator

import polars as pl

from shortlist.data.raw import Raw
from shortlist.durations import stamp

EARLIEST = 631_152_000_000_000
"""1990 in microseconds: an earlier time is rather a unit that was read as another."""
SLACK = 300_000_000
"""Microseconds that clocks may differ."""


def doubts(raw: Raw, now: int | None = None) -> list[str]:
    """A line for each doubt; ``now`` in microseconds, the wall clock when absent."""
    now = int(time.time() * 1_000_000) if now is None else now
    found = [*_times("events", raw.events, now)]
    if raw.exposures is not None:
        found += _times("exposures", raw.exposures, now)
    known = {key: _distinct(raw.events[key]) for key in ("user", "item")}
    for table, key, columns in (
        ("items", "item", ("item",)),
        ("users", "user", ("user",)),
        ("exposures", "item", ("item",)),
        ("exposures", "user", ("user",)),
        ("triples", "item", ("head", "tail")),
        ("ties", "user", ("user", "friend")),
    ):
        frame: pl.DataFrame | None = getattr(raw, table)
        if frame is None:
            continue
        ids = _distinct(*(frame[column] for column in columns))
        if len(ids) and not ids.is_in(known[key].implode()).any():
            found.append(
                f"data.{table}: 0 of {len(ids):,} ids occur in the log as {key}: {_such(ids)} here, "
                f"{_such(known[key])} there"
            )
    return found


def time_doubts(name: str, times: pl.Series, now: int) -> Iterator[str]:
    """Of a column of microseconds: what lies before 1990, or ahead of ``now``."""
    early, ahead = int((times < EARLIEST).sum()), int((times > now + SLACK).sum())
    first, last = times.min(), times.max()
    if early:
        yield (
            f"{name}: {early:,} of {len(times):,} times lie before 1990, the first at {stamp(int(first))}: "  # type: ignore[arg-type]
            "are time_unit and time_format right?"
        )
    if ahead:
        yield (
            f"{name}: {ahead:,} of {len(times):,} times lie ahead of the clock, the last at {stamp(int(last))}: "  # type: ignore[arg-type]
            "times without an offset are read as UTC; filters.time.before takes such rows out"
        )


def _times(table: str, frame: pl.DataFrame, now: int) -> Iterator[str]:
    return time_doubts(f"data.{table}", frame["time"], now)


def _distinct(*columns: pl.Series) -> pl.Series:
    return pl.concat([column.alias("id") for column in columns]).drop_nulls().unique().sort()


def _such(ids: pl.Series) -> str:
    return ", ".join(repr(each) for each in ids.head(2)) or "none"
