"""One table in every physical type, dress, encoding and compression: one answer, or an error that helps."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

N = 60
DAYS = [date(2024, 1, 1) + timedelta(n % 50) for n in range(N)]
MIDNIGHTS = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in DAYS]
SECONDS = [int(moment.timestamp()) for moment in MIDNIGHTS]
USERS = [None if n % 7 == 3 else str(n % 5) for n in range(N)]
ITEMS = [str(10 + n * 7 % 11) for n in range(N)]
EVENTS = ["buy" if n % 3 else "view" for n in range(N)]
VALUES = [None if n % 4 == 1 else n % 9 / 4 for n in range(N)]
NOTES = ['plain, "quoted"', "Été", "喜剧", "я; |", " two\nlines ", "0", "NA", "😀\t'x'", None]
COLUMNS = ("user", "item", "event", "time", "value", "note")
COLUMN_OF = {name: name for name in COLUMNS}
ANSWER = [
    (user, item, event, second * 1_000_000, value, NOTES[n % len(NOTES)])
    for n, (user, item, event, second, value) in enumerate(zip(USERS, ITEMS, EVENTS, SECONDS, VALUES, strict=True))
]

Series = Callable[[list[Any]], pl.Series]


def cast(*dtypes: Any) -> Series:
    def series(cells: list[Any]) -> pl.Series:
        out = pl.Series(cells)
        for dtype in dtypes:
            out = out.cast(dtype)
        return out

    return series


TEXTS: dict[str, Series] = {
    "text": cast(pl.String),
    "category": cast(pl.Categorical),
    "enum": lambda cells: pl.Series(cells, dtype=pl.Enum(sorted({cell for cell in cells if cell is not None}))),
    "bytes": cast(pl.Binary),
}
WHOLE: dict[str, Series] = {
    **{str(dtype): cast(dtype) for dtype in (pl.Int8, pl.UInt8, pl.Int16, pl.Int32, pl.Int64, pl.UInt64)},
    **{str(dtype): cast(dtype) for dtype in (pl.Float32, pl.Float64)},
    "decimal": cast(pl.Decimal(12, 0)),
    "decimal with places": cast(pl.Float64, pl.Decimal(12, 3)),
    "floats with NaN": lambda cells: cast(pl.Float64)(cells).fill_null(float("nan")),
}
IDS = {**TEXTS, **WHOLE}
VALUE: dict[str, Series] = {
    **{
        name: (lambda cells, how=how: how([None if c is None else str(c) for c in cells]))
        for name, how in TEXTS.items()
    },
    "Float32": cast(pl.Float32),
    "Float64": cast(pl.Float64),
    "decimal": cast(pl.Decimal(9, 2)),
    "floats with NaN": lambda cells: cast(pl.Float64)(cells).fill_null(float("nan")),
}


def epoch(unit: int, *dtypes: Any) -> tuple[Series, dict[str, str]]:
    return (lambda cells: cast(*dtypes)([round(second * unit) for second in cells])), {}


def dated(cells: list[int]) -> pl.Series:
    return pl.Series([datetime.fromtimestamp(second, UTC).date() for second in cells])


def moments(unit: Any, zone: str | None) -> tuple[Series, dict[str, str]]:
    def series(cells: list[int]) -> pl.Series:
        out = pl.Series([second * 1_000_000 for second in cells]).cast(pl.Datetime("us", "UTC"))
        return out.dt.convert_time_zone(zone).dt.cast_time_unit(unit) if zone else out.dt.replace_time_zone(None)

    return series, {}


def written(form: str, *dtypes: Any) -> tuple[Series, dict[str, str]]:
    return (lambda cells: cast(*dtypes)(dated(cells).dt.strftime(form).to_list())), {"time_format": form}


TIMES: dict[str, tuple[Series, dict[str, str]]] = {
    **{
        f"{name} whole": epoch(unit, pl.Int64) for name, unit in (("s", 1), ("ms", 1_000), ("us", 10**6), ("ns", 10**9))
    },
    "s float": epoch(1, pl.Float64),
    "ms decimal": epoch(1_000, pl.Decimal(20, 0)),
    "s decimal with places": epoch(1, pl.Decimal(20, 4)),
    "s text": epoch(1, pl.String),
    "s category": epoch(1, pl.String, pl.Categorical),
    "s bytes": epoch(1, pl.String, pl.Binary),
    "date": (dated, {}),
    "date text": (lambda cells: dated(cells).cast(pl.String), {}),
    "date category": (lambda cells: dated(cells).cast(pl.String).cast(pl.Categorical), {}),
    "us": moments("us", None),
    **{f"{unit} {zone}": moments(unit, zone) for unit in ("ms", "us", "ns") for zone in ("UTC", "Asia/Tokyo")},
    "format of text": written("%d.%m.%Y", pl.String),
    "format of category": written("%d.%m.%Y", pl.Categorical),
    "format of whole": written("%Y%m%d", pl.Int32),
    "format of float": written("%Y%m%d", pl.Float64),
    "format of decimal": written("%Y%m%d", pl.Decimal(10, 1)),
}


KINDS: dict[str, Any] = {"user": IDS, "item": IDS, "event": TEXTS, "value": VALUE, "time": TIMES, "note": TEXTS}
POINTED = {"Float32", "Float64", "decimal with places", "floats with NaN"}


def table(user: Series, item: Series, event: Series, time: Series, value: Series, note: Series) -> pl.DataFrame:
    columns = {"user": user(USERS), "item": item(ITEMS), "event": event(EVENTS), "time": time(SECONDS)}
    return pl.DataFrame(columns | {"value": value(VALUES), "note": note([row[5] for row in ANSWER])})


PLAIN = {"user": TEXTS["text"], "item": TEXTS["text"], "event": TEXTS["text"], "time": TIMES["s whole"][0]}
PLAIN |= {"value": VALUE["Float64"], "note": TEXTS["text"]}


def as_parquet(root: Path, frame: pl.DataFrame, **how: Any) -> dict[str, Any]:
    pq.write_table(frame.to_arrow(), root / "log.parquet", **how)
    return {"path": "log.parquet"}


def said(cell: Any) -> Any:
    """A cell as a program writes it into text."""
    if isinstance(cell, bytes):
        return cell.decode()
    return cell.isoformat() if isinstance(cell, date) else cell


def as_csv(
    root: Path,
    frame: pl.DataFrame,
    separator: str = ",",
    quoting: int = csv.QUOTE_MINIMAL,
    eol: str = "\n",
    encoding: str = "utf-8",
    pack: Callable[[bytes], bytes] = bytes,
    last: bool = True,
) -> dict[str, Any]:
    rows = [frame.columns, *([said(cell) for cell in row] for row in frame.rows())]
    if len(separator) > 1:
        lines = [separator.join("" if cell is None else str(cell) for cell in row) for row in rows]
        text = eol.join([*lines, ""])
    else:
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=eol).writerows(rows)  # type: ignore[arg-type]
        text = out.getvalue()
    text = text if last else text.removesuffix(eol)
    (root / "log.csv").write_bytes(pack(text.encode(encoding)))
    return {"path": "log.csv", "separator": separator, "encoding": encoding}


def as_sqlite(root: Path, frame: pl.DataFrame) -> dict[str, Any]:
    path = root / "log.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"create table log ({', '.join(frame.columns)})")
        plain = [[str(cell) if isinstance(cell, Decimal) else said(cell) for cell in row] for row in frame.rows()]
        connection.executemany(f"insert into log values ({', '.join('?' * frame.width)})", plain)
    return {"path": "log.db", "query": "select * from log"}


CONTAINERS = {"parquet": as_parquet, "csv": as_csv, "sqlite": as_sqlite}


def answer(root: Path, how: dict[str, Any], **more: Any) -> list[tuple[Any, ...]]:
    spec = DataSpec.model_validate({"events": {"columns": COLUMN_OF, **how, **more}})
    raw = load(spec, root)
    assert raw.rejected.is_empty()
    return raw.events.select(COLUMNS).rows()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("column", "kind"), [(column, kind) for column, kinds in KINDS.items() for kind in kinds])
def test_every_physical_type(tmp_path, container, column, kind):
    types, more = dict(PLAIN), {}
    if column == "time":
        types["time"], more = TIMES[kind]
    else:
        types[column] = KINDS[column][kind]
    frame = table(**types)
    if container != "parquet" and column in ("user", "item") and kind in POINTED:
        return  # as text, 7.0 and NaN are names of their own
    assert answer(tmp_path, CONTAINERS[container](tmp_path, frame), **more) == ANSWER


SHARED = st.fixed_dictionaries(
    {
        "user": st.sampled_from(sorted(IDS)),
        "item": st.sampled_from(sorted(IDS)),
        "event": st.sampled_from(sorted(TEXTS)),
        "time": st.sampled_from(sorted(TIMES)),
        "value": st.sampled_from(sorted(VALUE)),
        "note": st.sampled_from(sorted(TEXTS)),
    }
)
CODECS = ["NONE", "SNAPPY", "GZIP", "BROTLI", "LZ4", "ZSTD"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    SHARED,
    st.sampled_from(CODECS),
    st.booleans(),
    st.sampled_from(["1.0", "2.0"]),
    st.integers(1, N),
    st.permutations(range(7)),
    st.sampled_from(["2.4", "2.6", "1.0"]),
)
def test_parquet_in_any_types_order_and_encoding(tmp_path, kinds, codec, dictionary, page, group, order, version):
    time, more = TIMES[kinds["time"]]
    types = {"user": IDS, "item": IDS, "event": TEXTS, "value": VALUE, "note": TEXTS}
    frame = table(time=time, **{name: known[kinds[name]] for name, known in types.items()})
    odd = pl.Series("odd", [{"a": [b"\xff"]}] * N)
    frame = frame.with_columns(odd).select([[*COLUMNS, "odd"][place] for place in order])
    how = {"compression": codec, "use_dictionary": dictionary, "data_page_version": page, "row_group_size": group}
    assert answer(tmp_path, as_parquet(tmp_path, frame, version=version, **how), **more) == ANSWER


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "gb18030"]
NARROW = ["latin-1", "cp1252", "cp1251", "koi8-r", "shift_jis", "big5", "gbk", "euc-kr", "ascii", "cp437"]


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def zstd_stream(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


def twice(content: bytes) -> bytes:
    """Two gzip files one behind the other are one, as ``cat`` makes it."""
    return gzip.compress(content[:500]) + gzip.compress(content[500:])


PACKS = {"none": bytes, "gzip": gzip.compress, "gzips": twice, "bz2": bz2.compress, "xz": lzma.compress}
PACKS |= {"zstd": zstd, "zstd stream": zstd_stream}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("encoding", ENCODINGS + NARROW)
def test_every_encoding_and_compression(tmp_path, encoding, pack):
    def narrowed(text: str | None) -> str | None:
        return (text.encode(encoding, "ignore").decode(encoding) or None) if text is not None else None

    frame = table(**PLAIN).with_columns(note=pl.Series([narrowed(row[5]) for row in ANSWER]))
    expected = [(*row[:5], narrowed(row[5])) for row in ANSWER]
    assert answer(tmp_path, as_csv(tmp_path, frame, encoding=encoding, pack=PACKS[pack])) == expected
    if pack == "none":
        frame = frame.with_columns(pl.col("note").str.replace_all("\n", " "))
        expected = [(*row[:5], row[5] and row[5].replace("\n", " ")) for row in expected]
        assert answer(tmp_path, as_csv(tmp_path, frame, encoding=encoding, separator="::", eol="\r\n")) == expected


QUOTING = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([",", ";", "\t", "|", "\x01", " ", "^"]),
    st.sampled_from(QUOTING),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(ENCODINGS),
    st.sampled_from(sorted(PACKS)),
    st.booleans(),
    st.permutations(range(7)),
    SHARED,
)
def test_csv_in_any_dress(tmp_path, separator, quoting, eol, encoding, pack, last, order, kinds):
    time, more = TIMES[kinds["time"]]
    frame = table(**PLAIN | {"time": time, "value": VALUE[kinds["value"]]})
    odd = pl.Series("odd", ['a "b" c', "", None, "x"] * (N // 4))
    frame = frame.with_columns(odd).select([[*COLUMNS, "odd"][place] for place in order])
    how = as_csv(tmp_path, frame, separator, quoting, eol, encoding, PACKS[pack], last)
    assert answer(tmp_path, how, **more) == ANSWER


# what is not read says what helps


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("log.csv", content)
    return out.getvalue()


def arrow(content: bytes) -> bytes:
    out = io.BytesIO()
    table(**PLAIN).write_ipc(out)
    return out.getvalue()


def lz4(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "lz4") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


def parquet(content: bytes) -> bytes:
    out = io.BytesIO()
    table(**PLAIN).write_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("pack", "helps"),
    [(zipped, "unpack it"), (arrow, "write it as Parquet"), (lz4, "gzip"), (parquet, 'format = "parquet"')],
)
def test_what_is_no_csv_says_what_it_is(tmp_path, pack, helps):
    how = as_csv(tmp_path, table(**PLAIN), pack=pack)
    with pytest.raises(InputError, match=r"^log\.csv: expected a csv, found ") as error:
        answer(tmp_path, how)
    assert helps in str(error.value)


def test_another_kind_of_file_than_declared_is_told(tmp_path):
    how = as_sqlite(tmp_path, table(**PLAIN))
    with pytest.raises(InputError, match='an SQLite file; say format = "sql"'):
        answer(tmp_path, {"path": how["path"], "format": "csv"})
    as_csv(tmp_path, table(**PLAIN))
    with pytest.raises(InputError, match=r'expected a Parquet file, .* is it format = "csv"'):
        answer(tmp_path, {"path": "log.csv", "format": "parquet"})
    with pytest.raises(InputError, match="the query cannot be answered: file is not a database"):
        answer(tmp_path, {"path": "log.csv", "format": "sql", "query": "select * from log"})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", "::"])
def test_an_encoding_that_nobody_declared_is_asked_for(tmp_path, encoding, separator):
    frame = table(**PLAIN).with_columns(note=pl.lit("x"))
    how = as_csv(tmp_path, frame, encoding=encoding, separator=separator)
    with pytest.raises(InputError, match='is it encoding = "utf-16'):
        answer(tmp_path, how | {"encoding": "utf-8"})


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "base64", "zlib", "undefined", "", "idna"])
def test_an_encoding_that_is_none_is_refused(tmp_path, encoding):
    how = as_csv(tmp_path, table(**PLAIN))
    with pytest.raises(InputError, match=r"^log\.csv: "):
        answer(tmp_path, how | {"encoding": encoding})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["parquet", "sqlite", *PACKS]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3),
    st.floats(0.05, 1),
)
def test_a_damaged_file_is_refused_in_one_line_or_read(tmp_path, container, flips, keep):
    """Whatever happened to its bytes: an error names the file, and nothing but an ``InputError`` comes out."""
    frame = table(**PLAIN)
    if container in PACKS:
        how = as_csv(tmp_path, frame, pack=PACKS[container])
    else:
        how = CONTAINERS[container](tmp_path, frame)
    path = tmp_path / how["path"]
    content = bytearray(path.read_bytes())
    for place, byte in flips:
        content[min(int(place * len(content)), len(content) - 1)] = byte
    path.write_bytes(bytes(content[: int(keep * len(content))]))
    message = None
    try:
        load(DataSpec.model_validate({"events": {"columns": COLUMN_OF, **how}}), tmp_path)
    except InputError as error:
        message = str(error)
    assert message is None or (message.startswith(how["path"]) and "\n" not in message)
