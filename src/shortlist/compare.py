"""Two experiments on the same requests: which is better, by how much, and could it be chance?

Experiments are paired on their ``rows.parquet`` by (user, time): what remains is the difference of the systems, not of
the people they were asked by. Requests that only one of them was asked are counted and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import AT_K
from shortlist.metrics.interval import Difference, Interval, mean_intervals, paired_interval

ASKED = ["user", "time"]
COLUMNS = ["request", *ASKED, "stage", "rank", "item", "is_target", "targets"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """a against b over the requests both were asked."""

    metric: str  # "ndcg@10"
    a: Interval
    b: Interval
    difference: Difference  # a − b, request by request
    requests: int  # asked of both
    users: int
    only_a: int  # requests asked of a alone, which take no part
    only_b: int
    different_targets: int  # shared requests where the two had another number of right answers (other exclusions)


def compare_rows(
    a: pl.DataFrame, b: pl.DataFrame, metric: str = "ndcg", k: int = 10, *, stage: str = "slate", seed: int = 0
) -> Comparison:
    """Pairs the lists of ``stage`` in two ``rows.parquet`` and compares them by ``metric`` at ``k``.

    A request for which a stage showed nothing counts as missed if any other stage of the same file has rows for it.
    Raises ``InputError`` if no request is shared, a column or stage is missing, or the lists were cut before ``k``.
    """
    measures = dict(AT_K)
    if metric not in measures:
        raise InputError(f"metric {metric!r} cannot be compared; there are {', '.join(measures)}")
    asked_a, asked_b = _asked(a, "the first experiment"), _asked(b, "the second experiment")
    both = asked_a.join(asked_b, on=ASKED, how="inner", suffix="_b").sort("time", "user").with_row_index("row")
    if not len(both):
        raise InputError(
            f"the experiments share no request (same user at the same time): the first has {_span(asked_a)}, "
            f"the second {_span(asked_b)}"
        )
    judged_a = _slates(a, both, "targets", stage, k, "the first experiment")
    judged_b = _slates(b, both, "targets_b", stage, k, "the second experiment")
    users = both["user"].rank("dense").to_numpy().astype(np.int64)
    value_a, value_b = measures[metric](judged_a, k), measures[metric](judged_b, k)
    mean_a, mean_b = mean_intervals(np.stack([value_a, value_b], axis=1), users, seed)
    return Comparison(
        metric=f"{metric}@{k}",
        a=mean_a,
        b=mean_b,
        difference=paired_interval(value_a, value_b, users, seed),
        requests=len(both),
        users=int(users.max()),
        only_a=len(asked_a) - len(both),
        only_b=len(asked_b) - len(both),
        different_targets=int((both["targets"] != both["targets_b"]).sum()),
    )


def _asked(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Every request of a file, whatever the stage: user, time, targets."""
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise InputError(f"{name}: rows without the column {missing[0]!r}; there are {', '.join(rows.columns)}")
    asked = rows.group_by(ASKED).agg(pl.first("targets"), pl.n_unique("request").alias("requests"))
    twice = asked.filter(pl.col("requests") > 1)
    if len(twice):
        user, time = twice.select(ASKED).row(0)
        raise InputError(f"{name}: user {user!r} asks {twice['requests'][0]} requests at the same time {time}")
    return asked.drop("requests")


def _slates(rows: pl.DataFrame, both: pl.DataFrame, targets: str, stage: str, k: int, name: str) -> Slates:
    listed = rows.filter(pl.col("stage") == stage)
    if not len(listed):
        raise InputError(f"{name}: no stage {stage!r}; there are {', '.join(rows['stage'].unique().sort())}")
    deepest = int(listed["rank"].max())  # type: ignore[arg-type]
    if not 1 <= k <= deepest:
        raise InputError(f"{name}: k must be from 1 to {deepest}, the longest {stage} in its rows; got {k}")
    listed = listed.join(both.select("row", *ASKED), on=ASKED, how="inner").sort("row", "rank")
    count = both[targets].to_numpy().astype(np.int64)
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


def _span(asked: pl.DataFrame) -> str:
    if not len(asked):
        return "none"
    first, last = (datetime.fromtimestamp(asked["time"].sort()[end] / 1e6, UTC) for end in (0, -1))
    return f"{len(asked)} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
