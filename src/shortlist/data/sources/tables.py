"""Your own files: a log and optionally items, users, triples, ties and exposures, as CSV, Parquet or SQL.

The files are scanned in batches: only the columns the recipe names are kept, and a text log is never held whole. Peak
memory is about 85 MB per million events (five columns); figures for every way of writing a log: bench/tables/memory.py.
A row that cannot be read stops with its file, line and column, unless ``filters.bad_rows = "drop"``.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.data.raw import REJECTED, Raw
from shortlist.data.sources._convert import Converted, Wanted, convert
from shortlist.data.sources._filters import past_rules, row_rules
from shortlist.data.sources._scan import ROW, WIDE, Scan, explained, mended, scan, shortened
from shortlist.data.spec import AttributesSpec, ColumnSpec, DataSpec, EventsSpec, FilterSpec, TableSpec
from shortlist.progress import step

KNOWN: Mapping[str, Mapping[str, str]] = {
    "events": {"user": "id", "item": "id", "event": "category", "time": "time", "value": "number", "weight": "number"},
    "exposures": {
        "user": "id",
        "item": "id",
        "time": "time",
        "position": "number",
        "propensity": "number",
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
MAY_BE_EMPTY = {"user"}
"""A row without a user is an event of nobody known."""
LEAST = {"weight": 0.0, "propensity": 0.0}
"""Smallest values that make sense."""
REASON = "_reason"
SAMPLE = 1000


def load(spec: DataSpec, root: Path | None = None) -> Raw:
    """Reads the tables of ``[data]``; relative paths are under ``root``.

    Raises ``InputError`` naming file, row and column for a missing file or column, an empty file, a wrong encoding, a
    time or number that cannot be read, a missing item, a negative weight, or an id that an attribute table has twice.
    """
    assert spec.events is not None
    rejected: list[pl.DataFrame] = []
    digest = hashlib.sha256()
    kinds: dict[str, dict[str, str]] = {"items": {}, "users": {}, "events": {}}
    tables: dict[str, pl.DataFrame] = {}
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        for name in ("events", "items", "users", "triples", "ties", "exposures"):
            part: EventsSpec | TableSpec | AttributesSpec | None = getattr(spec, name)
            if part is None:
                continue
            with step(f"reading {part.path}", table=name):
                opened = scan(part, root, Path(scratch))
                wanted = (
                    _attributes(name, part, opened) if isinstance(part, AttributesSpec) else _known(name, part, opened)
                )
                frame, dropped = _read(name, part, opened, wanted, Path(scratch))
            digest.update(f"{name}:{opened.digest}\n".encode())
            tables[name] = frame
            rejected += dropped
            kinds[name] = {w.name: w.kind for w in wanted if w.name not in _ids(name)}
    return Raw(
        events=tables["events"],
        items=tables.get("items"),
        users=tables.get("users"),
        kinds=kinds,
        exposures=tables.get("exposures"),
        triples=tables.get("triples"),
        ties=tables.get("ties"),
        rejected=pl.concat(rejected) if rejected else pl.DataFrame(schema=REJECTED),
        fingerprint=digest.hexdigest(),
    )


def ids(spec: AttributesSpec, key: str, scratch: Path) -> list[str]:
    """The ids of a table in the order of its rows, read as those of a log are; missing ones are left out."""
    opened = scan(spec, None, scratch)
    wanted = _attributes(f"{key}s", spec, opened)[:1]
    column = opened.frame.select(_converted(opened, wanted, spec.null_values)[0].value)
    try:
        return column.collect().to_series().drop_nulls().to_list()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, opened.text) from None


def _ids(table: str) -> set[str]:
    return set(KNOWN[table]) if table in KNOWN else {table[:-1]}


def _known(table: str, spec: TableSpec, opened: Scan) -> list[Wanted]:
    """The columns of a log-like table, mapped or by the funnel's own names."""
    known, columns = KNOWN[table], spec.columns
    if columns is None:
        columns = {name: name for name in known if name in opened.names}
    for name in NEEDED[table]:
        if name not in columns:
            raise InputError(
                f"{opened.label}: [data.{table}] columns must say which column is {name}, found {_listed(opened)}"
            )
    ordered = [name for name in known if name in columns] + [name for name in columns if name not in known]
    wanted = []
    for name in ordered:
        given = columns[name]
        column = ColumnSpec(column=given) if isinstance(given, str) else given
        kind = known.get(name, column.kind)
        required = (name in NEEDED[table] or name == "event") and name not in MAY_BE_EMPTY
        wanted.append(_wanted(name, column, kind, spec, opened, required or (table == "ties" and name == "user")))
    return wanted


