"""Samples from a plain table: a row is a request with one candidate, or the rows of a group are a request's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.data.sources import source
from shortlist.data.sources._plain import load_rows
from shortlist.data.vocab import Vocab
from shortlist.progress import step
from shortlist.recipe import Recipe
from shortlist.types import Array, Candidates, Requests, Samples


def read_table(recipe: Recipe, root: Path | None) -> PlainTable:
    """The recipe's plain table; raises ``InputError`` where its source is a log, for which it needs channels."""
    with step("read data"):
        rows = recipe.data.rows
        table = source(recipe.data.source)(recipe.data, root) if rows is None else load_rows(rows, root)
    if not isinstance(table, PlainTable):
        raise InputError(f"recall: missing; the source {recipe.data.source!r} is a log, whose rankers need candidates")
    return table


def plain_samples(
    columns: Mapping[str, Array], label: Array, name: str = "label", group: Array | None = None
) -> Samples:
    """Samples whose request r has the single candidate r with item -1, user -1 and time 0, all weights 1.

    ``columns`` are feature columns [m]: floats are numbers (NaN = missing), integers are codes (-1 = missing), integers
    [m, w] lists of codes. With ``group`` [m], codes from 0, the rows of one group are one request, and rows are put in
    the order of their groups.
    """
    m = len(label)
    request = np.arange(m) if group is None else np.sort(group)
    n = m if group is None else int(group.max(initial=-1)) + 1
    requests = Requests.of(np.full(n, -1, np.int32), np.zeros(n, np.int64))
    rows = slice(None) if group is None else np.argsort(group, kind="stable")
    placed = {name: column[rows] for name, column in columns.items()}
    candidates = Candidates(request.astype(np.uint32), np.full(m, -1, np.int32), placed)
    return Samples(requests, candidates, {name: np.asarray(label, np.float32)[rows]}, np.ones(m, np.float32))


def samples_of(table: PlainTable) -> tuple[Samples, Samples]:
    """``(train, test)`` of a plain table. Categories become codes in the order of their names, missing -1.

    Codes are identities shared by both parts; what a model knows of them it learns from the training rows.
    """
    columns: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    parts = (table.train, table.test)
    for name, vocab in {name: _vocab(table, name) for name in table.kinds}.items():
        if vocab is None:
            cells = [part[name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for part in parts]
        elif table.kinds[name] == "list":
            width = max(1, *(int(part[name].list.len().max() or 0) for part in parts))  # type: ignore[arg-type]
            cells = [_padded(part[name], vocab, width) for part in parts]
        else:
            cells = [vocab.encode(part[name]).astype(np.int32) for part in parts]
        for columns_of_part, column in zip(columns, cells, strict=True):
            columns_of_part[name] = column
    train, test = (
        plain_samples(
            of_part,
            part[table.label].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
            table.label,
            None if table.group is None else _groups(part[table.group]),
        )
        for of_part, part in zip(columns, parts, strict=True)
    )
    return train, test


def levels_of(table: PlainTable) -> dict[str, list[str]]:
    """The names behind the codes of ``samples_of``, by column: code 0 is the first."""
    found = {name: _vocab(table, name) for name in table.kinds}
    return {name: vocab.ids for name, vocab in found.items() if vocab is not None}


def _vocab(table: PlainTable, name: str) -> Vocab | None:
    """The values of a category or list in both parts; None of a number."""
    if table.kinds[name] == "number":
        return None
    parts = (table.train[name], table.test[name])
    return Vocab.of(*(part.explode() if table.kinds[name] == "list" else part for part in parts))


def _padded(lists: pl.Series, vocab: Vocab, width: int) -> Array:
    """[m, width]: codes of the entries, -1 behind the last."""
    lengths = lists.list.len().fill_null(0).to_numpy()
    codes = np.full((len(lists), width), -1, np.int32)
    codes[np.arange(width) < lengths[:, None]] = vocab.encode(lists.filter(pl.Series(lengths > 0)).explode())
    return codes


def _groups(cells: pl.Series) -> Array:
    """[m]: codes from 0 in the order of appearance; a row without a group is one of its own."""
    rows = pl.int_range(len(cells), eager=True).cast(pl.String)
    own = pl.select(pl.when(cells.is_null()).then("\0" + rows).otherwise(cells)).to_series()
    _, first, code = np.unique(own.to_numpy(), return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[code.reshape(-1)])
