"""The ``[data]`` section of a draft: which files, which columns of them are what, and every question left open."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from shortlist.data.doubts import times
from shortlist.draft.columns import SCALE, moments_of
from shortlist.draft.look import ABSENT, Look, is_number, look, sequences
from shortlist.draft.names import QUANTITIES, says, strength
from shortlist.draft.roles import ROLE_NAMES, Roles, roles
from shortlist.draft.table import attributes, from_log
from shortlist.draft.written import MARKS, file, has_marks, key, toml

SPLIT = "split = { tune = 0.7, rank = 0.8, test = 0.9 }  # fractions of the events by time"


def section(
    events: Path | str,
    items: Path | str | None = None,
    users: Path | str | None = None,
    given: Mapping[str, str] | None = None,
) -> list[str]:
    """The lines of ``[data]`` that read these files, with what was guessed and what is asked in comments.

    ``given`` names the columns that are known: role (``user``, ``item``, ``time``, ``event``, ``value``) -> column.
    Raises ``InputError`` if a file is missing or empty, or has no two columns that could be the user and the item.
    """
    if (apart := sequences(Path(events))) is not None:
        return _sequences(Path(events), apart)  # its lines differ in length: no table to look at
    log = look(Path(events))
    tables = {"items": items, "users": users}
    seen = {name: None if path is None else look(Path(path)) for name, path in tables.items()}
    found = roles(log, given or {}, seen["items"], seen["users"])
    lines = [
        "[data]",
        'source = "tables"',
        SPLIT,
        *_positive(log, found),
        "",
        "[data.events]",
        *file(log, found.called),
        *_written(log, found),
        *_strengths(found),
        *_columns(log, found),
        *_filters(found),
    ]
    for name, table in seen.items():
        role = name[:-1]
        if table is not None:
            lines += ["", f"[data.{name}]", *attributes(role, table, log, found[role])]
        elif told := from_log(log, found.attributes.get(role, [])):
            lines += ["", f"[data.{name}]  # what the log tells of its {name}, as of each request", *told]
    return lines


def _sequences(path: Path, apart: str) -> list[str]:
    """A log of one user a line."""
    separator = [] if apart == " " else [f"separator = {toml(apart)}"]
    return [
        *("[data]", 'source = "tables"', SPLIT, "", "[data.events]", f"path = {toml(str(path))}  # relative to --data"),
        'layout = "sequences"  # a user and what they took, the oldest first; such a log has no times',
        *separator,
    ]


def least_positive(values: Iterable[float]) -> float | None:
    """The rating from seven tenths of the scale on; None if the values are no rating scale."""
    scale = sorted(set(values))
    if not 1 < len(scale) <= SCALE:
        return None
    return next(value for value in scale if value >= scale[0] + 0.7 * (scale[-1] - scale[0]) - 1e-9)


def _positive(log: Look, found: Roles) -> list[str]:
    if "event" in found or "value" not in found:
        return ["# positive = { buy = true }  # which events count as right; as it stands, every event does"]
    scale = {float(cell) for cell in log.filled(found["value"]) if is_number(cell)}
    least = least_positive(scale)
    if least is None:
        return ["# positive = { rating = 1 }  # the values are no rating scale: say from where on they count as right"]
    span = f"{min(scale):g} to {max(scale):g}"
    return [f"positive = {{ rating = {least:g} }}  # ratings go from {span}; lower ones stay in the history"]


def _written(log: Look, found: Roles) -> list[str]:
    """How missing cells and times are written, with what is odd about the times."""
    lines = []
    absent = sorted({cell for cell in log.columns[found["user"]] if cell in ABSENT and cell})
    if absent:
        lines.append(f"null_values = {toml(['', *absent])}  # events of nobody known")
    elif has_marks(log):
        lines.append(MARKS)
    if "time" not in found:
        lines.append(
            'time = "row"  # question: no column is a time; are the rows in the order in which things happened?'
        )
    elif not found.order:
        column = found.columns[found["time"]]
        unit, form = column.when or (None, None)
        lines += [f"time_unit = {toml(unit)}"] if unit else []
        lines += [f"time_format = {toml(form)}"] if form else []
        moments = moments_of(column)
        lines += [f"# question: {line}" for line in times(moments[moments >= 0], time.time_ns() // 1000)]
    return lines


def _columns(log: Look, found: Roles) -> list[str]:
    """A line for each column that has a role, the question left open on it; a file without a header names them."""
    mapped = log.header or found.order or found.also is not None
    lines = ["[data.events.columns]"] if mapped else []
    for role, guess in found.guesses.items():
        name = ROLE_NAMES.get(role, role)
        question = f"  # question: {guess.question}" if guess.question else ""
        column = toml(guess.column if log.header else found.called.get(guess.column, guess.column))
        if role == "time" and found.also is not None:
            continue
        if role == "time" and found.order:
            lines.append(f'time = {{ column = {column}, kind = "order" }}{question}')
        elif mapped:
            lines.append(f"{name} = {column}{question}")
        elif question:
            lines.append(f"# question: {name}: {guess.question}")
    if found.also is not None:
        pair = f"{{ first = {toml([found['time'], found.also])} }}"
        lines += ["[data.events.derive]", f"time = {pair}  # question: {found.guesses['time'].question}"]
    unused = [name for name in log.columns if name not in found.used]
    if unused:
        lines.append(f"# not used: {', '.join(unused[:20])}{', ...' if len(unused) > 20 else ''}")
    return lines


def _strengths(found: Roles) -> list[str]:
    if "event" not in found:
        return []
    worth = {event: strength(event) or 1 for event in found.columns[found["event"]].values}
    known = sorted(worth, key=lambda event: (worth[event], event))
    inside = ", ".join(f"{key(event)} = {worth[event]}" for event in known)
    return [f"strengths = {{ {inside} }}  # what each event is worth: a guess"]


def _filters(found: Roles) -> list[str]:
    """Rows that are no event: a number of things below zero is what came back."""
    lines = [f"{key(name)} = {{ min = 0 }}  # below zero where things came back" for name in returned(found)]
    return ["[data.events.filters.columns]", *lines] if lines else []


def returned(found: Roles) -> list[str]:
    """Columns of numbers that are below zero in a few rows, as quantities of goods sent back are."""
    told = []
    for name, column in found.columns.by_name.items():
        numbers = column.numbers
        if name not in found.used and numbers is not None and says(name, QUANTITIES):
            below = np.isin(column.codes, np.flatnonzero(numbers < 0)).mean()
            told += [name] if 0 < below < 0.2 else []
    return told
