"""The one description of the columns a deep model reads: learned from training rows, then frozen as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import codes_of, hashed, known_values, one_a_row
from shortlist.encode.standardise import moments
from shortlist.nn.edges import even_edges
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Int32, Int64, Ragged, Requests

NUMBER, BUCKET, CATEGORY, LIST, HISTORY = "number", "bucket", "category", "list", "history"
CODED = (BUCKET, CATEGORY)
POOLED = (LIST, HISTORY)
Spec = tuple[Array, Array, Array, Array, Array, Array, Array]
"""What ``encode``'s kernel knows of the fields."""
EXACT = 2**53
"""Codes below it are told apart in double precision."""
Inputs = list[Array]
"""``[numbers, codes, lists, ...]``, each with m rows: what a net's ``forward`` takes, see ``Schema.encode``."""


@dataclass(frozen=True, slots=True)
class Options:
    """How columns are read; the ranker's hyperparameters of the same names."""

    numeric: str = "standard"
    buckets: int = 20
    min_count: int = 5
    hashed: Sequence[str] = ()
    hash_width: int = 10_000
    history: int = 0
    history_shares: str = "item"

    @property
    def bounded(self) -> bool:
        """Whether numbers need edges."""
        return self.numeric == "piecewise"


@dataclass(frozen=True)
class Schema:
    """Fields in the order coded (categories, buckets of numbers), pooled (lists, the history), numbers.

    The kind follows from the column's type: floats and booleans [m] are numbers (missing: NaN, ±∞), integers [m] are
    categories (-1 = missing, which is a value like any other), integers [m, w] are lists (-1 = padding). ``history`` is
    the last items of ``requests.history``. ``item`` and ``user`` name the codes of row and request, unless there are
    columns of these names. Every value of a coded or pooled field is a row of one table: row 0 is padding; row
    ``first[f]`` is what is out of field f's vocabulary, rare values of the training rows among it; then its known
    values in ascending order. A hashed field has ``width[f]`` rows and no vocabulary.
    """

    names: Array  # [f]
    kinds: Array  # [f]
    width: Int64  # [f] table rows of a coded or pooled field
    first: Int64  # [f] the first of them; two fields may share them; -1 for a number
    length: Int64  # [f] entries of a pooled field, else 1
    table: Ragged  # [f] rows of "value" Float64, ascending: vocabulary (empty where hashed) or boundaries of buckets
    mean: Float64  # [f] of a number, else 0
    deviation: Float64  # [f] of a number, else 1
    gaps: Bool  # [f] whether a number was ever missing in training

    @property
    def rows(self) -> int:
        """Rows of the table, the padding's among them."""
        return int((self.first + self.width).max(initial=1))

    def of_kind(self, *kinds: str) -> Int64:
        """The numbers of the fields of these kinds."""
        return np.flatnonzero((self.kinds[:, None] == np.array(kinds)).any(1))

    def without_numbers(self) -> Schema:
        """Only the fields that have rows in the table."""
        kept = np.flatnonzero(self.kinds != NUMBER)
        parts = self.state().items()
        taken: dict[str, Any] = {name: a.take(kept) if isinstance(a, Ragged) else a[kept] for name, a in parts}
        return Schema(**taken)

    def encode(self, requests: Requests, candidates: Candidates) -> Inputs:
        """``[numbers, codes, lists]``: what every net reads.

        ``numbers`` Float32 [m, p + g]: the p numbers standardised, missing = 0, then for the g that had gaps in
        training whether they are missing. ``codes`` Int32 [m, q]: table rows of the coded fields. ``lists`` Int32
        [m, l]: table rows of the pooled fields side by side, ``length`` entries each, 0 = padding.
        """
        lists = [self._pooled(f, requests, candidates) for f in self._lists]
        return [
            self._numbers(requests, candidates),
            self._codes(requests, candidates),
            np.concatenate([np.empty((len(candidates), 0), np.int32), *lists], axis=1),
        ]

    @cached_property
    def _lists(self) -> list[int]:
        return [int(f) for f in self.of_kind(*POOLED)]

    def _numbers(self, requests: Requests, candidates: Candidates) -> Float32:
        numbers, gaps, spec = self._standard
        out = np.empty((len(candidates), len(numbers) + len(gaps)), np.float32)
        kernel.encode(self._columns(numbers, requests, candidates), *spec, np.empty((0, 0), np.int32), out)
        return out

    def _codes(self, requests: Requests, candidates: Candidates) -> Int32:
        names, hashed_codes, spec = self._coded
        codes = np.empty((len(candidates), len(names)), np.int32)
        kernel.encode(self._columns(names, requests, candidates), *spec, codes, np.empty((0, 0), np.float32))
        for f in hashed_codes:
            codes[:, f] = self._rows_of(f, column_of(str(self.names[f]), requests, candidates))
        return codes

    @cached_property
    def _coded(self) -> tuple[list[str], list[int], Spec]:
        """The coded fields' names, which of them are hashed, and what the kernel needs: coded fields come first.

        A code is first + 1 + place in the vocabulary, or among the edges; first where unknown, or missing.
        """
        coded = self.of_kind(*CODED)
        kinds = np.where(self.kinds[coded] == BUCKET, kernel.BUCKET, kernel.CATEGORY).astype(np.int8)
        left = np.arange(len(coded), dtype=np.int32)
        spec = (kinds, left, left, self.width, self.first.astype(np.int32), self.table.offsets, self.table["value"])
        return self.names[coded].tolist(), np.flatnonzero(self.hashed[coded]).tolist(), spec

    @cached_property
    def _standard(self) -> tuple[list[str], Int64, Spec]:
        """The numbers, then which of them had gaps."""
        numbers = self.of_kind(NUMBER)
        gaps = np.flatnonzero(self.gaps[numbers])
        kinds = np.repeat(np.array([kernel.STANDARD, kernel.MISSING], np.int8), [len(numbers), len(gaps)])
        left = np.append(np.arange(len(numbers)), gaps).astype(np.int32)
        zeros = np.zeros(len(left), np.int32)
        moments = np.stack([self.mean[numbers], self.deviation[numbers]], 1).ravel()
        starts = np.minimum(2 * np.arange(len(left) + 1), len(moments))
        return self.names[numbers].tolist(), gaps, (kinds, left, left, zeros.astype(np.int64), zeros, starts, moments)

    def _columns(self, names: Sequence[str], requests: Requests, candidates: Candidates) -> Float64:
        """[names, m], column by column as the candidates have them; NaN for what is not finite."""
        x = np.empty((len(names), len(candidates)))
        for cells, name in zip(x, names, strict=True):
            cells[:] = one_a_row(name, column_of(name, requests, candidates))
        x[np.isinf(x)] = np.nan
        return x

    @cached_property
    def hashed(self) -> Bool:
        """[f]: which fields have rows without a vocabulary."""
        return (self.kinds != NUMBER) & (self.kinds != BUCKET) & (self.width != self.table.lengths + 1)

    def _rows_of(self, f: int, values: Array) -> Int32:
        known = self.table.row(f)["value"]
        codes = hashed(values, int(self.width[f]), 0) if self.hashed[f] else codes_of(values, known)
        return (self.first[f] + codes).astype(np.int32)

    def _pooled(self, f: int, requests: Requests, candidates: Candidates) -> Int32:
        length = int(self.length[f])
        if self.kinds[f] == HISTORY:
            cells = last_items(requests.history, length)
        else:
            cells = candidates[str(self.names[f])]
            if cells.ndim != 2 or cells.shape[1] != length or cells.dtype.kind not in "iu":
                raise InputError(
                    f"feature column {str(self.names[f])!r}: expected {length} entries a row, integer codes, "
                    f"found shape {cells.shape} of {cells.dtype}"
                )
        codes = np.where(cells < 0, 0, self._rows_of(f, cells.ravel()).reshape(cells.shape)).astype(np.int32)
        return codes[candidates.request] if self.kinds[f] == HISTORY else codes

    def blank(self, m: int) -> tuple[Requests, Candidates]:
        """``m`` rows of one request in which everything is missing: what ``encode`` takes, without any data."""
        columns: dict[str, Array] = {}
        for name, kind, length in zip(self.names.tolist(), self.kinds.tolist(), self.length.tolist(), strict=True):
            if kind in (NUMBER, BUCKET):
                columns[name] = np.full(m, np.nan, np.float32)
            elif kind != HISTORY:
                columns[name] = np.full((m, length) if kind == LIST else m, -1, np.int32)
        rows = Candidates(np.zeros(m, np.uint32), np.full(m, -1, np.int32), columns)
        return Requests.of(np.full(1, -1), np.zeros(1)), rows

    def state(self) -> dict[str, Any]:
        """The arrays by name, for a component to keep."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def learn(names: Sequence[str], requests: Requests, candidates: Candidates, options: Options) -> Schema:
        """Learns vocabularies, edges and moments of the columns ``names`` from training rows."""
        kinds = {name: kind_of(name, column_of(name, requests, candidates), options.numeric) for name in names}
        if options.history:
            if "history" in kinds:
                raise InputError("history: the last items are a field of that name, and so is a column: leave one out")
            kinds["history"] = HISTORY
        for name in options.hashed:
            if kinds.get(name) not in (CATEGORY, *POOLED):
                raise InputError(f"hashed: {name!r} is no column of codes or lists that the ranker reads")
        order = [n for group in (CODED, POOLED, (NUMBER,)) for n, kind in kinds.items() if kind in group]
        learned: list[_Field] = []
        at: dict[str, int] = {}
        rows = 1
        for name in order:
            field = _learn(name, kinds[name], requests, candidates, options)
            shares = at.get(options.history_shares) if field.kind == HISTORY else None
            if shares is not None:
                twin = learned[shares]
                field = _Field(name, HISTORY, twin.width, twin.first, field.length, twin.table)
            elif field.kind != NUMBER:
                field.first = rows
                rows += field.width
            at[name] = len(learned)
            learned.append(field)
        return Schema(
            np.array([field.name for field in learned], np.str_),
            np.array([field.kind for field in learned], np.str_),
            np.array([field.width for field in learned], np.int64),
            np.array([field.first for field in learned], np.int64),
            np.array([field.length for field in learned], np.int64),
            Ragged(
                np.cumsum([0, *(len(field.table) for field in learned)]).astype(np.int64),
                {"value": np.concatenate([np.empty(0), *(field.table for field in learned)])},
            ),
            np.array([field.mean for field in learned], np.float64),
            np.array([field.deviation for field in learned], np.float64),
            np.array([field.gaps for field in learned], np.bool_),
        )


@dataclass(slots=True)
class _Field:
    name: str
    kind: str
    width: int = 0
    first: int = -1
    length: int = 1
    table: Array | Sequence[float] = ()
    mean: float = 0.0
    deviation: float = 1.0
    gaps: bool = False


def _learn(name: str, kind: str, requests: Requests, candidates: Candidates, options: Options) -> _Field:
    values = last_items(requests.history, options.history) if kind == HISTORY else column_of(name, requests, candidates)
    if kind == BUCKET:
        edges = even_edges(values, options.buckets)
        return _Field(name, kind, len(edges) + 2, table=edges)
    if kind == NUMBER:
        mean, deviation = moments(values)
        finite = np.isfinite(values)
        ends = [values[finite].min(), values[finite].max()] if finite.any() else []
        bounds = np.unique(np.append(even_edges(values, options.buckets), ends)) if options.bounded else np.empty(0)
        edges = (bounds - mean) / deviation
        return _Field(name, kind, table=edges, mean=mean, deviation=deviation, gaps=not finite.all())
    length = values.shape[1] if values.ndim == 2 else 1
    if name in options.hashed:
        return _Field(name, kind, options.hash_width, length=length)
    if values.size and values.max() >= EXACT:
        raise InputError(f"feature column {name!r}: expected codes below 2^53, found {values.max()}; put it in hashed")
    values = values.astype(np.int64)
    known = known_values(values[values >= 0] if kind in POOLED else values, options.min_count)
    return _Field(name, kind, len(known) + 1, length=length, table=known)


def column_of(name: str, requests: Requests, candidates: Candidates) -> Array:
    """The column called ``name``; the codes of items or users where there is none of these names."""
    if name in candidates.columns:
        return candidates.columns[name]
    if name == "item":
        return candidates.item
    if name == "user":
        return requests.user[candidates.request]
    raise InputError(f"feature column {name!r} is missing: the ranker was fitted with it")


def kind_of(name: str, column: Array, numeric: str) -> str:
    """What a column is by its type."""
    if column.ndim == 2:
        if column.dtype.kind not in "iu":
            raise InputError(f"feature column {name!r}: a list is of integer codes, found {column.dtype}")
        return LIST
    if column.dtype.kind in "iu":
        return CATEGORY
    return BUCKET if numeric == "quantile" else NUMBER


def last_items(history: Ragged, length: int) -> Array:
    """[n, length]: the last items of each row, oldest first, padded with -1 on the left."""
    place = history.offsets[1:, None] - np.arange(length, 0, -1)
    inside = place >= history.offsets[:-1, None]
    items = np.append(history["item"], -1)
    return np.where(inside, items[np.where(inside, place, -1)], -1)
