"""Several ``rows.parquet`` on the requests that all of them were asked, paired by (user, time)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import AT_K
from shortlist.types import Array, Float64, Int64

ASKED = ["user", "time"]
COLUMNS = ["request", *ASKED, "stage", "rank", "item", "is_target", "targets"]
Measure = tuple[str, int]
"""A metric and its cut-off."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a run and what to call it."""

    rows: pl.DataFrame
    name: str
    cut: bool = False  # whether its lists are known to reach every cut-off if they could


@dataclass(frozen=True, slots=True)
class Shared:
    """n requests that every table was asked."""

    tables: Sequence[Table]
    asked: pl.DataFrame  # [n] row, user, time, targets_0, targets_1, ... by table; by time
    alone: list[int]  # requests of each table that take no part

    def __len__(self) -> int:
        return len(self.asked)

    @property
    def users(self) -> Int64:
        """[n]: a number for each user; -1 for nobody, each of whose requests stands alone."""
        return self.asked["user"].rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1

    @property
    def different_targets(self) -> int:
        """Requests for which two tables have another number of right answers."""
        first, *others = (self.asked[f"targets_{number}"] for number in range(len(self.tables)))
        differ = np.zeros(len(self), bool)
        for other in others:
            differ |= (first != other).to_numpy()
        return int(differ.sum())

    def values(self, measures: Sequence[Measure], stage: str) -> Float64:
        """[tables, n, measures]: what each table's lists of ``stage`` are worth for each request."""
        deepest, formula = max(k for _, k in measures), dict(AT_K)
        judged = [self._slates(number, stage, deepest) for number in range(len(self.tables))]
        return np.stack([np.stack([formula[m](slates, k) for m, k in measures], axis=1) for slates in judged])

    def _slates(self, number: int, stage: str, k: int) -> Slates:
        table = self.tables[number]
        listed = table.rows.filter(pl.col("stage") == stage)
        if not len(listed):
            there = ", ".join(table.rows["stage"].unique().sort())
            raise InputError(f"{table.name}: no stage {stage!r}; there are {there}")
        deepest = int(listed["rank"].max())  # type: ignore[arg-type]
        if table.cut:
            deepest = max(deepest, k)
        if not 1 <= k <= deepest:
            raise InputError(f"{table.name}: k must be from 1 to {deepest}, the longest {stage} in its rows; got {k}")
        listed = listed.join(self.asked.select("row", *ASKED), on=ASKED, how="inner", nulls_equal=True)
        listed = listed.sort("row", "rank")
        count = self.asked[f"targets_{number}"].to_numpy().astype(np.int64)
        hit = listed["is_target"].to_numpy()
        return Slates(
            request=listed["row"].to_numpy().astype(np.uint32),
            item=listed["item"].rank("dense").to_numpy().astype(np.int32),  # any code will do: hits are known
            rank=listed["rank"].to_numpy().astype(np.int32),
            hit=hit,
            known_hit=hit,
            targets=count,
            known=count,
            k=deepest,
        )


def shared(tables: Sequence[Table], what: str) -> Shared:
    """The requests that all tables were asked; raises ``InputError`` where there is none, ``what`` saying of whom."""
    asked = [_asked(table) for table in tables]
    both = asked[0].rename({"targets": "targets_0"})
    for number, other in enumerate(asked[1:], 1):
        renamed = other.rename({"targets": f"targets_{number}"})
        both = both.join(renamed, on=ASKED, how="inner", nulls_equal=True)
    both = both.sort("time", "user").with_row_index("row")
    if not len(both):
        spans = [_span(one) for one in asked]
        raise InputError(
            f"{what} share no request (same user at the same time): the first has {spans[0]}, the second {spans[1]}"
        )
    return Shared(tables, both, [len(one) - len(both) for one in asked])


def _asked(table: Table) -> pl.DataFrame:
    """Every request of a table, whatever the stage: user, time, targets."""
    missing = [column for column in COLUMNS if column not in table.rows.columns]
    if missing:
        there = ", ".join(table.rows.columns)
        raise InputError(f"{table.name}: rows without the column {missing[0]!r}; there are {there}")
    asked = table.rows.group_by(ASKED).agg(pl.first("targets"), pl.n_unique("request").alias("requests"))
    twice = asked.filter(pl.col("requests") > 1)
    if len(twice):
        user, time = twice.select(ASKED).row(0)
        raise InputError(f"{table.name}: user {user!r} asks {twice['requests'][0]} requests at the same time {time}")
    return asked.drop("requests")


def _span(asked: pl.DataFrame) -> str:
    if not len(asked):
        return "none"
    first, last = (datetime.fromtimestamp(asked["time"].sort()[end] / 1e6, UTC) for end in (0, -1))
    return f"{len(asked)} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def within(times: Array, opens: Sequence[int]) -> Int64:
    """[n]: the number of the window each request lies in, windows by the moments they open; -1 = before the first."""
    return np.searchsorted(np.asarray(opens), times, side="right") - 1
