"""Columns derived from others of the row, read from a csv, Parquet and SQL alike, and every way to say them wrong."""

from __future__ import annotations

import gzip
import itertools
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shortlist.component import InputError, explain
from shortlist.data.derived import DerivedSpec
from shortlist.data.sources._derive import _bucket
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

TWEETINGS = Path("/work/shared/data/movietweetings/100K")
LOG = "user,item,time,price,qty,status\na,x,10,4,2,ok\nb,y,20,6,0,C\n,x,30,,1,ok\n"
ITEMS = pl.DataFrame(
    {
        "item": ["x", "y", "z"],
        "title": ["Toy (1995)", "Heat", None],
        "price": [3.5, 8.0, 0.7],
        "size": [2, 0, None],
        "brand": ["Pix", None, "X"],
        "released": ["1995-01-01", "1996-02-01", "1999-01-01T12:00"],
        "listed": ["1995-01-03", None, "1999-01-02"],
    }
)
DERIVE = {
    "year": {"match": r"\((\d{4})\)", "of": "title", "kind": "number"},
    "word": {"match": "^[A-Z]", "of": "title"},
    "age": {"difference": ["listed", "released"], "unit": "d"},
    "gap": {"difference": ["price", "size"]},
    "unit": {"ratio": ["price", "size"]},
    "band": {"buckets": [0.7, 5], "of": "price"},
    "maker": {"join": ["brand", "band"], "separator": "/"},
    "month": {"part": "month", "of": "released"},
    "weekday": {"part": "weekday", "of": "released", "kind": "number"},
    "born": {"join": ["year", "brand"]},
}
MADE = {
    "year": [1995, None, None],
    "word": ["T", "H", None],
    "age": [2, None, 0.5],
    "gap": [1.5, 8, None],
    "unit": [1.75, None, None],
    "band": ["0.7 to 5", "from 5", "0.7 to 5"],
    "maker": ["Pix/0.7 to 5", None, "X/0.7 to 5"],
    "month": ["1", "2", "1"],
    "weekday": [6, 3, 4],
    "born": ["1995 Pix", None, None],
}


def read(root: Path, log: str = LOG, items: dict | None = None, **events):
    (root / "log.csv").write_text(log)
    if not (root / "items.csv").exists():
        ITEMS.write_csv(root / "items.csv")
    spec: dict = {"events": {"path": "log.csv", **events}}
    if items is not None:
        spec["items"] = {"path": "items.csv", **items}
    return load(DataSpec.model_validate(spec), root)


def refused(root: Path, *args, **kwargs) -> str:
    with pytest.raises((InputError, ValidationError)) as error:
        read(root, *args, **kwargs)
    said = error.value
    text = explain(said, "data", DataSpec) if isinstance(said, ValidationError) else str(said)
    assert "\n" not in text
    return text


def csv(root: Path) -> dict:
    ITEMS.write_csv(root / "items.csv")
    return {"path": "items.csv"}


def packed(root: Path) -> dict:
    (root / "items.dat").write_bytes(gzip.compress(ITEMS.write_csv(separator="|").encode()))
    return {"path": "items.dat", "separator": "|"}


def colons(root: Path) -> dict:
    (root / "items.dat").write_text(ITEMS.write_csv(quote_style="never").replace(",", "::"))
    return {"path": "items.dat", "separator": "::"}


def parquet(root: Path) -> dict:
    moments = pl.col("released", "listed").str.slice(0, 10).str.to_date()
    frame = ITEMS.with_columns(moments, pl.col("brand", "title").cast(pl.Categorical), pl.col("size").cast(pl.Float64))
    frame.with_columns(released=pl.col("released").cast(pl.Datetime("ms")).dt.offset_by("0h")).write_parquet(
        root / "items.parquet"
    )
    return {"path": "items.parquet"}


def sql(root: Path) -> dict:
    with sqlite3.connect(root / "items.db") as connection:
        connection.execute(f"create table items ({', '.join(ITEMS.columns)})")
        connection.executemany(f"insert into items values ({', '.join('?' * len(ITEMS.columns))})", ITEMS.rows())
    connection.close()
    return {"path": "items.db", "query": "select * from items"}


@pytest.mark.parametrize("write", [csv, packed, colons, parquet, sql])
def test_columns_come_out_of_others_however_the_file_is_written(tmp_path, write):
    items = read(tmp_path, items={**write(tmp_path), "derive": DERIVE}).items
    expected = dict(MADE)
    if write is parquet:  # whole days
        expected |= {"age": [2, None, 1]}
    assert items.columns == ["item", *DERIVE]
    assert {name: items[name].to_list() for name in DERIVE} == {
        name: pytest.approx(values) if values[0].__class__ in (int, float) else values
        for name, values in expected.items()
    }
    kinds = {name: pl.Float32 if name in ("year", "age", "gap", "unit", "weekday") else pl.String for name in DERIVE}
    assert {name: items.schema[name] for name in DERIVE} == kinds


