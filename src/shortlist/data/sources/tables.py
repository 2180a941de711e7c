"""Your own files: a log and optionally items, users, triples, ties and exposures, as CSV, Parquet or SQL.

The files are scanned in batches: only the columns the recipe names are kept, and a text log is never held whole. Peak
memory is about 85 MB per million events (five columns); figures for every way of writing a log: bench/tables/memory.py.
A row that cannot be read stops with its file, line and column, unless ``filters.bad_rows = "drop"``.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data.doubts import doubts
from shortlist.data.order import Clock
from shortlist.data.raw import REJECTED, Described, Raw
from shortlist.data.sources._among import before, lists
from shortlist.data.sources._convert import Converted, Wanted, convert, plain
from shortlist.data.sources._derive import MAY_BE_EMPTY, Columns
from shortlist.data.sources._describe import described, of_the_log
from shortlist.data.sources._faults import (
    OTHERS,
    REASON,
    fault,
    faults,
    named,
    others,
    readable,
    refusal,
    rejected,
    several_lines,
    swallowed,
)
from shortlist.data.sources._filters import Rule, past_rules, row_rules
from shortlist.data.sources._order import moments, sequences
from shortlist.data.sources._scan import FAILED, ROW, Scan, again, explained, form, listed, located, scan, shortened
from shortlist.data.spec import AttributesSpec, ColumnSpec, DataSpec, EventsSpec, FilterSpec, TableSpec
from shortlist.progress import emit, step

KNOWN: Mapping[str, Mapping[str, str]] = {
    "events": {"user": "id", "item": "id", "event": "category", "time": "time", "value": "number", "weight": "number"},
    "exposures": {
        "user": "id",
        "item": "id",
        "time": "time",
        "position": "number",
        "propensity": "number",
        "propensity_given": "number",
        "label": "number",
        "request": "id",
    },
    "triples": {"head": "id", "relation": "id", "tail": "id", "weight": "number"},
    "ties": {"user": "id", "friend": "id", "weight": "number", "time": "time"},
}
"""Columns the funnel knows by name, in the order of ``Raw``, and their kinds."""
NEEDED = {
    "events": ("user", "item", "time"),
    "exposures": ("user", "item", "time"),
    "triples": ("head", "relation", "tail"),
    "ties": ("user", "friend"),
}
"""Columns a table must have."""
LEAST = {"weight": 0.0, "propensity": 0.0, "propensity_given": 0.0}
"""Smallest values that make sense."""
MOST = {"propensity": 1.0, "propensity_given": 1.0}
"""Largest ones."""
ORDERED = ("events", "time")
"""The one column that may be an order."""
SAMPLE = 1000
TABLES = ("events", "items", "users", "triples", "ties", "exposures")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made of one file."""

    table: str
    columns: Columns
    filters: FilterSpec
    rules: list[Rule]
    told: set[str]
    """Hidden columns that are kept all the same: they describe items or users."""


