"""What the columns of a log do: how many values they have, how they repeat, which of them decides which.

A receipt, a session, the shop of a customer and the brand of a thing all look like ids. They differ in what goes with
them: all lines of a receipt have one customer and one time, all lines of a thing have one brand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import Wanted, convert
from shortlist.draft.look import ABSENT, Look, is_number, time_of
from shortlist.types import Float64, Int64

DECIDES = 0.98
"""Of the values that a column has twice and more, so many must go with one value of the other for it to decide it."""
SCALE = 25
"""More distinct values than this are no rating and no behaviours."""
REPEATED = 20
"""So many values must come twice and more before anything is said of what they decide."""


@dataclass(frozen=True)
class Column:
    """One column of a look."""

    name: str
    codes: Int64  # [n] numbers of its distinct cells, -1 where nothing is written
    values: list[str]  # its distinct cells

    @staticmethod
    def of(name: str, cells: list[str]) -> Column:
        """Of the cells of a column."""
        series = pl.Series(cells, dtype=pl.String).str.strip_chars()
        series = series.set(series.is_in(list(ABSENT)), None)
        values = series.drop_nulls().unique(maintain_order=True)
        code = series.replace_strict(values, np.arange(len(values)), default=-1, return_dtype=pl.Int64)
        return Column(name, code.to_numpy(), values.to_list())

    @property
    def n(self) -> int:
        """How many distinct values there are."""
        return len(self.values)

    @cached_property
    def share(self) -> float:
        """The share of rows in which something is written."""
        return float(np.mean(self.codes >= 0)) if len(self.codes) else 0.0

    @cached_property
    def filled(self) -> int:
        """In how many rows something is written."""
        return int(np.sum(self.codes >= 0))

    @cached_property
    def numbers(self) -> Float64 | None:
        """[distinct]: the values as numbers; None if one is no number."""
        if not self.values or not all(map(is_number, self.values)):
            return None
        return np.array([float(value) for value in self.values])

    @cached_property
    def whole(self) -> bool:
        """Whether it holds whole numbers."""
        return self.numbers is not None and bool(np.all(self.numbers == np.floor(self.numbers)))

    @cached_property
    def steps(self) -> bool:
        """Whether it holds few numbers, all evenly apart, as ratings are."""
        numbers = self.numbers
        if numbers is None or not 3 <= len(numbers) <= SCALE:
            return False
        gaps = np.diff(np.sort(numbers))
        return bool(numbers.min() >= -10 and numbers.max() <= 100 and np.allclose(gaps, gaps[0]))

    @property
    def scale(self) -> bool:
        """Whether its values are few enough to be a rating scale."""
        return 1 < self.n <= SCALE

    @cached_property
    def when(self) -> tuple[str | None, str | None] | None:
        """(unit, format) of times, as ``time_of`` tells; None if it holds none."""
        return time_of(self.values) if self.values else None

    @cached_property
    def unique(self) -> bool:
        """Whether nearly every row has a value of its own, as row numbers have."""
        return self.filled > 20 and self.n > 0.98 * self.filled

    def mean_length(self) -> float:
        """Characters of a value."""
        return float(np.mean([len(value) for value in self.values])) if self.values else 0.0


@dataclass(frozen=True)
class Columns:
    """Those of one look."""

    by_name: Mapping[str, Column]

    @staticmethod
    def of(seen: Look) -> Columns:
        """Of a look at a file."""
        return Columns({name: Column.of(name, cells) for name, cells in seen.columns.items()})

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    def decides(self, one: str, other: str) -> bool:
        """Whether every value of ``one`` goes with a single value of ``other``, as far as it comes more than once."""
        a, b = self[one], self[other]
        rows = (a.codes >= 0) & (b.codes >= 0)
        if not rows.any():
            return False
        x, y = a.codes[rows], b.codes[rows]
        pairs = np.unique(x * (int(y.max()) + 1) + y)
        others = np.bincount(pairs // (int(y.max()) + 1), minlength=a.n)
        often = np.bincount(x, minlength=a.n) >= 2
        return bool(often.sum() >= REPEATED and np.mean(others[often] == 1) >= DECIDES)

    def same(self, one: str, other: str) -> bool:
        """Whether each decides the other: a thing's number and its name."""
        return self.decides(one, other) and self.decides(other, one)

    def holds(self, name: str, moments: Int64, within: int) -> bool:
        """Whether the lines of each value of a column stand within so many microseconds: a receipt, a session.

        ``moments`` [n]: microseconds of every row, negative where there is none.
        """
        codes = self[name].codes
        rows = (codes >= 0) & (moments >= 0)
        if not rows.any():
            return False
        k = self[name].n
        first, last = np.full(k, np.iinfo(np.int64).max), np.full(k, -1)
        np.minimum.at(first, codes[rows], moments[rows])
        np.maximum.at(last, codes[rows], moments[rows])
        often = np.bincount(codes[rows], minlength=k) >= 2
        return bool(often.sum() >= REPEATED and np.mean((last - first)[often] <= within) >= DECIDES)


def moments_of(c: Column) -> Int64:
    """[n]: microseconds of every row as ``fit`` reads them, -1 where there is none."""
    unit, form = c.when or (None, None)
    cells = pl.Series(c.name, c.values, pl.String)
    try:
        value = convert(Wanted("time", c.name, "time", unit=unit, format=form), cells.dtype, [], cells).value
    except InputError:
        return np.full(len(c.codes), -1)
    read = cells.to_frame().select(value).to_series().fill_null(-1).to_numpy()
    return np.where(c.codes >= 0, np.append(read, -1)[c.codes], -1)