def test_users_too(tmp_path):
    (tmp_path / "users.csv").write_text("user,born,city\na,1990-05-01,Ulm\nb,,Bern\n")
    users = {"path": "users.csv", "derive": {"year": {"part": "year", "of": "born", "kind": "number"}}}
    (tmp_path / "log.csv").write_text(LOG)
    raw = load(DataSpec.model_validate({"events": {"path": "log.csv"}, "users": users}), tmp_path)
    assert raw.users.rows() == [("a", 1990), ("b", None)]
    assert raw.kinds["users"] == {"year": "number"}


def test_the_recipes_own_names_come_before_the_files(tmp_path):
    columns = {"item": "item", "price": {"column": "size", "kind": "number"}, "name": {"column": "title"}}
    raw = read(tmp_path, items={"columns": columns, "derive": {
        "half": {"ratio": ["price", "size"]}, "start": {"match": "^.", "of": "name"}}})  # fmt: skip
    assert raw.items.columns == ["item", "price", "name", "half", "start"]
    assert raw.items["half"].to_list() == [1, None, None]
    assert raw.items["start"].to_list() == ["T", "H", None]
    assert raw.kinds["items"] == {"price": "number", "name": "category", "half": "number", "start": "category"}


def test_a_derived_column_may_come_out_of_the_files_column_of_its_name(tmp_path):
    raw = read(tmp_path, items={"derive": {"brand": {"match": "^P", "of": "brand"}}})
    assert raw.items["brand"].to_list() == ["P", None, None]


def test_a_column_is_read_as_what_is_needed(tmp_path):
    """A number's cells are a text for a pattern, and null_values mean missing there too."""
    derive = {"whole": {"match": r"^(\d+)\.", "of": "price"}, "sum": {"difference": ["price", "size"]}}
    columns = {"price": "number", "size": "category"}
    raw = read(tmp_path, items={"columns": columns, "derive": derive, "null_values": ["", "8.0", "0"]})
    assert raw.items["whole"].to_list() == ["3", None, "0"]
    assert raw.items["sum"].to_list() == [1.5, None, None]
    assert raw.items["size"].to_list() == ["2", None, None]


def test_context_and_the_funnels_own_columns(tmp_path):
    derive = {
        "item": {"join": ["item", "qty"], "separator": "-"},
        "value": {"ratio": ["price", "qty"]},
        "event": {"match": "^.", "of": "status"},
        "hour": {"part": "hour", "of": "time"},
        "band": {"buckets": [5], "of": "price"},
    }
    raw = read(tmp_path, columns={"user": "user", "time": "time"}, derive=derive)
    assert raw.events.select("user", "item", "event", "value", "hour", "band").rows() == [
        ("a", "x-2", "o", 2, "0", "below 5"),
        ("b", "y-0", "C", None, "0", "from 5"),
        (None, "x-1", "o", None, "0", None),
    ]
    assert raw.kinds["events"] == {"hour": "category", "band": "category"}


def test_an_id_may_be_derived_in_the_log_and_the_catalogue(tmp_path):
    both = {"item": {"match": "^.", "of": "item"}}
    items = {"derive": both, "columns": {"size": "number"}}
    raw = read(tmp_path, columns={"user": "user", "time": "time"}, derive=both, items=items)
    assert raw.events["item"].to_list() == ["x", "y", "x"]
    assert raw.items.select("item", "size").rows() == [("x", 2), ("y", 0), ("z", None)]
    same = {"item": {"match": "^", "of": "item"}}
    told = "items.csv: row 2, column item (item): expected a match of '^', found 'x'"
    assert refused(tmp_path, items={"derive": same}) == told
    one = {"item": {"match": "e", "of": "released"}}
    assert refused(tmp_path, items={"derive": one | {"item": {"match": "19", "of": "released"}}}) == (
        "items.csv: row 3, column released (item): expected each id once, found '19' again (first in row 2)"
    )
    assert refused(tmp_path, items={"columns": {"item": "item"}, "derive": one}) == (
        "data.items.derive.item: the recipe has a column of this name; expected another"
    )


