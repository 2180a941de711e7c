"""Attributes of users and items as what nets read: codes, lists of codes and numbers, learned once and then frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from shortlist.data import MISSING_TIME, Codes, Table
from shortlist.durations import UNITS
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.encode.schema import CATEGORY, LIST, Schema
from shortlist.types import Array, Bool, Candidates, Int32, Int64, Requests

KINDS = ("category", "list", "number", "time", "text")
LISTED, LETTERS = 30, 100
"""Entries of a list, and letter trigrams of a text, that are read at most."""
SPACE = ord(" ")


@dataclass(frozen=True)
class Attributes:
    """Columns of a ``Table`` by a ``Schema``: a category, a list's levels, a text's letter trigrams (hashed), a number,
    and a time by its age at the moment asked at, in days."""

    schema: Schema

    @staticmethod
    def learn(table: Table, names: Sequence[str], codes: Array, times: Array, options: Options) -> Attributes:
        """Of the values that ``codes`` [m] had at ``times`` [m]."""
        kinds = {name: table.columns()[name] for name in names}
        found = columns(table, kinds, codes, times, {})
        texts = [name for name, kind in kinds.items() if kind == "text"]
        lists = [name for name, column in found.items() if column.ndim == 2]
        for name in lists:  # as long as the longest
            found[name] = found[name][:, : max(1, int((found[name] >= 0).sum(1).max(initial=0)))]
        options = options.model_copy(update={"hashed": texts})
        return Attributes(learn_schema(list(names), *_asked(len(codes), found), options))

    @property
    def count(self) -> int:
        """How many columns there are."""
        return len(self.schema.names)

    def read(self, table: Table, codes: Array, times: Array) -> dict[str, Array]:
        """Those of ``numbers``, ``codes`` and ``lists`` [m, ...] that have columns, of ``codes`` [m] as of ``times``.

        What a table does not have, and who is not in it, is missing.
        """
        if not self.count:
            return {}
        own = table.columns()
        kinds = {name: own[name] for name in self.schema.names.tolist() if name in own}
        lengths = dict(zip(self.schema.names.tolist(), self.schema.length.tolist(), strict=True))
        found = columns(table, kinds, codes, times, lengths)
        for name, kind in zip(self.schema.names.tolist(), self.schema.kinds.tolist(), strict=True):
            if name not in found:
                shape = (len(codes), lengths[name]) if kind == LIST else len(codes)
                missing: Any = np.full(shape, -1) if kind in (LIST, CATEGORY) else np.full(shape, np.nan, np.float32)
                found[name] = missing
        rows = self.schema.encode(*_asked(len(codes), found)).rows
        return {name: array for name, array in rows.items() if array.shape[1]}

    @staticmethod
    def sizes(prefix: str, letter: str) -> dict[str, str]:
        """How long what ``state`` gives is, in terms of the number of columns."""
        one = ("names", "kinds", "width", "first", "length", "mean", "deviation", "gaps")
        return {f"{prefix}table_": f"{letter} {letter}_values", **{f"{prefix}{name}_": letter for name in one}}

    def state(self, prefix: str) -> dict[str, Any]:
        """Learned arrays for a component to keep."""
        return {f"{prefix}{name}_": value for name, value in self.schema.state().items()}

    @staticmethod
    def of(state: Mapping[str, Any], prefix: str) -> Attributes:
        """What ``state`` gave."""
        known = {name: state.get(f"{prefix}{name}_") for name in Schema.__dataclass_fields__}
        return Attributes(Schema(**{name: value for name, value in known.items() if value is not None}))

    def any(self, table: Table, codes: Array, times: Array) -> Bool:
        """[m]: whether anything is known of each."""
        own = {name: kind for name, kind in table.columns().items() if name in self.schema.names}
        there = np.zeros(len(codes), bool)
        for column in columns(table, own, codes, times, {}).values():
            told = np.isfinite(column) if column.dtype.kind == "f" else column >= 0
            there |= told.any(1) if told.ndim == 2 else told
        return there


def columns(
    table: Table, kinds: Mapping[str, str], codes: Array, times: Array, lengths: Mapping[str, int]
) -> dict[str, Array]:
    """Columns by name, of ``codes`` [m] as of ``times`` [m]; lists and texts are ``lengths`` wide."""
    found: dict[str, Array] = {}
    for name, kind in kinds.items():
        known, rows = table.known(name, codes, times)
        if kind == "category":
            found[name] = known.codes[name].first(rows)
        elif kind == "list":
            found[name] = _padded(known.codes[name], rows, lengths.get(name, LISTED))
        elif kind == "number":
            found[name] = known.number(name, rows)
        elif kind == "time":
            moment = known.time(name, rows)
            found[name] = np.where(moment == MISSING_TIME, np.nan, (times - moment) / UNITS["d"])
        elif kind == "text":
            found[name] = trigrams(known.texts[name], rows, lengths.get(name, LETTERS))
    return found


def _padded(column: Codes, rows: Array, width: int) -> Int32:
    values = column.of(rows)
    place = values.offsets[:-1, None] + np.arange(width)
    inside = place < values.offsets[1:, None]
    return np.where(inside, np.append(values["code"], -1)[np.where(inside, place, -1)], -1).astype(np.int32)


def trigrams(texts: pl.Series, rows: Array, width: int) -> Int64:
    """[m, width]: three letters each of a text's words, a space at either end of a word, as one number; -1 = none.

    Source: Huang et al. (2013), Learning Deep Structured Semantic Models for Web Search using Clickthrough Data.
    """
    out = np.full((len(rows), width), -1, np.int64)
    known = np.flatnonzero((rows >= 0) & (rows < len(texts)))
    for r, text in zip(known.tolist(), texts.gather(rows[known]).to_list(), strict=True):
        letters = f" {' '.join((text or '').lower().split())} "
        points = np.frombuffer(letters.encode("utf-32-le", "replace"), np.uint32).astype(np.int64)
        grams = (points[:-2] << 42 | points[1:-1] << 21 | points[2:])[points[1:-1] != SPACE][:width]
        out[r, : len(grams)] = grams
    return out


def _asked(m: int, found: Mapping[str, Array]) -> tuple[Requests, Candidates]:
    """One request with a row for each of them."""
    rows = Candidates(np.zeros(m, np.uint32), np.full(m, -1, np.int32), dict(found))
    return Requests.of(np.full(1, -1), np.zeros(1)), rows
