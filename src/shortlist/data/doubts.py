"""What can be read but hardly be meant: times that cannot be, and tables that share no ids with the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from shortlist.durations import stamp
from shortlist.types import Int64

if TYPE_CHECKING:
    from shortlist.data.raw import Raw

YEAR_1971, YEAR_1990, YEAR_2200 = 31_536_000_000_000, 631_152_000_000_000, 7_258_118_400_000_000
SLACK = 60_000_000
"""Microseconds by which the clocks of two machines may differ."""
FEW = 0.01
"""Tables that share less than this part of the smaller one's ids share them by chance."""
_IF: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "without blanks around them": lambda ids: ids.str.strip_chars(),
    "without .0": lambda ids: ids.str.replace(r"\.0+$", ""),
    "without leading zeros": lambda ids: ids.str.strip_chars_start("0"),
    "in small letters": lambda ids: ids.str.to_lowercase(),
}
"""What ids are often written with in one table and without in another."""


def doubts(raw: Raw, now: int) -> tuple[str, ...]:
    """A line for everything in the tables that can hardly be meant; ``now`` in microseconds."""
    ordered = raw.clock != "time"
    lines = [] if ordered else [f"events: {line}" for line in times(raw.events["time"].to_numpy(), now)]
    for name, table in (("exposures", raw.exposures), ("ties", raw.ties)):
        if table is not None and "time" in table.columns:
            lines += [f"{name}: {line}" for line in times(table["time"].drop_nulls().to_numpy(), now)]
    for name, table in (("items", raw.items), ("users", raw.users)):
        for column, kind in raw.kinds.get(name, {}).items() if table is not None else ():
            if kind == "time" and ordered:
                lines.append(f"{name}: {column} is a date, and the log is order only: its age then says nothing")
            elif kind == "time" and table is not None:
                lines += [f"{name}: {column}: {line}" for line in dates(table[column].drop_nulls().to_numpy())]
    return (*lines, *_strangers(raw))


def times(time: Int64, now: int) -> list[str]:
    """What is doubtful about when things happened: before 1990, or ahead of ``now``. All in microseconds."""
    lines = []
    early, ahead = time < YEAR_1990, time > now + SLACK
    if early.any():
        lines.append(
            f"{_share(early)} times lie before 1990, the first at {_minute(time.min())}: "
            "is it another time_unit or time_format, or a 0 for none?"
        )
    if ahead.any():
        lines.append(
            f"{_share(ahead)} times lie ahead of the clock ({_minute(now)}), the last at {_minute(time.max())}: "
            "is a local time read as UTC, is it another time_unit, or a date for none? Answers stand at the last one"
        )
    return lines


def dates(time: Int64) -> list[str]:
    """What is doubtful about dates that may be old or planned: past 2200, or most of them in 1970."""
    far, zero = time >= YEAR_2200, (time >= 0) & (time < YEAR_1971)
    lines = []
    if far.any():
        lines.append(f"{_share(far)} dates lie past 2200, the last at {_minute(time.max())}: is it another time_unit?")
    if zero.sum() > len(time) / 2:
        lines.append(f"{_share(zero)} dates lie in 1970: is it another time_unit or time_format?")
    return lines


def _minute(moment: int) -> str:
    """2024-01-05T10:00, in any year."""
    return stamp(moment).partition(".")[0][:-3]


def _share(where: np.ndarray) -> str:
    return f"{int(where.sum()):,} of {len(where):,}"


def _strangers(raw: Raw) -> Iterator[str]:
    users, items = raw.events["user"], raw.events["item"]
    if raw.items is not None:
        yield from _apart("items", "item", raw.items["item"], items, "the log")
        items = pl.concat([items, raw.items["item"]])
    if raw.users is not None:
        yield from _apart("users", "user", raw.users["user"], users, "the log")
        users = pl.concat([users, raw.users["user"]])
    known = "log and catalogue" if raw.items is not None else "the log"
    people = "log and users" if raw.users is not None else "the log"
    if raw.exposures is not None:
        yield from _apart("exposures", "item", raw.exposures["item"], items, known)
        yield from _apart("exposures", "user", raw.exposures["user"], users, people)
    if raw.triples is not None:
        ends = pl.concat([raw.triples["head"], raw.triples["tail"]])
        yield from _apart("triples", "head or tail", ends, items, known)
    if raw.ties is not None:
        yield from _apart("ties", "user or friend", pl.concat([raw.ties["user"], raw.ties["friend"]]), users, people)


def _apart(table: str, column: str, found: pl.Series, known: pl.Series, where: str) -> Iterator[str]:
    """A line if hardly an id of ``found`` is among ``known``."""
    found, known = (ids.drop_nulls().unique().sort().alias("id") for ids in (found, known))
    if not len(found) or not len(known):
        return
    shared = int(found.is_in(known.implode()).sum())
    if shared and shared >= FEW * min(len(found), len(known)):
        return
    line = f"{table}: {shared:,} of {len(found):,} ids ({column}) occur in {where}"
    line += f", such as {found[0]!r} here and {known[0]!r} there"
    for how, change in _IF.items():
        here, there = (ids.to_frame().select(change(pl.col("id"))).to_series().unique() for ids in (found, known))
        same = int(here.is_in(there.implode()).sum())
        if same > max(shared, 0.5 * min(len(here), len(there))):
            line += f"; {how} {same:,} would"
            break
    yield line
