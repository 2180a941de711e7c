"""What became of what was shown: each user's sums, from exposures and events, and the metrics made of them.

Exposures have a row for each item shown, and one without an item for an empty slate:

    request_id  text      one answer                     position    int    from 1; null where the slate is empty
    user        text      null = nobody known            item        text
    time        int64     microseconds since 1970 UTC    channels    list of text, the best first
    bundle      text      the version that answered      propensity  float  null where nothing was drawn
    arms        text      "ranking=b page=a"             team        text   the arm it came from, where interleaved
    asked       int       items that were asked for      credit      float  of a click on it (see ``interleave``)
    latency     float     seconds until the slate was there

Events have user, item, event, time, and value and request_id, which may be null. An event with a request_id belongs to
that answer's row of the item; another to the latest row in which the user was shown the item, at most ``window``
before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from shortlist.component import InputError

if TYPE_CHECKING:
    from shortlist.experiment.design import Counted

EXPOSURES = pl.Schema(
    {
        "request_id": pl.String(), "user": pl.String(), "time": pl.Int64(), "bundle": pl.String(), "arms": pl.String(),
        "asked": pl.Int32(), "latency": pl.Float32(), "position": pl.Int32(), "item": pl.String(),
        "channels": pl.List(pl.String()), "propensity": pl.Float32(), "team": pl.String(), "credit": pl.Float32(),
    }
)  # fmt: skip
EVENTS = pl.Schema(
    {
        "user": pl.String(), "item": pl.String(), "event": pl.String(), "time": pl.Int64(), "value": pl.Float64(),
        "request_id": pl.String(),
    }
)  # fmt: skip
SUMS = ("answers", "shown", "clicks", "positions", "conversions", "items", "dwell", "value", "latency", "short")
"""The numbers kept of each user."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A ratio of two sums over users, or with ``below`` None a mean per user."""

    above: str
    below: str | None
    better: int
    """1: more is better, -1: less is better."""
    text: str
    guardrail: bool = False


METRICS = {
    "ctr": Metric("clicks", "shown", 1, "clicked rows per row shown"),
    "cvr": Metric("conversions", "clicks", 1, "bought rows per clicked row"),
    "dwell": Metric("dwell", None, 1, "seconds spent with items, per user"),
    "items": Metric("items", None, 1, "different items clicked or read, per user"),
    "gmv": Metric("value", None, 1, "worth of what was bought, per user"),
    "position": Metric("positions", "clicks", -1, "average position of a click, from 1"),
    "latency": Metric("latency", "answers", -1, "seconds until the slate is there", guardrail=True),
    "short": Metric("short", "answers", -1, "share of slates with fewer items than asked for", guardrail=True),
}


def sums(
    exposures: pl.DataFrame, events: pl.DataFrame, counted: Counted, days: tuple[int, int] | None = None
) -> pl.DataFrame:
    """One row a user of ``exposures`` (nobody known left out), ascending: ``user``, ``first`` (time) and ``SUMS``.

    Clicks, positions and conversions count rows that were shown; items, dwell and value are all that the user did from
    the first exposure on, wherever the item was met. With ``days`` (start and length of a day) there is one row a user
    and ``day``, of what became known in it: a click counts on the day of the click. Added up, they are the sums.
    """
    shown = _numbered(exposures)
    did = events.filter(pl.col("user").is_in(shown["user"].unique().implode())) if len(events) else events
    first = shown.group_by("user").agg(first=pl.col("time").min())
    place = pl.col("position")
    rows = shown.select("user", "time", shown=place.is_not_null())
    answers = shown.group_by("user", "request_id").agg(
        time=pl.col("time").min(),
        answers=pl.lit(1),
        latency=pl.col("latency").first(),
        short=place.count() < pl.col("asked").first(),
    )
    clicked = _hits(shown, _named(did, counted.click), counted).select(
        "user", "time", clicks=pl.lit(1), positions=place
    )
    bought = _hits(shown, _named(did, counted.conversion, none=True), counted)
    after = did.join(first, on="user").filter(pl.col("time") >= pl.col("first"))
    worth = pl.col("value").fill_null(0) if counted.value is None else pl.lit(counted.value)
    met = _named(after, counted.click).group_by("user", "item").agg(time=pl.col("time").min(), items=pl.lit(1))
    parts = [
        rows,
        answers,
        clicked,
        bought.select("user", "time", conversions=pl.lit(1)),
        met,
        _named(after, counted.conversion, none=True).select("user", "time", value=worth),
        _named(after, [counted.dwell] if counted.dwell else [], none=True).select(
            "user", "time", dwell=pl.col("value").fill_null(0)
        ),
    ]
    day = pl.lit(0, pl.Int64) if days is None else (pl.col("time") - days[0]) // days[1]
    small = []
    for part in parts:
        names = [name for name in SUMS if name in part.columns]
        whole = [pl.col(name).cast(pl.Float64).sum() for name in names]
        small.append(part.with_columns(day=day).group_by("user", "day").agg(whole))
    blank = pl.DataFrame(schema=dict.fromkeys(SUMS, pl.Float64))
    joined = pl.concat([blank, *small], how="diagonal").group_by("user", "day").agg(pl.col(*SUMS).fill_null(0).sum())
    kept = ["user", *(["day"] if days else [])]
    return joined.join(first, on="user").select(*kept, "first", *SUMS).sort(kept)


