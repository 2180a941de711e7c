"""The lists of ids that a filter of the log takes events by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import Wanted, convert
from shortlist.data.sources._scan import FAILED, Scan, explained, listed, scan, shortened
from shortlist.data.spec import AttributesSpec, DataSpec, FilterSpec, IdsSpec, ListSpec


def before(spec: DataSpec) -> set[str]:
    """The tables that must be there before the log is read; raises ``InputError`` for one that the recipe lacks."""
    wanted: set[str] = set()
    for key, among in _named(spec.events.filters if spec.events is not None else FilterSpec()):
        if among.table is None:
            continue
        part: AttributesSpec | None = getattr(spec, among.table)
        where = f"data.events.filters.{key}.in"
        if among.table != f"{key}s":
            raise InputError(f'{where}: expected "{key}s" or a table of its own, found "{among.table}"')
        if part is None or not part.path:
            raise InputError(f"{where}: needs [data.{among.table}] with the path of a file, found none")
        wanted.add(among.table)
    return wanted


def lists(
    filters: FilterSpec, tables: Mapping[str, pl.DataFrame], root: Path | None, scratch: Path
) -> dict[str, pl.Series]:
    """The ids that ``in`` names, by the column they are for; raises ``InputError`` if they cannot be read."""
    return {
        key: tables[among.table][key] if among.table else _read(among, key, root, scratch)
        for key, among in _named(filters)
    }


def _named(filters: FilterSpec) -> list[tuple[str, ListSpec]]:
    choices: dict[str, IdsSpec | None] = {"item": filters.item, "user": filters.user}
    return [(key, choice.among) for key, choice in choices.items() if choice is not None and choice.among is not None]


def _read(spec: ListSpec, key: str, root: Path | None, scratch: Path) -> pl.Series:
    """The ids of a table of its own, each once."""
    opened = scan(spec, root, scratch)
    assert spec.column is not None
    if spec.column not in opened.names:
        found = shortened(listed(opened.names), 200)
        raise InputError(f"{opened.label}: row 1: expected a column {spec.column!r} for {key}, found {found}")
    try:
        return _ids(opened, Wanted(key, spec.column, "id"), spec)
    except InputError as error:
        raise InputError(f"{opened.label}: {error}") from None
    except FAILED as error:
        raise explained(error, spec, opened.text) from None


def _ids(opened: Scan, wanted: Wanted, spec: ListSpec) -> pl.Series:
    value = convert(wanted, opened.frame.collect_schema()[wanted.column], spec.null_values).value
    return opened.frame.select(value).drop_nulls().unique().collect(engine="streaming").to_series()
