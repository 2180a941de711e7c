"""The public data sets, value for value against separately obtained copies of the original files."""

from __future__ import annotations

import gzip
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.raw import PlainTable, Raw
from shortlist.data.sources import source, source_names, summary
from shortlist.data.sources._wheel import cache_folder
from shortlist.data.spec import DataSpec

ORIGINALS = Path(__file__).parents[4] / "shared" / "data"
GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]


def loaded(name: str) -> Raw | PlainTable:
    try:
        return source(name)(DataSpec(source=name), None)
    except InputError as error:
        if "cannot fetch" in str(error) and shutil.which("pip") is not None:
            pytest.skip(f"{name} is neither cached in {cache_folder()} nor to be fetched: {error}")
        raise


def originals(folder: str) -> Path:
    if not (ORIGINALS / folder).is_dir():
        pytest.skip(f"no separate copy of {folder} to compare with in {ORIGINALS}")
    return ORIGINALS / folder


def test_sources_are_the_files_of_the_folder():
    assert {"tables", "movielens-100k", "adult"} <= set(source_names())
    assert source("movielens_100k") is source("movielens-100k")
    assert summary("adult").startswith("Adult")
    with pytest.raises(InputError, match=r"did you mean movielens-100k\?"):
        source("movielens-100")


def test_movielens_100k_shape():
    raw = loaded("movielens-100k")
    assert (raw.events.height, raw.items.height, raw.users.height) == (100_000, 1682, 943)
    assert raw.events.schema == {
        "user": pl.String,
        "item": pl.String,
        "event": pl.String,
        "time": pl.Int64,
        "value": pl.Float32,
    }
    assert raw.items.schema["genres"] == pl.List(pl.String)
    assert raw.items["released"].null_count() == 1
    assert raw.rejected.is_empty()


def test_movielens_100k_equals_the_original():
    folder = originals("movielens-100k")
    raw = loaded("movielens-100k")
    with gzip.open(folder / "u.data.gz", "rt") as file:
        ratings = [tuple(line.split()) for line in file]
    micro = 1_000_000
    assert raw.events.rows() == [(u, i, "rating", int(t) * micro, float(v)) for u, i, v, t in ratings]
    films = [line.split("|") for line in (folder / "u.item").read_text("latin-1").splitlines()]
    for (item, title, genres, released), film in zip(raw.items.iter_rows(), films, strict=True):
        assert (item, title) == (film[0], film[1])
        flagged = [name for name, flag in zip(GENRES, film[5:], strict=True) if flag == "1"]
        assert (genres or ["unknown"]) == flagged
        day = datetime.strptime(film[2], "%d-%b-%Y").replace(tzinfo=UTC) if film[2] else None
        assert released == (int(day.timestamp()) * micro if day else None)
    people = [line.split("|") for line in (folder / "u.user").read_text().splitlines()]
    assert raw.users.rows() == [(u, float(age), gender, job, code) for u, age, gender, job, code in people]


def test_adult_equals_the_original():
    folder = originals("adult")
    table = loaded("adult")
    assert table.train.columns[-1] == table.label == "income"
    for frame, name in ((table.train, "adult.data.gz"), (table.test, "adult.test.gz")):
        with gzip.open(folder / name, "rt") as file:
            rows = [line.strip().rstrip(".").split(", ") for line in file if line.count(",") == 14]
        assert frame.height == len(rows)
        for number, column in enumerate(frame.columns):
            cells = [row[number] for row in rows]
            if column == "income":
                expected = [int(cell == ">50K") for cell in cells]
            elif table.kinds[column] == "number":
                expected = [float(cell) for cell in cells]
            else:
                expected = [None if cell == "?" else cell for cell in cells]
            assert frame[column].to_list() == expected, column
