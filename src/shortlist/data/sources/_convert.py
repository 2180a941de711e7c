"""Cells of a file to the types of ``Raw``, as polars expressions, and which cells cannot be converted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data import iso
from shortlist.data.sources._lists import WRITTEN, lists
from shortlist.data.spec import microseconds

NO_NUMBER = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N"]
PER_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
WIDTH = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3}  # digits of codes of fixed width
WHOLE = "DFxcs+UWVG"  # codes that name a whole date, or its week
CALENDAR = (
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d", "%Y%m", "%Y"),
    *("%y%m%d%H%M%S", "%y%m%d", "%d%m%Y", "%m%d%Y"),
)
"""Dates as whole numbers, the likelier first."""
WORDS_OF_KIND = {"number": "numbers", "order": "numbers", "time": "times", "list": "lists", "vector": "vectors"}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One column to read: from where, as what, and whether it may be missing."""

    name: str
    column: str
    kind: str  # id, category, text, list, number, time, vector, order
    required: bool = False
    least: float | None = None  # smaller numbers are faults
    separator: str = "|"
    field: str | None = None
    unit: str | None = None
    format: str | None = None
    most: float | None = None  # larger numbers are faults


@dataclass(frozen=True, slots=True)
class Converted:
    """The value of a column, where it is at fault, where nothing is written, and what was expected."""

    value: pl.Expr
    fault: pl.Expr
    empty: pl.Expr
    expected: str


def convert(wanted: Wanted, dtype: pl.DataType, nulls: list[str], sample: pl.Series | None = None) -> Converted:
    """Expressions for one column; ``sample`` (its first cells) tells how a time is written where that is not stated.

    Whatever the column is held as, it goes the way of the text, the number or the time it stands for (``plain``).
    Raises ``InputError`` where its type cannot be what is wanted, or numbers look like dates and no format is given.
    """
    raw, cell = pl.col(wanted.column), plain(wanted.column, dtype)
    if not _can_be(dtype, wanted.kind):
        what = WORDS_OF_KIND.get(wanted.kind, "text or a number in each cell")
        raise InputError(f"column {wanted.column} ({wanted.name}): expected {what}, found the type {dtype}")
    unread = cell.is_null() & raw.is_not_null()  # bytes that are no text
    if dtype.is_float():
        unread = pl.lit(False)  # NaN
    numbers = [float(null) for null in nulls if _is_finite(null)]
    if dtype.is_numeric():
        cell = _without(cell, numbers)
    elif not dtype.is_nested():
        written = cell if _is_text(dtype) else text(cell, dtype)
        cell = pl.when(~written.is_in(["", *nulls])).then(cell)
    given = cell
    if wanted.kind == "time":
        cell, value, expected = _time(cell, dtype, wanted, sample)
    elif wanted.kind in ("number", "order"):
        to = pl.Float32() if wanted.kind == "number" else pl.Float64()
        cell, value, expected = _number(cell, dtype, numbers, to)
    elif wanted.kind == "list":
        value, unknown, expected = lists(wanted.name, cell, dtype, wanted.separator, wanted.field)
        unread |= unknown
    elif wanted.kind == "vector":
        cell, value, expected = _vector(cell, dtype, wanted, sample)
    else:
        value, expected = text(cell, dtype), "an id" if wanted.kind == "id" else "a value"
    if wanted.required:
        fault = value.is_null()
    elif wanted.kind == "list":
        fault = unread  # an empty list is a missing one
    else:
        fault = (value.is_null() & cell.is_not_null()) | unread
    if wanted.least is not None:
        fault = fault | (value < wanted.least).fill_null(False)
        expected += f" of at least {wanted.least:g}"
    if wanted.most is not None:
        fault = fault | (value > wanted.most).fill_null(False)
        expected += f" and at most {wanted.most:g}"
    return Converted(value.alias(wanted.name), fault, given.is_null() & ~unread, expected)


def plain(column: str, dtype: pl.DataType) -> pl.Expr:
    """The cells as text, where they are text by another name: categories, enums, and bytes (as UTF-8, else null)."""
    cell = pl.col(column)
    if dtype == pl.Binary:
        return cell.map_batches(_decoded, return_dtype=pl.String, is_elementwise=True)
    if dtype.is_float():
        return cell.fill_nan(None)
    return cell.cast(pl.String) if _is_text(dtype) else cell


