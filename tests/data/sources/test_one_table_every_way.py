"""One table in every type, separator, quoting, encoding and compression a file can have: one answer."""

from __future__ import annotations

import gzip
import io
import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data.raw import Raw
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

NULLS = ["", "NA"]
COLUMNS = {"user": "user", "item": "item", "time": "time", "value": "value", "event": "event"}
ATTRIBUTES = {
    "item": "item",
    "name": "text",
    "genre": "category",
    "tags": {"kind": "list", "separator": "|"},
    "price": "number",
    "since": "time",
}
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=6)
"""Words of any alphabet; no word of digits and a point, which a number might be."""
NAMES = WORDS.filter(lambda word: not word[0].isascii() or word[0].isalpha()).filter(lambda word: word not in NULLS)


@st.composite
def logs(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(1, 12))

    def column(values: st.SearchStrategy, dtype: pl.DataType) -> pl.Series:
        return pl.Series(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)

    return pl.DataFrame(
        {
            "user": column(st.one_of(st.none(), st.sampled_from(NULLS), NAMES), pl.String()),
            "item": column(NAMES, pl.String()),
            "time": column(st.integers(631_152_000, 4_000_000_000), pl.Int64()),
            "value": column(st.one_of(st.none(), st.integers(-9, 9).map(lambda v: v / 2)), pl.Float64()),
            "event": column(st.sampled_from(["view", "buy"]), pl.String()),
        }
    )


def told(frame: pl.DataFrame, folder: Path, **how) -> Raw:
    """``frame``'s file in ``folder`` as the loader reads it."""
    spec = {"columns": COLUMNS, "null_values": NULLS, "path": "log", **how}
    return load(DataSpec.model_validate({"source": "tables", "events": spec}), folder)


def answer(raw: Raw) -> list[tuple]:
    return raw.events.select(*COLUMNS).rows()


def as_csv(frame: pl.DataFrame, **how) -> bytes:
    out = io.BytesIO()
    frame.write_csv(out, **how)
    return out.getvalue()


TEXTS = {
    "comma": ({}, {}, lambda b: b),
    "tab": ({"separator": "\t"}, {"separator": "\t"}, lambda b: b),
    "semicolon, all quoted": ({"separator": ";", "quote_style": "always"}, {"separator": ";"}, lambda b: b),
    "no header": ({"include_header": False}, {"names": list(COLUMNS)}, lambda b: b),
    "carriage returns": ({"line_terminator": "\r\n"}, {}, lambda b: b),
    "byte order mark": ({"include_bom": True}, {}, lambda b: b),
    "utf-16": ({}, {"encoding": "utf-16"}, lambda b: b.decode().encode("utf-16")),
    "gb18030": ({}, {"encoding": "gb18030"}, lambda b: b.decode().encode("gb18030")),
    "gzip": ({}, {}, gzip.compress),
    "gzip of utf-16": ({}, {"encoding": "utf-16"}, lambda b: gzip.compress(b.decode().encode("utf-16"))),
    "above it sep=,": ({}, {}, lambda b: b"sep=,\n" + b),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=logs())
def test_text(tmp_path_factory, frame):
    folder = tmp_path_factory.mktemp("text")
    answers = {}
    for name, (written, read, last) in TEXTS.items():
        (folder / "log").write_bytes(last(as_csv(frame, **written)))
        answers[name] = answer(told(frame, folder, **read))
    first = next(iter(answers.values()))
    assert all(each == first for each in answers.values()), {n: a for n, a in answers.items() if a != first}
    assert [row[1] for row in first] == frame["item"].to_list()
    assert [row[0] for row in first] == [None if user in NULLS else user for user in frame["user"]]
    assert [row[2] for row in first] == [time * 1_000_000 for time in frame["time"]]


