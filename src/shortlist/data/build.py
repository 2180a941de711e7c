"""From tables as read to a ``Dataset``: ids become codes, behaviours get strengths, rows are put in time order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data import described
from shortlist.data.dataset import FOREVER, Dataset
from shortlist.data.events import Behaviours, Events
from shortlist.data.raw import Raw
from shortlist.data.sessions import sessions
from shortlist.data.spec import GREATEST, DataSpec
from shortlist.data.table import MISSING_TIME, Table
from shortlist.data.vocab import Vocab
from shortlist.types import Array, Int64


def dataset(raw: Raw, spec: DataSpec, like: Dataset | None = None) -> Dataset:
    """The coded log; raises ``InputError`` if the recipe names a behaviour the log has not, or the log has no rows.

    ``like`` is the data that a pipeline was fitted on: ids and levels keep the codes they have there, new ids follow
    after them, new levels count as missing, and an event of a new kind or a context category is refused.
    """
    events = raw.events
    if not len(events):
        raise InputError("the log has no events left after filters")
    behaviours = _behaviours(events, spec) if like is None else _known(raw, like)
    no_ids = pl.Series("id", [], dtype=pl.String)
    users = Vocab.of(*(frame["user"] if frame is not None else no_ids for frame in (events, raw.users, raw.exposures)))
    items = Vocab.of(*(frame["item"] if frame is not None else no_ids for frame in (events, raw.items, raw.exposures)))
    if like is not None:
        users, items = _after(like.user_ids, users), _after(like.item_ids, items)
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
        weight = events["weight"].fill_null(1).to_numpy()[order].astype(np.float32)
        with np.errstate(over="ignore"):
            log = replace(log, weight=log.weight * weight)
        beyond = np.flatnonzero(~np.isfinite(log.weight))
        if len(beyond):
            name, heavy = behaviours.names[log.event[beyond[0]]], weight[beyond[0]]
            raise InputError(f"data.strengths.{name}: times a weight of {heavy:g} in the log it is beyond {GREATEST:g}")
    gap = spec.sessions.gap if spec.sessions else None
    log = replace(
        log,
        context=_context(events, raw.kinds.get("events", {}), order),
        session=None if gap is None else sessions(log.user, log.time, gap),
    )

    def table(name: str, frame: pl.DataFrame | None, vocab: Vocab) -> Table:
        known, key = (getattr(like, name) if like else None), name[:-1]
        levels = _levels(known)
        plain = Table.of(frame, key, raw.kinds.get(name, {}), vocab, levels)
        parts = raw.described.get(name, {})
        return plain.described(
            {
                column: described.told(
                    getattr(log, key),
                    log.time,
                    events[part.column].gather(order).alias(column),
                    part.kind,
                    part.how,
                    len(vocab),
                    levels.get(column),
                )
                for column, part in parts.items()
            }
        )

    item_table = table("items", raw.items, items)
    return Dataset(
        log,
        behaviours,
        users,
        items,
        table("users", raw.users, users),
        item_table,
        available_from(log, item_table),
        exposures=None if raw.exposures is None else _shown(raw.exposures, users, items),
        triples=raw.triples,
        ties=raw.ties,
        clock=raw.clock,
        session_gap=gap,
    )


def available_from(log: Events, items: Table) -> Int64:
    """[n_items]: the catalogue's column ``available_from``; else always for a listed item, else its first event."""
    first = np.full(items.n, FOREVER)
    np.minimum.at(first, log.item, log.time)
    since = np.where(items.listed, MISSING_TIME, first)
    stated = items.times.get("available_from")
    return since if stated is None else np.where(stated != MISSING_TIME, stated, since)


def _shown(exposures: pl.DataFrame, users: Vocab, items: Vocab) -> pl.DataFrame:
    """The rows in time order with codes for ids; nobody known is -1, and the item is always known."""
    coded = {"user": users.encode(exposures["user"]), "item": items.encode(exposures["item"])}
    return exposures.with_columns(**{name: pl.Series(codes) for name, codes in coded.items()}).sort(
        "time", maintain_order=True
    )


def _known(raw: Raw, like: Dataset) -> Behaviours:
    """The behaviours of ``like``, if nothing of the log stands outside their codes."""
    new = sorted(set(raw.events["event"].unique()) - set(like.behaviours.names))
    if new:
        raise InputError(f"the log has events {', '.join(new)}, which the bundle was fitted without; fit again")
    category = [name for name, kind in raw.kinds.get("events", {}).items() if kind == "category"]
    if category:
        raise InputError(f"data.events: a bundle does not keep the codes of context {', '.join(category)}; fit again")
    return like.behaviours


def _after(known: Vocab, found: Vocab) -> Vocab:
    """``known`` with its codes, and then what only ``found`` has."""
    before = set(known.ids)
    return Vocab([*known.ids, *(raw for raw in found.ids if raw not in before)])


def _levels(table: Table | None) -> dict[str, Sequence[str]]:
    if table is None:
        return {}
    dated = {name: column.values for name, column in table.dated.items()}
    tables = dict.fromkeys(table.codes, table) | dated
    return {name: of.codes[name].levels for name, of in tables.items() if name in of.codes}


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