def load(spec: DataSpec, root: Path | None = None) -> Raw:
    """Reads the tables of ``[data]``; relative paths are under ``root``.

    Raises ``InputError`` naming file, row and column for a missing file or column, an empty file, a wrong encoding, a
    time or number that cannot be read, a missing item, a negative weight, or an id that an attribute table has twice.
    What can be read but hardly be meant is a warning.
    """
    if spec.events is None:
        raise InputError("data.events: missing; [data.rows] is a plain table, for rankers in a recipe without channels")
    dropped_rows: list[pl.DataFrame] = []
    digests: dict[str, str] = {}
    kinds: dict[str, dict[str, str]] = {"items": {}, "users": {}, "events": {}}
    tables: dict[str, pl.DataFrame] = {}
    log: dict[str, dict[str, Described]] = {}
    clock: Clock = "time"
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        for name in sorted(TABLES, key=lambda table: table not in before(spec)):
            part: EventsSpec | TableSpec | AttributesSpec | None = getattr(spec, name)
            if part is None or not part.path:
                continue
            with step(f"reading {part.path}", table=name):
                if isinstance(part, EventsSpec) and part.layout == "sequences":
                    opened = sequences(part, root, Path(scratch))
                else:
                    opened = scan(part, root, Path(scratch))
                columns, filters, rules = _columns(name, part, opened), FilterSpec(), []
                if isinstance(part, EventsSpec):
                    log, filters = described(spec, columns), part.filters
                    rules = row_rules(filters, columns, lists(filters, tables, root, Path(scratch)))
                    columns.hide_taken()
                tells = {told.column for part in log.values() for told in part.values()} if name == "events" else set()
                plan = Plan(name, columns, filters, rules, tells)
                frame, dropped = read(part, opened, plan, root, Path(scratch))
                if isinstance(part, EventsSpec) and part.order_only:
                    frame, clock = moments(frame, part)
            digests[name] = opened.digest
            tables[name] = frame
            dropped_rows += dropped
            kinds[name] = {w.name: w.kind for w in columns.shown if w.name not in _ids(name)}
    raw = Raw(
        events=tables["events"],
        items=tables.get("items"),
        users=tables.get("users"),
        kinds=kinds,
        described=log,
        exposures=tables.get("exposures"),
        triples=tables.get("triples"),
        ties=tables.get("ties"),
        clock=clock,
        rejected=pl.concat(dropped_rows) if dropped_rows else pl.DataFrame(schema=REJECTED),
        fingerprint=hashlib.sha256("".join(f"{n}:{digests[n]}\n" for n in TABLES if n in digests).encode()).hexdigest(),
    )
    found = doubts(raw, time.time_ns() // 1000)
    for line in found:
        emit("warning", message=line)
    return replace(raw, doubts=found)


def _columns(table: str, spec: TableSpec | AttributesSpec, opened: Scan) -> Columns:
    """What is read of a table, and what is made of it."""
    at = f"data.{table}"
    if isinstance(spec, AttributesSpec):
        return Columns(at, spec, _attributes(table, spec, opened), opened, {table[:-1]: "id"})
    return Columns(at, spec, _known(table, spec, opened), opened, KNOWN[table])


def _ids(table: str) -> set[str]:
    return set(KNOWN[table]) if table in KNOWN else {table[:-1]}


def _known(table: str, spec: TableSpec, opened: Scan) -> list[Wanted]:
    """The columns of a log-like table, mapped or by the funnel's own names."""
    known, columns = KNOWN[table], spec.columns
    made = set(spec.derive) if isinstance(spec, EventsSpec) else set()
    if isinstance(spec, EventsSpec) and (spec.time or spec.layout == "sequences"):
        made.add("time")
    if columns is None:
        columns = {name: name for name in known if name in opened.names and name not in made}
    for name in NEEDED[table]:
        if name not in columns and name not in made:
            helps = ' (there is none? time = "row" takes the order of the rows)' if (table, name) == ORDERED else ""
            raise InputError(
                f"{opened.label}: [data.{table}] columns must say which column is {name}{helps}, "
                f"found {_listed(opened)}"
            )
    ordered = [name for name in known if name in columns] + [name for name in columns if name not in known]
    wanted = []
    for name in ordered:
        given = columns[name]
        column = ColumnSpec(column=given) if isinstance(given, str) else given
        if column.how is not None:
            raise InputError(
                f"data.{table}.columns.{name}.how: is for columns of [data.items] and [data.users] that the log tells"
            )
        kind = known.get(name, column.kind)
        if column.kind == "order":
            if (table, name) != ORDERED:
                raise InputError(f"data.{table}.columns.{name}: only the log's time is of kind order")
            kind = "order"
        if kind == "vector":
            raise InputError(f"data.{table}.columns.{name}: vectors are attributes, in [data.items] and [data.users]")
        required = (name in NEEDED[table] or name == "event") and name not in MAY_BE_EMPTY
        wanted.append(column_wanted(name, column, kind, spec, opened, required or (table == "ties" and name == "user")))
    return wanted


def _attributes(table: str, spec: AttributesSpec, opened: Scan) -> list[Wanted]:
    """The id and the typed columns of a catalogue or user table."""
    key = table[:-1]
    given = spec.columns.get(key)
    column = given.column if isinstance(given, ColumnSpec) else given
    wanted = []
    if column is None and key not in spec.derive:
        column = next((name for name in (key, f"{key}_id") if name in opened.names), None)
        if column is None:
            raise InputError(
                f"{opened.label}: [data.{table}] columns must name the id ({key} = ...), found {_listed(opened)}"
            )
    if column is not None:
        wanted.append(column_wanted(key, ColumnSpec(column=column), "id", spec, opened, True))
    elsewhere = of_the_log(table, spec)
    for name, how in spec.columns.items():
        if name == key or name in elsewhere:
            continue
        kind = how if isinstance(how, str) else how.kind
        if kind not in ("category", "list", "number", "text", "time", "vector"):
            raise InputError(
                f"data.{table}.columns.{name}: expected category, list, number, text, time, vector or "
                f'{{ column = "...", kind = "..." }}, found {kind!r}'
            )
        chosen = ColumnSpec.model_validate({"kind": how}) if isinstance(how, str) else how
        wanted.append(column_wanted(name, chosen, chosen.kind, spec, opened, False))
    return wanted


def column_wanted(name: str, column: ColumnSpec, kind: str, spec: Any, opened: Scan, required: bool) -> Wanted:
    source = name if column.column is None else column.column
    if source not in opened.names:
        raise InputError(f"{opened.label}: row 1: expected a column {source!r} for {name}, found {_listed(opened)}")
    if f"{source}_duplicated_0" in opened.names:  # what a second column of the name is called here
        raise InputError(f"{opened.label}: row 1: expected one column {source!r} for {name}, found several")
    unit, written = column.time_unit or spec.time_unit, column.time_format or spec.time_format
    least, most = LEAST.get(name), MOST.get(name)
    return Wanted(name, source, kind, required, least, column.separator, column.field, unit, written, most)


def _listed(opened: Scan) -> str:
    return shortened(listed(opened.names), 200)


def read(
    spec: Any, opened: Scan, plan: Plan, root: Path | None, scratch: Path
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows taken and those not taken."""
    table, filters, wanted = plan.table, plan.filters, plan.columns.read
    path = None if form(spec) == "sql" else located(spec, root)
    strict = filters.bad_rows == "error"
    broken = named(opened, wanted)
    if strict and broken:
        raise refusal(table, opened, broken[0], wanted)
    try:
        schema = opened.frame.collect_schema()
        columns = [_convert(opened, w, schema, spec.null_values) for w in wanted]
        wrong, reasons = faults(opened, columns, wanted, schema)
        converted = opened.frame.select(ROW, *(c.value for c in columns), wrong.alias(REASON), others(opened, wanted))
        made = plan.columns.made
        for _, column in made:
            converted = converted.with_columns(column.value)
        after = [(f"{w.column}: not {c.expected}", c.fault) for w, c in made] + plan.rules
        if after:
            rule = pl.coalesce(
                *(pl.when(where).then(len(reasons) + n) for n, (_, where) in enumerate(after, 1)), pl.lit(0)
            )
            ruled = pl.when(pl.col(REASON) == 0).then(rule).otherwise(pl.col(REASON)).cast(pl.UInt16)
            converted = converted.with_columns(ruled.alias(REASON))
        reasons += [reason for reason, _ in after[: len(made)]]
        spare = [name for name in plan.columns.hidden if name not in plan.told]
        names = [*reasons, *(reason for reason, _ in plan.rules)]
        taken = pl.col(REASON) == 0
        bad = converted.filter(~taken).select(ROW, REASON, OTHERS)
        kept, dropped, several = pl.collect_all(
            [converted.filter(taken).drop(REASON, OTHERS, *spare), bad, several_lines(opened)], engine="streaming"
        )
        if several.item() and swallowed(opened) and (once_more := again(opened, spec, scratch)) is not None:
            return read(spec, once_more, plan, root, scratch)
        real = dropped.filter(pl.col(REASON) <= len(reasons)).filter(pl.col(REASON) > 1)
        if strict and real.height:
            raise fault(opened, real.row(0), [*columns, *(c for _, c in made)], [*wanted, *(w for w, _ in made)])
        parts = [rejected(table, opened, dropped, names)] if dropped.height else []
        if table == "events":
            kept = _events(kept)
            late = past_rules(filters, kept, placed=spec.time == "row" or spec.layout == "sequences")
            if late is not None and late.null_count() < late.len():
                gone = kept.select(ROW).with_columns(late.alias("reason")).drop_nulls("reason")
                parts.append(rejected(table, opened, gone, []))
                kept = kept.filter(late.is_null())
    except FAILED as error:
        once_more = again(opened, spec, scratch)
        if once_more is not None:
            return read(spec, once_more, plan, root, scratch)
        unread = [w for w in wanted if opened.text is None and not readable(opened, w.column)]
        label = f"{spec.path}: column {unread[0].column} ({unread[0].name})" if unread else None
        raise explained(error, spec, path, label) from None
    if not kept.height:
        also = f"; {dropped.height} rows were rejected" if dropped.height else ""
        raise InputError(f"{opened.label}: expected rows, found none{also}")
    if table in ("items", "users"):
        _unique(opened, kept, next(w for w in plan.columns.shown if w.name == table[:-1]))
    return kept.drop(ROW), parts


def _convert(opened: Scan, wanted: Wanted, schema: pl.Schema, nulls: list[str]) -> Converted:
    try:
        return convert(wanted, schema[wanted.column], nulls, _sample(opened, wanted, schema))
    except InputError as error:
        raise InputError(f"{opened.label}: {error}") from None


def _sample(opened: Scan, wanted: Wanted, schema: pl.Schema) -> pl.Series | None:
    """The first cells that are there, to tell how times are written and how long vectors are."""
    if wanted.kind == "vector":
        return opened.frame.select(wanted.column).drop_nulls().head(SAMPLE).collect().to_series()
    if wanted.kind != "time" or schema[wanted.column].is_temporal():
        return None
    column = plain(wanted.column, schema[wanted.column])
    return opened.frame.select(column).head(4 * SAMPLE).drop_nulls().head(SAMPLE).collect().to_series()


def _unique(opened: Scan, frame: pl.DataFrame, key: Wanted) -> None:
    again = frame.filter(~pl.col(key.name).is_first_distinct()).head(1)
    if again.height:
        value = again[key.name][0]
        first = frame.filter(pl.col(key.name) == value)[ROW][0]
        raise InputError(
            f"{opened.label}: row {again[ROW][0]}, column {key.column} ({key.name}): expected each id once, "
            f"found {value!r} again (first in row {first})"
        )


def _events(frame: pl.DataFrame) -> pl.DataFrame:
    """The log with the columns it always has, in their order."""
    if "value" not in frame.columns:
        frame = frame.with_columns(value=pl.lit(None, pl.Float32))
    if "event" not in frame.columns:
        has_values = frame["value"].null_count() < frame.height
        frame = frame.with_columns(event=pl.lit("rating" if has_values else "view"))
    if "time" not in frame.columns:
        frame = frame.with_columns(time=pl.col(ROW).cast(pl.Int64))
    first = ["user", "item", "event", "time", "value"]
    return frame.select(*first, *(name for name in frame.columns if name not in first))
