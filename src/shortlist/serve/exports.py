"""What a store holds, as the tables that experiments are analysed from; see ``shortlist.experiment.outcomes``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from shortlist.experiment.outcomes import EVENTS, EXPOSURES
from shortlist.progress import track
from shortlist.serve.store import Record, Store

PIECE = 50_000
"""Answers, or events, made into a table at a time."""


def exposures(store: Store) -> pl.DataFrame:
    """A row for each item of each answer kept, in the order of the answers."""
    return _table((row for answer in track(store.logged(), "exposures") for row in _rows(answer)), EXPOSURES)


def events(store: Store) -> pl.DataFrame:
    """A row for each live event."""
    names = list(EVENTS)
    kept = (r for r in track(store.read(0), "events") if r["kind"] == "event")
    return _table(({name: record.get(name) for name in names} for record in kept), EVENTS)


def _rows(answer: Record) -> Iterator[dict[str, Any]]:
    names = ("request_id", "user", "time", "bundle", "asked", "latency")
    common = {name: answer.get(name) for name in names}
    common["arms"] = " ".join(f"{name}={arm}" for name, arm in answer["arms"].items())
    for place, item in enumerate(answer["items"], 1):
        yield {**common, **item, "position": place}
    if not answer["items"]:
        yield common


def _table(rows: Iterable[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    parts, piece = [pl.DataFrame(schema=schema)], []
    for row in rows:
        piece.append(row)
        if len(piece) >= PIECE:
            parts.append(pl.DataFrame(piece, schema=schema))
            piece = []
    return pl.concat([*parts, pl.DataFrame(piece, schema=schema)])


__all__ = ["events", "exposures"]
