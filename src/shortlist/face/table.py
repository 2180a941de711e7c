"""A plain labelled table for rankers: rows to learn from and rows to test on."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import ValidationError

from shortlist.component import InputError, Ranker, explain
from shortlist.data.raw import PlainTable
from shortlist.data.rows import RowsSpec
from shortlist.data.sources import source, source_names
from shortlist.data.sources._plain import GROUP, load_rows
from shortlist.data.spec import DataSpec
from shortlist.draft.look import look
from shortlist.draft.rows import draft_rows
from shortlist.face.log import ArrowTable, frame_of
from shortlist.tabular.folds import measured
from shortlist.tabular.samples import samples_of
from shortlist.types import Samples


class Table(NamedTuple):
    """``train, test = sl.table(frame, label="bought")``: what ``fit`` and ``score`` of a ranker take."""

    train: Samples
    test: Samples


def table(
    rows: str | Path | ArrowTable | pl.LazyFrame,
    *,
    label: str | None = None,
    positive: str | float | bool | None = None,
    test: float | str | Path | ArrowTable | pl.LazyFrame = 0.25,
    categories: Sequence[str] = (),
    without: Sequence[str] = (),
    group: str | None = None,
    seed: int = 0,
) -> Table:
    """Samples from a file (CSV, Parquet, libsvm), a frame (polars, pandas, Arrow), or a named table like ``"adult"``.

    ``label`` is a column of 0 and 1, or of anything if ``positive`` says which value counts as 1. ``test`` is the share
    of the rows held back, drawn at random by ``seed``, or a frame of its own, whose label may be missing. Numbers are
    numbers, text and truth values are categories, and so is every column in ``categories``; ``without`` are left out.
    Rows with the same cell of ``group`` are one request. A file is looked at as ``shortlist init --label`` does.
    Raises ``InputError``.
    """
    if isinstance(rows, str) and rows.replace("_", "-") in source_names() and not Path(rows).exists():
        return Table(*samples_of(_named(rows)))
    if label is None:
        raise InputError("table: say which column is the label (label=...)")
    if isinstance(rows, str | Path):
        found = _file(Path(rows), label, positive, test, categories, [*without], group, seed)
        return Table(*samples_of(load_rows(found)))
    if isinstance(test, str | Path):
        raise InputError(f"table: test: expected a frame beside a frame, found the file {test}")
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
    for name in [label, *categories, *without, *([group] if group is not None else [])]:
        if name not in frame.columns:
            raise InputError(f"table: no column {name!r}; there are {', '.join(frame.columns)}")
    kinds = {
        name: "category" if name in categories else _kind(name, dtype)
        for name, dtype in frame.schema.items()
        if name not in (label, group) and name not in without
    }
    missing = [name for name in (*kinds, *([group] if group is not None else [])) if name not in parts[1].columns]
    if missing:
        raise InputError(f"test: no column {missing[0]!r}, which the table has")
    train, held_back = (_labelled(part, label, positive, kinds, group) for part in parts)
    return Table(*samples_of(PlainTable(train, held_back, label, kinds, group=None if group is None else GROUP)))


def auc(ranker: Ranker, samples: Samples) -> float:
    """Area under the ROC curve of a fitted ranker on samples."""
    return measured(ranker, samples)


def _file(
    path: Path,
    label: str,
    positive: Any,
    test: Any,
    categories: Sequence[str],
    without: list[str],
    group: Any,
    seed: Any,
) -> RowsSpec:
    """How a file is to be read: as it is drafted, with what was said instead of what was guessed."""
    if not path.is_file():
        raise InputError(f"table: {path}: expected a file, a frame or a named table such as adult, found nothing")
    held = Path(test) if isinstance(test, str | Path) else None
    if held is None and not isinstance(test, float):
        raise InputError("table: test: expected a share or a file beside a file, found a frame")
    section: dict[str, Any] = tomllib.loads(draft_rows(path, label, held))["data"]["rows"]
    columns = section.pop("columns", {})
    known = [*look(path).columns, *columns] if columns else []
    for name in (*categories, *without):
        if columns and name not in known:
            raise InputError(f"table: no column {name!r}; there are {', '.join(known)}")
    columns |= dict.fromkeys(categories, "category")
    kinds = {name: kind for name, kind in columns.items() if name not in without and name != group}
    section |= {"columns": kinds} if kinds else {"without": without}
    section |= {"split": {"share": test, "seed": seed}} if held is None else {}
    section |= {key: value for key, value in (("positive", positive), ("group", group)) if value is not None}
    try:
        return RowsSpec.model_validate(section)
    except ValidationError as error:
        raise InputError(f"table: {explain(error, '', RowsSpec)}") from error


def _named(name: str) -> PlainTable:
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


def _labelled(frame: pl.DataFrame, label: str, positive: Any, kinds: dict[str, str], group: str | None) -> pl.DataFrame:
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
    of = [] if group is None else [pl.col(group).cast(pl.String).alias(GROUP)]
    narrow = frame.select(pl.col(label).cast(pl.Int8), *of, *(pl.col(name).cast(dtype) for name, dtype in cast.items()))
    for name in (name for name, kind in kinds.items() if kind == "number"):
        beyond = narrow[name].is_infinite().arg_true()  # tested when narrowed: 1e300 is infinite in float32
        if len(beyond):
            found = frame[name][beyond[0]]
            raise InputError(f"table: row {beyond[0] + 1}, column {name!r}: expected a number, found {found!r}")
    return narrow
