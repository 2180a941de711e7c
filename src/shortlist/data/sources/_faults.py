"""Rows of a table that are not taken: what is wrong with them, how it is told, and their text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import Converted, Wanted, shown
from shortlist.data.sources._rows import Broken, swallows
from shortlist.data.sources._scan import LINE, ROW, WIDE, Scan, shortened

REASON = "\0reason"
OTHERS = "\0others"


def faults(
    opened: Scan, columns: list[Converted], wanted: list[Wanted], schema: pl.Schema
) -> tuple[pl.Expr, list[str]]:
    """Number of the first thing wrong with a row (0 = nothing, 1 = it is blank) and what the numbers mean."""
    blank = pl.all_horizontal(column.empty for column in columns)  # columns nobody named have no say
    tests, reasons = [blank], ["blank line"]
    broken = named(opened, wanted)
    for reason in dict.fromkeys(_reason(opened, row) for row in broken):
        rows = [row.row for row in broken if _reason(opened, row) == reason]
        tests.append(pl.col(ROW).is_in(rows))
        reasons.append(reason)
    if WIDE in schema:
        tests.append(pl.col(WIDE))
        reasons.append(f"more than {len(opened.names)} columns")
    for column, how in zip(columns, wanted, strict=True):
        tests.append(column.fault)
        reasons.append(f"{how.column}: not {column.expected}")
    numbered = [pl.when(test).then(pl.lit(n, pl.UInt16)) for n, test in enumerate(tests, 1)]
    return pl.coalesce(*numbered, pl.lit(0, pl.UInt16)), reasons


def others(opened: Scan, wanted: list[Wanted]) -> pl.Expr:
    """Looks at the columns nobody named, where a row with too many cells shows only if all are read."""
    named = {w.column for w in wanted}
    others = [pl.col(name).is_null() for name in opened.names if name not in named and opened.text is not None]
    return (pl.all_horizontal(others) if others else pl.lit(True)).alias(OTHERS)


def several_lines(opened: Scan) -> pl.LazyFrame:
    """Whether any cell of a csv that was not mended goes over several lines."""
    if opened.layout is None or not opened.layout.quote or opened.broken:
        return pl.LazyFrame({"several": [False]})
    cells = (pl.col(name).str.contains("\n", literal=True) for name in opened.names)
    return opened.frame.select(several=pl.any_horizontal(*cells).any())


def swallowed(opened: Scan) -> bool:
    """Whether a cell holds rows: a quote was left open, and where the next one closed it nothing was wrong."""
    pattern = "" if opened.layout is None else swallows(opened.layout)
    if not pattern:
        return False
    cells = (pl.col(name).str.contains(pattern) for name in opened.names)
    found: bool | None = opened.frame.select(pl.any_horizontal(*cells).any()).collect(engine="streaming").item()
    return bool(found)


def named(opened: Scan, wanted: list[Wanted]) -> list[Broken]:
    """Rows that had to be mended in what somebody named, or as a whole."""
    columns = {w.column for w in wanted}
    return [row for row in opened.broken if row.place is None or opened.names[row.place] in columns]


def _reason(opened: Scan, row: Broken) -> str:
    return row.reason if row.place is None else f"{opened.names[row.place]}: {row.reason}"


def refusal(table: str, opened: Scan, row: Broken, wanted: list[Wanted]) -> InputError:
    name = "" if row.place is None else opened.names[row.place]
    column = f", column {name} ({next(w.name for w in wanted if w.column == name)})" if name else ""
    helps = ', and filters.bad_rows = "drop" drops such rows' if table == "events" and name else ""
    return InputError(f"{opened.label}: row {row.row}{column}: {row.told}{helps}")


def fault(opened: Scan, found: tuple[Any, ...], columns: list[Converted], wanted: list[Wanted]) -> InputError:
    row, number = found[0], found[1]
    cells = opened.frame.filter(pl.col(ROW) == row).collect(engine="streaming")
    place = number - 2 - (WIDE in cells.columns)
    if place < 0:
        text = shortened(" ".join(str(cell) for cell in cells.row(0)[1:-1]))
        return InputError(f"{opened.label}: row {row}: expected {len(opened.names)} columns, found more: {text!r}")
    how = wanted[place]
    cell = cells[how.column][0]
    shown = "nothing" if cell is None else repr(shortened(str(cell)))
    if isinstance(cell, pl.Series):  # a vector
        odd = [str(number) for number in cell if not isinstance(number, int | float) or not math.isfinite(number)]
        shown = f"{odd[0]} among {len(cell)}" if odd else f"{len(cell)}: {shortened(str(cell.to_list()))!r}"
    row = cells[LINE][0] if LINE in cells.columns else row
    return InputError(
        f"{opened.label}: row {row}, column {how.column} ({how.name}): "
        f"expected {columns[place].expected}, found {shown}"
    )


def rejected(table: str, opened: Scan, dropped: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows in the form of ``Raw.rejected``; their text is read again, so that it need not be kept for the others."""
    if REASON in dropped.columns:
        words = (
            pl.DataFrame({"reason": names})
            .with_row_index(REASON, offset=1)
            .with_columns(pl.col(REASON).cast(pl.UInt16))
        )
        dropped = dropped.join(words, on=REASON, how="left", maintain_order="left")
    texts = _texts(opened, dropped[ROW], opened.names)
    if opened.broken:  # as they stand in the file, not as they were mended
        whole = {ROW: [row.row for row in opened.broken], "text": [row.text for row in opened.broken]}
        texts = texts.update(pl.DataFrame(whole, {ROW: texts.schema[ROW], "text": pl.String}), on=ROW)
    return dropped.join(texts, on=ROW, how="left", maintain_order="left").select(
        table=pl.lit(table),
        file=pl.lit(opened.label),
        row=pl.col(LINE if LINE in texts.columns else ROW).cast(pl.Int64),
        reason="reason",
        text="text",
    )


def _texts(opened: Scan, rows: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    """The cells of some rows as one text each; a column that cannot be read at all is left out."""
    schema = opened.frame.collect_schema()
    cells = (shown(name, schema[name]).fill_null("") for name in names)
    asked = opened.frame.filter(pl.col(ROW).is_in(rows.implode()))
    try:
        written = pl.concat_str(*cells, separator=",").alias("text")
        return asked.select(ROW, pl.col(f"^{LINE}$"), written).collect(engine="streaming")
    except pl.exceptions.PolarsError:
        left = [name for name in names if readable(opened, name)]
        if len(left) == len(names):
            raise
        return _texts(opened, rows, left)


def readable(opened: Scan, name: str) -> bool:
    try:
        opened.frame.select(name).collect(engine="streaming")
    except pl.exceptions.PolarsError:
        return False
    return True