def test_what_another_part_takes_is_no_context(tmp_path):
    derive = {"unit": {"ratio": ["price", "qty"]}, "band": {"buckets": [1], "of": "unit"}}
    derive["late"] = {"buckets": [1], "of": "qty"}
    raw = read(tmp_path, derive=derive, filters={"columns": {"late": {"drop": ["below 1"]}}})
    assert raw.kinds["events"] == {"band": "category"}
    assert raw.events.columns == ["user", "item", "event", "time", "value", "band"]
    assert raw.events["band"].to_list() == ["from 1", None]


def test_rows_that_give_no_column_are_at_fault_or_dropped(tmp_path):
    columns = {"user": "user", "time": "time"}
    joined = {"item": {"join": ["item", "price"]}}
    assert refused(tmp_path, columns=columns, derive=joined) == (
        "log.csv: row 4, column item (item): expected something in item and price, found 'x'"
    )
    raw = read(tmp_path, columns=columns, derive=joined, filters={"bad_rows": "drop"})
    assert raw.events["item"].to_list() == ["x 4", "y 6"]
    assert raw.rejected.select("row", "reason", "text").rows() == [
        (4, "item: not something in item and price", ",x,30,,1,ok")
    ]
    broken = LOG.replace(",6,", ",six,")
    ratio = {"unit": {"ratio": ["price", "qty"]}}
    assert refused(tmp_path, broken, derive=ratio).startswith("log.csv: row 3, column price (events.derive.unit.ratio")
    raw = read(tmp_path, broken, derive=ratio, filters={"bad_rows": "drop"})
    assert raw.events["unit"].to_list() == [2, None]
    assert raw.rejected["row"].to_list() == [3]


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        ({"x": {"match": "a", "of": "nope"}}, "data.items.derive.x.of: no column 'nope'; recipe and file have item, p"),
        ({"price": {"match": "a", "of": "title"}}, "data.items.derive.price: the recipe has a column of this name"),
        ({"x": {"join": ["y", "brand"]}, "y": {"join": ["x", "brand"]}}, "data.items.derive.x: comes out of itself"),
        ({"x": {"match": "(?<=a)b", "of": "title"}}, "data.items.derive.x.match: expected a regular expression"),
        ({"x": {"match": "(", "of": "title"}}, "data.items.derive.x.match: expected a regular expression of Rust's"),
        ({"x": {"match": "a"}}, "data.items.derive.x: match needs of = the column it reads"),
        ({"x": {"join": ["title", "brand"], "of": "title"}}, "data.items.derive.x: join names its columns itself"),
        ({"x": {}}, "data.items.derive.x: expected exactly one of match, join, first, buckets, part, difference, rat"),
        ({"x": {"match": "a", "ratio": ["a", "b"]}}, "data.items.derive.x: expected exactly one of"),
        ({"x": {"mtch": "a"}}, "data.items.derive.x.mtch: unknown; did you mean match?"),
        ({"x": {"ratio": ["price"]}}, "data.items.derive.x.ratio: list should have at least 2 items"),
        ({"x": {"ratio": ["price", "size", "price"]}}, "data.items.derive.x.ratio: list should have at most 2 items"),
        ({"x": {"buckets": [2, 1], "of": "price"}}, "data.items.derive.x: buckets: expected numbers that ascend"),
        ({"x": {"buckets": [], "of": "price"}}, "data.items.derive.x.buckets: list should have at least 1 item"),
        ({"x": {"buckets": [1, float("inf")], "of": "price"}}, "data.items.derive.x: buckets: expected numbers"),
        ({"x": {"ratio": ["price", "size"], "unit": "d"}}, "data.items.derive.x: unit belongs to difference"),
        ({"x": {"buckets": [1], "of": "price", "kind": "number"}}, "data.items.derive.x: kind: buckets makes category"),
        ({"x": {"difference": ["since", "listed"]}}, "data.items.derive.x.difference: of times needs a unit"),
        ({"x": {"ratio": ["y", "price"]}, "y": {"match": "a", "of": "title"}}, "data.items.derive.x.ratio: y is d"),
        ({"x": {"ratio": ["title", "price"]}}, "items.csv: row 2, column title (items.derive.x.ratio.title): expec"),
        ({"x": {"part": "hour", "of": "title"}}, "items.csv: row 2, column title (items.derive.x.of.title): expec"),
        ({"x": {"match": "(.*)", "of": "title", "kind": "number"}}, "items.csv: row 2, column title (x): expected a n"),
    ],
)  # fmt: skip
def test_what_cannot_be_derived_is_told_at_its_path(tmp_path, derive, message):
    columns = {"price": "number", "since": {"column": "released", "kind": "time"}}
    assert refused(tmp_path, items={"columns": columns, "derive": derive}).startswith(message)


