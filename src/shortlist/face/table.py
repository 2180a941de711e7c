"""A plain labelled table for rankers: rows to learn from and rows to test on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from shortlist.component import InputError, Ranker
from shortlist.data.raw import PlainTable
from shortlist.data.sources import source, source_names
from shortlist.data.spec import DataSpec
from shortlist.face.log import ArrowTable, frame_of
from shortlist.tabular.folds import measured
from shortlist.tabular.samples import samples_of
from shortlist.types import Samples


class Table(NamedTuple):
    """``train, test = sl.table(frame, label="bought")``: what ``fit`` and ``score`` of a ranker take."""

    train: Samples
    test: Samples


def table(
    rows: str | ArrowTable | pl.LazyFrame,
    *,
    label: str | None = None,
    positive: str | float | bool | None = None,
    test: float | ArrowTable | pl.LazyFrame = 0.25,
    categories: Sequence[str] = (),
    without: Sequence[str] = (),
    seed: int = 0,
) -> Table:
    """Samples from a frame (polars, pandas, Arrow), or from a named plain table such as ``"adult"``.

    ``label`` is a column of 0 and 1, or of anything if ``positive`` says which value counts as 1. ``test`` is the share
    of the rows held back, drawn at random by ``seed``, or a frame of its own, whose label may be missing. Numbers are
    numbers, text and truth values are categories, and so is every column in ``categories``; ``without`` are left out.
    Raises ``InputError``.
    """
    if isinstance(rows, str):
        return Table(*samples_of(_named(rows)))
    if label is None:
        raise InputError("table: say which column is the label (label=...)")
    frame = frame_of(rows, "table")
    if isinstance(test, float):
        if not 0 < test < 1:
            raise InputError(f"table: test: expected a share between 0 and 1 or a frame, found {test}")
        held = np.random.default_rng(seed).permutation(len(frame)) < round(test * len(frame))
        parts = frame.filter(~pl.Series(held)), frame.filter(pl.Series(held))
    else:
        parts = frame, frame_of(test, "test")
        if label not in parts[1].columns:
            parts = frame, parts[1].with_columns(pl.lit(None, frame.schema.get(label)).alias(label))
    for name in [label, *categories, *without]:
        if name not in frame.columns:
            raise InputError(f"table: no column {name!r}; there are {', '.join(frame.columns)}")
    kinds = {
        name: "category" if name in categories else _kind(name, dtype)
        for name, dtype in frame.schema.items()
        if name != label and name not in without
    }
    missing = [name for name in kinds if name not in parts[1].columns]
    if missing:
        raise InputError(f"test: no column {missing[0]!r}, which the table has")
    train, held_back = (_labelled(part, label, positive, kinds) for part in parts)
    return Table(*samples_of(PlainTable(train, held_back, label, kinds)))


def auc(ranker: Ranker, samples: Samples) -> float:
    """Area under the ROC curve of a fitted ranker on samples."""
    return measured(ranker, samples)


def _named(name: str) -> PlainTable:
    if name.replace("_", "-") not in source_names():
        raise InputError(f"table: {name!r} is no named table; read a file with polars first (polars.read_csv)")
    found = source(name)(DataSpec(source=name), None)
    if not isinstance(found, PlainTable):
        raise InputError(f"{name}: a log of users and items; expected a plain table. See sl.read({name!r})")
    return found


def _kind(name: str, dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum, pl.Null):
        return "category"
    raise InputError(
        f"table: column {name!r} is {dtype}; expected numbers, text or truth values (or name it in without)"
    )


def _labelled(frame: pl.DataFrame, label: str, positive: Any, kinds: dict[str, str]) -> pl.DataFrame:
    """The rows with the label as 0 or 1 and columns as ``PlainTable`` has them."""
    said = pl.col(label)
    if positive is not None:
        frame = frame.with_columns((said == positive).cast(pl.Int8))
    elif frame[label].dtype == pl.Boolean:
        frame = frame.with_columns(said.cast(pl.Int8))
    values = set(frame[label].drop_nulls().unique().to_list())
    if not values <= {0, 1}:
        found = ", ".join(map(repr, sorted(map(str, values))[:5]))
        raise InputError(f"table: label {label!r}: expected 0 and 1, found {found}; say which is 1 (positive=...)")
    cast = {name: pl.Float32 if kind == "number" else pl.String for name, kind in kinds.items()}
    narrow = frame.select(pl.col(label).cast(pl.Int8), *(pl.col(name).cast(dtype) for name, dtype in cast.items()))
    for name in (name for name, kind in kinds.items() if kind == "number"):
        beyond = narrow[name].is_infinite().arg_true()  # tested when narrowed: 1e300 is infinite in float32
        if len(beyond):
            found = frame[name][beyond[0]]
            raise InputError(f"table: row {beyond[0] + 1}, column {name!r}: expected a number, found {found!r}")
    return narrow