def text(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """How a cell is written as an id or a name: a whole number without a point, a time in ISO 8601 (UTC)."""
    if dtype.is_float():  # an integer id with gaps, as pandas writes it
        whole = cell.cast(pl.Int64, strict=False)
        return pl.when(whole == cell).then(whole.cast(pl.String)).otherwise(cell.cast(pl.String))
    if isinstance(dtype, pl.Decimal):
        return cell.cast(pl.String).str.replace(r"\.?0+$", "") if dtype.scale else cell.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        zone = "" if dtype.time_zone is None else "Z"
        return cell.dt.convert_time_zone("UTC").dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
    return cell.cast(pl.String)


def shown(column: str, dtype: pl.DataType) -> pl.Expr:
    """The cells of any type as text to be read by a person: lists of plain cells as a|b, what is deeper as JSON."""
    if isinstance(dtype, pl.List | pl.Array) and _is_plain(dtype.inner) and dtype.inner != pl.Binary:
        return pl.col(column).cast(pl.List(pl.String)).list.join("|", ignore_nulls=True)
    if _is_plain(dtype) and dtype != pl.Binary:
        return text(plain(column, dtype), dtype).alias(column)
    return pl.col(column).map_batches(_json, return_dtype=pl.String, is_elementwise=True)


def _is_plain(dtype: Any) -> bool:
    plainly = (pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Time)
    return _is_text(dtype) or dtype.is_numeric() or dtype in plainly


def _json(cells: pl.Series) -> pl.Series:
    def said(cell: Any) -> str | None:
        if isinstance(cell, bytes):
            return cell.decode(errors="backslashreplace")
        return None if cell is None else json.dumps(cell, default=str, ensure_ascii=False)

    return pl.Series(cells.name, [said(cell) for cell in cells.to_list()], pl.String)


def _decoded(cells: pl.Series) -> pl.Series:
    try:
        return cells.cast(pl.String)
    except pl.exceptions.ComputeError:  # only now one by one
        return pl.Series(cells.name, [_utf8(cell) for cell in cells.to_list()], pl.String)


def _utf8(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return None


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Binary)


def _can_be(dtype: pl.DataType, kind: str) -> bool:
    if kind == "vector" and isinstance(dtype, pl.List | pl.Array):
        inner: Any = dtype.inner
        return bool(inner.is_numeric() or inner in (pl.String, pl.Null))
    if dtype.is_nested():
        return kind == "list" and not isinstance(dtype, pl.Struct)
    if kind == "vector":
        return _is_text(dtype) or dtype.is_numeric() or dtype == pl.Null
    if kind in ("number", "order"):
        return _is_text(dtype) or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
    if kind == "time":
        return _is_text(dtype) or dtype.is_numeric() or dtype in (pl.Date, pl.Datetime, pl.Null)
    return _is_plain(dtype)


def _is_finite(written: str) -> bool:
    try:
        return math.isfinite(float(written))
    except ValueError:
        return False


def _without(cell: pl.Expr, numbers: list[float]) -> pl.Expr:
    return pl.when(~cell.cast(pl.Float64, strict=False).is_in(numbers)).then(cell) if numbers else cell


def _number(cell: pl.Expr, dtype: pl.DataType, nulls: list[float], to: pl.DataType) -> tuple[pl.Expr, pl.Expr, str]:
    if _is_text(dtype):
        cell = cell.str.strip_chars()
        cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
        cell = _without(cell, nulls)
        truth = cell.str.to_lowercase().replace_strict({"true": 1.0, "false": 0.0}, default=None)
        value = pl.coalesce(cell.cast(pl.Float64, strict=False), truth)
    else:
        value = cell.cast(pl.Float64, strict=False)
    value = value.cast(to)  # before the test: what is finite there may be beyond the range here
    return cell, pl.when(value.is_finite()).then(value), "a number"


def _vector(
    cell: pl.Expr, dtype: pl.DataType, wanted: Wanted, sample: pl.Series | None
) -> tuple[pl.Expr, pl.Expr, str]:
    """Vectors of the commonest length among the first; an empty one is missing."""
    if not dtype.is_nested():
        cell = text(cell, dtype).str.strip_chars()
        inner = cell.str.strip_chars("[](){} \n\t,").str.replace_all(r"[\s,]+", ",").str.split(",")
        outer = inner if wanted.separator == WRITTEN else cell.str.split(wanted.separator)
        cell = pl.when(cell.str.contains(r"^[\[({]")).then(inner).otherwise(outer)
        cell = cell.list.eval(pl.element().str.strip_chars()).list.eval(pl.element().filter(pl.element() != ""))
    else:
        cell = cell.cast(pl.List(dtype.inner))  # type: ignore[attr-defined]
    cell = pl.when(cell.list.len() > 0).then(cell)
    numbers = cell.cast(pl.List(pl.Float32), strict=False)
    sound = numbers.list.eval(pl.element().is_finite().fill_null(False)).list.all()
    lengths = pl.Series([], dtype=pl.UInt32)
    if sample is not None:
        lengths = pl.DataFrame({wanted.column: sample}).select(numbers.list.len()).to_series().drop_nulls()
    expected = "finite numbers"
    if len(lengths):
        width = lengths.value_counts(sort=True)[lengths.name][0]
        sound, expected = sound & (numbers.list.len() == width), f"{width} finite numbers"
    return cell, pl.when(sound).then(numbers), expected


def _time(cell: pl.Expr, dtype: pl.DataType, wanted: Wanted, sample: pl.Series | None) -> tuple[pl.Expr, pl.Expr, str]:
    if isinstance(dtype, pl.Datetime | pl.Date):
        return cell, cell.cast(pl.Datetime("us")).dt.epoch("us"), "a time"
    form = wanted.format
    if dtype.is_numeric() and form is None:
        unit = wanted.unit or _unit(wanted, sample)
        return cell, _epoch(cell, unit), f"a time in {WORDS[unit]}"
    cell = text(cell, dtype).str.strip_chars()
    cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
    if form is not None:
        return cell, _formatted(cell, form), "a year" if form == "%Y" else f"a time written {form}"
    numbers = None if sample is None else sample.cast(pl.Float64, strict=False)
    if wanted.unit is not None or (numbers is not None and numbers.len() and numbers.null_count() < numbers.len()):
        unit = wanted.unit or _unit(wanted, numbers)
        return cell, _epoch(cell.cast(pl.Float64, strict=False), unit), f"a time in {WORDS[unit]} since 1970"
    return cell, cell.map_batches(iso.micro, return_dtype=pl.Int64, is_elementwise=True), iso.EXPECTED


def _formatted(cell: pl.Expr, form: str) -> pl.Expr:
    """Cells in a declared format; what a number lost of leading zeros, and what the parser wants besides, is added."""
    digits = _digits(form)
    if digits:
        cell = cell.str.replace(r"^(\d+)\.0*$", "$1")
        cell = pl.when(cell.str.contains(rf"^\d{{{digits - 1},{digits}}}$")).then(cell.str.zfill(digits))
    codes = set(re.findall(r"%[-_0]?([A-Za-z+])", form))
    for known, code in (("mbBhj", "m"), ("dej", "d")):
        if not codes & {*known, *WHOLE}:  # a year alone is no date to the parser
            form, cell = f"{form} %{code}", cell + " 01"
    if codes & set("HIkl") and not codes & set("MRTXr"):
        form, cell = f"{form} %M", cell + " 00"
    return _parsed(cell, form)


def _digits(form: str) -> int:
    """How many digits a cell of this format has; 0 if it has other characters or no fixed width."""
    codes = re.findall(r"%(.)", form)
    fixed = set(codes) <= set(WIDTH) and form == "".join(f"%{code}" for code in codes)
    return sum(WIDTH[code] for code in codes) if fixed else 0


def calendar(numbers: pl.Series) -> str | None:
    """The format of numbers that are all dates of 1900-2100 written without signs (20240131); None if they are not."""
    written = numbers.drop_nulls().unique()
    if not written.len() or not ((written >= 1900) & (written == written.round())).all():
        return None
    cells = pl.DataFrame({"c": written.cast(pl.Int64, strict=False).cast(pl.String)})
    first, last = microseconds(date(1900, 1, 1)), microseconds(date(2101, 1, 1))
    within = [_formatted(pl.col("c"), form).is_between(first, last - 1).fill_null(False).all() for form in CALENDAR]
    fits = cells.select(**dict(zip(CALENDAR, within, strict=True))).row(0)
    return next((form for form, fit in zip(CALENDAR, fits, strict=True) if fit), None)


def _epoch(number: pl.Expr, unit: str) -> pl.Expr:
    micro = number.cast(pl.Float64, strict=False) * PER_UNIT[unit]
    return micro.round().cast(pl.Int64, strict=False)


def _unit(wanted: Wanted, sample: pl.Series | None) -> str:
    """From the size of the numbers: seconds reach 1e11 in the year 5138, milliseconds are there by 1973."""
    numbers = None if sample is None else sample.cast(pl.Float64, strict=False)
    form = None if numbers is None else calendar(numbers)
    if numbers is not None and form is not None:  # as seconds, 20240131 is in August 1970
        example: Any = numbers.max()
        raise InputError(
            f"column {wanted.column} ({wanted.name}): expected times, found numbers such as {example:.0f}, which "
            f'look like dates; say time_format = "{form}", or time_unit = "s" if they do count seconds'
        )
    middle: Any = None if numbers is None else numbers.abs().median()
    if middle is None or middle < 1e11:
        return "s"
    return "ms" if middle < 1e14 else "us" if middle < 1e17 else "ns"


def _parsed(cell: pl.Expr, form: str) -> pl.Expr:
    if not any(code in form for code in ("%H", "%I", "%T", "%R", "%s", "%c", "%X", "%r", "%k", "%l")):
        return cell.str.to_date(form, strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    return cell.str.to_datetime(form, time_unit="us", strict=False, time_zone="UTC" if "z" in form else None).dt.epoch(
        "us"
    )
