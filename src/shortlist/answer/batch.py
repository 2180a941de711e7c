"""Slates for a file of users, in batches, as a Parquet file."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist import answer
from shortlist.bundle import Bundle
from shortlist.component import InputError
from shortlist.data import State
from shortlist.data._look import look
from shortlist.data.sources.tables import ids
from shortlist.data.spec import AttributesSpec, microseconds
from shortlist.progress import emit, track
from shortlist.questions import BATCH


def moment(text: str) -> int:
    """Microseconds of an ISO 8601 moment, UTC unless it says otherwise."""
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError as error:
        raise InputError(f"--time {text}: expected ISO 8601 such as 1998-04-01T12:00:00") from error


def read_users(path: Path) -> list[str]:
    """Ids as the log's are read: a text file with one a line, or a table (csv, Parquet) with a column ``user``.

    Raises ``InputError`` for a file that is missing, empty or cannot be read, and a table without that column.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    seen = look(path)
    names = list(seen.columns)
    table = "user" in names or seen.format == "parquet" or (len(names) > 1 and seen.separator in ",;\t")
    if table and "user" not in names:
        raise InputError(f"{path}: expected one id a line, or a column user; found the columns {', '.join(names)}")
    how: dict[str, Any] = {"columns": {"user": "user"}}
    if seen.format == "csv":
        how |= {"encoding": seen.encoding, "separator": seen.separator, "quote": seen.quote}
    if not table:  # an id may hold what separates columns elsewhere, but hardly this sign
        cells = [cell for column in seen.columns.values() for cell in column]
        quoted = all(cell[:1] == cell[-1:] == '"' for cell in cells)
        how |= {"names": ["user"], "separator": "\x1f", "quote": '"' if quoted else ""}
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        return ids(AttributesSpec.model_validate({"path": str(path), **how}), "user", Path(scratch))


def known_users(users: list[str], bundle: Bundle, path: Path) -> list[str]:
    """``users`` once each; says how many the bundle does not know, and raises ``InputError`` if it knows none."""
    users = list(dict.fromkeys(users))
    unknown = [user for user in users if bundle.data.user_ids.code(user) < 0]
    if len(unknown) == len(users):
        raise InputError(f"{path}: none of its {len(users)} ids is a user of the bundle")
    if unknown:
        emit("warning", message=f"{len(unknown)} of {len(users)} users are not in the bundle, such as {unknown[0]!r}")
    return users


def score(
    bundle: Bundle, state: State, users: list[str], time: int, n: int = 10, explain: bool = False
) -> pl.DataFrame:
    """Columns user, rank (from 1), item, score, channels, on request reason; unknown users get what nobody gets."""
    parts: list[pl.DataFrame] = []
    schema = pl.Schema({"user": pl.String(), "rank": pl.Int32(), "item": pl.String(), "score": pl.Float32()})
    schema["channels"] = pl.List(pl.String())
    if explain:
        schema["reason"] = pl.String()
    codes = np.array([bundle.data.user_ids.code(user) for user in users], np.int32)
    for first in track(range(0, len(users), BATCH), "recommend"):
        batch = codes[first : first + BATCH]
        found = answer.recommend(bundle.pipeline, state, answer.requests_of(state, batch, time), n)
        told = answer.tell(found, bundle.pipeline, bundle.data, explain)
        lines = [
            {"user": users[first + number], "rank": place, **line}
            for number, slate in enumerate(told)
            for place, line in enumerate(slate, 1)
        ]
        parts.append(pl.DataFrame(lines, schema=schema, strict=False))
    return pl.concat([pl.DataFrame(schema=schema), *parts])
