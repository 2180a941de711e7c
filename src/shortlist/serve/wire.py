"""What comes in over HTTP and goes out: shapes, limits, and how raw ids and moments become codes and microseconds.

Ids are strings of 1 to 256 characters. A moment is an ISO 8601 string (UTC where it names no zone) or an integer number
of microseconds since 1970-01-01 UTC. A moment up to a minute ahead of the service's clock is taken as now; one more
than ten years before the log is refused: it is a number of another unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from shortlist.component import InputError
from shortlist.data import Dataset
from shortlist.data.doubts import YEAR_1990
from shortlist.durations import stamp
from shortlist.serve.clock import SKEW
from shortlist.serve.store import Record, digest
from shortlist.serve.view import View
from shortlist.types import Array, Int32, Ragged

SHOWN = "shown"
"""The name under which it is posted that an item was shown, where the log has no behaviour of that name."""
MAX_N = 500
MAX_EVENTS = 1000
MAX_LIST = 10_000
LATEST = 4_102_444_800_000_000
"""2100-01-01: a number above it is not microseconds."""


def microseconds(value: Any) -> int | None:
    """A moment as microseconds; raises ``ValueError`` saying what was expected."""
    if value is None:
        return None
    expected = "expected ISO 8601 or an integer number of microseconds since 1970"
    if isinstance(value, str):
        try:
            if value.isdigit() and len(value) != len("20240105"):
                raise ValueError("a number in quotes")
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{expected}, found {value[:40]!r}") from error
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        value = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST:
        raise ValueError(f"{expected} and before 2100, found {str(value)[:40]}{_nanoseconds(value)}")
    return value


def _nanoseconds(value: Any) -> str:
    meant = isinstance(value, int) and YEAR_1990 <= value // 1000 <= LATEST
    return "; it looks like nanoseconds: divide by 1,000" if meant else ""


Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=256)]
Value = Annotated[float, Field(ge=-1e30, le=1e30, strict=True)]
Moment = Annotated[
    int | None,
    BeforeValidator(microseconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "integer", "minimum": 0, "maximum": LATEST},
                {"type": "null"},
            ]
        }
    ),
]
Word = Annotated[str, StringConstraints(strict=True, max_length=256)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Past(Wire):
    """One thing somebody did, for a request that brings its own history."""

    item: Id
    event: Id | None = None
    """A behaviour of the bundle; the first of them when absent. Without a value as well, it counts as positive."""
    value: Value | None = None
    time: Moment = None
    """Now when absent."""


class Ask(Wire):
    """Who asks, and for what."""

    user: Id | None = None
    """Nobody in particular when absent; somebody unknown is answered like a newcomer."""
    n: int = Field(10, ge=1, le=MAX_N, strict=True)
    context: dict[Word, Word | bool | Value] = Field({}, max_length=64)
    """Columns of the request, for features that use them."""
    exclude: list[Id] = Field([], max_length=MAX_LIST)
    """Items that may not come back."""
    filter: dict[Word, Word | list[Word]] = Field({}, max_length=16)
    """Catalogue attributes of kind category or list: an item must have one of the values of every attribute named."""
    history: list[Past] | None = Field(None, max_length=1000)
    """Takes the place of what the service knows of the user."""
    explain: bool = Field(False, strict=True)
    """Adds ``trace``: what each stage handed on and how long it took."""


class Posted(Wire):
    """Something that happened, or was shown."""

    user: Id
    item: Id
    event: Id
    """A behaviour of the bundle; or ``shown``: the item was shown to the user."""
    time: Moment = None
    """Now when absent; at most a minute ahead."""
    value: Value | None = None
    request_id: Word | None = None
    """The answer it follows from, and the item's position in it (of what was shown, from 1)."""
    position: Annotated[int, Field(ge=0, le=100_000, strict=True)] | None = None
    id: Id | None = None
    """A name for the event: posted twice, it counts once. What was shown has one by ``request_id`` and ``item``."""


