"""The answer of a database as a table, whatever its columns hold."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data.spec import FileSpec

SLICE = 100_000


def answered(spec: FileSpec, path: Path | None) -> tuple[pl.DataFrame, str]:
    """The rows of ``spec.query`` and a digest of them; ``path``: a SQLite file, else ``spec.path`` is a URL.

    A column of values of several types is text, as a csv would have it.
    Raises ``InputError`` without a query, without the extra for URLs, and for what the database refuses.
    """
    if not spec.query:
        raise InputError(f'{spec.path}: a database needs query = "select ..."')
    try:
        if path is not None:
            with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
                cursor = connection.execute(spec.query)
                names, rows = [column[0] for column in cursor.description], cursor.fetchall()
        else:
            try:
                import sqlalchemy
            except ModuleNotFoundError:
                raise InputError(f"{spec.path}: reading a database by URL needs the extra sql (sqlalchemy)") from None
            with sqlalchemy.create_engine(os.path.expandvars(spec.path)).connect() as connected:
                found = connected.execute(sqlalchemy.text(spec.query))
                names, rows = list(found.keys()), [tuple(row) for row in found]
    except InputError:
        raise
    except Exception as error:  # every driver has exceptions of its own
        message = str(error).strip().split("\n")[0]
        raise InputError(f"{spec.path}: the query cannot be answered: {message}") from None
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{spec.path}: the query gives the column {twice[0]} twice; name each with as")
    digest = hashlib.sha256(spec.query.encode())
    for first in range(0, len(rows), SLICE):
        digest.update(repr(rows[first : first + SLICE]).encode())
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    table = pl.DataFrame([_series(name, values) for name, values in zip(names, columns, strict=True)])
    return table, digest.hexdigest()


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [_word(value) for value in values]
    try:
        return pl.Series(name, values)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        return pl.Series(name, [_word(value) for value in values], dtype=pl.String)


def _word(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value is None else str(value)
