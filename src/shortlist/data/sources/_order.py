"""Logs without times as tables have them: lines of sequences, and the moments that an order gives."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.order import Clock, common, each, is_own
from shortlist.data.sources._scan import LINE, ROW, Scan, digested, located, utf8
from shortlist.data.spec import EventsSpec

BLANKS = r"[ \t]+"


def sequences(spec: EventsSpec, root: Path | None, scratch: Path) -> Scan:
    """The cells of a file whose lines are ``user item item ...``, as one row (line, user, item) for each item.

    A separator of one blank is any number of blanks and tabs. Raises ``InputError`` as ``scan`` does.
    """
    path = located(spec, root)
    if path.stat().st_size == 0:
        raise InputError(f"{spec.path}: expected sequences, found an empty file")
    text = utf8(spec, path, scratch)
    lines = pl.scan_lines(text, name="line", row_index_name=LINE, row_index_offset=1, glob=False)
    line = pl.col("line").str.strip_prefix("\ufeff").str.strip_chars_end("\r\n")
    if spec.separator == " ":
        line = line.str.strip_chars().str.replace_all(BLANKS, " ")
    parts = line.str.split(spec.separator)
    alone = pl.col("parts").list.len() == 1  # a user without items is a row at fault, and not none
    items = pl.when(alone).then(pl.concat_list(pl.lit(""))).otherwise(pl.col("parts").list.slice(1))
    cells = (
        lines.slice(1 if spec.header else 0)
        .filter(line.str.strip_chars() != "")
        .select(LINE, parts.alias("parts"))
        .with_columns(user=pl.col("parts").list.first(), item=items)
        .drop("parts")
        .explode("item")
        .with_row_index(ROW, offset=1)
    )
    bare = {name: pl.col(name).str.strip_chars() for name in ("user", "item")}
    filled = [pl.when(cell != "").then(cell).alias(name) for name, cell in bare.items()]
    return Scan(cells.with_columns(filled), ("user", "item"), spec.path, digested(path), text)


def moments(events: pl.DataFrame, spec: EventsSpec) -> tuple[pl.DataFrame, Clock]:
    """The log with moments for its order, which stands in ``time``, and whose order that is.

    In ``time`` are the rows' places in the file, or the values of the column that orders them.
    """
    user = events["user"].cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    placed, order = "time" not in (spec.columns or {}), events["time"].to_numpy()
    own = spec.layout == "sequences" or is_own(user, None if placed else order)
    clock: Clock = spec.clock or ("each" if own else "common")
    time = each(user, order) if clock == "each" else common(order)
    return events.with_columns(time=pl.Series(time, dtype=pl.Int64)), clock
