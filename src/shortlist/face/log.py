"""A log for notebooks: read from files or frames nobody has described, by the guesses of ``shortlist init``."""

from __future__ import annotations

import re
import tempfile
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from pydantic import ValidationError

from shortlist.answer import titles
from shortlist.component import InputError, explain
from shortlist.data import Dataset, State, Table, iso
from shortlist.data.build import dataset
from shortlist.data.raw import Raw
from shortlist.data.sources import source, source_names
from shortlist.data.spec import DataSpec, microseconds
from shortlist.draft import least_positive
from shortlist.draft import section as drafted
from shortlist.durations import stamp

SPLIT = {"tune": 0.7, "rank": 0.8, "test": 0.9}
"""Where a recipe that says nothing of it cuts a log."""


class ArrowTable(Protocol):
    """A frame of pandas (2.2 or newer), pyarrow, duckdb, polars: anything that hands out Arrow columns."""

    def __arrow_c_stream__(self, requested_schema: object = None, /) -> object: ...


Moment = str | datetime | date | int
Positive = bool | float | str | Sequence[str] | Mapping[str, bool | float]
Tabular = str | Path | ArrowTable | pl.LazyFrame


@dataclass(frozen=True, eq=False)
class Log:
    """Who did what when, and the catalogue: what every ``fit`` takes.

    ``data`` is the coded log that components learn from; ``section`` the ``[data]`` of a recipe that reads it again,
    ``frames`` the tables of it that came from memory. ``read`` makes one.
    """

    data: Dataset
    section: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @cached_property
    def state(self) -> State:
        """What was known when."""
        return self.data.state()

    @cached_property
    def user_ids(self) -> pl.Series:
        """Ids of all users, in the order of their codes."""
        return pl.Series("user", self.data.user_ids.ids, dtype=pl.String)

    @cached_property
    def item_ids(self) -> pl.Series:
        """Ids of all items, in the order of their codes."""
        return pl.Series("item", self.data.item_ids.ids, dtype=pl.String)

    @cached_property
    def item_names(self) -> pl.Series:
        """[n_items]: titles, ids where there are none."""
        said = titles(self.data)
        return self.item_ids if said is None else said.zip_with(said.is_not_null(), self.item_ids)

    @property
    def events(self) -> pl.DataFrame:
        """Columns user, item, event, time (UTC), value, weight (0 = not positive), by time."""
        events, kinds = self.data.events, pl.Series(self.data.behaviours.names, dtype=pl.String)
        nobody = pl.Series(events.user).set(pl.Series(events.user < 0), None)
        return pl.DataFrame(
            {
                "user": self.user_ids.gather(nobody),
                "item": self.item_ids.gather(events.item),
                "event": kinds.gather(events.event),
                "time": pl.Series(events.time).cast(pl.Datetime("us", "UTC")),
                "value": pl.Series(events.value).fill_nan(None),
                "weight": events.weight,
            }
        )

    @property
    def items(self) -> pl.DataFrame:
        """The catalogue: item and its attributes, of those that the log tells the last."""
        return _frame(self.data.items, "item", self.data.item_ids.ids)

    @property
    def users(self) -> pl.DataFrame:
        """What is known of users: user and attributes."""
        return _frame(self.data.users, "user", self.data.user_ids.ids)

    def until(self, cut: float | Moment) -> Log:
        """The log before ``cut``: a fraction of its events by time, or a moment. Raises ``InputError``."""
        if isinstance(cut, float) and not 0 <= cut <= 1:
            raise InputError(f"until: expected a fraction from 0 to 1 or a moment, found {cut}")
        return Log(
            self.data.until(self.data.cut(cut if isinstance(cut, float) else moment("until", cut))),
            self.section,
            self.frames,
        )

    def written(self, folder: Path) -> dict[str, Any]:
        """The ``[data]`` of a recipe that reads this log; tables that came from memory are written to ``folder``."""
        section = {name: dict(part) if isinstance(part, Mapping) else part for name, part in self.section.items()}
        if not section:
            raise InputError("data: this log was made from a Dataset; expected one that sl.read has read")
        for name, frame in self.frames.items():
            folder.mkdir(parents=True, exist_ok=True)
            section[name]["path"] = str((folder / f"{name}.parquet").absolute())
            frame.write_parquet(section[name]["path"])
        return section

    def __repr__(self) -> str:
        data, events = self.data, self.data.events
        span = f", {stamp(int(events.time[0]))[:10]} to {stamp(int(events.time[-1]))[:10]}" if len(events) else ""
        span = ", order only" if data.order_only else span
        said = f"Log: {len(events):,} events ({', '.join(data.behaviours.names)}) of {data.n_users:,} users and "
        said += f"{data.n_items:,} items{span}"
        columns = self.section.get("events", {}).get("columns")
        if columns:
            said += "\n  columns: " + ", ".join(f"{role} = {name!r}" for role, name in columns.items())
        for table, key in (("items", "item"), ("users", "user")):
            if attributes := dict(self.section.get(table, {}).get("columns", {})):
                said += f"\n  {table}: " + ", ".join([f"{key} = {attributes.pop(key)!r}", *attributes])
        rule = self.section.get("positive")
        right = ", ".join(_told(*part) for part in rule.items()) if rule else "every event"
        return f"{said}\n  right: {right} ({int((events.weight > 0).sum()):,} events)"


