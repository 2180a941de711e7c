"""Cells of a file to the types of ``Raw``, as polars expressions, and which cells cannot be converted.

What a column is declared to be goes for every type it may have in a file: a category, an enum or bytes are text, and a
number is what a csv would have in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources import _lists as lists
from shortlist.data.sources import _times as times

NO_NUMBER = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N"]
TRUTH = {"true": "1", "false": "0"}
KINDS = {"id": "an id", "category": "a value", "text": "a value", "number": "a number", "time": "a time"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One column to read: from where, as what, and whether it may be missing."""

    name: str
    column: str
    kind: str  # id, category, text, list, number, time
    required: bool = False
    least: float | None = None  # smaller numbers are faults
    separator: str = "|"
    field: str | None = None  # of the objects in a list
    unit: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The value of a column, where it is at fault, and what was expected there."""

    value: pl.Expr
    fault: pl.Expr
    expected: str


def convert(wanted: Wanted, dtype: pl.DataType, nulls: list[str], sample: pl.Series) -> Converted:
    """Expressions for one column; ``sample``, its first cells that are there, tells how it is written.

    Raises ``InputError`` where a column of this type cannot be what it is declared to be, or where its numbers may be
    dates.
    """
    if refused := _refused(wanted, dtype):
        raise InputError(f"column {wanted.column} ({wanted.name}): {refused}")
    cell = pl.col(wanted.column)
    if wanted.kind == "list":
        cell, value, expected = _list(cell, dtype, wanted, nulls, sample)
    else:
        if not dtype.is_temporal() and (text_like(dtype) or nulls not in ([], [""])):
            word = as_text(cell, dtype)
            cell = pl.when(~word.is_in(nulls)).then(word if text_like(dtype) else cell) if nulls else word
        dtype = pl.String() if text_like(dtype) else dtype
        if dtype.is_float():
            cell = cell.fill_nan(None)
        if wanted.kind == "time":
            cell, value, expected = _time(cell, dtype, wanted, sample)
        elif wanted.kind == "number":
            cell, value, expected = _number(cell, dtype)
        else:
            value, expected = _word(cell, dtype, sample), KINDS[wanted.kind]
    fault = value.is_null() if wanted.required else value.is_null() & cell.is_not_null()
    if wanted.least is not None:
        fault = fault | (value < wanted.least).fill_null(False)
        expected += f" of at least {wanted.least:g}"
    return Converted(value.alias(wanted.name), fault, expected)


def text_like(dtype: pl.DataType) -> bool:
    """Whether a type is text by some name; a column of nothing but nulls is."""
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary | pl.Null)


def as_text(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A cell as a csv would have it; a whole number without its point, as pandas has made of it one with gaps."""
    if dtype.is_float():
        whole = cell.cast(pl.Int64, strict=False)
        return pl.when(whole == cell).then(whole.cast(pl.String)).otherwise(cell.cast(pl.String))
    return cell.cast(pl.String, strict=False)


def _refused(wanted: Wanted, dtype: pl.DataType) -> str:
    """Why a column of this type cannot be what is wanted; "" if it can."""
    kind = wanted.kind
    if kind == "list":
        return "" if dtype.is_nested() or not dtype.is_temporal() else f"expected lists, found {dtype}"
    if dtype.is_nested() or isinstance(dtype, pl.Object):
        hint = '; is it kind = "list"?' if isinstance(dtype, pl.List | pl.Array) else ""
        return f"expected {KINDS[kind]} in each cell, found {_called(dtype)}{hint}"
    if kind == "number" and dtype.is_temporal():
        return f'expected numbers, found {dtype}; is it kind = "time"?'
    if kind == "time" and isinstance(dtype, pl.Time | pl.Duration | pl.Boolean):
        return f"expected times with a date, found {dtype}"
    return ""


def _called(dtype: pl.DataType) -> str:
    """A nested type in words."""
    if isinstance(dtype, pl.Struct):
        return f"objects with the fields {', '.join(field.name for field in dtype.fields)}"
    return "lists" if isinstance(dtype, pl.List | pl.Array) else str(dtype)


def _word(cell: pl.Expr, dtype: pl.DataType, sample: pl.Series) -> pl.Expr:
    """Ids, categories and texts. Where every cell looks like 7.0, a whole number had gaps, and it is 7."""
    word = as_text(cell, dtype)
    if not dtype.is_numeric() and dtype != pl.String:
        return word
    cells = sample.to_frame("c").select(as_text(pl.col("c"), sample.dtype)).to_series().drop_nulls()
    if len(cells) and cells.str.contains(r"^-?\d+\.0+$").all():
        return word.str.replace(r"^(-?\d+)\.0+$", "${1}")
    return word