TYPES = {
    "text": {},
    "categories": {"user": pl.Categorical(), "item": pl.Categorical(), "event": pl.Categorical()},
    "bytes": {"user": pl.Binary(), "item": pl.Binary(), "event": pl.Binary()},
    "an enum": {"event": pl.Enum(["buy", "view"])},
    "narrow numbers": {"value": pl.Float32(), "time": pl.UInt32()},
    "decimals": {"value": pl.Decimal(10, 1), "time": pl.Decimal(12, 0)},
    "numbers as text": {"value": pl.String(), "time": pl.String()},
    "numbers as categories": {"value": pl.Categorical(), "time": pl.Categorical()},
    "floats": {"time": pl.Float64()},
    "moments": {"time": pl.Datetime("us")},
    "moments with a zone": {"time": pl.Datetime("ms", "UTC")},
    "moments elsewhere": {"time": pl.Datetime("ns", "Asia/Shanghai")},
}


def typed(frame: pl.DataFrame, types: dict) -> pl.DataFrame:
    for name, dtype in types.items():
        column = frame[name]
        if isinstance(dtype, pl.Datetime):
            column = pl.Series(name, column * 1_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            if dtype.time_zone is None:
                column = column.dt.replace_time_zone(None)
            column = column.dt.cast_time_unit(dtype.time_unit)
            column = column.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else column
        elif dtype == pl.Categorical and column.dtype != pl.String:
            column = column.cast(pl.String).cast(dtype)
        else:
            column = column.cast(dtype)
        frame = frame.with_columns(column.alias(name))
    return frame


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=logs(), packed=st.sampled_from(["zstd", "gzip", "snappy", "lz4", "brotli", "uncompressed"]))
def test_types(tmp_path_factory, frame, packed):
    folder = tmp_path_factory.mktemp("types")
    (folder / "log").write_bytes(as_csv(frame))
    expected = answer(told(frame, folder))
    for name, types in TYPES.items():
        typed(frame, types).write_parquet(folder / "log.parquet", compression=packed)
        assert answer(told(frame, folder, path="log.parquet")) == expected, name
    with sqlite3.connect(folder / "log.db") as connection:
        connection.execute("drop table if exists log")
        connection.execute("create table log(user blob, item text, time numeric, value any, event text)")
        connection.executemany("insert into log values (?, ?, ?, ?, ?)", frame.rows())
    assert answer(told(frame, folder, path="log.db", query="select * from log")) == expected


CATALOGUE = pl.DataFrame(
    {
        "item": [0, 1, 2],
        "name": ["Łódź", None, "a, b"],
        "genre": [1, 2, None],
        "tags": [["x", "y z"], [], ["ü"]],
        "price": [1.5, None, 3.0],
        "since": [date(2024, 1, 5), date(1931, 2, 3), None],
    },
    schema_overrides={"tags": pl.List(pl.String)},
)


def catalogue(frame: pl.DataFrame, folder: Path, columns: dict | None = None) -> list[tuple]:
    frame.write_parquet(folder / "items.parquet")
    (folder / "log.csv").write_text("user,item,time\nu,0,2024-01-05\n")
    items = {"path": "items.parquet", "columns": {**ATTRIBUTES, **(columns or {})}}
    spec = {"source": "tables", "events": {"path": "log.csv"}, "items": items}
    raw = load(DataSpec.model_validate(spec), folder)
    return raw.items.select(list(ATTRIBUTES)).rows()


