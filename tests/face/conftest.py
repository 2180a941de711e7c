"""A folder as a first-time user has it: a log, a catalogue, a plain table and a small recipe, made of fetched data."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

import shortlist as sl
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.face.log import Log

ROOT = Path(__file__).parents[2]
SMALL = """
name = "movielens-100k"
seed = 7
[data]
source = "movielens-100k"
split = { tune = 0.7, rank = 0.8, test = 0.9 }
positive = { rating = 4 }
[recall.cf]
type = "item_cf"
[recall.hot]
type = "popular"
[fallback]
type = "popular"
[[features]]
type = "channel"
[samples]
moments = 3
[rank]
type = "gbdt"
trees = 10
[[rules]]
type = "seen"
[evaluate]
moments = 2
"""


@pytest.fixture(scope="session")
def films() -> Log:
    """MovieLens-100K."""
    return sl.read("movielens-100k")


@pytest.fixture(scope="session")
def desk(films: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ratings.csv, films.csv, people.csv and recipes/movielens-100k.toml, a smaller one."""
    folder = tmp_path_factory.mktemp("desk")
    seconds = pl.col("time").dt.epoch("s")
    films.events.select("user", "item", rating="value", time=seconds).write_csv(folder / "ratings.csv")
    films.items.select("item", "title", pl.col("genres").list.join("|")).write_csv(folder / "films.csv")
    adult = source("adult")(DataSpec(source="adult"), None)
    said = pl.when(pl.col("income") == 1).then(pl.lit(">50K")).otherwise(pl.lit("<=50K"))
    adult.train.head(4000).with_columns(income=said).write_csv(folder / "people.csv")
    (folder / "recipes").mkdir()
    (folder / "recipes/movielens-100k.toml").write_text(SMALL, encoding="utf-8")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


@pytest.fixture(scope="session")
def run(desk: Path) -> sl.Run:
    """The small recipe, fitted."""
    return sl.fit(desk / "recipes/movielens-100k.toml", out=desk / "run", progress=False)
