"""The loader of the user's own files: every way a file can be written, and every way it can be wrong."""

from __future__ import annotations

import gzip
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shortlist.component import InputError
from shortlist.data.raw import REJECTED
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

LOG = "user,item,time,value\na,x,10,4\nb,y,20,3.5\n,x,30,\n"
DAY = "1970-01-01"
ROWS = [
    ("a", "x", "rating", 10_000_000, 4.0),
    ("b", "y", "rating", 20_000_000, 3.5),
    (None, "x", "rating", 30_000_000, None),
]


def read(root: Path, text: str | bytes = LOG, name: str = "log.csv", *, more: dict | None = None, **events):
    (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    spec = {"source": "tables", "events": {"path": name, **events}, **(more or {})}
    return load(DataSpec.model_validate(spec), root)


def refused(root: Path, *args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        read(root, *args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (LOG, {}),
        (LOG.replace("\n", "\r\n"), {}),
        ("\ufeff" + LOG, {}),
        (LOG.rstrip("\n"), {}),
        (gzip.compress(LOG.encode()), {"compression": "gzip"}),
        (LOG.replace(",", "\t"), {"separator": "\t"}),
        (LOG.replace(",", "::"), {"separator": "::"}),
        ("\ufeff" + LOG.replace(",", "::").replace("\n", "\r\n"), {"separator": "::"}),
        (gzip.compress(LOG.replace(",", "::").encode()), {"separator": "::"}),
        (LOG.split("\n", 1)[1], {"names": ["user", "item", "time", "value"]}),
        (LOG.split("\n", 1)[1].replace(",", "::"), {"names": ["user", "item", "time", "value"], "separator": "::"}),
        (LOG.replace("value", "stars"), {"names": ["user", "item", "time", "value"], "header": True}),
        (
            LOG.split("\n", 1)[1],
            {
                "header": False,
                "columns": {"user": "column_1", "item": "column_2", "time": "column_3", "value": "column_4"},
            },
        ),
        (LOG.encode("utf-16"), {"encoding": "utf-16"}),
        (LOG.replace("0,", "0000,"), {"time_unit": "ms"}),
        (
            LOG.replace("10,", f"{DAY} 00:00:10,")
            .replace("20,", f"{DAY}T00:00:20,")
            .replace("30,", f"{DAY}T00:00:30.000,"),
            {},
        ),
        (
            LOG.replace("10,", f"{DAY} 00:00:10Z,")
            .replace("20,", f"{DAY}T00:00:20UTC,")
            .replace("30,", f"{DAY}T01:00:30+01:00,"),
            {},
        ),
        (
            LOG.replace("0,", "0 1/1/70,").replace(",1", ",0:0:1").replace(",2", ",0:0:2").replace(",30 ", ",0:0:30 "),
            {"time_format": "%H:%M:%S %d/%m/%y"},
        ),
    ],
)
def test_every_way_to_write_the_same_log(tmp_path, text, how):
    raw = read(tmp_path, text, **how)
    assert raw.events.columns == ["user", "item", "event", "time", "value"]
    assert raw.events.rows() == ROWS
    assert raw.rejected.is_empty()
    assert raw.rejected.schema == REJECTED


def test_parquet_and_sql_give_the_same(tmp_path):
    table = pl.DataFrame(
        {
            "who": [7, 8, None],
            "what": ["x", "y", "x"],
            "at": [datetime(1970, 1, 1, 0, 0, s, tzinfo=UTC) for s in (10, 20, 30)],
            "stars": [4.0, 3.5, float("nan")],
        }
    )
    columns = {"user": "who", "item": "what", "time": "at", "value": "stars"}
    expected = [("7", *ROWS[0][1:]), ("8", *ROWS[1][1:]), ROWS[2]]
    table.write_parquet(tmp_path / "log.parquet")
    spec = {"source": "tables", "events": {"path": "log.parquet", "columns": columns}}
    assert load(DataSpec.model_validate(spec), tmp_path).events.rows() == expected
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table log (who, what, at, stars)")
    connection.executemany(
        "insert into log values (?, ?, ?, ?)", [(7, "x", 10, 4), (8, "y", 20, 3.5), (None, "x", 30, None)]
    )
    connection.commit()
    connection.close()
    spec["events"].update(path="shop.db", query="select * from log order by at")
    assert load(DataSpec.model_validate(spec), tmp_path).events.rows() == expected
    spec["events"]["query"] = "select * from nothing"
    with pytest.raises(InputError, match=r"shop\.db: the query cannot be answered: .*nothing"):
        load(DataSpec.model_validate(spec), tmp_path)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_the_unit_of_a_number_is_judged_by_its_size(tmp_path, unit, factor):
    text = f"user,item,time\na,x,{1_500_000_000 * factor}\n"
    for how in ({}, {"time_unit": unit}):
        assert read(tmp_path, text, **how).events["time"].to_list() == [1_500_000_000_000_000]


def test_behaviours_weights_and_context(tmp_path):
    text = "u,i,what,t,w,hour,place\na,x,click,1,1,8,home\nb,x,buy,2,2.5,,\n"
    columns = {"user": "u", "item": "i", "event": "what", "time": "t", "weight": "w"}
    columns |= {"hour": {"column": "hour", "kind": "number"}, "where": "place"}
    raw = read(tmp_path, text, columns=columns)
    assert raw.events.columns == ["user", "item", "event", "time", "value", "weight", "hour", "where"]
    assert raw.events.rows() == [
        ("a", "x", "click", 1_000_000, None, 1.0, 8.0, "home"),
        ("b", "x", "buy", 2_000_000, None, 2.5, None, None),
    ]
    assert raw.kinds["events"] == {"hour": "number", "where": "category"}


def test_a_log_without_event_and_value_is_views(tmp_path):
    assert read(tmp_path, "user,item,time\na,x,1\n").events["event"].to_list() == ["view"]


def test_attribute_and_relation_tables(tmp_path):
    (tmp_path / "items.csv").write_text(
        "item_id,genres,price,title,out\nx,Drama|War,3,Été,1995-01-02\ny,,NA,,\n", encoding="latin-1"
    )
    (tmp_path / "users.csv").write_text("id,age\na,30\nb,\n")
    (tmp_path / "kg.csv").write_text("head,relation,tail\nx,by,e1\n")
    (tmp_path / "ties.csv").write_text("user,friend,weight\na,b,0.5\n")
    (tmp_path / "shown.csv").write_text("user,item,time,position,propensity,label\na,x,9,1,0.1,1\n")
    more = {
        "items": {
            "path": "items.csv",
            "encoding": "latin-1",
            "columns": {
                "genres": "list",
                "price": "number",
                "title": "text",
                "released": {"column": "out", "kind": "time"},
            },
        },
        "users": {"path": "users.csv", "columns": {"user": "id", "age": "number"}},
        "triples": {"path": "kg.csv"},
        "ties": {"path": "ties.csv"},
        "exposures": {"path": "shown.csv"},
    }
    raw = read(tmp_path, more=more)
    assert raw.items.rows() == [("x", ["Drama", "War"], 3.0, "Été", 789_004_800_000_000), ("y", None, None, None, None)]
    assert raw.items.dtypes == [pl.String, pl.List(pl.String), pl.Float32, pl.String, pl.Int64]
    assert raw.users.rows() == [("a", 30.0), ("b", None)]
    assert raw.kinds["items"] == {"genres": "list", "price": "number", "title": "text", "released": "time"}
    assert raw.kinds["users"] == {"age": "number"}
    assert raw.triples.rows() == [("x", "by", "e1")]
    assert raw.ties.rows() == [("a", "b", 0.5)]
    assert raw.exposures.rows() == [("a", "x", 9_000_000, 1.0, pytest.approx(0.1), 1.0)]


@pytest.mark.parametrize(
    ("text", "how", "parts"),
    [
        ("user,item,when\na,x,1\n", {}, ["log.csv", "time", "user, item, when"]),
        (LOG, {"columns": {"user": "user", "item": "sku", "time": "time"}}, ["log.csv: row 1", "'sku'"]),
        (LOG.replace("20", "soon"), {}, ["log.csv: row 3, column time", "seconds", "'soon'"]),
        (LOG.replace("20", ""), {}, ["log.csv: row 3, column time", "found nothing"]),
        (LOG.replace("10,", "2024-01-01,"), {}, ["log.csv: row 2, column time", "'2024-01-01'"]),
        (LOG, {"time_format": "%Y"}, ["log.csv: row 2, column time", "a year", "'10'"]),
        (LOG.replace("3.5", "good"), {}, ["log.csv: row 3, column value", "a number", "'good'"]),
        (LOG.replace("3.5", "inf"), {}, ["log.csv: row 3, column value", "a number", "'inf'"]),
        (LOG.replace("y", ""), {}, ["log.csv: row 3, column item", "found nothing"]),
        (LOG.replace("value", "weight").replace("3.5", "-1"), {}, ["row 3, column weight", "at least 0", "'-1'"]),
        (LOG.replace("20,3.5", "20,3.5,9"), {}, ["log.csv: row 3", "4 columns", "5"]),
        (LOG.replace("20,3.5", "20,3.5,9").replace(",", "::"), {"separator": "::"}, ["log.csv: row 3", "4 columns"]),
        (
            LOG.replace("20,3.5", "20"),
            {"columns": {"user": "user", "item": "item", "time": "value"}},
            ["row 3, column value"],
        ),
        ("", {}, ["log.csv", "empty"]),
        (gzip.compress(b""), {}, ["log.csv", "empty"]),
        ("user,item,time\n", {}, ["log.csv", "expected rows, found none"]),
        (LOG.replace("b", "\xe9").encode("latin-1"), {}, ["log.csv: row 3", "utf-8", "xe9"]),
        (
            LOG.replace("b", "\xe9").replace(",", "::").encode("latin-1"),
            {"separator": "::"},
            ["log.csv: row 3", "utf-8"],
        ),
        (LOG.replace("b", "\u20ac"), {"encoding": "ascii"}, ["log.csv: row 3", "ascii"]),
        (LOG, {"encoding": "klingon"}, ["log.csv", "klingon"]),
        (LOG, {"compression": "gzip"}, ["log.csv", "gzip"]),
        (gzip.compress(LOG.encode() * 50)[:-30], {}, ["log.csv"]),
        (LOG, {"names": ["user", "item", "time"]}, ["log.csv", "expected the 3 columns", "found 4"]),
        (LOG, {"format": "parquet"}, ["log.csv"]),
        (LOG, {"format": "sql"}, ["log.csv", "query"]),
    ],
)
def test_bad_input_is_one_line_naming_the_place(tmp_path, text, how, parts):
    message = refused(tmp_path, text, **how)
    for part in parts:
        assert part in message


def test_a_missing_file_names_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: expected a file in .*, found nothing"):
        load(DataSpec.model_validate({"events": {"path": "none.csv"}}), tmp_path)


def test_an_id_twice_in_the_catalogue(tmp_path):
    (tmp_path / "items.csv").write_text("item,price\nx,1\ny,2\n\nx,3\n")
    message = refused(tmp_path, more={"items": {"path": "items.csv"}})
    assert message == "items.csv: row 5, column item (item): expected each id once, found 'x' again (first in row 2)"


def test_a_kind_that_is_none(tmp_path):
    (tmp_path / "items.csv").write_text("item,price\nx,1\n")
    message = refused(tmp_path, more={"items": {"path": "items.csv", "columns": {"price": "money"}}})
    assert message.startswith("data.items.columns.price: expected category")


def test_what_filters_drop_is_counted_and_kept(tmp_path):
    text = "user,item,event,time,value\na,x,view,10,5\na,x,view,10,5\nbot,x,view,11,5\n\n"
    text += "b,y,hover,12,1\nb,y,view,13,99\nb,z,view,1,2\n"
    filters = {
        "duplicates": "drop",
        "user": {"drop": ["bot"]},
        "event": {"keep": ["view"]},
        "value": {"max": 10},
        "time": {"after": "1970-01-01T00:00:05"},
    }
    raw = read(tmp_path, text, filters=filters)
    assert raw.events.rows() == [("a", "x", "view", 10_000_000, 5.0)]
    by_row = raw.rejected.sort("row").rows()
    assert [(row, reason) for _, _, row, reason, _ in by_row] == [
        (3, "duplicate"),
        (4, "user in drop"),
        (5, "blank line"),
        (6, "event not in keep"),
        (7, "value above 10"),
        (8, "time before 1970-01-01T00:00:05"),
    ]
    assert by_row[1] == ("events", "log.csv", 4, "user in drop", "bot,x,view,11,5")
    assert raw.dropped()["events: duplicate"] == 1
    assert raw.rejected.schema == REJECTED


def test_bad_rows_are_dropped_when_declared(tmp_path):
    text = LOG.replace("20", "soon").replace(",", "::") + "c::z::40::1::9\n"
    raw = read(tmp_path, text, separator="::", filters={"bad_rows": "drop"})
    assert raw.events["time"].to_list() == [10_000_000, 30_000_000]
    assert sorted(raw.rejected.select("row", "reason").rows()) == [
        (3, "time: not a time in seconds since 1970"),
        (5, "more than 4 columns"),
    ]


events = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 5)), min_size=1, max_size=30)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.integers(1, 4), st.sampled_from([None, "1h"]))
def test_rate_and_duplicates_look_at_the_past_only(tmp_path, rows, most, per):
    hours = [(u, i, t * 1_800) for u, i, t in rows]
    kept, seen = [], set()
    for row in hours:  # duplicates: the first in the file stays
        kept.append(row not in seen)
        seen.add(row)
    counts: dict = {}
    for n in sorted(range(len(hours)), key=lambda n: hours[n][2]):
        key = (hours[n][0], hours[n][2] // 3_600 if per else 0)
        if kept[n]:
            counts[key] = counts.get(key, 0) + 1
            kept[n] = counts[key] <= most
    text = "user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in hours)
    raw = read(tmp_path, text, filters={"duplicates": "drop", "user_events": {"max": most, "per": per}})
    assert raw.events.select("user", "item", pl.col("time") // 1_000_000).rows() == [
        row for row, keep in zip(hours, kept, strict=True) if keep
    ]
    assert raw.rejected.height == len(rows) - raw.events.height


def test_rows_keep_the_order_of_a_file_of_many_batches(tmp_path):
    n = 300_000
    text = "user,item,time\n" + "".join(f"{k * 7 % 1000},{k},{k * 13 % 5000}\n" for k in range(n))
    raw = read(tmp_path, text, filters={"item": {"drop": ["5", "250000"]}})
    assert raw.events["item"].to_list() == [str(k) for k in range(n) if k not in (5, 250_000)]
    assert sorted(raw.rejected["row"]) == [7, 250_002]
    assert refused(tmp_path, text.replace(",199999,", ",,")).startswith("log.csv: row 200001, column item")


def test_the_fingerprint_is_of_the_contents(tmp_path):
    first = read(tmp_path).fingerprint
    assert len(first) == 64
    assert read(tmp_path).fingerprint == first
    assert read(tmp_path, LOG.replace("3.5", "3.4")).fingerprint != first


def test_the_fingerprint_of_a_query_is_of_its_answer(tmp_path):
    def fingerprint(*stars):
        path = tmp_path / "shop.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("create table log (user, item, time, value)")
        connection.executemany("insert into log values ('u', 'i', ?, ?)", list(enumerate(stars)))
        connection.commit()
        connection.close()
        spec = {"source": "tables", "events": {"path": "shop.db", "query": "select * from log"}}
        return load(DataSpec.model_validate(spec), tmp_path).fingerprint

    assert fingerprint(1, 2, 3) == fingerprint(1, 2, 3) != fingerprint(1, 2, 4)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"source": "tables"}, "data.events"),
        ({"events": {"path": "x", "seperator": ","}}, "seperator"),
        ({"source": "adult", "events": {"path": "x"}}, "data.events"),
        ({"events": {"path": "x"}, "split": {"tune": 0.9, "test": 0.8}}, "ascend"),
        ({"events": {"path": "x"}, "split": {"tune": 0.5, "test": "2024-01-01"}}, "all"),
        ({"events": {"path": "x"}, "split": {"test": 1.5}}, "test"),
        ({"events": {"path": "x", "strengths": {"buy": -1}}}, "strengths"),
    ],
)
def test_a_section_that_makes_no_sense(spec, path):
    with pytest.raises(ValidationError, match=path):
        DataSpec.model_validate(spec)


def test_the_section_round_trips():
    spec = DataSpec.model_validate(
        {
            "events": {"path": "x", "strengths": {"view": 1, "buy": 2}, "filters": {"time": {"after": "2024-01-01"}}},
            "split": {"rank": "2024-01-01", "test": "2024-02-01T12:00:00"},
            "positive": {"rating": 4, "buy": True},
            "strengths": {"buy": 5},
        }
    )
    assert DataSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.positive == {"rating": 4.0, "buy": True}
    assert spec.positive["buy"] is True
    assert spec.all_strengths() == {"view": 1, "buy": 5}
