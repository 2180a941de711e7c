"""Drafting recipes: the same small log written in many ways is understood, and what is drafted can be read."""

from __future__ import annotations

import gzip
import random
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.init import draft
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

draw = random.Random(0)
LOG = [
    (f"{draw.randrange(40) + 1}", f"{draw.randrange(90) + 1000}", draw.randrange(1, 6), 1_400_000_000 + 977 * n)
    for n in range(400)
]
SHARED = Path(__file__).parents[3] / "shared" / "data"


def lines(rows, separator=",", header=()):
    return "".join(separator.join(map(str, row)) + "\n" for row in ([header] if header else []) + list(rows))


def read(path: Path, **tables):
    text = draft(path, **tables)
    parsed = tomllib.loads(text)
    assert {"name", "data", "recall", "fallback", "merge", "features", "rank", "evaluate"} <= set(parsed)
    return parsed["data"], load(DataSpec.model_validate(parsed["data"]), None)


def iso(t: int) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S")


HEADER = ("userId", "movieId", "rating", "timestamp")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", lines(LOG, ",", HEADER)),
        ("ratings.tsv", lines(LOG, "\t", ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))),
        ("ratings.dat", lines(LOG, "::")),
        ("ratings.dat.gz", gzip.compress(lines(LOG, "::").encode())),
        ("semicolon.csv", lines(LOG, ";", ("visitor", "sku", "stars", "ts"))),
        ("order.csv", lines([(t, v, u, i) for u, i, v, t in LOG], ",", ("time", "score", "customer", "product"))),
        ("ms.csv", lines([(u, i, v, t * 1000) for u, i, v, t in LOG], ",", HEADER)),
        ("us.csv", lines([(u, i, v, t * 1_000_000) for u, i, v, t in LOG], ",")),
        ("iso.csv", lines([(u, i, v, iso(t)) for u, i, v, t in LOG], ",", HEADER)),
        ("zone.csv", lines([(u, i, v, iso(t).replace(" ", "T") + "Z") for u, i, v, t in LOG])),
        ("slash.csv", lines([(u, i, v, iso(t).replace("-", "/")) for u, i, v, t in LOG], ",", HEADER)),
        ("latin.csv", lines(LOG, ",", (*HEADER[:3], "timestamp")).encode("latin-1")),
        ("wide.csv", lines(LOG, ",", HEADER).encode("utf-16")),
    ],
)
def test_a_log_it_has_never_met(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    data, raw = read(path)
    assert raw.events.rows() == [(u, i, "rating", t * 1_000_000, float(v)) for u, i, v, t in LOG]
    assert data["positive"] == {"rating": 4}


@pytest.mark.parametrize("header", [(), ("session_id", "article", "category", "behavior", "date")])
def test_several_behaviours_and_nobody(tmp_path, header):
    kinds = ["pv", "pv", "pv", "cart", "buy"]
    rows = [("NA" if n % 9 == 0 else u, i, n % 40, kinds[n % 5], t) for n, (u, i, _, t) in enumerate(LOG)]
    (tmp_path / "log.csv").write_text(lines(rows, ",", header))
    data, raw = read(tmp_path / "log.csv")
    assert data["events"]["strengths"] == {"pv": 1, "cart": 3, "buy": 5}
    assert "positive" not in data
    assert raw.events["user"].to_list() == [None if u == "NA" else u for u, *_ in rows]
    assert raw.events["event"].to_list() == [row[3] for row in rows]


def test_catalogue_and_users(tmp_path):
    (tmp_path / "log.csv").write_text(lines(LOG, ",", HEADER))
    ids = sorted({i for _, i, _, _ in LOG})
    items = [
        (
            n,
            i,
            f"A long name of film {n}",
            "Drama|War" if n % 2 else "Comedy",
            n * 1.5,
            f"1999-01-{n % 28 + 1:02}",
            f"http://x/{n}",
            "é",
        )
        for n, i in enumerate(ids)
    ]
    header = ("row", "id", "title", "genres", "price $", "out", "link", "same")
    (tmp_path / "items.csv").write_bytes(lines(items, ",", header).encode("latin-1"))
    people = pl.DataFrame({"userId": [int(u) for u in sorted({u for u, *_ in LOG})]}).with_columns(
        age=pl.col("userId") + 20, sex=pl.lit("f")
    )
    people = people.with_columns(sex=pl.when(pl.col("userId") % 2 == 0).then(pl.lit("m")).otherwise("sex"))
    people.write_parquet(tmp_path / "users.parquet")
    data, raw = read(tmp_path / "log.csv", items=tmp_path / "items.csv", users=tmp_path / "users.parquet")
    assert raw.kinds["items"] == {"row": "number", "title": "text", "genres": "list", "price": "number", "out": "time"}
    assert raw.kinds["users"] == {"age": "number", "sex": "category"}
    assert raw.items["item"].to_list() == ids
    assert raw.items["genres"].to_list()[:2] == [["Comedy"], ["Drama", "War"]]
    assert data["items"]["encoding"] == "latin-1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        (
            lines([(u, i) for u, i, _, _ in LOG], ",", ("user", "item")),
            "no column looks like the time; found user, item",
        ),
    ],
)
def test_what_cannot_be_drafted(tmp_path, content, message):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        draft(tmp_path / "log.csv")
    with pytest.raises(InputError, match=r"none\.csv: expected a file, found nothing"):
        draft(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("log", "rows"),
    [
        ("movietweetings/100K/ratings.dat.gz", 100_000),
        ("taobao-userbehavior-slice/UserBehavior.csv.gz", 71_777),
        ("movielens-latest-small/ratings.csv.gz", 100_836),
        ("amazon-grocery-rechorus/train.csv.gz", 121_892),
        ("movielens-100k/u.data.gz", 100_000),
    ],
)
def test_real_logs(log, rows):
    if not (SHARED / log).is_file():
        pytest.skip(f"no copy of {log} in {SHARED}")
    _, raw = read(SHARED / log)
    assert raw.events.height == rows
    assert raw.rejected.is_empty()