def test_a_catalogue(tmp_path):
    expected = catalogue(CATALOGUE, tmp_path)
    assert expected[0][:4] == ("0", "Łódź", "1", ["x", "y z"])
    assert expected[1][1:5] == (None, "2", None, None)
    assert expected[1][5] == int(datetime(1931, 2, 3, tzinfo=UTC).timestamp()) * 1_000_000
    column = pl.col
    variants = {
        "floats with gaps": [column("item", "genre").cast(pl.Float64)],
        "floats as pandas writes them": [column("item", "genre").cast(pl.Float64).cast(pl.String)],
        "decimals": [column("item", "genre").cast(pl.Decimal(12, 2)), column("price").cast(pl.Decimal(8, 3))],
        "categories": [column("name").cast(pl.Categorical), column("genre").cast(pl.String).cast(pl.Categorical)],
        "bytes": [column("name").cast(pl.Binary), column("item").cast(pl.String).cast(pl.Binary)],
        "lists of categories": [column("tags").cast(pl.List(pl.Categorical))],
        "lists of bytes": [column("tags").cast(pl.List(pl.Binary))],
        "lists with holes": [pl.Series("tags", [["x", None, " y z "], None, ["", "ü"]])],
        "lists in lists": [pl.Series("tags", [[["x"], ["y z"]], [], [["ü"]]])],
        "lists as text": [pl.Series("tags", ["x|y z", "", "ü"])],
        "lists as JSON": [pl.Series("tags", ['["x", "y z"]', "[]", '["\\u00fc"]'])],
        "lists as Python's": [pl.Series("tags", ["['x', 'y z']", "[]", "('ü',)"])],
        "lists as numpy's": [pl.Series("tags", ["['x' 'y z']", None, "array(['ü'], dtype=object)"])],
        "lists as PostgreSQL's": [pl.Series("tags", ['{x,"y z"}', "{}", "{ü,NULL}"])],
        "dates as text": [pl.Series("since", ["2024-01-05", "1931-02-03 00:00:00+00", None])],
        "moments": [column("since").cast(pl.Datetime("ms"))],
    }
    for name, change in variants.items():
        assert catalogue(CATALOGUE.with_columns(change), tmp_path) == expected, name
    objects = pl.Series("tags", [[{"id": 1, "name": "x"}, {"id": 2, "name": "y z"}], [], [{"id": 3, "name": "ü"}]])
    told = {"tags": {"kind": "list", "field": "name"}}
    assert catalogue(CATALOGUE.with_columns(objects), tmp_path, told) == expected
    as_json = pl.Series("tags", ['[{"id": 1, "name": "x"}, {"name": "y z"}]', "[]", "[{'id': 3, 'name': 'ü'}]"])
    assert catalogue(CATALOGUE.with_columns(as_json), tmp_path, told) == expected
    for column_of_objects in (objects, as_json):
        with pytest.raises(InputError, match=r'column tags \(tags\): expected lists of names.*say field = "name"'):
            catalogue(CATALOGUE.with_columns(column_of_objects), tmp_path)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (pl.Series([[1], [2], [3]]), "number", r"expected a number in each cell, found lists; is it kind = \"list\""),
        (pl.Series([{"a": 1}] * 3), "category", "expected a value in each cell, found objects with the fields a"),
        (pl.Series([date(2024, 1, 1)] * 3), "number", r"expected numbers, found Date; is it kind = \"time\""),
        (pl.Series([True, False, None]), "time", "expected times with a date, found Boolean"),
        (pl.Series([date(2024, 1, 1)] * 3), "list", "expected lists, found Date"),
        (pl.Series(["1e39", "2", "3"]), "number", "row 1, column price .*a number .finite, as float32., found '1e39'"),
        (pl.Series([1.797e308, 2, 3]), "number", "row 1, column price .*a number .finite, as float32.,"),
        (pl.Series([20240101, 20240102, 20231231]), "time", '20240101 look like dates: say time_format = "%Y%m%d"'),
        (pl.Series(["20240101", None, "20231231"]), "time", 'such as 20240101 look like dates'),
        (pl.Series([20240101.0, None, 20231231.0]), "time", 'such as 20240101 look like dates'),
        (pl.Series([2023, 2024, 1999]), "time", 'time_format = "%Y"'),
        (pl.Series([20240101120000, None, None]), "time", 'time_format = "%Y%m%d%H%M%S"'),
        (pl.Series(['["a"', "[b]", "[c]"]), {"kind": "list", "separator": "[,]"}, "row 1, column price .* a list"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(tmp_path, values, kind, message):
    frame = CATALOGUE.with_columns(values.alias("price"))
    with pytest.raises(InputError, match=rf"items.parquet: .*{message}"):
        catalogue(frame, tmp_path, {"price": kind})


@pytest.mark.parametrize("cells", [[20240105, 19991231], ["20240105", "19991231"], [20240105.0, 19991231.0]])
@pytest.mark.parametrize("parquet", [True, False])
def test_a_declared_format_goes_for_numbers_too(tmp_path, cells, parquet):
    """Of a log, a catalogue and of what was shown: there, a date of 1970 says that an item was always available."""
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "time": cells})
    name = "t.parquet" if parquet else "t.csv"
    frame.write_parquet(tmp_path / name) if parquet else frame.write_csv(tmp_path / name)
    how = {"path": name, "time_format": "%Y%m%d"}
    items = {**how, "columns": {"available_from": {"kind": "time", "column": "time"}}}
    spec = {"source": "tables", "events": how, "exposures": how, "items": items}
    if isinstance(cells[0], float) and not parquet:
        with pytest.raises(InputError, match=r"row 2, column time \(time\): expected a time written %Y%m%d"):
            load(DataSpec.model_validate(spec), tmp_path)  # text by a format is text by that format
        return
    raw = load(DataSpec.model_validate(spec), tmp_path)
    days = [int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000 for day in ((2024, 1, 5), (1999, 12, 31))]
    assert raw.events["time"].to_list() == raw.exposures["time"].to_list() == days
    assert raw.items["available_from"].to_list() == days
    padded = {**how, "time_format": "%d%m%Y"}
    pl.DataFrame({"user": ["a"], "item": ["x"], "time": [5012024]}).write_parquet(tmp_path / "t.parquet")
    raw = load(DataSpec.model_validate({"source": "tables", "events": {**padded, "path": "t.parquet"}}), tmp_path)
    assert raw.events["time"].to_list() == days[:1]


