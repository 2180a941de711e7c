"""Faults R1-R5, R10, R13: what a column is declared to be goes for whatever its cells are held as."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from shortlist.component import InputError
from shortlist.data.build import dataset
from shortlist.data.raw import Raw
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.draft import draft

START = 1_704_067_200  # 2024-01-01
D = pl.DataFrame(
    {
        "user": [f"u{n % 6}" for n in range(48)],
        "item": [f"i{n * 7 % 5}" for n in range(48)],
        "time": [START + 3_600 * n for n in range(48)],
    }
)
DAYS = [date(2024, 1, 1) + timedelta(n) for n in range(48)]


def read(root: Path, frame: pl.DataFrame, more: dict | None = None, name: str = "log.parquet", **events) -> Raw:
    frame.write_csv(root / name) if name.endswith("csv") else frame.write_parquet(root / name)
    return load(DataSpec.model_validate({"events": {"path": name, **events}, **(more or {})}), root)


def refused(root: Path, frame: pl.DataFrame, *args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        read(root, frame, *args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


FORMATS = {
    "%Y%m%d": DAYS,
    "%d%m%Y": DAYS,  # 1012024: a number has lost its first zero
    "%y%m%d": DAYS,
    "%Y%j": DAYS,
    "%Y%m": [day.replace(day=1) for day in DAYS],
    "%Y": [day.replace(day=1, month=1) for day in DAYS],
    "%Y%m%d%H": DAYS,
    "%Y%m%d%H%M": DAYS,
    "%Y%m%d%H%M%S": DAYS,
}
"""Formats of whole numbers, and the days they keep."""
TYPES = [pl.Int64, pl.UInt64, pl.Float64, pl.Decimal(20, 0), pl.Decimal(24, 2), pl.String, pl.Categorical, pl.Binary]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_r1_a_declared_format_goes_for_every_type(tmp_path, form, dtype):
    numbers = pl.Series("time", [int(day.strftime(form)) for day in DAYS])
    if dtype in (pl.Categorical, pl.Binary):
        numbers = numbers.cast(pl.String)
    raw = read(tmp_path, D.with_columns(numbers.cast(dtype)), time_format=form)
    meant = [int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() * 1e6) for d in FORMATS[form]]
    assert raw.events["time"].to_list() == meant


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("log.parquet", dtype) for dtype in TYPES] + [("log.csv", dtype) for dtype in TYPES if dtype != pl.Binary],
)
@pytest.mark.parametrize("form", [form for form in FORMATS if form != "%Y%j"])
def test_r1_numbers_that_look_like_dates_are_asked_about(tmp_path, form, dtype, name):
    numbers = pl.Series("time", [int(day.strftime(form)) for day in DAYS])
    numbers = numbers.cast(pl.String).cast(dtype) if dtype in (pl.Categorical, pl.Binary) else numbers.cast(dtype)
    message = refused(tmp_path, D.with_columns(numbers), name=name)
    assert message.startswith(f"{name}: column time (time): expected times, found numbers such as ")
    assert f'time_format = "{form}"' in message
    assert 'time_unit = "s"' in message


def test_r1_a_unit_says_that_numbers_are_no_dates(tmp_path):
    raw = read(tmp_path, D.with_columns(time=pl.lit(20240101)), time_unit="s")
    assert raw.events["time"][0] == 20_240_101_000_000


def test_r1_times_of_catalogue_and_exposures_keep_their_format(tmp_path):
    pl.DataFrame({"item": ["i0", "i1"], "out": [20240105, None]}).write_parquet(tmp_path / "items.parquet")
    D.with_columns(time=pl.lit(20240106)).write_parquet(tmp_path / "shown.parquet")
    how = {"column": "out", "kind": "time"}
    items = {"path": "items.parquet", "columns": {"available_from": how | {"time_format": "%Y%m%d"}}}
    more = {"items": items, "exposures": {"path": "shown.parquet", "time_format": "%Y%m%d"}}
    raw = read(tmp_path, D, more)
    assert raw.items["available_from"].to_list() == [(START + 4 * 86_400) * 1_000_000, None]
    assert set(raw.exposures["time"]) == {(START + 5 * 86_400) * 1_000_000}
    items["columns"]["available_from"] = how
    assert "items.parquet: column out (available_from): expected times" in refused(tmp_path, D, {"items": items})


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["", "NA", "u2", "u3"]), pl.Binary], ids=str)
def test_r2_what_means_missing_does_so_in_every_type_of_text(tmp_path, dtype):
    users = pl.Series("user", [["", "NA", "u2", "u3"][n % 4] for n in range(48)]).cast(dtype)
    events = read(tmp_path, D.with_columns(users), null_values=["", "NA"]).events
    assert events["user"].to_list() == [None, None, "u2", "u3"] * 12
    assert read(tmp_path, D.with_columns(users)).events["user"].to_list() == [None, "NA", "u2", "u3"] * 12
    assert read(tmp_path, D.with_columns(users), null_values=["NA"]).events["user"][0] is None  # an empty id is none


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float32, pl.Float64, pl.Decimal(10, 0), pl.Decimal(10, 2)], ids=str)
def test_r2_what_means_missing_may_be_a_number(tmp_path, dtype):
    numbers = pl.Series([-1, 7] * 24).cast(dtype)
    frame = D.with_columns(user=numbers, value=numbers)
    events = read(tmp_path, frame, null_values=["-1"]).events
    assert events["user"].to_list() == [None, "7"] * 24
    assert events["value"].to_list() == [None, 7.0] * 24
    written = read(tmp_path, frame.with_columns(user=pl.lit("7")), name="log.csv", null_values=["-1"]).events
    assert written["value"].to_list() == [None, 7.0] * 24  # also where the file says -1.0


def test_r2_a_number_that_is_none_is_no_id(tmp_path):
    frame = D.with_columns(user=pl.Series([float("nan"), 7.0] * 24))
    assert read(tmp_path, frame).events["user"].to_list() == [None, "7"] * 24


def test_r2_bytes_that_are_no_text_are_faults_of_their_row(tmp_path):
    users = pl.Series("user", [b"u1"] * 40 + [b"\xff\xfe"] + [b"u2"] * 7)
    message = refused(tmp_path, D.with_columns(users))
    assert message.startswith("log.parquet: row 41, column user (user): expected an id, found ")
    raw = read(tmp_path, D.with_columns(users), filters={"bad_rows": "drop"})
    assert raw.rejected["row"].to_list() == [41]
    assert raw.events.height == 47


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (pl.Series([date(2024, 1, 1)] * 48), "numbers"),
        (pl.Series([timedelta(1)] * 48), "numbers"),
        (pl.Series([[1.0]] * 48), "numbers"),
        (pl.Series([{"a": 1}] * 48), "numbers"),
    ],
)
def test_a_type_that_cannot_be_what_is_declared_is_told(tmp_path, cells, wanted):
    message = refused(tmp_path, D.with_columns(value=cells))
    assert message == f"log.parquet: column value (value): expected {wanted}, found the type {cells.dtype}"


def query(root: Path, table: str, rows: list[tuple], query: str = "select * from log", **events) -> Raw:
    path = root / "shop.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"create table log ({table})")
        connection.executemany(f"insert into log values ({', '.join('?' * len(rows[0]))})", rows)
    return load(DataSpec.model_validate({"events": {"path": "shop.db", "query": query, **events}}), root)


PHOTOS = [[b"\x89PNG"] * 48, [b"\xff", "none", 3, 2.5] * 12, [None] * 48, [2**62, 0.5] * 24]


@pytest.mark.parametrize("photos", PHOTOS, ids=["bytes", "mixed", "nothing", "numbers"])
def test_r3_a_column_of_a_database_that_nobody_asked_for_is_left_alone(tmp_path, photos):
    rows = [(*row, photo) for row, photo in zip(D.rows(), photos, strict=True)]
    raw = query(tmp_path, "user text, item text, time integer, photo blob", rows)
    assert raw.events.select("user", "item").rows() == D.select("user", "item").rows()
    assert raw.events["time"].to_list() == [time * 1_000_000 for time in D["time"]]


def test_r3_text_that_is_no_utf8_stops_only_where_it_is_named(tmp_path):
    rows = [*D.rows(), ("u1", "i1", START)]
    broken = "select user, item, time, cast(x'fffe' as text) as note from log"
    assert query(tmp_path, "user, item, time", rows, broken).events.height == 49
    asked = "select case when rowid = 49 then cast(x'fffe' as text) else user end as user, item, time from log"
    with pytest.raises(InputError, match=r"shop\.db: row 49, column user \(user\): expected an id, found "):
        query(tmp_path, "user, item, time", rows, asked)


def test_r3_cells_of_several_types_are_read_as_what_is_declared(tmp_path):
    rows = [(1, "a", START, 1), ("1", "b", str(START), "2.5"), (1.0, b"a", float(START), None), (2, "b", START, "NA")]
    events = query(tmp_path, "user, item, time, value", rows).events
    assert events["user"].to_list() == ["1", "1", "1", "2"]
    assert events["item"].to_list() == ["a", "b", "a", "b"]
    assert events["time"].to_list() == [START * 1_000_000] * 4
    assert events["value"].to_list() == [1.0, 2.5, None, None]
    rows[3] = (2, "b", START, "good")
    with pytest.raises(InputError, match=r"row 4, column value \(value\): expected a number, found 'good'"):
        query(tmp_path, "user, item, time, value", rows)


def test_r3_two_columns_of_one_name_stop_only_who_names_them(tmp_path):
    twice = "select a.*, b.note as user_note, b.note as user_note from log a join log b using (time)"
    rows = [(*row, "x") for row in D.rows()]
    assert query(tmp_path, "user, item, time, note", rows, twice).events.height == 48
    with pytest.raises(InputError, match=r"shop\.db: row 1: expected one column 'user' for user, found several"):
        query(tmp_path, "user, item, time, note", rows, "select a.*, b.user from log a join log b using (time)")


ODD = {
    "struct": pa.array([{"a": 1, "b": b"\xff"}] * 48),
    "structs": pa.array([[{"a": 1}], [], None] * 16),
    "lists": pa.array([[[1], None], [], None] * 16),
    "list of bytes": pa.array([[b"\xff"], [], None] * 16),
    "map": pa.array([[("a", 1)]] * 48, pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"\xff"] * 48),
    "decimal of 50 digits": pa.array([Decimal("1.50")] * 48, pa.decimal256(50, 2)),
    "duration": pa.array([timedelta(1)] * 48),
    "half": pa.array([1.5] * 48, pa.float16()),
    "null": pa.nulls(48),
}
"""Columns nobody asks for."""


@pytest.mark.parametrize("odd", ODD)
def test_r4_a_row_is_dropped_and_kept_as_text_beside_any_column(tmp_path, odd):
    table = D.to_arrow().append_column("odd", ODD[odd])
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), tmp_path / "log.parquet")
    events = {"path": "log.parquet", "filters": {"duplicates": "drop"}}
    raw = load(DataSpec.model_validate({"events": events}), tmp_path)
    assert raw.events.height == 48
    assert raw.dropped() == {"events: duplicate": 1}
    (row,) = raw.rejected.iter_rows()
    assert row[:4] == ("events", "log.parquet", 49, "duplicate")
    assert row[4].startswith(f"u0,i0,{START}")
    if odd == "struct":
        assert json.loads(row[4].split(",", 3)[3])["a"] == 1


def test_columns_nobody_named_may_have_any_name(tmp_path):
    for name in ("_row", "_wide", "_reason", "_listed", "user_duplicated_1", "literal", "text", "len"):
        frame = D.with_columns(pl.lit("x").alias(name))
        for file in ("log.parquet", "log.csv"):
            assert read(tmp_path, frame, name=file).events.rows() == read(tmp_path, D, name=file).events.rows(), name
        named = {"user": "user", "item": "item", "time": "time", name: name}
        assert read(tmp_path, frame, columns=named).events[name].to_list() == ["x"] * 48, name


def test_a_row_is_blank_if_nothing_named_is_in_it(tmp_path):
    last = {"user": None, "item": None, "time": None, "note": "end of file"}
    frame = pl.concat(
        [D.with_columns(note=pl.lit(None, pl.String)), pl.DataFrame([last], D.schema | {"note": pl.String})]
    )
    for file, row in (("log.parquet", 49), ("log.csv", 50)):
        raw = read(tmp_path, frame, name=file)
        assert raw.events.height == 48
        assert raw.rejected.select("row", "reason", "text").rows() == [(row, "blank line", ",,,end of file")]


BEYOND = [1.797e308, 3.5e38, -1e39, float("inf")]


@pytest.mark.parametrize("name", ["log.parquet", "log.csv"])
@pytest.mark.parametrize("price", BEYOND)
def test_r5_a_number_beyond_what_is_kept_is_refused_where_it_stands(tmp_path, price, name):
    items = pl.DataFrame({"item": ["i0", "i1"], "price": [1.0, price]})
    items.write_csv(tmp_path / "items.csv")
    items.write_parquet(tmp_path / "items.parquet")
    file = name.replace("log", "items")
    more = {"items": {"path": file, "columns": {"price": "number"}}}
    row = 3 if file == "items.csv" else 2
    assert f"{file}: row {row}, column price (price): expected a number, found" in refused(tmp_path, D, more, name)
    frame = D.with_columns(value=pl.Series([3.0] * 47 + [price]))
    assert "column value (value): expected a number" in refused(tmp_path, frame, name=name)
    kept = read(tmp_path, frame, name=name, filters={"bad_rows": "drop"})
    assert kept.events.height == 47
    assert kept.rejected.height == 1


def test_r5_decimals_narrow_too(tmp_path):
    huge = pl.Series([Decimal(10) ** 37] * 47 + [Decimal(9) * 10**37], dtype=pl.Decimal(38, 0))
    assert read(tmp_path, D.with_columns(value=huge)).events["value"].is_finite().all()
    huge = pl.Series([1] * 47 + [2**126], dtype=pl.Int128)
    assert read(tmp_path, D.with_columns(value=huge)).events["value"].is_finite().all()


@pytest.mark.parametrize("key", ["strengths", "positive"])
@pytest.mark.parametrize("number", [1e39, float("inf"), float("nan")])
def test_r5_a_number_of_the_recipe_that_is_beyond_is_refused(key, number):
    with pytest.raises(ValidationError, match=key):
        DataSpec.model_validate({"events": {"path": "log.csv"}, key: {"view": number}})


def test_r5_a_strength_times_a_weight_may_be_beyond(tmp_path):
    frame = D.with_columns(weight=pl.Series([1.0] * 47 + [1e20]))
    spec = DataSpec.model_validate({"events": {"path": "log.parquet"}, "strengths": {"view": 1e20}})
    with pytest.raises(InputError, match=r"^data\.strengths\.view: times a weight of 1e\+20 in the log"):
        dataset(read(tmp_path, frame), spec)


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_r1_init_drafts_what_fit_reads(tmp_path, form):
    numbers = pl.Series("time", [int(day.strftime(form)) for day in DAYS])
    D.with_columns(numbers).write_parquet(tmp_path / "log.parquet")
    section = tomllib.loads(draft(tmp_path / "log.parquet"))["data"]
    assert section["events"]["time_format"] == form
    events = load(DataSpec.model_validate(section), tmp_path).events
    assert events["time"][0] == START * 1_000_000


def test_init_leaves_out_a_column_that_cannot_be_read(tmp_path):
    table = D.to_arrow().append_column("odd", ODD["decimal of 50 digits"])
    pq.write_table(table, tmp_path / "log.parquet")
    section = tomllib.loads(draft(tmp_path / "log.parquet"))["data"]
    assert load(DataSpec.model_validate(section), tmp_path).events.height == 48
    asked = {"path": "log.parquet", "columns": {"user": "user", "item": "item", "time": "time", "value": "odd"}}
    with pytest.raises(InputError, match=r"^log\.parquet: column odd \(value\): cannot be read: precision"):
        load(DataSpec.model_validate({"events": asked}), tmp_path)


def test_init_says_what_a_file_is_that_is_no_csv(tmp_path):
    D.write_ipc(tmp_path / "log.dat")
    with pytest.raises(InputError, match=r"log\.dat: expected a csv, found an Arrow file; write it as Parquet"):
        draft(tmp_path / "log.dat")
