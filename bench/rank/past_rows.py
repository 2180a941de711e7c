"""Rows with a past, for the rankers that look at one: which are learned from, which stop training, which are reported.

movielens-100k    a rating each, by time: is it 4 or more?
amazon-grocery    an event each, by time, and beside it an item drawn at random: which of them was it?
amazon-5core      the same of Beauty; a user's last item is reported, the one before it stops training
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.nn.examples import known
from shortlist.types import Array, Candidates, Int32, Int64, Ragged, Requests, Samples, spans

LENGTH = 50
DAY = 86_400_000_000
USERS = 8_000
"""Users of the logs of Amazon, drawn: a seed of all four models takes minutes for them already."""
Parts = dict[str, Samples]


def movielens(root: Path | None) -> Parts:
    """Each rating a row and a request of its own; 8:1:1 by time."""
    raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
    log = raw.events.sort("user", "time", maintain_order=True)  # type: ignore[union-attr]
    user, item = (np.unique(log[name].to_numpy(), return_inverse=True)[1].astype(np.int32) for name in ("user", "item"))
    value = log["value"].to_numpy().astype(np.float32)
    at = log["time"].to_numpy().astype(np.int64)
    rows = Candidates(np.arange(len(at), dtype=np.uint32), item, {})
    asked = Requests.of(user, at, past(user, item, at, value))
    samples = Samples(asked, rows, {"liked": (value >= 4).astype(np.float32)}, np.ones(len(at), np.float32))
    return by_time(samples)


def grocery(root: Path | None) -> Parts:
    """Each event and an item that its user never had; 8:1:1 by time."""
    assert root is not None
    log = pl.read_csv(root / "amazon-grocery-rechorus" / "train.csv.gz", separator="\t").sort("user_id", "time")
    log = log.filter(pl.col("user_id").is_in(drawn(log["user_id"].unique().sort().to_numpy())))
    user, item = (
        np.unique(log[name].to_numpy(), return_inverse=True)[1].astype(np.int32) for name in ("user_id", "item_id")
    )
    return by_time(beside(user, item, log["time"].to_numpy().astype(np.int64) * 1_000_000))


def beauty(root: Path | None) -> Parts:
    """Each event but a user's first and an item that he never had; one's last is reported, the one before stops."""
    assert root is not None
    with gzip.open(root / "amazon-5core" / "beauty.txt.gz", "rt") as file:
        lines = [np.array(line.split()[1:], np.int64) for line in file]
    lines = [lines[number] for number in drawn(np.arange(len(lines)))]
    length = np.array([len(line) for line in lines])
    user = np.repeat(np.arange(len(lines), dtype=np.int32), length)
    item = np.unique(np.concatenate(lines), return_inverse=True)[1].astype(np.int32)
    place = np.arange(len(user)) - np.repeat(np.cumsum(length) - length, length)
    samples = beside(user, item, place * DAY)  # an order without times: a day for each step
    left = np.repeat(length, length) - place
    rows = {"train": (left > 2) & (place > 0), "valid": left == 2, "test": left == 1}
    return {part: samples.take(np.flatnonzero(there)) for part, there in rows.items()}


SETS: dict[str, Callable[[Path | None], Parts]] = {
    "movielens-100k": movielens,
    "amazon-grocery": grocery,
    "amazon-5core": beauty,
}


def drawn(users: Array) -> Array:
    """``USERS`` of them, in order."""
    return np.sort(np.random.default_rng(0).choice(users, min(USERS, len(users)), replace=False))


def past(user: Int32, item: Int32, at: Int64, value: Array) -> Ragged:
    """For each event of a log ordered by user and time, its user's last ``LENGTH`` events before that moment."""
    columns = {"item": item, "event": np.zeros(len(at), np.int16), "value": value, "time": at, "weight": value * 0 + 1}
    whole = Ragged.of(user, int(user.max()) + 1, **columns)
    end = known(whole)
    start = np.maximum(whole.offsets[user], end - LENGTH)
    offsets = np.concatenate([[0], np.cumsum(end - start)]).astype(np.int64)
    return Ragged(offsets, {name: column[spans(start, end)] for name, column in columns.items()})


def beside(user: Int32, item: Int32, at: Int64) -> Samples:
    """A request for each event, with two rows: its item, and one drawn among those that its user never had."""
    n, rng = len(user), np.random.default_rng(0)
    had = np.unique(user.astype(np.int64) << 32 | item)
    other = item.copy()
    while (again := np.isin(user.astype(np.int64) << 32 | other, had)).any():
        other[again] = rng.integers(0, item.max() + 1, int(again.sum()))
    rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), 2), np.stack([item, other], 1).ravel(), {})
    label = np.tile(np.array([1, 0], np.float32), n)
    asked = Requests.of(user, at, past(user, item, at, np.ones(n, np.float32)))
    return Samples(asked, rows, {"liked": label}, np.ones(2 * n, np.float32))


def by_time(samples: Samples) -> Parts:
    """The requests as 8:1:1."""
    order, n = np.argsort(samples.requests.time, kind="stable"), len(samples.requests)
    cuts = [0, n * 8 // 10, n * 9 // 10, n]
    return {
        part: samples.take(np.sort(order[a:b]))
        for part, (a, b) in zip(("train", "valid", "test"), pairwise(cuts), strict=True)
    }