def extra(kind: str) -> pl.Series:
    """A column nobody asked for, of a type that is hard to bear."""
    return {
        "struct": pl.Series("extra", [{"a": 1}, {"a": None}, None, {"a": 2}]),
        "list of structs": pl.Series("extra", [[{"a": 1}], [], None, [{"a": 2}]]),
        "bytes": pl.Series("extra", [b"\xff", b"", None, b"\x00"]),
        "nothing": pl.Series("extra", [None] * 4),
        "durations": pl.Series("extra", [1, 2, None, 3]).cast(pl.Duration("us")),
    }[kind]


@pytest.mark.parametrize("kind", ["struct", "list of structs", "bytes", "nothing", "durations"])
@pytest.mark.parametrize("filters", [{}, {"duplicates": "drop"}, {"item": {"drop": ["y"]}}, {"bad_rows": "drop"}])
def test_a_column_nobody_named_changes_nothing(tmp_path, kind, filters):
    frame = pl.DataFrame({"user": ["a", "b", "c", "a"], "item": ["x", "y", "z", "x"], "time": [10, 20, 30, 10]})
    columns = {name: name for name in ("user", "item", "time")}
    answers, rejected = [], []
    for number, each in enumerate((frame, frame.with_columns(extra(kind)))):
        each.write_parquet(tmp_path / f"{number}.parquet")
        how = {"path": f"{number}.parquet", "columns": columns, "filters": filters}
        raw = load(DataSpec.model_validate({"source": "tables", "events": how}), tmp_path)
        answers.append(raw.events.rows())
        rejected.append(raw.rejected.select("row", "reason").rows())
    assert answers[0] == answers[1]
    assert rejected[0] == rejected[1]
    assert len(rejected[0]) == (0 if filters in ({}, {"bad_rows": "drop"}) else 1)


