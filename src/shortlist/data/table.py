"""Attributes of items or users as typed columns, row number = identity code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from shortlist.data import _asof
from shortlist.data.vocab import Vocab
from shortlist.durations import UNITS
from shortlist.types import Array, Bool, Float32, InputError, Int32, Int64, Ragged, spans

MISSING_TIME = np.iinfo(np.int64).min
"""A time that is not known."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A category or list column: every row has zero, one or several of ``levels``."""

    values: Ragged  # [n] rows of "code", an index into levels
    levels: tuple[str, ...]

    def of(self, rows: Array) -> Ragged:
        """The codes of each of ``rows`` [m]; a row that is not in the table has none."""
        if not len(self.values):
            return Ragged.empty(len(rows), code=np.int32)
        known = (rows >= 0) & (rows < len(self.values))
        at = np.where(known, rows, 0)
        low = self.values.offsets[at]
        high = np.where(known, self.values.offsets[at + 1], low)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(high - low, out=offsets[1:])
        return Ragged(offsets, {"code": self.values["code"][spans(low, high)]})

    def first(self, rows: Array) -> Int32:
        """[m]: the first code of each of ``rows`` [m], -1 where it has none or is not in the table."""
        offsets, values = self.values.offsets, self.values["code"]
        if not len(values):
            return np.full(len(rows), -1, np.int32)
        known = (rows >= 0) & (rows < len(self.values))
        at = np.where(known, rows, 0)
        start = offsets[at]
        known &= start < offsets[at + 1]
        return np.where(known, values[np.minimum(start, len(values) - 1)], -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Dense:
    """A column of vectors of one length."""

    values: Float32  # [n, d], zeros where missing
    known: Bool  # [n]: whether the row has one

    def of(self, rows: Array) -> tuple[Float32, Bool]:
        """([m, d], [m]): the vector of each of ``rows`` [m], and whether there is one; zeros where there is none."""
        inside = (rows >= 0) & (rows < len(self.known))
        if not len(self.known):
            return np.zeros((len(rows), self.values.shape[1]), np.float32), inside
        at = np.where(inside, rows, 0)
        known = inside & self.known[at]
        return np.where(known[:, None], self.values[at], np.float32(0)), known


@dataclass(frozen=True, slots=True)
class Dated:
    """A column that changes: of code i the rows offsets[i]..offsets[i + 1] of ``values``, each from its time on."""

    offsets: Int64  # [n + 1]
    times: Int64  # [m] ascending within a code
    values: Table  # m rows, this column alone
    last: int = np.iinfo(np.int64).max  # what came after this moment is not known

    def rows(self, codes: Array, times: Int64 | None = None) -> Int32:
        """[len(codes)]: the row that held at each time, None = the last that is known; -1 where none did."""
        at = np.full(len(codes), self.last) if times is None else np.minimum(times, self.last)
        start, end = _asof.ends(self.offsets, self.times, np.asarray(codes), at)
        return np.where(end > start, end - 1, -1).astype(np.int32)

    def until(self, t: int) -> Dated:
        """What was known of it before ``t``."""
        return replace(self, last=min(self.last, t - 1))


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by kind. A row that the source does not mention is missing in every column.

    What the log tells (``dated``) is in none of the other columns, so that nobody reads a later value by mistake: ask
    ``known`` where a column stands.
    """

    n: int
    codes: Mapping[str, Codes] = field(default_factory=dict)  # kinds "category" and "list"
    numbers: Mapping[str, Float32] = field(default_factory=dict)  # kind "number": [n], NaN = missing
    times: Mapping[str, Int64] = field(default_factory=dict)  # kind "time": [n] microseconds, MISSING_TIME = missing
    texts: Mapping[str, pl.Series] = field(default_factory=dict)  # kind "text": [n], null = missing
    listed: Array = field(default_factory=lambda: np.empty(0, bool))  # [n]: the source has a row for this code
    kinds: Mapping[str, str] = field(default_factory=dict)
    dated: Mapping[str, Dated] = field(default_factory=dict)  # the log's columns, of any kind but "vector"
    vectors: Mapping[str, Dense] = field(default_factory=dict)  # kind "vector"

    def known(self, name: str, codes: Array, times: Int64 | None = None) -> tuple[Table, Array]:
        """Where column ``name`` of ``codes`` stands as of ``times`` (None = the last known): a table and its rows."""
        dated = self.dated.get(name)
        return (self, codes) if dated is None else (dated.values, dated.rows(codes, times))

    def columns(self) -> dict[str, str]:
        """Names and kinds of all columns, those that change too."""
        return {**self.kinds, **{name: dated.values.kinds[name] for name, dated in self.dated.items()}}

    def latest(self) -> Table:
        """Every column as last known, as if it did not change: for people to read."""
        now = Table(self.n, dict(self.codes), dict(self.numbers), dict(self.times), self.texts, self.listed)
        rows = np.arange(self.n)
        for name, kind in self.columns().items():
            table, places = self.known(name, rows)
            if table is self:
                continue
            if name in table.codes:
                now.codes[name] = Codes(table.codes[name].of(places), table.codes[name].levels)  # type: ignore[index]
            elif kind == "number":
                now.numbers[name] = table.number(name, places)  # type: ignore[index]
            elif kind == "time":
                now.times[name] = table.time(name, places)  # type: ignore[index]
            now = replace(now, listed=now.listed | (places >= 0))
        return replace(now, kinds=self.columns(), vectors=self.vectors)

    def until(self, t: int) -> Table:
        """What was known before ``t`` of the columns that change; the others are as they are."""
        if not self.dated:
            return self
        return self.described({name: dated.until(t) for name, dated in self.dated.items()})

    def described(self, dated: Mapping[str, Dated]) -> Table:
        """With columns that change. Texts are for people to read: the last known is the text."""
        texts = dict(self.texts)
        for name, column in dated.items():
            if name in column.values.texts:
                rows = pl.Series(column.rows(np.arange(self.n)))
                texts[name] = column.values.texts[name].gather(rows.set(rows < 0, None))
        return replace(self, texts=texts, dated=dict(dated))

    def of_kind(self, path: str, wanted: Sequence[str] | None, *kinds: str) -> list[str]:
        """The columns of these kinds in the table's order, all or those among ``wanted``.

        Raises ``InputError`` at ``path`` for a wanted one that the table does not have.
        """
        columns = self.columns()
        for name in wanted or ():
            if name not in columns:
                raise InputError(f"{path}: no attribute {name!r}; the table has {', '.join(columns) or 'none'}")
        return [name for name, kind in columns.items() if kind in kinds and (wanted is None or name in wanted)]

    def number(self, name: str, rows: Array) -> Float32:
        """[len(rows)]: a number, or a time in days since 1970, of each row; NaN = missing or not in the table."""
        known = (rows >= 0) & (rows < self.n)
        out = np.full(len(rows), np.nan, np.float32)
        if name in self.numbers:
            out[known] = self.numbers[name][rows[known]]
        else:
            times = self.times[name][rows[known]]
            out[known] = np.where(times == MISSING_TIME, np.nan, times / UNITS["d"])
        return out

    def time(self, name: str, rows: Array) -> Int64:
        """[len(rows)]: a time of each row; MISSING_TIME = missing or not in the table."""
        known = (rows >= 0) & (rows < self.n)
        out = np.full(len(rows), MISSING_TIME)
        out[known] = self.times[name][rows[known]]
        return out

    def buckets(self, name: str, rows: Array, edges: Array | None = None) -> Int32:
        """[len(rows)]: the first level of a category; how many ``edges`` (ascending) a number is not below; else -1."""
        if name in self.codes:
            return self.codes[name].first(rows)
        if name not in self.numbers:
            return np.full(len(rows), -1, np.int32)
        number = self.number(name, rows)
        place = np.searchsorted(np.empty(0) if edges is None else edges, number, side="right")
        return np.where(np.isnan(number), -1, place).astype(np.int32)

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
        return Table.rows(frame, kinds, levels, frame["_listed"].fill_null(False).to_numpy())

    @staticmethod
    def rows(
        frame: pl.DataFrame, kinds: Mapping[str, str], levels: Mapping[str, Sequence[str]] | None, listed: Array
    ) -> Table:
        """The columns ``kinds`` of ``frame``, row by row; ``levels`` as in ``of``."""
        table = Table(len(frame), {}, {}, {}, {}, listed, dict(kinds), vectors={})
        for name, kind in kinds.items():
            column = frame[name]
            if kind in ("category", "list"):
                table.codes[name] = _codes(column, kind, (levels or {}).get(name))  # type: ignore[index]
            elif kind == "number":
                table.numbers[name] = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()  # type: ignore[index]
            elif kind == "time":
                table.times[name] = column.cast(pl.Int64).fill_null(MISSING_TIME).to_numpy()  # type: ignore[index]
            elif kind == "vector":
                table.vectors[name] = _dense(name, column)  # type: ignore[index]
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
            elif name in self.vectors:
                vectors, known = self.vectors[name].values, pl.Series(self.vectors[name].known)
                cells = pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])).arr.to_list()
                columns[name] = pl.select(pl.when(known).then(cells)).to_series()
            else:
                columns[name] = self.texts[name]
        return pl.DataFrame(columns).filter(pl.Series(self.listed, dtype=pl.Boolean))


def _dense(name: str, column: pl.Series) -> Dense:
    """Raises ``InputError`` where the vectors are not of one length, or hold what is no finite number."""
    cells = column.cast(pl.List(pl.Float32))
    cells = cells.set(cells.list.len() == 0, None)
    known, filled = cells.is_not_null().to_numpy(), cells.drop_nulls()
    lengths, flat = filled.list.len().unique().sort().to_list(), filled.explode()
    if len(lengths) > 1 or flat.null_count() or not flat.is_finite().all():
        raise InputError(f"column {name}: expected vectors of one length of finite numbers, found lengths {lengths}")
    values = np.zeros((len(cells), lengths[0] if lengths else 0), np.float32)
    values[known] = flat.to_numpy().reshape(len(filled), -1) if lengths else 0
    return Dense(values, known)


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
