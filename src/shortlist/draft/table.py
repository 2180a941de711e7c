"""A catalogue or a user table in a draft: its id, and its other columns by kind."""

from __future__ import annotations

import re

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._lists import entries
from shortlist.data.sources._scan import listed
from shortlist.draft.look import Look, is_number, list_of, time_of
from shortlist.draft.names import MEASURE, says
from shortlist.draft.written import MARKS, file, has_marks, inline, toml

TOLD = 8
"""Columns of the log that describe its items, or its users, in a draft."""
YEAR = r"\((\d{4})\)\s*$"
"""A year behind a title."""


def attributes(key: str, table: Look, log: Look, ids_in: str) -> list[str]:
    """A catalogue or user table: its id, and the other columns by kind; ``ids_in``: the log's column of such ids.

    Raises ``InputError`` where no column of the table holds ids of the log.
    """
    ids = set(log.filled(ids_in))
    overlap = {name: len(ids.intersection(table.filled(name))) for name in table.columns}
    column = max(overlap, key=lambda name: overlap[name])  # the first of equals
    if not overlap[column]:
        raise InputError(f"{table.path}: no column holds ids of the log's column {ids_in}; found {listed(overlap)}")
    names = {column: key} if not table.header else {}
    columns = [f"{key} = {toml(column if table.header else key)}"]
    skipped, titled = [], []
    for name in table.columns:
        if name == column:
            continue
        how, question = (
            _nested(table.nested[name], table.filled(name))
            if name in table.nested
            else kind_of(name, table.filled(name))
        )
        if question:
            columns.append(f"# question: {name}: {question}")
        if how is None:
            skipped += [] if question else [name]
            continue
        clean = re.sub(r"[^A-Za-z0-9_]+", "_", name.split(":")[0]).strip("_") or "attribute"
        if clean != name:
            how = {"column": name, **how}
        if how["kind"] in ("text", "category") and _dated(table.filled(name)):
            titled.append(clean)
        columns.append(f"{clean} = {toml(how['kind'])}" if list(how) == ["kind"] else f"{clean} = {inline(how)}")
    lines = file(table, names)
    if has_marks(table):
        lines.append(MARKS)
    lines.append(f"[data.{key}s.columns]" + ("" if table.header else "  # rename them in names as you like"))
    lines += columns
    if titled:
        lines += [f"# {titled[0]} ends with a year", f"[data.{key}s.derive]"]
        lines.append(f"year = {{ match = '{YEAR}', of = {toml(titled[0])}, kind = \"number\" }}")
    if skipped:
        lines.append(f"# not used (empty, constant, links or other ids): {', '.join(skipped)}")
    return lines


def from_log(log: Look, names: list[str]) -> list[str]:
    """Items or users described by columns of the log that go with them: at most ``TOLD``, the last said counts."""
    lines: list[str] = []
    for name in names:
        how, question = kind_of(name, log.filled(name))
        if how is None or how["kind"] not in ("category", "number") or question or len(lines) == TOLD:
            continue
        names_something = all(re.fullmatch(r"\d+", cell) for cell in set(log.filled(name))) and not says(name, MEASURE)
        how = {"kind": "category"} if names_something else how  # what an item decides and is whole is a group's number
        clean = re.sub(r"[^A-Za-z0-9_]+", "_", name.split(":")[0]).strip("_") or "attribute"
        lines.append(f"{clean} = {inline({'column': name, **how}) if clean != name else toml(how['kind'])}")
    return ['from = "log"', "columns = { " + ", ".join(lines) + " }"] if lines else []


Guess = tuple[dict[str, str] | None, str | None]
"""What a column is, None if it says nothing worth having or cannot be told; and the question left to its owner."""


def _dated(cells: list[str]) -> bool:
    """Whether nearly all texts end with a year."""
    return len(cells) > 20 and sum(bool(re.search(YEAR, cell)) for cell in cells) > 0.8 * len(cells)


def _nested(dtype: pl.DataType, cells: list[str]) -> Guess:
    """A column that holds lists or objects in the file itself."""
    inner = dtype
    while isinstance(inner, pl.List | pl.Array):
        inner = inner.inner  # type: ignore[assignment]
    if isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_float() and len({c.count("|") for c in cells}) == 1:
        return {"kind": "vector"}, None
    if inner is dtype:
        return None, "holds objects: name one field of it in a column of its own"
    fields = [each.name for each in inner.fields] if isinstance(inner, pl.Struct) else []
    if not fields or "name" in fields or len(fields) == 1:
        return {"kind": "list"}, None
    words = [each.name for each in inner.fields if each.dtype == pl.String] if isinstance(inner, pl.Struct) else []
    if len(words) == 1:
        return {"kind": "list", "field": words[0]}, None
    return None, f'lists of objects: which field is the name, {" or ".join(fields)}? (say field = "...")'


def kind_of(name: str, cells: list[str]) -> Guess:
    """Kind of an attribute and how it is written."""
    distinct = set(cells)
    if len(distinct) < 2 or sum(cell.startswith(("http://", "https://", "www.")) for cell in cells) > len(cells) / 2:
        return None, None
    in_brackets, question = list_of(cells)
    if in_brackets or question:
        return in_brackets, question
    when = time_of(cells)
    if when is not None:
        return {"kind": "time"} | {k: v for k, v in zip(("time_unit", "time_format"), when, strict=True) if v}, None
    if all(is_number(cell) for cell in distinct):
        if re.search(r"(^|_)(id|zip|code)s?$|Id$|ID$|categ|type|class|brand|group", name):
            return (None if len(distinct) > 0.9 * len(cells) else {"kind": "category"}), None
        whole = all(re.fullmatch(r"\d+", cell) for cell in distinct)
        return {"kind": "category" if whole and len(distinct) <= 10 else "number"}, None
    for separator in ("|", ";", ","):
        parts = [part for cell in cells for part in entries(cell, separator) or ()]
        several = sum(separator in cell for cell in cells)
        if several > 0.2 * len(cells) and len(set(parts)) < 0.3 * len(parts):
            unsure = "a list cut at commas: may one of its names hold a comma, or is it no list?"
            how = {"kind": "list"} | ({} if separator == "|" else {"separator": separator})
            return how, unsure if separator == "," else None
    mean = sum(map(len, cells)) / len(cells)
    return {"kind": "text" if len(distinct) > 0.5 * len(cells) and mean > 8 else "category"}, None