@pytest.mark.parametrize("value", [b"\xff\x00", 1.5, "text", None, 2**62])
def test_a_column_of_a_database_nobody_named_changes_nothing(tmp_path, value):
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("create table log(user text, item text, time integer, photo)")
        connection.executemany("insert into log values (?, ?, ?, ?)", [("a", "x", 10, None), ("b", "y", 20, value)])
    how = {"path": "log.db", "query": "select * from log", "columns": {n: n for n in ("user", "item", "time")}}
    raw = load(DataSpec.model_validate({"source": "tables", "events": how}), tmp_path)
    assert raw.events.select("user", "item", "time").rows() == [("a", "x", 10_000_000), ("b", "y", 20_000_000)]


BROKEN = {
    "a quote inside": ('27" tv', r"row {row}, |row {row}: column title: a quote"),
    "a quote that opens": ('"27 tv', r"row {row}: column title: a quote"),
    "a quote too many": ('"27" tv', r"row {row}: column title: a quote"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("places", [[100], [100, 1200], [3, 4, 5]])
def test_quotes_that_do_not_pair(tmp_path, how, places):
    cell, message = BROKEN[how]
    lines = ["user,item,time,title"]
    for n in range(1500):
        title = cell if n in places else '"a ""b"", c\nd"' if n == 50 else "x"
        lines.append(f"u{n % 6},i{n * 7 % 5},{1704067200 + 3600 * n},{title}")
    text = "\n".join(lines) + "\n"
    (tmp_path / "log.csv").write_text(text)
    how = {"path": "log.csv", "columns": {"user": "user", "item": "item", "time": "time", "title": "title"}}
    with pytest.raises(InputError, match=message.format(row=places[0] + 2) + '.*quote = ""') as error:
        load(DataSpec.model_validate({"source": "tables", "events": how}), tmp_path)
    assert "log.csv" in str(error.value)
    dropping = {**how, "filters": {"bad_rows": "drop"}}
    raw = load(DataSpec.model_validate({"source": "tables", "events": dropping}), tmp_path)
    assert raw.rejected["row"].to_list() == [place + 2 for place in places]
    assert all(cell in text for text in raw.rejected["text"])
    assert len(raw.events) == 1500 - len(places)
    assert raw.events["title"].to_list().count('a "b", c\nd') == 1
    (tmp_path / "log.csv").write_text(text.replace('"a ""b"", c\nd"', "x"))
    raw = load(DataSpec.model_validate({"source": "tables", "events": {**how, "quote": ""}}), tmp_path)
    assert raw.events["title"].to_list().count(cell) == len(places)


@pytest.mark.parametrize("line", ["a,x,10,4,5", "a,\udcff\udcfe,10,4"])
@pytest.mark.parametrize("separator", [",", "::"])
def test_lines_that_are_no_rows_are_dropped_when_declared(tmp_path, line, separator):
    text = f"user,item,time,value\nb,y,20,3\n{line}\nc,z,30,5\n".replace(",", separator)
    (tmp_path / "log.csv").write_bytes(text.encode(errors="surrogateescape"))
    how = {"path": "log.csv", "separator": separator, "filters": {"bad_rows": "drop"}}
    raw = load(DataSpec.model_validate({"source": "tables", "events": how}), tmp_path)
    assert raw.events["item"].to_list() == ["y", "z"]
    assert raw.rejected["row"].to_list() == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04....", "found a zip or Excel file"),
        (b"BZh91AY", "found bzip2"),
        (b"\x28\xb5\x2f\xfd....", "found zstandard"),
        ("user,item,time\na,x,10\n".encode("utf-16"), 'say encoding = "utf-16"'),
        (b"PAR1....", 'say format = "parquet"'),
        (b"sep=;\nuser,item,time\na,x,10\n", "row 1 says that the separator is ';', the recipe ','"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, message):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(DataSpec.model_validate({"source": "tables", "events": {"path": "log.csv"}}), tmp_path)