def test_a_kind_the_funnel_cannot_use(tmp_path):
    hour = {"time": {"part": "hour", "of": "time"}}
    assert refused(tmp_path, columns={"user": "user", "item": "item"}, derive=hour) == (
        "data.events.derive.time: the funnel's column of this name is a time, found what is a category"
    )
    assert "is a number, found what is a category" in refused(tmp_path, derive={"value": {"join": ["qty", "status"]}})


def test_a_list_is_no_source(tmp_path):
    pl.DataFrame({"item": ["x"], "tags": [["a"]]}).write_parquet(tmp_path / "items.parquet")
    message = refused(tmp_path, items={"path": "items.parquet", "derive": {"x": {"match": "a", "of": "tags"}}})
    assert message.startswith("items.parquet: column tags (items.derive.x.of.tags): expected text or a number in each")


numbers = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, max_size=20), st.sets(numbers, min_size=1, max_size=5))
def test_a_bucket_is_the_stretch_a_number_lies_in(values, edges):
    bounds = DerivedSpec(buckets=sorted(edges), of="x").buckets
    column = pl.DataFrame({"x": pl.Series([*values, None], dtype=pl.Float32)})
    found = column.select(_bucket(pl.col("x"), bounds)).to_series().to_list()
    names = [f"below {bounds[0]:.15g}", *(f"{a:.15g} to {b:.15g}" for a, b in itertools.pairwise(bounds))]
    names.append(f"from {bounds[-1]:.15g}")
    assert found == [*(names[sum(value >= bound for bound in bounds)] for value in values), None]


@pytest.mark.skipif(not TWEETINGS.exists(), reason="MovieTweetings is not here")
def test_the_year_of_a_film_is_in_its_title():
    derive = {"year": {"match": r"\((\d{4})\)$", "of": "title", "kind": "number"}}
    names = ["item", "title", "genres"]
    items = {"path": "movies.dat.gz", "separator": "::", "names": names, "columns": {"title": "text"}, "derive": derive}
    log = {"path": "ratings.dat.gz", "separator": "::", "names": ["user", "item", "value", "time"], "time_unit": "s"}
    raw = load(DataSpec.model_validate({"events": log, "items": items}), TWEETINGS)
    years = raw.items["year"]
    assert years.null_count() == 0
    assert 1890 <= years.min() <= 1920
    assert years.max() <= 2016
    assert raw.items.filter(pl.col("title").str.starts_with("The Godfather (1"))["year"].to_list() == [1972]


def test_the_first_column_with_something_in_it(tmp_path):
    """Two half-empty times make one, and so do two names."""
    log = "user,item,paid,seen,name,code\na,x,,2024-01-02,,c1\nb,y,2024-01-05,2024-01-01,n2,\n"
    columns = {"user": "user", "item": "item"}
    derive = {"time": {"first": ["paid", "seen"]}, "called": {"first": ["name", "code"]}}
    raw = read(tmp_path, log, columns=columns, derive=derive)
    days = raw.events["time"].cast(pl.Datetime("us")).dt.strftime("%m-%d").to_list()
    assert (days, raw.events["called"].to_list()) == (["01-02", "01-05"], ["c1", "n2"])
    empty = log + "c,z,,,,\n"
    assert refused(tmp_path, empty, columns=columns, derive=derive) == (
        "log.csv: row 4, column paid (time): expected something in paid or seen, found nothing"
    )
    raw = read(tmp_path, empty, columns=columns, derive=derive, filters={"bad_rows": "drop"})
    assert raw.rejected["reason"].to_list() == ["paid: not something in paid or seen"]
    bad = log.replace("2024-01-02", "soon")
    assert "row 2, column seen" in refused(tmp_path, bad, columns=columns, derive=derive)


def test_a_number_out_of_a_category_that_is_none_is_at_fault(tmp_path):
    (tmp_path / "items.csv").write_text("item,size\nx,2\ny,big\nz,4\n")
    how = {"columns": {"size": "category"}, "derive": {"one": {"ratio": ["size", "size"]}}}
    said = refused(tmp_path, items=how)
    assert said.startswith("items.csv: row 3, column size")
    assert said.endswith("expected a number, found 'big'")
    (tmp_path / "items.csv").write_text("item,size\nx,2\ny,NA\nz,4\n")
    raw = read(tmp_path, items=how)
    assert (raw.items["size"].to_list(), raw.items["one"].to_list()) == (["2", "NA", "4"], [1, None, 1])