def _numbered(exposures: pl.DataFrame) -> pl.DataFrame:
    """The rows of known users by time, each with its number ``row``."""
    return exposures.filter(pl.col("user").is_not_null()).sort("time", maintain_order=True).with_row_index("row")


def click_rows(exposures: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> pl.DataFrame:
    """The rows of known users, by time, with ``clicked``."""
    shown = _numbered(exposures)
    rows = _hits(shown, _named(events, counted.click), counted)["row"]
    return shown.with_columns(clicked=pl.col("row").is_in(rows.implode()))


def _named(events: pl.DataFrame, names: list[str], none: bool = False) -> pl.DataFrame:
    """The events of these behaviours; without names all of them, or none."""
    if not names and not none:
        return events
    return events.filter(pl.col("event").is_in(names))


def _hits(shown: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> pl.DataFrame:
    """The rows of ``shown`` that events belong to, each once: row, user, position, ``time`` of the earliest event."""
    items = shown.filter(pl.col("item").is_not_null()).select("row", "user", "item", "request_id", "time", "position")
    told = events.filter(pl.col("request_id").is_not_null()).select("user", "item", "request_id", "time")
    exact = items.drop("time").join(told, on=["user", "item", "request_id"])
    untold = events.filter(pl.col("request_id").is_null()).select("user", "item", "time").sort("time")
    columns = ["row", "user", "position", "time"]
    found = exact.select(columns)
    if len(untold):
        near = untold.join_asof(
            items.drop("request_id"),
            on="time",
            by=["user", "item"],
            strategy="backward",
            tolerance=counted.window,
            check_sortedness=False,
        ).drop_nulls("row")
        found = pl.concat([found, near.select(columns)])
    return found.group_by("row", "user", "position").agg(pl.col("time").min())


def checked(frame: pl.DataFrame, schema: pl.Schema, name: str, needed: tuple[str, ...]) -> pl.DataFrame:
    """The frame with all columns of ``schema``, those that may be absent null; raises ``InputError``."""
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise InputError(
            f"{name}: no column {missing[0]!r}; expected {', '.join(schema)}, found {', '.join(frame.columns)}"
        )
    columns = []
    for column, kind in schema.items():
        if column not in frame.columns:
            columns.append(pl.lit(None, kind).alias(column))
            continue
        try:
            cast = frame[column].cast(kind)
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{name}: column {column!r}: expected {kind}, found {frame[column].dtype}") from error
        if kind.is_float():
            cast = cast.fill_nan(None)
        if column in needed and column != "user" and cast.null_count():
            row = int(cast.is_null().arg_max() or 0)
            raise InputError(f"{name}: column {column!r}, row {row}: expected a value, found none")
        columns.append(pl.lit(cast).alias(column))
    return frame.select(columns)


__all__ = ["EVENTS", "EXPOSURES", "METRICS", "SUMS", "Metric", "checked", "click_rows", "sums"]