def _attributes(table: str, spec: AttributesSpec, opened: Scan) -> list[Wanted]:
    """The id and the typed columns of a catalogue or user table."""
    key = table[:-1]
    given = spec.columns.get(key)
    column = given.column if isinstance(given, ColumnSpec) else given
    if column is None:
        column = next((name for name in (key, f"{key}_id") if name in opened.names), None)
    if column is None:
        raise InputError(
            f"{opened.label}: [data.{table}] columns must name the id ({key} = ...), found {_listed(opened)}"
        )
    wanted = [_wanted(key, ColumnSpec(column=column), "id", spec, opened, True)]
    for name, how in spec.columns.items():
        if name == key:
            continue
        if isinstance(how, str) and how not in ("category", "list", "number", "text", "time"):
            raise InputError(
                f"data.{table}.columns.{name}: expected category, list, number, text, time or "
                f'{{ column = "...", kind = "..." }}, found {how!r}'
            )
        chosen = ColumnSpec.model_validate({"kind": how}) if isinstance(how, str) else how
        wanted.append(_wanted(name, chosen, chosen.kind, spec, opened, False))
    return wanted


def _wanted(name: str, column: ColumnSpec, kind: str, spec: Any, opened: Scan, required: bool) -> Wanted:
    source = name if column.column is None else column.column
    if source not in opened.names:
        raise InputError(f"{opened.label}: row 1: expected a column {source!r} for {name}, found {_listed(opened)}")
    unit, written = column.time_unit or spec.time_unit, column.time_format or spec.time_format
    return Wanted(name, source, kind, required, LEAST.get(name), column.separator, column.field, unit, written)


def _listed(opened: Scan) -> str:
    return shortened(", ".join(opened.names), 200)


