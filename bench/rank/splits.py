"""The three tables: which rows are learned from, which stop training, which are reported."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.data.raw import PlainTable, Raw
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.tabular.samples import plain_samples, samples_of
from shortlist.types import Array, Samples

FRAPPE = "frappe-libfm"
FIELDS = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
GENRES = 6  # the most any film has
SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a plain table in their parts; with ``valid`` None, a tenth of ``train`` stops training."""

    name: str
    train: Samples
    valid: Samples | None
    test: Samples
    again: bool = False  # whether a model learns again, from ``valid`` too, for as long as that said

    def parts(self, seed: int) -> tuple[Samples, Samples]:
        """(rows to learn from, rows that stop training)."""
        return (self.train, self.valid) if self.valid is not None else apart(self.train, seed)


def apart(samples: Samples, seed: int, share: float = 0.1) -> tuple[Samples, Samples]:
    """The samples without a share of the rows, and these."""
    order = np.random.default_rng(seed).permutation(len(samples))
    few = int(len(samples) * share)
    return samples.take(np.sort(order[few:])), samples.take(np.sort(order[:few]))


def adult(root: Path | None) -> Table:
    """Official split, 14 columns but for the census weight."""
    table = source("adult")(DataSpec(source="adult"), None)
    assert isinstance(table, PlainTable)
    train, test = samples_of(table)
    return Table("adult", train, None, test)


def movielens(root: Path | None, *, by_time: bool) -> Table:
    """Ratings of 4 and 5 against 1 and 2; 8:1:1 at random or by time."""
    raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
    assert isinstance(raw, Raw)
    assert raw.items is not None
    assert raw.users is not None
    films = raw.items.select("item", "genres", year=pl.from_epoch("released", time_unit="us").dt.year())
    log = raw.events.filter(pl.col("value") != 3).join(films, on="item", how="left", maintain_order="left")
    log = log.join(raw.users.drop("zip"), on="user", how="left", maintain_order="left")
    columns: dict[str, Array] = {name: codes(log[name]) for name in ("user", "item", "age", "gender", "occupation")}
    columns["year"] = codes(log["year"])
    names = sorted(log["genres"].explode().drop_nulls().unique())
    lists = log["genres"].list.eval(pl.element().replace_strict(names, range(len(names)), return_dtype=pl.Int32))
    columns["genres"] = np.array([(row + [-1] * GENRES)[:GENRES] for row in lists.fill_null([]).to_list()], np.int32)
    samples = plain_samples(columns, (log["value"] >= 4).to_numpy().astype(np.float32))
    m = len(samples)
    order = np.random.default_rng(SPLIT_SEED).permutation(m)
    if by_time:
        order = np.argsort(log["time"].to_numpy(), kind="stable")
    cuts = [0, m * 8 // 10, m * 9 // 10, m]
    train, valid, test = (samples.take(np.sort(order[a:b])) for a, b in pairwise(cuts))
    return Table(f"movielens-{'time' if by_time else 'random'}", train, valid, test, again=by_time)


def frappe(root: Path | None) -> Table:
    """Learns from the published validation file, of which a tenth stops training; measured on the test file."""
    assert root is not None
    files = [root / FRAPPE / f"frappe.{part}.libfm.gz" for part in ("validation", "test")]
    parts = [libfm(file) for file in files]
    width = [codes_of_both(*(part[1][:, f] for part in parts)) for f in range(len(FIELDS))]
    both = [
        plain_samples({name: width[f][at] for f, name in enumerate(FIELDS)}, label)
        for at, (label, _) in enumerate(parts)
    ]
    train, valid = apart(both[0], SPLIT_SEED)
    return Table("frappe", train, valid, both[1])


def libfm(file: Path) -> tuple[Array, Array]:
    """(label Float32 [m] of 0 and 1, feature Int64 [m, fields])."""
    lines = gzip.decompress(file.read_bytes()).decode("ascii").replace(":1", "").split("\n")
    cells = np.array([line.split() for line in lines if line], np.float64).astype(np.int64)
    return (cells[:, 0] > 0).astype(np.float32), cells[:, 1:]


def codes(column: pl.Series) -> Array:
    """Int32 [m] in the order of the values, missing = -1."""
    return column.cast(pl.String).rank("dense").cast(pl.Int32).fill_null(0).to_numpy() - np.int32(1)


def codes_of_both(*parts: Array) -> list[Array]:
    """The same for a column in two files."""
    _, found = np.unique(np.concatenate(parts), return_inverse=True)
    return np.split(found.astype(np.int32), [len(parts[0])])


TABLES: dict[str, Callable[[Path | None], Table]] = {
    "adult": adult,
    "movielens-random": partial(movielens, by_time=False),
    "movielens-time": partial(movielens, by_time=True),
    "frappe": frappe,
}


def here(name: str, root: Path | None) -> bool:
    """Whether a table can be read."""
    return name != "frappe" or (root is not None and (root / FRAPPE).is_dir())
