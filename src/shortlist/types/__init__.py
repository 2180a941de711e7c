"""The values that flow through the funnel: a batch of requests goes in, rows of candidates come out.

Everything here is a frozen dataclass over numpy arrays. Shapes are given as ``[n]`` after each field.
Times are microseconds since 1970-01-01 UTC. Codes (``user``, ``item``) are identities, not ranks: nothing
may be read into their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shortlist.types.sorting import falling

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]
Bool = NDArray[np.bool_]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class InputError(Exception):
    """The user's input is wrong: the message is one clear line naming the thing, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths: row ``r`` of column ``c`` is ``columns[c][offsets[r]:offsets[r + 1]]``."""

    offsets: Int64  # [n + 1], ascending from 0
    columns: Mapping[str, Array]  # each [offsets[-1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    @property
    def lengths(self) -> Int64:
        """[n]: how many entries each row has."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Int64:
        """[offsets[-1]]: the row each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def row(self, r: int) -> dict[str, Array]:
        """The entries of one row."""
        return {name: column[self.offsets[r] : self.offsets[r + 1]] for name, column in self.columns.items()}

    def take(self, rows: Array | Sequence[int]) -> Ragged:
        """The rows numbered ``rows``, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        entries = spans(self.offsets[rows], self.offsets[rows + 1])
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        return Ragged(offsets, {name: column[entries] for name, column in self.columns.items()})

    def keep(self, mask: Bool) -> Ragged:
        """The same rows with only the entries where ``mask`` [offsets[-1]] is true."""
        kept = np.concatenate([[0], np.cumsum(mask)]).astype(np.int64)
        return Ragged(kept[self.offsets], {name: column[mask] for name, column in self.columns.items()})

    @staticmethod
    def of(rows: Array, n: int, **columns: Array) -> Ragged:
        """From entries already sorted by the row number ``rows`` [m] in 0..n-1."""
        offsets = np.searchsorted(rows, np.arange(n + 1)).astype(np.int64)
        return Ragged(offsets, columns)

    @staticmethod
    def concat(parts: Sequence[Ragged]) -> Ragged:
        """The rows of all parts, one part after the other; all have the same columns."""
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))]).astype(np.int64)
        return Ragged(offsets, {c: np.concatenate([part.columns[c] for part in parts]) for c in parts[0].columns})

    @staticmethod
    def empty(n: int, **dtypes: Any) -> Ragged:
        """``n`` rows without entries."""
        return Ragged(np.zeros(n + 1, np.int64), {name: np.empty(0, dtype) for name, dtype in dtypes.items()})


def distinct(values: Array) -> Array:
    """``np.unique`` of whole numbers; several times as fast where there are few."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def spans(starts: Array, ends: Array) -> Int64:
    """``concatenate([arange(s, e) for s, e in zip(starts, ends)])`` without the loop."""
    lengths = np.maximum(np.asarray(ends, np.int64) - np.asarray(starts, np.int64), 0)
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    return np.arange(total, dtype=np.int64) + np.repeat(np.asarray(starts, np.int64) - before, lengths)


HISTORY = {"item": np.int32, "event": np.int16, "value": np.float32, "time": np.int64, "weight": np.float32}
"""Columns of ``Requests.history``. ``weight`` is the strength of a positive event and 0 for any other."""


