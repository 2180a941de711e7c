"""Drafting recipes: the same small log written in many ways is understood, and what is drafted can be read."""

from __future__ import annotations

import gzip
import json
import random
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.draft import draft, section

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


def test_events_are_worth_what_their_names_say(tmp_path):
    worth = {"view": 1, "like": 2, "wishlist": 2, "add_to_cart": 3, "purchase": 5}
    rows = [(u, i, [*worth][n % 5], t) for n, (u, i, _, t) in enumerate(LOG)]
    (tmp_path / "log.csv").write_text(lines(rows, ",", ("user", "item", "event", "time")))
    data, _ = read(tmp_path / "log.csv")
    assert data["events"]["strengths"] == worth


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


def shaped(form: str):
    return lines([(u, i, v, datetime.fromtimestamp(t, UTC).strftime(form)) for u, i, v, t in LOG], ",", HEADER)


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S+00",
        "%Y-%m-%d %H:%M:%S +0000 UTC",
        "%Y-%m-%dt%H:%M:%S.0z",
        "%Y%m%dT%H%M%SZ",
        "%Y-%m-%dT%H:%M:%S+00:00[Europe/London]",
        '"%Y-%m-%d %H:%M:%S,000"',
        "%Y-%m-%dT%H:%M:%S.0000000Z",
        "%Y%m%d%H%M%S",
        "%Y/%m/%d %H:%M:%S",
    ],
)
def test_times_are_understood_alike_by_draft_and_reader(tmp_path, form):
    (tmp_path / "log.csv").write_text(shaped(form))
    _, raw = read(tmp_path / "log.csv")
    assert raw.events["time"].to_list() == [t * 1_000_000 for *_, t in LOG]


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%MZ", "%Y%m%dT%H%M", "%Y-%m-%d %H:%M+00"])
def test_times_without_seconds(tmp_path, form):
    (tmp_path / "log.csv").write_text(shaped(form))
    _, raw = read(tmp_path / "log.csv")
    assert raw.events["time"].to_list() == [(t - t % 60) * 1_000_000 for *_, t in LOG]


@pytest.mark.parametrize("parquet", [True, False])
@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H"])
def test_dates_that_are_numbers(tmp_path, parquet, form):
    """Declared in the draft; seconds of 1970 without it."""
    times = [int(datetime.fromtimestamp(t, UTC).strftime(form)) for *_, t in LOG]
    frame = pl.DataFrame(
        [(u, i, t) for (u, i, *_), t in zip(LOG, times, strict=True)], ["user", "item", "time"], orient="row"
    )
    path = tmp_path / ("log.parquet" if parquet else "log.csv")
    frame.write_parquet(path) if parquet else frame.write_csv(path)
    data, raw = read(path)
    assert data["events"]["time_format"] == form
    assert {datetime.fromtimestamp(t / 1e6, UTC).year for t in raw.events["time"]} == {2014}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + lines(LOG, ",", HEADER),
        lines(LOG, ", ", HEADER),
        "sep=;\n" + lines(LOG, ";", HEADER),
        "sep=,\n" + lines(LOG, ", ", HEADER),
    ],
)
def test_what_spreadsheets_add_is_no_part_of_the_table(tmp_path, content):
    (tmp_path / "log.csv").write_text(content)
    _, raw = read(tmp_path / "log.csv")
    assert raw.events["item"].to_list() == [i for _, i, *_ in LOG]
    assert raw.events["user"].to_list() == [u for u, *_ in LOG]


def test_quotes_that_do_not_pair_are_drafted_as_characters(tmp_path):
    rows = [(u, f'{i}" tv' if n in (3, 77) else i, v, t) for n, (u, i, v, t) in enumerate(LOG)]
    (tmp_path / "log.csv").write_text(lines(rows, ",", HEADER))
    data, raw = read(tmp_path / "log.csv")
    assert data["events"]["quote"] == ""
    assert raw.events["item"].to_list() == [row[1] for row in rows]


OBJECTS = [[{"id": 1, "name": "Sci-Fi, Fantasy"}, {"id": 2, "name": "Drama"}], [{"id": 3, "name": "喜剧"}]]
LISTS = {
    "JSON": ['["Sci-Fi, Fantasy", "Drama"]', '["\\u559c\\u5267"]'],
    "Python": ["['Sci-Fi, Fantasy', 'Drama']", "['喜剧']"],
    "numpy": ["['Sci-Fi, Fantasy' 'Drama']", "['喜剧']"],
    "PostgreSQL": ['{"Sci-Fi, Fantasy",Drama}', "{喜剧}"],
    "objects": [json.dumps(cell) for cell in OBJECTS],
    "Python's objects": [str(cell) for cell in OBJECTS],
    "real lists": [["Sci-Fi, Fantasy", "Drama"], ["喜剧"]],
    "real objects": OBJECTS,
    "bytes": [b"Sci-Fi, Fantasy|Drama", "喜剧".encode()],
}


@pytest.mark.parametrize("how", LISTS)
def test_lists_are_drafted_as_they_are_written(tmp_path, how):
    cells = LISTS[how]
    (tmp_path / "log.csv").write_text(lines(LOG, ",", HEADER))
    ids = sorted({i for _, i, _, _ in LOG})
    column = pl.Series("genres", [cells[n % 2] for n in range(len(ids))])
    pl.DataFrame({"movieId": ids}).with_columns(column).write_parquet(tmp_path / "items.parquet")
    text = draft(tmp_path / "log.csv", items=tmp_path / "items.parquet")
    raw = load(DataSpec.model_validate(tomllib.loads(text)["data"]), None)
    assert raw.items["genres"].to_list()[:2] == [["Sci-Fi, Fantasy", "Drama"], ["喜剧"]]


def test_lists_of_as_many_numbers_are_drafted_as_vectors(tmp_path):
    (tmp_path / "log.csv").write_text(lines(LOG, ",", HEADER))
    ids = sorted({i for _, i, _, _ in LOG})
    frame = pl.DataFrame({"movieId": ids}).with_columns(
        emb=pl.Series([[float(n), 0.5] for n in range(len(ids))]),
        loose=pl.Series([[0.5] * (1 + n % 2) for n in range(len(ids))]),
    )
    frame.write_parquet(tmp_path / "items.parquet")
    table = tomllib.loads(draft(tmp_path / "log.csv", items=tmp_path / "items.parquet"))["data"]
    assert table["items"]["columns"] == {"item": "movieId", "emb": "vector", "loose": "list"}
    assert load(DataSpec.model_validate(table), None).items["emb"].to_list()[2] == [2, 0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        (
            lines([(u,) for u, _, _, _ in LOG], ",", ("user",)),
            "no column looks like the item; found user",
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
    raw = load(DataSpec.model_validate(tomllib.loads("\n".join(section(SHARED / log)))["data"]), None)
    assert raw.events.height == rows
    assert raw.rejected.is_empty()
