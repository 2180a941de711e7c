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


def sums(exposures: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> pl.DataFrame:
    """One row a user of ``exposures`` (nobody known left out), ascending: ``user``, ``first`` (time) and ``SUMS``.

    Clicks, positions and conversions count rows that were shown; items, dwell and value are all that the user did from
    the first exposure on, wherever the item was met.
    """
    shown = exposures.filter(pl.col("user").is_not_null()).sort("time", maintain_order=True).with_row_index("row")
    did = events.filter(pl.col("user").is_in(shown["user"].unique().implode())) if len(events) else events
    clicked = click_rows(shown, did, counted)
    converted = _rows(shown, _named(did, counted.conversion, none=True), counted)
    rows = shown.select("row", "user", "time", "request_id", "asked", "latency", "position").with_columns(
        clicked=pl.col("row").is_in(clicked.implode()), converted=pl.col("row").is_in(converted.implode())
    )
    place = pl.col("position")
    by_user = rows.group_by("user").agg(
        first=pl.col("time").min(),
        shown=place.is_not_null().sum(),
        clicks=pl.col("clicked").sum(),
        positions=place.filter("clicked").sum(),
        conversions=pl.col("converted").sum(),
    )
    answers = rows.group_by("user", "request_id").agg(
        size=place.is_not_null().sum(), asked=pl.col("asked").first(), latency=pl.col("latency").first()
    )
    by_answer = answers.group_by("user").agg(
        answers=pl.len(),
        latency=pl.col("latency").cast(pl.Float64).sum(),
        short=(pl.col("size") < pl.col("asked")).sum(),
    )
    joined = by_user.join(by_answer, on="user")
    after = did.join(by_user.select("user", "first"), on="user").filter(pl.col("time") >= pl.col("first"))
    worth = pl.col("value").fill_null(0) if counted.value is None else pl.lit(counted.value)
    for part in (
        _named(after, counted.click).group_by("user").agg(items=pl.col("item").n_unique()),
        _named(after, counted.conversion, none=True).group_by("user").agg(value=worth.sum() if counted.value is None
                                                                          else pl.len() * worth),
        _named(after, [counted.dwell] if counted.dwell else [], none=True)
        .group_by("user").agg(dwell=pl.col("value").fill_null(0).sum()),
    ):  # fmt: skip
        joined = joined.join(part, on="user", how="left")
    whole = [pl.col(name).fill_null(0).cast(pl.Float64) for name in SUMS]
    return joined.select("user", "first", *whole).sort("user")


def click_rows(shown: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> pl.Series:
    """The ``row`` of everything in ``shown`` that was clicked."""
    return _rows(shown, _named(events, counted.click), counted)


def _named(events: pl.DataFrame, names: list[str], none: bool = False) -> pl.DataFrame:
    """The events of these behaviours; without names all of them, or none."""
    if not names and not none:
        return events
    return events.filter(pl.col("event").is_in(names))


def _rows(shown: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> pl.Series:
    """The rows of ``shown`` that events belong to, each once."""
    items = shown.filter(pl.col("item").is_not_null())
    told = events.filter(pl.col("request_id").is_not_null())
    exact = items.select("row", "user", "item", "request_id").join(
        told.select("user", "item", "request_id").unique(), on=["user", "item", "request_id"], how="semi"
    )
    untold = events.filter(pl.col("request_id").is_null()).select("user", "item", "time").sort("time")
    if not len(untold):
        return exact["row"].unique()
    near = untold.join_asof(
        items.select("row", "user", "item", "time"),
        on="time",
        by=["user", "item"],
        strategy="backward",
        tolerance=counted.window,
        check_sortedness=False,
    )
    return pl.concat([exact["row"], near["row"].drop_nulls()]).unique()


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
        if column in needed and column != "user" and cast.null_count():
            row = int(cast.is_null().arg_max() or 0)
            raise InputError(f"{name}: column {column!r}, row {row}: expected a value, found none")
        columns.append(pl.lit(cast).alias(column))
    return frame.select(columns)


__all__ = ["EVENTS", "EXPOSURES", "METRICS", "SUMS", "Metric", "checked", "click_rows", "sums"]
