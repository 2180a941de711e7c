"""The declared rules that drop rows of the log: by the row alone, or by the rows before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._derive import Columns
from shortlist.data.spec import ChoiceSpec, FilterSpec, IdsSpec, RangeSpec, microseconds
from shortlist.types import Array, Bool, Int64

PERIOD = {"1h": 3_600_000_000, "1d": 86_400_000_000}


Rule = tuple[str, pl.Expr]
"""The reason, and where a row is dropped for it."""


def row_rules(filters: FilterSpec, columns: Columns, lists: Mapping[str, pl.Series]) -> list[Rule]:
    """The rules that look at one row alone, in terms of ``columns``; ``lists`` are the ids that ``in`` names.

    Raises ``InputError`` for a column that is not there.
    """
    rules: list[Rule] = []
    for name in ("value", "event", "user", "item"):
        if getattr(filters, name) is not None and name not in columns.names:
            raise InputError(f"data.events.filters.{name}: the recipe does not say which column this is")
    if filters.value is not None:
        rules += _range("value", pl.col("value"), filters.value)
    for name in ("event", "user", "item"):
        choice: ChoiceSpec | None = getattr(filters, name)
        if choice is None:
            continue
        rules += _choice(name, pl.col(name), choice)
        if isinstance(choice, IdsSpec) and choice.among is not None:
            listed = pl.col(name).is_in(lists[name].implode()).fill_null(False)
            rules.append((f"{name} not in {choice.among.table or choice.among.path}", ~listed))
    for name, cells in filters.columns.items():
        where = f"data.events.filters.columns.{name}"
        if cells.min is not None or cells.max is not None:
            rules += _range(name, pl.col(columns.column(name, "number", where)), cells)
        if cells.keep is not None or cells.drop or cells.match:
            rules += _choice(name, pl.col(columns.column(name, "text", where)), cells)
    if filters.time is not None:
        if filters.time.after is not None:
            rules.append(
                (f"time before {filters.time.after.isoformat()}", pl.col("time") < microseconds(filters.time.after))
            )
        if filters.time.before is not None:
            rules.append(
                (
                    f"time not before {filters.time.before.isoformat()}",
                    pl.col("time") >= microseconds(filters.time.before),
                )
            )
    return rules


def _range(name: str, number: pl.Expr, bounds: RangeSpec) -> Iterator[Rule]:
    if bounds.min is not None:
        yield f"{name} below {bounds.min:g}", number < bounds.min
    if bounds.max is not None:
        yield f"{name} above {bounds.max:g}", number > bounds.max


def _choice(name: str, text: pl.Expr, choice: ChoiceSpec) -> Iterator[Rule]:
    if choice.keep is not None:
        yield f"{name} not in keep", ~text.is_in(choice.keep)
    if choice.drop:
        yield f"{name} in drop", text.is_in(choice.drop)
    if choice.match is not None:
        yield f"{name} does not match {choice.match}", ~text.str.contains(choice.match)


def past_rules(filters: FilterSpec, events: pl.DataFrame, placed: bool = False) -> pl.Series | None:
    """The reason each row is dropped (null = kept) by rules that look at earlier rows; None if there are no such rules.

    Whether a row stays depends on rows before it (by time, then place in the file), never on later ones. With
    ``placed`` the times are but the rows' places, so that no two are equal and a duplicate is one without them.
    """
    if filters.duplicates == "keep" and filters.user_events is None:
        return None
    reasons = np.zeros(events.height, np.uint8)
    words = ["", "duplicate", ""]
    known = events["user"].is_not_null().to_numpy()
    if filters.duplicates == "drop":
        reasons[_repeated(events, placed) & known] = 1
    if filters.user_events is not None:
        rate = filters.user_events
        words[2] = f"more than {rate.max} events of the user" + (f" in {rate.per}" if rate.per else "")
        rows = np.flatnonzero(known & (reasons == 0))
        user = events["user"].cast(pl.Categorical).to_physical().fill_null(0).to_numpy()[rows]
        time = events["time"].to_numpy()[rows]
        reasons[rows[_places(user, time, PERIOD[rate.per] if rate.per else 0) >= rate.max]] = 2
    chosen = pl.Series("reason", reasons)
    return chosen.to_frame().select(pl.col("reason").replace_strict([0, 1, 2], [None, *words[1:]])).to_series()


def _repeated(events: pl.DataFrame, placed: bool) -> Bool:
    """[m]: the same user, item, event and time came in an earlier row."""
    key = ["user", "item", "event", *([] if placed else ["time"])]
    # Most rows differ already in their hash; only the others are compared as they are.
    hashes = events.select(pl.struct(key).hash()).to_series()
    suspects = np.flatnonzero(hashes.is_duplicated().to_numpy())
    repeated = np.zeros(events.height, bool)
    again = events.select(key)[suspects].select(~pl.struct(key).is_first_distinct()).to_series()
    repeated[suspects] = again.to_numpy()
    return repeated


def _places(user: Array, time: Int64, period: int) -> Int64:
    """[m]: how many rows of the same user (and period) come before each, by time and then place."""
    span = time // period if period else np.zeros_like(time)
    order = np.lexsort((time, span, user))
    new = np.ones(len(order), bool)
    new[1:] = (user[order[1:]] != user[order[:-1]]) | (span[order[1:]] != span[order[:-1]])
    starts = np.flatnonzero(new)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return places