def _number(cell: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr, str]:
    if dtype == pl.String:
        cell = cell.str.strip_chars()
        cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
        low = cell.str.to_lowercase()
        number = pl.when(low.is_in(list(TRUTH))).then(low.replace(TRUTH)).otherwise(cell)
    else:
        number = cell
    value = number.cast(pl.Float64, strict=False).cast(pl.Float32)  # finite as it is kept, not only as it is written
    return cell, pl.when(value.is_finite()).then(value), "a number"


def _time(cell: pl.Expr, dtype: pl.DataType, wanted: Wanted, sample: pl.Series) -> tuple[pl.Expr, pl.Expr, str]:
    if dtype.is_temporal():
        return cell, cell.cast(pl.Datetime("us")).dt.epoch("us"), "a time"
    cells = sample.to_frame("c").select(as_text(pl.col("c"), sample.dtype).str.strip_chars()).to_series()
    cells = cells.filter(~cells.is_in(["", *NO_NUMBER])).drop_nulls()
    if dtype == pl.String:
        cell = cell.str.strip_chars()
        cell = pl.when(~cell.is_in(["", *NO_NUMBER])).then(cell)
    if wanted.format is not None:
        text = cell if dtype == pl.String else times.padded(as_text(cell, dtype), wanted.format)
        return (
            cell,
            times.written(text, wanted.format),
            "a year" if wanted.format == "%Y" else f"a time written {wanted.format}",
        )
    numbers = cells.cast(pl.Float64, strict=False)
    if dtype.is_numeric() or wanted.unit is not None or (len(cells) and numbers.null_count() < len(cells)):
        if wanted.unit is None and (form := times.dated(cells.str.replace(r"\.0+$", "").to_list())):
            raise InputError(
                f"column {wanted.column} ({wanted.name}): numbers such as {cells[0]} look like dates: say "
                f'time_format = "{form}", or time_unit = "s" (ms, us, ns) if they count from 1970'
            )
        unit = wanted.unit or times.unit_of(numbers)
        return cell, times.epoch(cell, unit), f"a time in {times.WORDS[unit]} since 1970"
    return cell, times.iso(cell), "an ISO 8601 time (2024-05-31 or 2024-05-31T12:00:00Z)"


def _list(
    cell: pl.Expr, dtype: pl.DataType, wanted: Wanted, nulls: list[str], sample: pl.Series
) -> tuple[pl.Expr, pl.Expr, str]:
    """Lists of text without what is missing or blank; an empty one is a missing one."""
    expected = "a list"
    if isinstance(dtype, pl.List | pl.Array):
        value = _entries(cell, dtype, wanted)
        there = cell.is_not_null() & False  # whatever is in it, it is a list
    else:
        text = as_text(cell, dtype).str.strip_chars()
        text = pl.when(~text.is_in(["", *nulls])).then(text)
        known = sample.to_frame("c").select(as_text(pl.col("c"), sample.dtype)).to_series().drop_nulls().to_list()
        bracketed = wanted.separator == lists.LITERAL or lists.looks_literal([c.strip() for c in known if c.strip()])
        if bracketed:
            fields = next((found for c in known if (found := lists.fields(c))), [])
            if fields and wanted.field not in fields:
                raise InputError(f"column {wanted.column} ({wanted.name}): {_which(fields, wanted.field)}")
            value, expected = lists.literal(text, wanted.field), 'a list such as ["a", "b"], [1, 2] or {a,b}'
            there = text.is_not_null() & value.is_null()
        else:
            value, there = lists.cut(text, wanted.separator), text.is_not_null() & False
    value = value.list.eval(pl.element().filter(~pl.element().is_in(["", *nulls])))
    value = pl.when(value.list.len() > 0).then(value)
    return pl.when(there).then(True), value, expected


def _entries(cell: pl.Expr, dtype: pl.DataType, wanted: Wanted) -> pl.Expr:
    """Real lists as lists of text; lists within them are laid out flat, of objects it is one field."""
    inner = dtype.inner  # type: ignore[attr-defined]
    while isinstance(inner, pl.List | pl.Array):
        cell, inner = cell.list.eval(pl.element().explode().drop_nulls()), inner.inner
    cell = cell.arr.to_list() if isinstance(dtype, pl.Array) else cell
    if isinstance(inner, pl.Struct):
        fields = {field.name: field.dtype for field in inner.fields}
        if wanted.field not in fields:
            raise InputError(f"column {wanted.column} ({wanted.name}): {_which(list(fields), wanted.field)}")
        cell, inner = cell.list.eval(pl.element().struct.field(wanted.field)), fields[wanted.field]
    words = as_text(pl.element(), inner).str.strip_chars()
    return cell.list.eval(words).list.drop_nulls()


def _which(fields: list[str], field: str | None) -> str:
    """What to say of lists of objects whose name is in a field that is not stated."""
    found = f"found no field {field!r} in" if field is not None else "expected lists of names, found"
    return f'{found} objects with the fields {", ".join(fields)}; say field = "{lists.naming(fields)}"'
