"""What the columns of a plain table are, told by looking at all of their cells."""

from __future__ import annotations

import re

import polars as pl

from shortlist.data import iso
from shortlist.data.sources._convert import NO_NUMBER, plain, text
from shortlist.data.sources._scan import Scan

KINDS = ("category", "list", "number")
CODES = re.compile(r"(^|_)(id|zip|code|type|class|categ\w*|brand|group|hash)s?$|Id$|ID$")
"""Names of columns whose whole numbers are names of something."""
ALONE, ENOUGH = 0.9, 50
"""A category whose values are more than this share of so many rows says nothing of the next row: ids, free text."""
SAMPLE = 1_000
TIMES = "times; derive parts of them"


def told(opened: Scan, names: list[str], nulls: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The kinds of the columns ``names`` that can be learned from, and why the others cannot."""
    schema = opened.frame.collect_schema()
    kinds: dict[str, str] = {}
    left_out: dict[str, str] = {}
    flat: list[str] = []
    for name in names:
        dtype = schema[name]
        if isinstance(dtype, pl.List | pl.Array) and not dtype.inner.is_nested():
            kinds[name] = "list"
        elif dtype.is_nested():
            left_out[name] = "holds objects"
        elif dtype.is_temporal():
            left_out[name] = TIMES
        else:
            flat.append(name)
    looked = opened.frame.select(pl.struct(_looked(name, schema[name], nulls)).alias(name) for name in flat)
    found = looked.collect(engine="streaming") if flat else pl.DataFrame()
    for name in flat:
        kind, why = _kind(name, schema[name], found[name][0])
        if kind == "category" and why is None and _are_times(opened, name, schema[name]):
            why = TIMES
        if why is None:
            kinds[name] = kind
        else:
            left_out[name] = why
    return {name: kinds[name] for name in names if name in kinds}, left_out


def is_number(opened: Scan, name: str) -> bool:
    """Whether every cell of a column that says anything is a number."""
    dtype = opened.frame.collect_schema()[name]
    if dtype.is_numeric() or dtype.is_temporal() or dtype.is_nested():
        return dtype.is_numeric()
    found = opened.frame.select(pl.struct(_looked(name, dtype, [""])).alias(name)).collect()[name][0]
    return bool(found["filled"] == found["numbers"])


def _looked(name: str, dtype: pl.DataType, nulls: list[str]) -> list[pl.Expr]:
    cell = text(plain(name, dtype), dtype).str.strip_chars()
    cell = pl.when(~cell.is_in(["", *nulls, *NO_NUMBER])).then(cell)
    number = cell.cast(pl.Float64, strict=False)
    return [
        cell.count().alias("filled"),
        cell.len().alias("rows"),
        cell.n_unique().alias("distinct"),  # the missing among them
        number.count().alias("numbers"),
        (number == number.round()).all().alias("whole"),
        cell.str.contains(r"^[+-]?0[0-9]").any().alias("padded"),
        (number.diff() == 1).sum().alias("steps"),
    ]


def _kind(name: str, dtype: pl.DataType, found: dict[str, int]) -> tuple[str, str | None]:
    """What a column is, and why it says nothing where that is so."""
    if not found["filled"]:
        return "category", "empty"
    if found["distinct"] == 1:
        return "category", "always the same"
    if found["steps"] == found["rows"] - 1 >= ENOUGH:
        return "category", "counts the rows"
    codes = bool(CODES.search(name)) and bool(found["whole"])
    if found["numbers"] == found["filled"] and not found["padded"] and not codes and dtype != pl.Boolean:
        return "number", None
    alone = found["distinct"] > ALONE * found["filled"] and found["filled"] >= ENOUGH
    return "category", "another in almost every row" if alone else None


def _are_times(opened: Scan, name: str, dtype: pl.DataType) -> bool:
    if dtype != pl.String:
        return False
    cells = opened.frame.select(pl.col(name)).drop_nulls().head(SAMPLE).collect()[name]
    cells = cells.filter(~cells.str.contains(r"^[0-9]{1,8}$"))  # codes may read as dates
    return bool(len(cells)) and iso.micro(cells).null_count() < 0.01 * len(cells)


__all__ = ["KINDS", "is_number", "told"]
