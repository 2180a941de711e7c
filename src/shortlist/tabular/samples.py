"""Samples from a plain table: one row is one request with one candidate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.data.sources import source
from shortlist.data.vocab import Vocab
from shortlist.progress import step
from shortlist.recipe import Recipe
from shortlist.types import Array, Candidates, Requests, Samples


def read_table(recipe: Recipe, root: Path | None) -> PlainTable:
    """The recipe's plain table; raises ``InputError`` where its source is a log, for which it needs channels."""
    with step("read data"):
        table = source(recipe.data.source)(recipe.data, root)
    if not isinstance(table, PlainTable):
        raise InputError(f"recall: missing; the source {recipe.data.source!r} is a log, whose rankers need candidates")
    return table


def plain_samples(columns: Mapping[str, Array], label: Array, name: str = "label") -> Samples:
    """Samples whose request r has the single candidate r with item -1, user -1 and time 0, all weights 1.

    ``columns`` are feature columns [m]: floats are numbers (NaN = missing), integers are codes (-1 = missing).
    """
    m = len(label)
    requests = Requests.of(np.full(m, -1, np.int32), np.zeros(m, np.int64))
    candidates = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), dict(columns))
    return Samples(requests, candidates, {name: np.asarray(label, np.float32)}, np.ones(m, np.float32))


def samples_of(table: PlainTable) -> tuple[Samples, Samples]:
    """``(train, test)`` of a plain table. Categories become codes in the order of their names, missing -1.

    Codes are identities shared by both parts; what a model knows of them it learns from the training rows.
    """
    columns: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    parts = (table.train, table.test)
    for name, kind in table.kinds.items():
        if kind == "number":
            cells = [part[name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for part in parts]
        else:
            vocab = Vocab.of(parts[0][name], parts[1][name])
            cells = [vocab.encode(part[name]).astype(np.int32) for part in parts]
        for columns_of_part, column in zip(columns, cells, strict=True):
            columns_of_part[name] = column
    train, test = (
        plain_samples(of_part, part[table.label].cast(pl.Float32).fill_null(float("nan")).to_numpy(), table.label)
        for of_part, part in zip(columns, parts, strict=True)
    )
    return train, test
