"""One column of ids of a file, such as the people to answer, looked at as the tables of a recipe are."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import Wanted, convert
from shortlist.data.sources._packed import beginning
from shortlist.data.sources._scan import Scan, explained, form, listed, located, scan
from shortlist.data.spec import FileSpec

COLUMNS = ",;\t"
LINES = "\x1f"
"""A separator that no text has: every line is one cell, in quotes where it needs them."""


def read(path: Path, key: str) -> list[str]:
    """Ids in the order of the file, as a table's column ``key`` would give them; cells without one are left out.

    A text file has one id a line, or a header with ``key`` or ``key_id`` and any other columns; a Parquet file has such
    a column. Raises ``InputError`` for anything else.
    """
    spec = FileSpec(path=str(path))
    located(spec, None)
    named = {key, f"{key}_id"}
    if form(spec) == "csv":
        spec = _described(spec, path, named)
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        opened = scan(spec, None, Path(scratch))
        column = next((name for name in opened.names if name in named or spec.header is False), None)
        if column is None:
            raise InputError(f"{path}: expected a column {key}, found {listed(opened.names)}")
        try:
            return _cells(opened, spec, column)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise explained(error, spec, path) from None


def _cells(opened: Scan, spec: FileSpec, column: str) -> list[str]:
    wanted = Wanted("id", column, "id", required=True)
    value = convert(wanted, opened.frame.collect_schema()[column], spec.null_values).value
    return opened.frame.select(value).drop_nulls().collect().to_series().to_list()


def _described(spec: FileSpec, path: Path, named: set[str]) -> FileSpec:
    """How a text file is written: a table with one of ``named`` in its header, or one id a line."""
    text, encoding = beginning(path)
    encoding = "utf-8" if encoding == "latin-1" else encoding  # a guess: the reader shall name the line
    first = next(line for line in text.splitlines() if line.strip() and not line.strip('"').startswith("sep="))
    rows = {separator: next(csv.reader([first], delimiter=separator)) for separator in COLUMNS}
    for separator, cells in rows.items():
        if named.intersection(map(str.strip, cells)):
            return spec.model_copy(update={"separator": separator, "encoding": encoding})
    if any(len(cells) > 1 for cells in rows.values()):
        raise InputError(
            f"{path}: expected one id a line, or a header with a column {min(named, key=len)}, "
            f"found the columns {first!r}"
        )
    return FileSpec(path=str(path), separator=LINES, header=False, encoding=encoding)