@dataclass(frozen=True, slots=True)
class Requests:
    """A batch of questions, each asked at a moment; online it has one row."""

    id: UInt64  # [n] names the request: logs, sticky arms, the seed of its exploration
    user: Int32  # [n] identity code; -1 = no id at all
    time: Int64  # [n] "now"; nothing later may be used
    history: Ragged  # [n] rows of HISTORY columns known at `time`, oldest first
    exclude: Ragged  # [n] rows of "item": may not come back, and use up no channel's k; sorted, unique in a row
    context: Mapping[str, Array] = field(default_factory=dict)  # each [n]
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    # what components worked out about these very requests, for their own next call; a changed copy starts without

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Array | Sequence[int]) -> Requests:
        """The requests numbered ``rows``, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        return Requests(
            self.id[rows],
            self.user[rows],
            self.time[rows],
            self.history.take(rows),
            self.exclude.take(rows),
            {name: column[rows] for name, column in self.context.items()},
        )

    def excluding(self, *more: Ragged) -> Requests:
        """The same requests with the items of ``more`` [n] added to ``exclude``."""
        parts = [self.exclude, *more]
        if len(self) == 1:
            items = distinct(np.concatenate([part["item"] for part in parts]).astype(np.int32, copy=False))
            return replace(self, exclude=Ragged(np.array([0, len(items)], np.int64), {"item": items}))
        rows = np.concatenate([part.rows for part in parts])
        items = np.concatenate([part["item"] for part in parts]).astype(np.int64)
        keys = distinct(rows << 32 | items)
        return replace(self, exclude=Ragged.of(keys >> 32, len(self), item=(keys & 0xFFFFFFFF).astype(np.int32)))

    @staticmethod
    def concat(parts: Sequence[Requests]) -> Requests:
        """The requests of all parts, one part after the other; all have the same context columns."""
        return Requests(
            np.concatenate([part.id for part in parts]),
            np.concatenate([part.user for part in parts]),
            np.concatenate([part.time for part in parts]),
            Ragged.concat([part.history for part in parts]),
            Ragged.concat([part.exclude for part in parts]),
            {name: np.concatenate([part.context[name] for part in parts]) for name in parts[0].context},
        )

    @staticmethod
    def of(user: Array, time: Array, history: Ragged | None = None, **context: Array) -> Requests:
        """Requests with nothing excluded; without ``history``, nobody has one. Ids are row numbers."""
        n = len(user)
        return Requests(
            np.arange(n, dtype=np.uint64),
            np.asarray(user, np.int32),
            np.asarray(time, np.int64),
            Ragged.empty(n, **HISTORY) if history is None else history,
            Ragged.empty(n, item=np.int32),
            context,
        )


def keys(request: Array, item: Array) -> Int64:
    """[m]: one number for each (request, item), which sorts by request and then by item."""
    return np.asarray(request).astype(np.int64) << 32 | np.asarray(item).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows (request, item) and named columns. Within a request the order of the rows is the order of the list."""

    request: UInt32  # [m] row number in Requests, ascending
    item: Int32  # [m]
    columns: Mapping[str, Array] = field(default_factory=dict)
    # each [m], or [m, w] for lists of codes padded with -1:
    # "score", "<channel>.score", "<channel>.rank" (from 1), features, predictions, "ranked", "propensity", "reason"

    def __len__(self) -> int:
        return len(self.item)

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    @property
    def keys(self) -> Int64:
        """[m]: one number for each row's (request, item)."""
        return keys(self.request, self.item)

    def with_columns(self, **new: Array) -> Candidates:
        """The same rows with columns added or replaced."""
        m = len(self.item)
        for name, column in new.items():
            if len(column) != m:
                raise ValueError(f"column {name!r} has {len(column)} values for {m} rows")
        return Candidates(self.request, self.item, {**self.columns, **new})

    def take(self, rows: Array | slice) -> Candidates:
        """The rows numbered (or masked by) ``rows``. The caller keeps requests ascending."""
        numbers = rows if isinstance(rows, slice) or rows.dtype != bool else np.flatnonzero(rows)  # found once, for all
        columns = {name: column[numbers] for name, column in self.columns.items()}
        return Candidates(self.request[rows], self.item[numbers], columns)  # a mask of another length is refused

    def select(self, names: Iterable[str]) -> Candidates:
        """The same rows with only the columns named."""
        return Candidates(self.request, self.item, {name: self.columns[name] for name in names})

    def offsets(self, n: int) -> Int64:
        """[n + 1]: where the rows of each of ``n`` requests begin and end."""
        if n == 1:
            return np.array([0, len(self.item)], np.int64)
        return np.searchsorted(self.request, np.arange(n + 1)).astype(np.int64)

    def positions(self) -> Int64:
        """[m]: place of each row within its request, from 0."""
        if not len(self) or self.request[0] == self.request[-1]:
            return np.arange(len(self))
        first = np.flatnonzero(np.concatenate([[True], self.request[1:] != self.request[:-1]]))
        return np.arange(len(self)) - np.repeat(first, np.diff(np.append(first, len(self))))

    def ranked(self, by: str = "score") -> Candidates:
        """Rows ordered by falling ``by`` within each request; NaN and infinities sink; ties by item code."""
        return self.take(falling(self.columns[by], self.item, self.request))

    def head(self, k: int) -> Candidates:
        """The first ``k`` rows of each request, in the order they have."""
        if len(self) and self.request[0] == self.request[-1]:
            return self.take(slice(k))
        return self.take(self.positions() < k)

    def top(self, k: int, by: str = "score") -> Candidates:
        """The best ``k`` rows of each request by ``by``, best first."""
        return self.ranked(by).head(k)

    def rank_of(self, by: str = "score") -> Int64:
        """[m]: place of each row, from 1, if its request were ordered by falling ``by``."""
        rank = np.empty(len(self), np.int64)
        rank[falling(self.columns[by], self.item, self.request)] = self.positions() + 1
        return rank

    def frame(self) -> pl.DataFrame:
        """The rows as a polars frame, for the edges of the program."""
        import polars as pl

        return pl.DataFrame({"request": self.request, "item": self.item, **self.columns})

    @staticmethod
    def empty(**columns: Any) -> Candidates:
        """No rows, with the columns named."""
        return Candidates(
            np.empty(0, np.uint32),
            np.empty(0, np.int32),
            {name: np.empty(0, dtype) for name, dtype in columns.items()},
        )

    @staticmethod
    def concat(parts: Sequence[Candidates]) -> Candidates:
        """Rows of all parts, each request's rows of an earlier part first.

        A column a part lacks is NaN, 0 or False; a list's is all padding, -1.
        """
        request = np.concatenate([part.request for part in parts])
        joined: dict[str, Array] = {"": np.concatenate([part.item for part in parts])}
        for name in dict.fromkeys(name for part in parts for name in part.columns):
            like = next(part.columns[name] for part in parts if name in part.columns)
            dtype, more = like.dtype, like.shape[1:]
            gap: Any = np.nan if dtype.kind == "f" else np.full((), -1 if more else 0).astype(dtype)[()]
            joined[name] = np.concatenate(
                [
                    part.columns[name] if name in part.columns else np.full((len(part.item), *more), gap, dtype)
                    for part in parts
                ]
            )
        if not (request[1:] >= request[:-1]).all():  # one request, or parts of requests that follow each other: as is
            order = np.argsort(request, kind="stable")
            request, joined = request[order], {name: column[order] for name, column in joined.items()}
        return Candidates(request, joined.pop(""), joined)


