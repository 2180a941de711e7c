"""Attributes of items or users as typed columns, row number = identity code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from shortlist.data.vocab import Vocab
from shortlist.types import Array, Float32, Int64, Ragged

MISSING_TIME = np.iinfo(np.int64).min
"""A time that is not known."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A category or list column: every row has zero, one or several of ``levels``."""

    values: Ragged  # [n] rows of "code", an index into levels
    levels: tuple[str, ...]

    def single(self) -> Array:
        """[n] the first code of each row, -1 where there is none."""
        has = self.values.lengths > 0
        first = np.full(len(self.values), -1, np.int32)
        first[has] = self.values["code"][self.values.offsets[:-1][has]]
        return first


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by kind. A row that the source does not mention is missing in every column."""

    n: int
    codes: Mapping[str, Codes] = field(default_factory=dict)  # kinds "category" and "list"
    numbers: Mapping[str, Float32] = field(default_factory=dict)  # kind "number": [n], NaN = missing
    times: Mapping[str, Int64] = field(default_factory=dict)  # kind "time": [n] microseconds, MISSING_TIME = missing
    texts: Mapping[str, pl.Series] = field(default_factory=dict)  # kind "text": [n], null = missing
    listed: Array = field(default_factory=lambda: np.empty(0, bool))  # [n]: the source has a row for this code
    kinds: Mapping[str, str] = field(default_factory=dict)

    def buckets(self, name: str, rows: Array, edges: Array | None = None) -> Array:
        """[len(rows)]: the first level of a category; how many ``edges`` (ascending) a number is not below; else -1."""
        known = (rows >= 0) & (rows < self.n)
        out = np.full(len(rows), -1, np.int32)
        if name in self.numbers:
            number = self.numbers[name][rows[known]]
            place = np.searchsorted(np.empty(0) if edges is None else edges, number, side="right")
            out[known] = np.where(np.isnan(number), -1, place)
        elif name in self.codes:
            values = self.codes[name].values
            start, end = values.offsets[rows[known]], values.offsets[rows[known] + 1]
            if len(values["code"]):
                out[known] = np.where(end > start, values["code"][np.minimum(start, len(values["code"]) - 1)], -1)
        return out

    @staticmethod
    def of(
        frame: pl.DataFrame | None,
        key: str,
        kinds: Mapping[str, str],
        vocab: Vocab,
        levels: Mapping[str, Sequence[str]] | None = None,
    ) -> Table:
        """The table of ``frame`` (column ``key`` holds raw ids), rows rearranged by code.

        ``levels`` by column are those of an earlier table, kept as they are; without, a column's own, sorted. A
        value that is not among given levels is missing.
        """
        n = len(vocab)
        if frame is None:
            return Table(n, listed=np.zeros(n, bool))
        order = pl.DataFrame({key: pl.Series(vocab.ids, dtype=pl.String)})
        frame = order.join(frame.with_columns(pl.lit(True).alias("_listed")), on=key, how="left", maintain_order="left")
        table = Table(n, {}, {}, {}, {}, frame["_listed"].fill_null(False).to_numpy(), dict(kinds))
        for name, kind in kinds.items():
            column = frame[name]
            if kind in ("category", "list"):
                table.codes[name] = _codes(column, kind, (levels or {}).get(name))  # type: ignore[index]
            elif kind == "number":
                table.numbers[name] = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()  # type: ignore[index]
            elif kind == "time":
                table.times[name] = column.cast(pl.Int64).fill_null(MISSING_TIME).to_numpy()  # type: ignore[index]
            else:
                table.texts[name] = column.cast(pl.String)  # type: ignore[index]
        return table

    def frame(self, key: str, ids: list[str]) -> pl.DataFrame:
        """The inverse of ``of``: a frame with raw ids, for saving and showing; only listed rows."""
        columns: dict[str, pl.Series] = {key: pl.Series(ids[: self.n], dtype=pl.String)}
        for name, kind in self.kinds.items():
            if name in self.codes:
                column = self.codes[name]
                levels = pl.Series(column.levels, dtype=pl.String)
                rows = pl.DataFrame({"row": column.values.rows, "level": levels.gather(column.values["code"])})
                lists = rows.group_by("row", maintain_order=True).agg("level")
                joined = pl.DataFrame({"row": np.arange(self.n)}).join(
                    lists, on="row", how="left", maintain_order="left"
                )
                columns[name] = joined["level"] if kind == "list" else joined["level"].list.first()
            elif name in self.numbers:
                columns[name] = pl.Series(self.numbers[name]).fill_nan(None)
            elif name in self.times:
                known = self.times[name] != MISSING_TIME
                columns[name] = pl.select(pl.when(pl.Series(known)).then(pl.Series(self.times[name]))).to_series()
            else:
                columns[name] = self.texts[name]
        return pl.DataFrame(columns).filter(pl.Series(self.listed, dtype=pl.Boolean))


def _codes(column: pl.Series, kind: str, known: Sequence[str] | None) -> Codes:
    if kind == "category":
        column = column.cast(pl.String)
        rows = pl.DataFrame({"row": np.arange(len(column)), "level": column})
    else:
        rows = pl.DataFrame({"row": np.arange(len(column)), "level": column.cast(pl.List(pl.String))}).explode("level")
    rows = rows.drop_nulls().filter(pl.col("level") != "").unique(maintain_order=True)
    levels = Vocab.of(rows["level"]) if known is None else Vocab(known)
    code = levels.encode(rows["level"])
    values = Ragged.of(rows["row"].to_numpy()[code >= 0], len(column), code=code[code >= 0])
    return Codes(values, tuple(levels.ids))
