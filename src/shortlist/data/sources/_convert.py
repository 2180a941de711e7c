"""Cells of a file to the types of ``Raw``, as polars expressions, and which cells cannot be converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from shortlist.data import iso

NO_NUMBER = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N"]
PER_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One column to read: from where, as what, and whether it may be missing."""

    name: str
    column: str
    kind: str  # id, category, text, list, number, time
    required: bool = False
    least: float | None = None  # smaller numbers are faults
    separator: str = "|"
    unit: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The value of a column, where it is at fault, and what was expected there."""

    value: pl.Expr
    fault: pl.Expr
    expected: str


def convert(wanted: Wanted, dtype: pl.DataType, nulls: list[str], sample: pl.Series | None = None) -> Converted:
    """Expressions for one column; ``sample`` (its first cells) tells how a time is written where that is not stated."""
    cell = pl.col(wanted.column)
    text = dtype == pl.String
    if text and nulls:
        cell = pl.when(~cell.is_in(nulls)).then(cell)
    if wanted.kind == "time":
        cell, value, expected = _time(cell, dtype, wanted, sample)
    elif wanted.kind == "number":
        cell, value, expected = _number(cell, dtype)
    elif wanted.kind == "list":
        value, expected = _list(cell, dtype, wanted.separator), "a list"
    else:
        if dtype.is_float():  # an integer id with gaps, as pandas writes it
            whole = cell.cast(pl.Int64, strict=False)
            cell = pl.when(whole == cell).then(whole.cast(pl.String)).otherwise(cell.cast(pl.String))
        value, expected = cell.cast(pl.String), "an id" if wanted.kind == "id" else "a value"
    if wanted.required:
        fault = value.is_null()
    elif wanted.kind == "list":
        fault = pl.lit(False)  # an empty list is a missing one
    else:
        fault = value.is_null() & cell.is_not_null()
    if wanted.least is not None:
        fault = fault | (value < wanted.least).fill_null(False)
        expected += f" of at least {wanted.least:g}"
    return Converted(value.alias(wanted.name), fault, expected)


def _number(cell: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr, str]:
    if dtype == pl.String:
        cell = cell.str.strip_chars()
        cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
    value = cell.cast(pl.Float64, strict=False)
    if dtype.is_float():
        cell = cell.fill_nan(None)
    return cell, pl.when(value.is_finite()).then(value.cast(pl.Float32)), "a number"


def _time(cell: pl.Expr, dtype: pl.DataType, wanted: Wanted, sample: pl.Series | None) -> tuple[pl.Expr, pl.Expr, str]:
    if isinstance(dtype, pl.Datetime | pl.Date):
        return cell, cell.cast(pl.Datetime("us")).dt.epoch("us"), "a time"
    if dtype.is_numeric():
        unit = wanted.unit or _unit(sample)
        return (cell.fill_nan(None) if dtype.is_float() else cell), _epoch(cell, unit), f"a time in {WORDS[unit]}"
    cell = cell.cast(pl.String).str.strip_chars()
    cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
    if wanted.format is not None:
        form = wanted.format
        if form == "%Y":  # a year alone is no date to the parser
            return cell, _parsed(pl.when(cell.str.contains(r"^\d{4}$")).then(cell + "-01-01"), "%Y-%m-%d"), "a year"
        return cell, _parsed(cell, form), f"a time written {form}"
    numbers = None if sample is None else sample.cast(pl.Float64, strict=False)
    if wanted.unit is not None or (numbers is not None and numbers.len() and numbers.null_count() < numbers.len()):
        unit = wanted.unit or _unit(numbers)
        return cell, _epoch(cell.cast(pl.Float64, strict=False), unit), f"a time in {WORDS[unit]} since 1970"
    return cell, cell.map_batches(iso.micro, return_dtype=pl.Int64, is_elementwise=True), iso.EXPECTED


def _epoch(number: pl.Expr, unit: str) -> pl.Expr:
    micro = number.cast(pl.Float64, strict=False) * PER_UNIT[unit]
    return micro.round().cast(pl.Int64, strict=False)


def _unit(sample: pl.Series | None) -> str:
    """From the size of the numbers: seconds reach 1e11 in the year 5138, milliseconds are there by 1973."""
    middle: Any = None if sample is None else sample.cast(pl.Float64, strict=False).abs().median()
    if middle is None or middle < 1e11:
        return "s"
    return "ms" if middle < 1e14 else "us" if middle < 1e17 else "ns"


def _parsed(cell: pl.Expr, form: str) -> pl.Expr:
    if not any(code in form for code in ("%H", "%I", "%T", "%R", "%s", "%c", "%X", "%r", "%k", "%l")):
        return cell.str.to_date(form, strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    return cell.str.to_datetime(form, time_unit="us", strict=False, time_zone="UTC" if "z" in form else None).dt.epoch(
        "us"
    )


def _list(cell: pl.Expr, dtype: pl.DataType, separator: str) -> pl.Expr:
    if isinstance(dtype, pl.List | pl.Array):
        value = cell.cast(pl.List(pl.String)).list.drop_nulls()
    else:
        entries = cell.cast(pl.String).str.strip_chars()
        if separator == "[,]":  # a list as Python or JSON writes it: [1, 2] or ["a", "b"]
            entries, separator = entries.str.strip_chars("[]"), ","
            value = entries.str.split(separator).list.eval(pl.element().str.strip_chars(" '\""))
        else:
            value = entries.str.split(separator).list.eval(pl.element().str.strip_chars())
        value = value.list.eval(pl.element().filter(pl.element() != ""))
    return pl.when(value.list.len() > 0).then(value)
