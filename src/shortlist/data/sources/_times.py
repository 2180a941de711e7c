"""Times as people, databases and languages write them, to microseconds since 1970, UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

PER_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
ISO = (
    r"^(?P<year>\d{4})(?:-(?P<month>\d\d)-(?P<day>\d\d)|(?P<month2>\d\d)(?P<day2>\d\d))"
    r"(?:(?:[Tt]| +)(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?)?)?"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?: [A-Z]{1,5}|\[[A-Za-z0-9_+/-]+\])?)?$"
)
"""ISO 8601: a date, or a date and a time, in extended or basic format; a blank for the T, hours alone, a comma before
the fraction, offsets of hours, and the zone's name that Java and Go add. Without an offset it is UTC. Eight digits
alone are a date too, but a number to everybody else: see ``dated``."""
_ISO = re.compile(ISO)
_DIGITS = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2, "%j": 3, "%y": 2}
_DATED = {  # digits -> (format, pattern): numbers that look like dates
    4: ("%Y", r"(19|20)\d\d"),
    6: ("%Y%m", r"(19|20)\d\d(0[1-9]|1[0-2])"),
    8: ("%Y%m%d", r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    10: ("%Y%m%d%H", r"(199|20[0-3])\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])"),
    12: ("%Y%m%d%H%M", r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d"),
    14: ("%Y%m%d%H%M%S", r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d"),
}


def is_iso(cell: str) -> bool:
    """Whether a cell is a time by ISO 8601; a number is not."""
    return bool(_ISO.match(cell)) and not cell.isdigit()


def dated(cells: Sequence[str]) -> str | None:
    """The format of whole numbers that look like dates, ``20240131``: every one of them does; else None."""
    digits = {len(cell) for cell in cells}
    if len(digits) != 1 or (found := _DATED.get(digits.pop())) is None:
        return None
    form, pattern = found
    return form if all(re.fullmatch(pattern, cell) for cell in cells) else None


def iso(cell: pl.Expr) -> pl.Expr:
    """Text by ``ISO``; null where it is none."""
    return cell.map_batches(_iso_of, pl.Int64, is_elementwise=True)


def _iso_of(cells: pl.Series) -> pl.Series:
    """The commonest ways by the parser alone, seven times as fast; what does not fit by the whole pattern."""
    column = pl.col("c")
    form = next((form for pattern, form in _PLAIN.items() if re.match(pattern, str(cells.drop_nulls().first()))), None)
    if form is None:
        return cells.to_frame("c").select(_any_iso(column)).to_series()
    quick = cells.to_frame("c").with_columns(t=written(column, form))
    rest = quick.filter(column.is_not_null() & pl.col("t").is_null())
    if not rest.height:
        return quick["t"]
    place = (quick["c"].is_not_null() & quick["t"].is_null()).arg_true()
    return quick["t"].scatter(place, rest.select(_any_iso(column)).to_series())


_PLAIN = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$": "%Y-%m-%dT%H:%M:%S%.fZ",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$": "%Y-%m-%dT%H:%M:%S%.f",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$": "%Y-%m-%d %H:%M:%S%.f",
    r"\d{4}-\d\d-\d\d$": "%Y-%m-%d",
}


def _any_iso(cell: pl.Expr) -> pl.Expr:
    part = cell.str.extract_groups(ISO).struct.field
    month, day = (pl.coalesce(part(name), part(f"{name}2")) for name in ("month", "day"))
    clock = [part(name).fill_null("00") for name in ("hour", "minute", "second")]
    zone = part("zone").fill_null("+00").str.replace(r"(?i)^(Z|UTC|GMT)$", "+00").str.replace(":", "")
    zone = pl.when(zone.str.len_bytes() == 3).then(zone + "00").otherwise(zone)
    stamp = pl.concat_str(
        [part("year"), month, day, pl.lit("T"), *clock, pl.lit("."), part("fraction").fill_null("0"), zone]
    )
    return stamp.str.to_datetime("%Y%m%dT%H%M%S%.f%z", time_unit="us", strict=False, time_zone="UTC").dt.epoch("us")


def written(cell: pl.Expr, form: str) -> pl.Expr:
    """Text by a format of strftime; null where it does not fit."""
    if form in ("%Y", "%Y%m", "%Y-%m", "%Y/%m", "%m/%Y"):  # no date to the parser, which wants a day
        whole = pl.when(cell.str.len_chars() == len(form.replace("%Y", "2024").replace("%m", "01"))).then(cell)
        cell, form = (whole + "-01", form + "-%d") if "%m" in form else (whole + "-01-01", "%Y-%m-%d")
    if not any(code in form for code in ("%H", "%I", "%T", "%R", "%s", "%c", "%X", "%r", "%k", "%l")):
        return cell.str.to_date(form, strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    if "%H" in form and "%M" not in form:  # no time to the parser either
        cell, form = cell + ":00", form + ":%M"
    zone = "UTC" if "z" in form else None
    return cell.str.to_datetime(form, time_unit="us", strict=False, time_zone=zone).dt.epoch("us")


def padded(cell: pl.Expr, form: str) -> pl.Expr:
    """A number as the text that a format of digits alone was written as: 1012024 by ``%d%m%Y`` is 01012024."""
    codes = re.findall(r"%[A-Za-z]", form)
    if "".join(codes) != form or not all(code in _DIGITS for code in codes):
        return cell
    return cell.str.zfill(sum(_DIGITS[code] for code in codes))


def epoch(number: pl.Expr, unit: str) -> pl.Expr:
    """Numbers counted from 1970."""
    return (number.cast(pl.Float64, strict=False) * PER_UNIT[unit]).round().cast(pl.Int64, strict=False)


def unit_of(numbers: pl.Series | None) -> str:
    """From the size of the numbers: seconds reach 1e11 in the year 5138, milliseconds are there by 1973."""
    middle: Any = None if numbers is None else numbers.cast(pl.Float64, strict=False).abs().median()
    if middle is None or middle < 1e11:
        return "s"
    return "ms" if middle < 1e14 else "us" if middle < 1e17 else "ns"