def _read(
    table: str, spec: Any, opened: Scan, wanted: list[Wanted], scratch: Path
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows taken and those not taken."""
    filters = spec.filters if isinstance(spec, EventsSpec) else FilterSpec()
    try:
        try:
            kept, parts = _taken(table, spec, opened, wanted, filters)
        except pl.exceptions.PolarsError:  # a line that is no row
            if opened.text is None or filters.bad_rows == "error":
                raise
            opened = mended(opened, spec, scratch)
            kept, parts = _taken(table, spec, opened, wanted, filters)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, opened.text) from None
    if not kept.height:
        dropped = sum(part.height for part in parts)
        also = f"; {dropped} rows were rejected" if dropped else ""
        raise InputError(f"{opened.label}: expected rows, found none{also}")
    if table in ("items", "users"):
        _unique(opened, kept, wanted[0])
    return kept.drop(ROW), parts


def _taken(
    table: str, spec: Any, opened: Scan, wanted: list[Wanted], filters: FilterSpec
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    schema = opened.frame.collect_schema()
    columns = _converted(opened, wanted, spec.null_values)
    faults, reasons = _faults(opened, columns, wanted, schema)
    rules = row_rules(filters, {w.name for w in wanted})
    converted = opened.frame.select(ROW, *(c.value for c in columns), faults.alias(REASON))
    if rules:
        rule = pl.coalesce(*(pl.when(where).then(len(reasons) + n) for n, (_, where) in enumerate(rules, 1)), pl.lit(0))
        ruled = pl.when(pl.col(REASON) == 0).then(rule).otherwise(pl.col(REASON)).cast(pl.UInt16)
        converted = converted.with_columns(ruled.alias(REASON))
    names = [*reasons, *(reason for reason, _ in rules)]
    taken = pl.col(REASON) == 0
    bad = converted.filter(~taken).select(ROW, REASON)
    kept, dropped = pl.collect_all([converted.filter(taken).drop(REASON), bad], engine="streaming")
    dropped = _blank(opened, dropped, wanted)
    real = dropped.filter(pl.col(REASON) <= len(reasons)).filter(pl.col(REASON) > 1)
    if filters.bad_rows == "error" and real.height:
        raise _fault(opened, real.row(0), columns, wanted)
    parts = [_rejected(table, opened, dropped, names)] if dropped.height else []
    if table == "events":
        kept = _events(kept)
        late = past_rules(filters, kept)
        if late is not None and late.null_count() < late.len():
            gone = kept.select(ROW).with_columns(late.alias("reason")).drop_nulls("reason")
            parts.append(_rejected(table, opened, gone, []))
            kept = kept.filter(late.is_null())
    return kept, parts


def _converted(opened: Scan, wanted: list[Wanted], nulls: list[str]) -> list[Converted]:
    """Every column; its first cells that are there tell how it is written."""
    schema = opened.frame.collect_schema()
    first = opened.frame.select({w.column for w in wanted}).head(4 * SAMPLE).collect()
    try:
        return [convert(w, schema[w.column], nulls, first[w.column].drop_nulls().head(SAMPLE)) for w in wanted]
    except InputError as error:
        raise InputError(f"{opened.label}: {error}") from None


def _faults(
    opened: Scan, columns: list[Converted], wanted: list[Wanted], schema: pl.Schema
) -> tuple[pl.Expr, list[str]]:
    """Number of the first thing wrong with a row (0 = nothing, 1 = it may be blank) and what the numbers mean."""
    blank = pl.all_horizontal(pl.col(w.column).is_null() for w in wanted)  # a column nobody wants is not even read
    tests, reasons = [blank], ["blank line"]
    if WIDE in schema:
        tests.append(pl.col(WIDE))
        reasons.append(f"more than {len(opened.names)} columns")
    for column, how in zip(columns, wanted, strict=True):
        tests.append(column.fault)
        reasons.append(f"{how.column}: not {column.expected}")
    numbered = [pl.when(test).then(pl.lit(n, pl.UInt16)) for n, test in enumerate(tests, 1)]
    return pl.coalesce(*numbered, pl.lit(0, pl.UInt16)), reasons


def _blank(opened: Scan, dropped: pl.DataFrame, wanted: list[Wanted]) -> pl.DataFrame:
    """Of the rows without any wanted cell, those that have other cells lack the first that is required."""
    perhaps = dropped.filter(pl.col(REASON) == 1)[ROW]
    others = [name for name in opened.names if name not in {w.column for w in wanted}]
    if not len(perhaps) or not others:
        return dropped
    rows = opened.frame.filter(pl.col(ROW).is_in(perhaps.implode()))
    filled = rows.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in others)).select(ROW).collect()[ROW]
    required = next(n for n, w in enumerate(wanted) if w.required) + 2 + (WIDE in opened.frame.collect_schema())
    number = pl.when(pl.col(ROW).is_in(filled.implode())).then(required).otherwise(pl.col(REASON))
    return dropped.with_columns(number.cast(pl.UInt16).alias(REASON))


def _fault(opened: Scan, found: tuple[Any, ...], columns: list[Converted], wanted: list[Wanted]) -> InputError:
    row, number = found[0], found[1]
    cells = opened.frame.filter(pl.col(ROW) == row).collect(engine="streaming")
    place = number - 2 - (WIDE in cells.columns)
    if place < 0:
        text = shortened(" ".join(str(cell) for cell in cells.row(0)[1:-1]))
        return InputError(f"{opened.label}: row {row}: expected {len(opened.names)} columns, found more: {text!r}")
    how = wanted[place]
    cell = cells[how.column][0]
    shown = "nothing" if cell is None else repr(shortened(str(cell)))
    expected = columns[place].expected
    if how.kind == "number" and pl.Series([str(cell)]).cast(pl.Float64, strict=False)[0] is not None:
        expected += " (finite, as float32)" if how.least is None else ""
    return InputError(
        f"{opened.label}: row {row}, column {how.column} ({how.name}): expected {expected}, found {shown}"
    )


def _rejected(table: str, opened: Scan, dropped: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows in the form of ``Raw.rejected``; their text is read again, so that it need not be kept for the others."""
    if REASON in dropped.columns:
        words = (
            pl.DataFrame({"reason": names})
            .with_row_index(REASON, offset=1)
            .with_columns(pl.col(REASON).cast(pl.UInt16))
        )
        dropped = dropped.join(words, on=REASON, how="left", maintain_order="left")
    schema = opened.frame.collect_schema()
    cells = [
        pl.col(n).map_elements(_shown, pl.String)
        if schema[n].is_nested() or isinstance(schema[n], pl.Duration | pl.Object)
        else pl.col(n).cast(pl.String, strict=False)
        for n in opened.names
    ]
    text = pl.concat_str((cell.fill_null("") for cell in cells), separator=",").alias("text")
    gone = opened.frame.filter(pl.col(ROW).is_in(dropped[ROW].implode())).collect(engine="streaming")
    texts = gone.select(ROW, text)
    return dropped.join(texts, on=ROW, how="left", maintain_order="left").select(
        table=pl.lit(table),
        file=pl.lit(opened.label),
        row=pl.col(ROW).cast(pl.Int64),
        reason="reason",
        text="text",
    )


def _shown(cell: Any) -> str:
    return "|".join(map(str, cell)) if isinstance(cell, pl.Series) else str(cell)


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
    first = ["user", "item", "event", "time", "value"]
    return frame.select(*first, *(name for name in frame.columns if name not in first))