def read(
    events: Tabular,
    *,
    items: Tabular | None = None,
    users: Tabular | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    value: str | None = None,
    event: str | None = None,
    positive: Positive | None = None,
    strengths: Mapping[str, float] | None = None,
) -> Log:
    """Reads a log: a file (CSV with any separator, Parquet), a frame (polars, pandas, Arrow), or a named data set.

    Columns are guessed by their names and contents, as ``shortlist init`` does; ``user``, ``item``, ``time``, ``value``
    and ``event`` name them where the guess is wrong. ``items`` and ``users`` are tables of attributes.

    ``positive`` says what counts as right: a number (from that value on), names of events, ``True`` (every event), or
    a recipe's table such as ``{"rating": 4, "buy": True}``. Unsaid, ratings count from seven tenths of their scale on
    and anything else counts as it is. ``strengths`` says what each event is worth. What can
    hardly be meant (times ahead of the clock, tables that share no ids) is a warning. Raises ``InputError``.
    """
    roles = {"user": user, "item": item, "time": time, "value": value, "event": event}
    said = {role: column for role, column in roles.items() if column is not None}
    if isinstance(events, str) and events.replace("_", "-") in source_names() and not Path(events).exists():
        if said or items is not None or users is not None:
            raise InputError(f"{events}: a named data set brings its own columns and tables; expected nothing of them")
        return _named(events, positive, strengths)
    tables = {"events": events} | {k: v for k, v in (("items", items), ("users", users)) if v is not None}
    frames = {name: frame_of(table, name) for name, table in tables.items() if not isinstance(table, str | Path)}
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        paths = {name: Path(str(table)).absolute() for name, table in tables.items()}
        for name, frame in frames.items():
            paths[name] = Path(scratch) / f"{name}.parquet"
            frame.write_parquet(paths[name])
        try:
            lines = drafted(paths["events"], paths.get("items"), paths.get("users"), said)
            for line in lines:
                if "# question: " in line:
                    warnings.warn(line.partition("# question: ")[2], stacklevel=2)
            section: dict[str, Any] = tomllib.loads("\n".join(lines))["data"]
            section |= _rules(positive, strengths, section)
            spec = _spec(section)
            raw = source("tables")(spec, None)
        except InputError as error:
            said_wrong = re.sub(rf"{re.escape(scratch)}.(\w+)\.parquet", r"\1", str(error))
            raise InputError(said_wrong) from None  # a frame is named as its argument is
    assert isinstance(raw, Raw)
    for line in raw.doubts:
        warnings.warn(line, stacklevel=2)
    return Log(dataset(raw, spec), section, frames)


def log_of(log: Log | Dataset | Tabular) -> Log:
    """What ``fit`` was given, as a log."""
    if isinstance(log, Log):
        return log
    return Log(log) if isinstance(log, Dataset) else read(log)


def frame_of(table: Any, name: str) -> pl.DataFrame:
    """A frame of any library as one of polars; an index of pandas is left behind."""
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if type(table).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(table)
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise InputError(f"{name}: expected a path or a frame of polars, pandas or Arrow, found a {type(table).__name__}")


def moment(name: str, at: Moment) -> int:
    """Microseconds since 1970 of ISO 8601 text, a date or datetime (UTC unless it says otherwise), or such a number."""
    if isinstance(at, str):
        found = iso.moment(at)
        if found is None:
            raise InputError(f"{name}: expected ISO 8601 such as 1998-04-01T12:00:00, found {at!r}")
        return found
    if not isinstance(at, int | date):
        raise InputError(f"{name}: expected ISO 8601, a datetime or microseconds since 1970, found {at!r}")
    return at if isinstance(at, int) else microseconds(at)


def _frame(table: Table, key: str, ids: list[str]) -> pl.DataFrame:
    """The table as people read it: times as such, and what the log told of last."""
    known = table.latest()
    return known.frame(key, ids).with_columns(pl.col(list(known.times)).cast(pl.Datetime("us", "UTC")))


def _named(name: str, positive: Positive | None, strengths: Mapping[str, float] | None) -> Log:
    """A data set that the package knows how to fetch."""
    raw = source(name)(_spec({"source": name}), None)
    if not isinstance(raw, Raw):
        raise InputError(f"{name}: a plain table without users and items; expected a log. See sl.table({name!r})")
    section: dict[str, Any] = {"source": name, "split": SPLIT}
    kinds = raw.events["event"].unique().sort().to_list()
    least = least_positive(raw.events["value"].drop_nulls().unique().to_list())
    section |= {"positive": {kinds[0]: least}} if least is not None and len(kinds) == 1 else {}
    section |= _rules(positive, strengths, section, kinds)
    return Log(dataset(raw, _spec(section)), section)


def _rules(
    positive: Positive | None, strengths: Mapping[str, float] | None, section: Mapping[str, Any], kinds: Any = None
) -> dict[str, Any]:
    """``positive`` and ``strengths`` of ``[data]``, as far as they were said."""
    rules: dict[str, Any] = {"strengths": dict(strengths)} if strengths is not None else {}
    if kinds is None:
        events = section["events"]
        columns = events.get("columns", events.get("names", ()))
        kinds = list(events.get("strengths", {})) or ["rating" if "value" in columns else "view"]
    if positive is True:
        rules["positive"] = None
    elif isinstance(positive, Mapping):
        rules["positive"] = dict(positive)
    elif isinstance(positive, str):
        rules["positive"] = {positive: True}
    elif isinstance(positive, Sequence):
        rules["positive"] = dict.fromkeys(positive, True)
    elif positive is not None:
        rules["positive"] = dict.fromkeys(kinds, float(positive))
    return rules


def _spec(section: Mapping[str, Any]) -> DataSpec:
    try:
        return DataSpec.model_validate(section)
    except ValidationError as error:
        raise InputError(explain(error, "data", DataSpec)) from None


def _told(event: str, rule: bool | float) -> str:
    return f"{event}" if rule is True else f"no {event}" if rule is False else f"{event} from {rule:g} on"