@dataclass(frozen=True, slots=True)
class Samples:
    """What a ranker learns from: the same types it will score.

    A plain table is one request a row with item -1 and its columns on ``candidates``.
    """

    requests: Requests
    candidates: Candidates  # [m] rows
    labels: Mapping[str, Float32]  # each [m]; NaN = not observed; several = multi-task
    weight: Float32  # [m]
    rate: float = 1.0
    # share of the negatives that sampling kept ÷ weight of a positive: true odds = rate × odds learned from these rows

    def __len__(self) -> int:
        return len(self.candidates)

    def __repr__(self) -> str:
        columns, labels = (", ".join(named) for named in (self.candidates.columns, self.labels))
        return f"Samples: {len(self):,} rows of {len(self.requests):,} requests; columns {columns}; labels {labels}"

    def take(self, requests: Array) -> Samples:
        """The samples of the requests numbered ``requests`` (ascending), renumbered from 0."""
        requests = np.asarray(requests, np.int64)
        offsets = self.candidates.offsets(len(self.requests))
        rows = spans(offsets[requests], offsets[requests + 1])
        counts = offsets[requests + 1] - offsets[requests]
        picked = self.candidates.take(rows)
        numbers = np.repeat(np.arange(len(requests), dtype=np.uint32), counts)
        return Samples(
            self.requests.take(requests),
            replace(picked, request=numbers),
            {name: label[rows] for name, label in self.labels.items()},
            self.weight[rows],
            self.rate,
        )

    @staticmethod
    def concat(parts: Sequence[Samples]) -> Samples:
        """The samples of all parts, the requests of later parts numbered on; all have the same labels."""
        first = np.cumsum([0, *(len(part.requests) for part in parts)])
        rows = [
            replace(part.candidates, request=(part.candidates.request + np.uint32(n)).astype(np.uint32))
            for part, n in zip(parts, first, strict=False)
        ]
        return Samples(
            Requests.concat([part.requests for part in parts]),
            Candidates.concat(rows),
            {name: np.concatenate([part.labels[name] for part in parts]) for name in parts[0].labels},
            np.concatenate([part.weight for part in parts]),
            sum(map(len, parts)) / sum(len(part) / part.rate for part in parts) if any(map(len, parts)) else 1.0,
        )
