"""From tables as read to a ``Dataset``: ids become codes, behaviours get strengths, rows are put in time order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.dataset import FOREVER, Dataset
from shortlist.data.events import Behaviours, Events
from shortlist.data.raw import Raw
from shortlist.data.spec import DataSpec
from shortlist.data.table import MISSING_TIME, Table
from shortlist.data.vocab import Vocab
from shortlist.types import Array, Int64


def dataset(raw: Raw, spec: DataSpec) -> Dataset:
    """The coded log; raises ``InputError`` if the recipe names a behaviour the log has not, or the log has no rows."""
    events = raw.events
    if not len(events):
        raise InputError("the log has no events left after filters")
    behaviours = _behaviours(events, spec)
    no_ids = pl.Series("id", [], dtype=pl.String)
    users = Vocab.of(events["user"], raw.users["user"] if raw.users is not None else no_ids)
    items = Vocab.of(events["item"], raw.items["item"] if raw.items is not None else no_ids)
    event = Vocab(behaviours.names).encode(events["event"])
    log = Events.of(
        users.encode(events["user"]),
        items.encode(events["item"]),
        event,
        events["value"].fill_null(float("nan")).to_numpy(),
        events["time"].to_numpy(),
        behaviours,
    )
    order = np.argsort(events["time"].to_numpy(), kind="stable")
    if "weight" in events.columns:
        log = replace(log, weight=log.weight * events["weight"].fill_null(1).to_numpy()[order].astype(np.float32))
    log = replace(log, context=_context(events, raw.kinds.get("events", {}), order))
    item_table = Table.of(raw.items, "item", raw.kinds.get("items", {}), items)
    return Dataset(
        log,
        behaviours,
        users,
        items,
        Table.of(raw.users, "user", raw.kinds.get("users", {}), users),
        item_table,
        available_from(log, item_table),
        exposures=raw.exposures,
        triples=raw.triples,
        ties=raw.ties,
    )


def available_from(log: Events, items: Table) -> Int64:
    """[n_items]: the catalogue's column ``available_from``; else always for a listed item, else its first event."""
    first = np.full(items.n, FOREVER)
    np.minimum.at(first, log.item, log.time)
    since = np.where(items.listed, MISSING_TIME, first)
    stated = items.times.get("available_from")
    return since if stated is None else np.where(stated != MISSING_TIME, stated, since)


def _behaviours(events: pl.DataFrame, spec: DataSpec) -> Behaviours:
    names = sorted(events["event"].unique().to_list())
    strengths, positive = spec.all_strengths(), spec.positive
    for path, table in (("data.strengths", strengths), ("data.positive", positive or {})):
        for name in table:
            if name not in names:
                raise InputError(f"{path}.{name}: the log has no such event; it has {', '.join(names)}")
    minimum = [-np.inf if positive is None else _minimum(positive.get(name, False)) for name in names]
    return Behaviours(
        tuple(names),
        np.array([strengths.get(name, 1.0) for name in names], np.float32),
        np.array(minimum, np.float32),
    )


def _minimum(rule: bool | float) -> float:
    if isinstance(rule, bool):
        return -np.inf if rule else np.inf
    return float(rule)


def _context(events: pl.DataFrame, kinds: Mapping[str, str], order: Array) -> dict[str, Array]:
    """Context columns in time order: numbers as they are, categories as codes by sorted name."""
    columns: dict[str, Array] = {}
    for name, kind in kinds.items():
        column = events[name]
        if kind == "number":
            columns[name] = column.fill_null(float("nan")).to_numpy()[order].astype(np.float32)
        elif kind == "category":
            columns[name] = Vocab.of(column).encode(column)[order]
    return columns