class Shown(BaseModel):
    """One row of a slate."""

    item: str
    score: float | None
    channels: list[str]
    """The channels that found it, best rank first; ``fallback`` if none did."""
    reason: str
    because: str | None = None
    """The item of the history behind it."""
    moved: str | None = None
    """What rules did with it."""
    propensity: float | None = None
    """How likely it was to stand here, where a rule leaves something to chance."""
    title: str | None = None
    team: str | None = None
    """Where two arms are interleaved: the one it came from."""
    credit: float | None = None
    """And what a click on it says, from -1 (for the first arm) to 1."""


class Slate(BaseModel):
    """An answer."""

    request_id: str
    bundle: str
    arms: dict[str, str]
    items: list[Shown]
    trace: dict[str, Any] | None = None


class Rejected(BaseModel):
    """An event that was not kept, and why."""

    index: int
    reason: str


class Receipt(BaseModel):
    """What became of posted events; one known by its ``id`` counts as accepted."""

    accepted: int
    rejected: list[Rejected]


class Problem(BaseModel):
    """What was wrong with a request."""

    error: str


class Turn(Wire):
    """A version to turn to."""

    bundle: Id


def line(error: ValidationError | Sequence[Mapping[str, Any]]) -> str:
    """The first thing wrong, as ``place: what was expected``."""
    first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else error[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    message = "expected an object" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ")
    message = " ".join(str(message).split())
    return f"{where}: {message}" if where else message


def records(posted: Sequence[Any], view: View, now: int) -> tuple[list[Record], list[dict[str, Any]]]:
    """The events to store, and the index and reason of each that is refused."""
    kept: list[Record] = []
    rejected: list[dict[str, Any]] = []
    names = view.data.behaviours.names
    for index, one in enumerate(posted):
        try:
            event = Posted.model_validate(one)
            shown = event.event == SHOWN and SHOWN not in names
            if shown:
                _check_shown(event)
            elif event.event not in names:
                raise InputError(f"event: {event.event!r} is not one of {', '.join(names)}, {SHOWN}")
            time = _credible(event.time, now, view)
            if time <= view.notes.get(digest(event.user), -1):
                raise InputError("user: was deleted after this time; what happened before that is not kept")
        except ValidationError as error:
            rejected.append({"index": index, "reason": line(error)})
        except InputError as error:
            rejected.append({"index": index, "reason": str(error)})
        else:
            record = {**event.model_dump(exclude_none=True), "time": time}
            kept.append(_shown(record) if shown else {"kind": "event", **record, **_named(event.user, event.id)})
    return kept, rejected


def slate_shown(told: Mapping[str, Any], user: str | None, time: int) -> list[Record]:
    """The records that say an answer was shown as it is, from its first item to its last."""
    common = {"user": user, "time": time, "request_id": told["request_id"]}
    rows = [{**common, "item": row["item"], "position": place} for place, row in enumerate(told["items"], 1)]
    return [_shown({key: value for key, value in row.items() if value is not None}) for row in rows]


def _shown(record: Record) -> Record:
    """The record of an exposure; an item counts once as shown on the slate of one answer, whoever says so."""
    told = {key: value for key, value in record.items() if key != "event"}
    slate = f"shown {record['request_id']} {record['item']}" if "request_id" in record else None
    return {"kind": "shown", **told, **_named(record.get("user"), record.get("id", slate))}


def _named(user: str | None, name: str | None) -> dict[str, str]:
    """The ``id`` of a record, and the ``key`` it is known by: ids are each user's own, as if they were all alone."""
    return {} if name is None else {"id": name, "key": f"{len(user or '')} {user or ''} {name}"}


def _check_shown(event: Posted) -> None:
    if event.value is not None:
        raise InputError("value: what was shown has none")
    if event.position == 0:
        raise InputError("position: of what was shown counts from 1, found 0")


def history(past: Sequence[Past], view: View, now: int) -> Ragged:
    """One row of HISTORY columns, oldest first; items the service has never met are left out."""
    data, behaviours = view.data, view.data.behaviours
    rows: list[tuple[int, int, float, int, bool]] = []
    dated = data.order_only and all(one.time is not None for one in past)  # all stand at now: in their own order first
    for index, one in sorted(enumerate(past), key=lambda pair: pair[1].time or 0) if dated else enumerate(past):
        kind = behaviours.code(one.event) if one.event is not None else 0
        if kind < 0:
            raise InputError(f"history.{index}.event: {one.event!r} is not one of {', '.join(behaviours.names)}")
        time, item = _credible(one.time, now, view, f"history.{index}."), data.item_ids.code(one.item)
        if item >= 0:
            rows.append((item, kind, np.nan if one.value is None else one.value, time, one.event is None))
    rows.sort(key=lambda row: row[3])
    item_, kind_, value_, time_, bare = (np.array([row[c] for row in rows]) for c in range(5))
    event, value = kind_.astype(np.int16), value_.astype(np.float32)
    weight = behaviours.weight(event, value)
    weight = np.where(bare.astype(bool) & np.isnan(value), behaviours.strengths[event], weight).astype(np.float32)
    columns: dict[str, Array] = {"item": item_.astype(np.int32), "event": event, "value": value, "weight": weight}
    return Ragged(np.array([0, len(rows)], np.int64), {**columns, "time": time_.astype(np.int64)})


def ruled_out(wanted: Mapping[str, Any], data: Dataset) -> Int32:
    """Codes of all items that lack an attribute asked for: excluded before recall, so that the slate is still full.

    Items first met live have no attributes and are ruled out by any filter. Raises ``InputError`` for an attribute the
    catalogue does not have; a value no item has leaves an empty slate.
    """
    match = np.zeros(len(data.item_ids), bool)
    match[: data.items.n] = True
    for name, values in wanted.items():
        table, rows = data.items.known(name, np.arange(data.items.n))  # of what the log tells, the last it did
        column = table.codes.get(name)
        if column is None:
            kinds = data.items.columns().items()
            known = ", ".join(sorted(name for name, kind in kinds if kind in ("category", "list"))) or "none"
            raise InputError(f"filter.{name}: not a category or list attribute of this catalogue, which has {known}")
        levels = {values} if isinstance(values, str) else set(values)
        codes = [code for code, level in enumerate(column.levels) if level in levels]
        has = np.zeros(len(match), bool)
        found = column.of(rows)
        has[found.rows[np.isin(found["code"], codes)]] = True
        match &= has
    return np.flatnonzero(~match).astype(np.int32)


def excluded(ask: Ask, data: Dataset) -> Array:
    """Item codes the request rules out by name or by filter."""
    named = [code for raw in ask.exclude if (code := data.item_ids.code(raw)) >= 0]
    if not ask.filter:
        return np.array(named, np.int32)
    return np.concatenate([ruled_out(ask.filter, data), np.array(named, np.int32)])


def _credible(time: int | None, now: int, view: View, where: str = "") -> int:
    """The moment; now if there is none, or the log has no times and what comes stands at its end.

    Raises ``InputError`` if it is ahead, or long before the log.
    """
    if time is None or view.data.order_only:
        return now
    earliest = view.earliest
    if time > now + SKEW:
        raise InputError(f"{where}time: {stamp(time)} is in the future; it is {stamp(now)}")
    if earliest is not None and time < earliest:
        units = {"seconds": 1_000_000, "milliseconds": 1000}
        meant = next((unit for unit, factor in units.items() if earliest <= time * factor <= now + SKEW), None)
        hint = f"; {time} looks like {meant}: multiply by {units[meant]:,}" if meant else ""
        raise InputError(f"{where}time: {stamp(time)} is more than ten years before the log begins{hint}")
    return min(time, now)
