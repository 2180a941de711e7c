"""The rows of a query as a table: what a database hands over need not be of one type in a column."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data.spec import FileSpec

Rows = tuple[list[str], Sequence[Sequence[Any]]]


def answered(spec: FileSpec, path: Path | None) -> pl.DataFrame:
    """What the query of ``spec`` answers; ``path`` is the SQLite file, None = ``spec.path`` is a URL.

    A column of cells of several types is text (of bytes and others, bytes); the second column of a name has
    ``_duplicated_0`` behind it, as polars calls it. Raises ``InputError`` if the query cannot be answered.
    """
    if not spec.query:
        raise InputError(f'{spec.path}: a database needs query = "select ..."')
    try:
        names, rows = _sqlite(path, spec.query) if path is not None else _by_url(spec)
    except InputError:
        raise
    except Exception as error:  # every driver has exceptions of its own
        message = str(error).strip().split("\n")[0]
        raise InputError(f"{spec.path}: the query cannot be answered: {message}") from None
    seen: Counter[str] = Counter()
    columns = []
    for place, name in enumerate(names):
        called = f"{name}_duplicated_{seen[name] - 1}" if seen[name] else name
        seen[name] += 1
        columns.append(_column(called, [row[place] for row in rows]))
    return pl.DataFrame(columns)


def _sqlite(path: Path, query: str) -> Rows:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = _text_or_bytes  # or one wrong byte in any column would stop the reading
        cursor = connection.execute(query)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()


def _by_url(spec: FileSpec) -> Rows:
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise InputError(f"{spec.path}: reading a database by URL needs the extra sql (sqlalchemy)") from None
    try:
        engine = sqlalchemy.create_engine(os.path.expandvars(spec.path))
    except ModuleNotFoundError as error:
        raise InputError(f"{spec.path}: this database needs the Python package {error.name}") from None
    with engine.connect() as connection:
        result = connection.exec_driver_sql(spec.query or "")
        return list(result.keys()), result.fetchall()


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _column(name: str, cells: list[Any]) -> pl.Series:
    cells = [bytes(cell) if isinstance(cell, memoryview | bytearray) else cell for cell in cells]
    try:
        column = pl.Series(name, cells)
        if column.dtype != pl.Object:
            return column
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        pass
    texts = [_text(cell) for cell in cells]
    if any(isinstance(cell, bytes) for cell in cells):
        return pl.Series(name, [cell.encode() if isinstance(cell, str) else cell for cell in texts], pl.Binary)
    return pl.Series(name, texts, pl.String)


def _text(cell: Any) -> str | bytes | None:
    if cell is None or isinstance(cell, str | bytes):
        return cell
    if isinstance(cell, dict | list | tuple):
        return json.dumps(cell, default=str, ensure_ascii=False)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
