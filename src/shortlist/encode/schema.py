"""The one description of the columns a deep model reads: learned from training rows, then frozen as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import buckets_of, codes_of, hashed, stacked
from shortlist.encode.history import EVENT, entries, last, part_of
from shortlist.encode.inputs import Inputs
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Int32, Int64, Ragged, Requests

NUMBER, BUCKET, CATEGORY, LIST = "number", "bucket", "category", "list"
HISTORY, HISTORY_BUCKET = "history", "history bucket"
CODED = (BUCKET, CATEGORY)
PAST = (HISTORY, HISTORY_BUCKET)
"""What belongs to a request rather than to a row: codes of its last events, and buckets of their values and ages."""
POOLED = (LIST, *PAST)
EXACT = 2**53
"""Codes below it are told apart in double precision."""


@dataclass(frozen=True)
class Schema:
    """Fields in the order coded (categories, buckets of numbers), pooled (lists, histories), numbers.

    The kind follows from the column's type: floats and booleans [m] are numbers (missing: NaN, ±∞), integers [m] are
    categories (-1 = missing, which is a value like any other), integers [m, w] are lists (-1 = padding). Histories
    are the windows that ``options.windows()`` names, a field for each thing that their entries carry. ``item`` and
    ``user`` name the codes of row and request, unless there are columns of these names. Every value of a coded or
    pooled field is a row of one table: row 0 is padding; row ``first[f]`` is what is out of field f's vocabulary, rare
    values of the training rows among it; then its known values in ascending order. A hashed field has ``width[f]``
    rows and no vocabulary.
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
    within: Int64 | None = None  # [f] how old a history's entries may be; -1 = however old; None = all of them
    looked: Ragged | None = None  # [f] "row": table rows of an attribute that a history carries, by item

    @property
    def rows(self) -> int:
        """Rows of the table, the padding's among them."""
        return int((self.first + self.width).max(initial=1))

    def of_kind(self, *kinds: str) -> Int64:
        """The numbers of the fields of these kinds."""
        return np.flatnonzero((self.kinds[:, None] == np.array(kinds)).any(1))

    def coded(self, name: str) -> int:
        """Which column of ``codes``, and which of the fields' vectors, the coded field ``name`` is."""
        names: list[str] = self.names[self.of_kind(*CODED)].tolist()
        if name not in names:
            raise InputError(
                f"feature column {name!r}: expected one of the ranker's codes; there are {', '.join(names)}"
            )
        return names.index(name)

    def without_numbers(self) -> Schema:
        """Only the fields that have rows in the table."""
        kept = np.flatnonzero(self.kinds != NUMBER)
        parts = self.state().items()
        taken: dict[str, Any] = {name: a.take(kept) if isinstance(a, Ragged) else a[kept] for name, a in parts}
        return Schema(**taken)

    def encode(self, requests: Requests, candidates: Candidates) -> Inputs:
        """``numbers``, ``codes`` and ``lists`` of m rows: what every net reads; histories of n requests by name."""
        return Inputs(self.of_rows(requests, candidates), *self.of_requests(requests, candidates))

    def of_requests(self, requests: Requests, candidates: Candidates) -> tuple[dict[str, Int32], Int64 | None]:
        """What stands in ``Inputs`` once a request, and of which request each row is."""
        asked = self.histories(requests)
        return asked, candidates.request.astype(np.int64) if asked else None

    def of_rows(self, requests: Requests, candidates: Candidates) -> dict[str, Array]:
        """What stands in ``Inputs`` once a row.

        ``numbers`` Float32 [m, p + g]: the p numbers standardised, missing = 0, then for the g that had gaps in
        training whether they are missing. ``codes`` Int32 [m, q]: table rows of the coded fields. ``lists`` Int32
        [m, l]: table rows of the lists side by side, ``length`` entries each, 0 = padding.
        """
        lists = [self._list(f, candidates) for f in self._lists]
        return {
            "numbers": self._numbers(requests, candidates),
            "codes": self._codes(requests, candidates),
            "lists": np.concatenate([np.empty((len(candidates), 0), np.int32), *lists], axis=1),
        }

    def histories(self, requests: Requests) -> dict[str, Int32]:
        """Each history's fields [n, length] by name: table rows, oldest first, padded with 0 on the left."""
        found: dict[str, Int32] = {}
        windows: dict[str, tuple[Int64, Bool]] = {}
        for f in self._past:
            name, length = str(self.names[f]), int(self.length[f])
            window, part = name.partition(".")[0], part_of(name)
            if window not in windows:
                within = None if self.within is None or self.within[f] < 0 else int(self.within[f])
                windows[window] = last(requests, length, within)
            place, inside = windows[window]
            values = entries(requests, part, place, inside)
            found[name] = np.where(inside, self._past_rows(f, part, values.ravel()).reshape(values.shape), 0)
        return found

    @cached_property
    def _lists(self) -> list[int]:
        return [int(f) for f in self.of_kind(LIST)]

    @cached_property
    def _past(self) -> list[int]:
        return [int(f) for f in self.of_kind(*PAST)]

    def _past_rows(self, f: int, part: str, values: Array) -> Int32:
        if self.kinds[f] == HISTORY_BUCKET:
            return (self.first[f] + buckets_of(values, self.table.row(f)["value"])).astype(np.int32)
        if part in ("", EVENT) or self.looked is None:
            return self.rows_of(f, values)
        looked = self.looked.row(f)["row"]
        known = (values >= 0) & (values < len(looked))
        return np.where(known, np.append(looked, 0)[np.where(known, values, -1)], self.first[f]).astype(np.int32)

    def _numbers(self, requests: Requests, candidates: Candidates) -> Float32:
        numbers, gaps, spec = self._standard
        out = np.empty((len(candidates), len(numbers) + len(gaps)), np.float32)
        kernel.encode(self.columns(numbers, requests, candidates), *spec, np.empty((0, 0), np.int32), out)
        return out

    def _codes(self, requests: Requests, candidates: Candidates) -> Int32:
        names, hashed_codes, spec = self._coded
        codes = np.empty((len(candidates), len(names)), np.int32)
        kernel.encode(self.columns(names, requests, candidates), *spec, codes, np.empty((0, 0), np.float32))
        for f in hashed_codes:
            codes[:, f] = self.rows_of(f, column_of(str(self.names[f]), requests, candidates))
        return codes

    @cached_property
    def _coded(self) -> tuple[list[str], list[int], kernel.Spec]:
        """The coded fields' names, which of them are hashed, and what the kernel needs: coded fields come first.

        A code is first + 1 + place in the vocabulary, or among the edges; first where unknown, or missing.
        """
        coded = self.of_kind(*CODED)
        kinds = np.where(self.kinds[coded] == BUCKET, kernel.BUCKET, kernel.CATEGORY).astype(np.int8)
        left = np.arange(len(coded), dtype=np.int32)
        spec = (kinds, left, left, self.width, self.first.astype(np.int32), self.table.offsets, self.table["value"])
        return self.names[coded].tolist(), np.flatnonzero(self.hashed[coded]).tolist(), spec

    @cached_property
    def _standard(self) -> tuple[list[str], Int64, kernel.Spec]:
        """The numbers, then which of them had gaps."""
        numbers = self.of_kind(NUMBER)
        gaps = np.flatnonzero(self.gaps[numbers])
        kinds = np.repeat(np.array([kernel.STANDARD, kernel.MISSING], np.int8), [len(numbers), len(gaps)])
        left = np.append(np.arange(len(numbers)), gaps).astype(np.int32)
        zeros = np.zeros(len(left), np.int32)
        moments = np.stack([self.mean[numbers], self.deviation[numbers]], 1).ravel()
        starts = np.minimum(2 * np.arange(len(left) + 1), len(moments))
        return self.names[numbers].tolist(), gaps, (kinds, left, left, zeros.astype(np.int64), zeros, starts, moments)

    def columns(self, names: Sequence[str], requests: Requests, candidates: Candidates) -> Float64:
        """[names, m], column by column as the candidates have them; NaN for what is not finite."""
        x = stacked(names, [column_of(name, requests, candidates) for name in names], len(candidates))
        x[np.isinf(x)] = np.nan
        return x

    @cached_property
    def hashed(self) -> Bool:
        """[f]: which fields have rows without a vocabulary."""
        return ~np.isin(self.kinds, (NUMBER, BUCKET, HISTORY_BUCKET)) & (self.width != self.table.lengths + 1)

    def rows_of(self, f: int, values: Array) -> Int32:
        """[m]: the table rows of codes ``values`` [m] of field ``f``."""
        known = self.table.row(f)["value"]
        codes = hashed(values, int(self.width[f]), 0) if self.hashed[f] else codes_of(values, known)
        return (self.first[f] + codes).astype(np.int32)

    def _list(self, f: int, candidates: Candidates) -> Int32:
        name, length = str(self.names[f]), int(self.length[f])
        if name not in candidates:
            raise InputError(f"feature column {name!r} is missing: the ranker was fitted with it")
        cells = candidates[name]
        if cells.ndim != 2 or cells.shape[1] != length or cells.dtype.kind not in "iu":
            raise InputError(
                f"feature column {name!r}: expected {length} entries a row, integer codes, "
                f"found shape {cells.shape} of {cells.dtype}"
            )
        return np.where(cells < 0, 0, self.rows_of(f, cells.ravel()).reshape(cells.shape)).astype(np.int32)

    def blank(self, m: int) -> tuple[Requests, Candidates]:
        """``m`` rows of two requests in which everything is missing: what ``encode`` takes, without any data."""
        columns: dict[str, Array] = {}
        for name, kind, length in zip(self.names.tolist(), self.kinds.tolist(), self.length.tolist(), strict=True):
            if kind in (NUMBER, BUCKET):
                columns[name] = np.full(m, np.nan, np.float32)
            elif kind not in PAST:
                columns[name] = np.full((m, length) if kind == LIST else m, -1, np.int32)
        request = (np.arange(m) * 2 // max(1, m)).astype(np.uint32)
        return Requests.of(np.full(2, -1), np.zeros(2)), Candidates(request, np.full(m, -1, np.int32), columns)

    def state(self) -> dict[str, Any]:
        """The arrays by name, for a component to keep."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}


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
