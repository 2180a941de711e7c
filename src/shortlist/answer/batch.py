"""Slates for a file of users, in batches, as a Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from shortlist import answer
from shortlist.bundle import Bundle
from shortlist.component import InputError
from shortlist.data import State, iso
from shortlist.progress import emit, track
from shortlist.questions import BATCH


def moment(text: str, option: str = "--time") -> int:
    """Microseconds of an ISO 8601 moment, UTC unless it says otherwise; raises ``InputError`` naming the option."""
    found = iso.moment(text)
    if found is None:
        raise InputError(f"{option} {text}: expected ISO 8601 such as 1998-04-01T12:00:00")
    return found


def known_users(users: list[str], bundle: Bundle, path: Path) -> list[str]:
    """``users`` once each; says how many the bundle does not know, and raises ``InputError`` if it knows none."""
    known = bundle.data.user_ids.code
    # Blanks around an id are the list's, unless the bundle knows it so.
    users = list(dict.fromkeys(user if known(user) >= 0 else user.strip() for user in users if user.strip()))
    unknown = [user for user in users if known(user) < 0]
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
