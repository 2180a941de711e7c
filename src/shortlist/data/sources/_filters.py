"""The declared rules that drop rows of the log: by the row alone, or by the rows before it."""

from __future__ import annotations

import polars as pl

from shortlist.data.spec import FilterSpec, microseconds

PERIOD = {"1h": 3_600_000_000, "1d": 86_400_000_000}


def row_rules(filters: FilterSpec, present: set[str]) -> list[tuple[str, pl.Expr]]:
    """(reason, where the row is dropped) for every rule that looks at one row alone, in terms of ``Raw.events``."""
    rules: list[tuple[str, pl.Expr]] = []
    if filters.value is not None and "value" in present:
        if filters.value.min is not None:
            rules.append((f"value below {filters.value.min:g}", pl.col("value") < filters.value.min))
        if filters.value.max is not None:
            rules.append((f"value above {filters.value.max:g}", pl.col("value") > filters.value.max))
    for name in ("event", "user", "item"):
        choice = getattr(filters, name)
        if choice is None or name not in present:
            continue
        if choice.keep is not None:
            rules.append((f"{name} not in keep", ~pl.col(name).is_in(choice.keep)))
        if choice.drop:
            rules.append((f"{name} in drop", pl.col(name).is_in(choice.drop)))
    if filters.time is not None:
        if filters.time.after is not None:
            rules.append((f"time before {filters.time.after.isoformat()}", pl.col("time") < _at(filters.time.after)))
        if filters.time.before is not None:
            rules.append(
                (f"time not before {filters.time.before.isoformat()}", pl.col("time") >= _at(filters.time.before))
            )
    return rules


def past_rules(filters: FilterSpec, events: pl.DataFrame) -> pl.Series | None:
    """The reason each row is dropped (null = kept) by rules that look at earlier rows; None if there are no such rules.

    Whether a row stays depends on rows before it (by time, then place in the file), never on later ones.
    """
    reason: pl.Series | None = None
    if filters.duplicates == "drop":
        key = pl.struct("user", "item", "event", "time")
        again = (~key.is_first_distinct()) & pl.col("user").is_not_null()
        reason = events.select(pl.when(again).then(pl.lit("duplicate")).alias("reason")).to_series()
    if filters.user_events is not None:
        rate = filters.user_events
        kept = pl.lit(True) if reason is None else reason.is_null()
        table = events.select("user", "time", kept=kept)
        group = ["user", *([pl.col("time") // PERIOD[rate.per]] if rate.per else [])]
        # Only rows still in the running count; the ordinal rank breaks ties by the place in the file.
        place = pl.when(pl.col("kept")).then(pl.col("time")).rank("ordinal").over(group)
        words = f"more than {rate.max} events of the user" + (f" in {rate.per}" if rate.per else "")
        over = (place > rate.max) & pl.col("user").is_not_null()
        rated = table.select(pl.when(over).then(pl.lit(words)).alias("reason")).to_series()
        reason = rated if reason is None else reason.to_frame("a").select(pl.coalesce("a", rated)).to_series()
    return reason


_at = microseconds
