"""What can be read and is hardly meant is told in a line."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.answer.batch import read_users
from shortlist.component import InputError
from shortlist.data.doubts import doubts
from shortlist.data.raw import Raw

NOW = 1_704_067_200_000_000  # 2024
HOUR = 3_600_000_000


def raw(times=(NOW - HOUR, NOW), **tables) -> Raw:
    n = len(times)
    events = pl.DataFrame({"user": [f"u{i}" for i in range(n)], "item": [f"{i}.0" for i in range(n)], "time": times})
    return Raw(events, **tables)


def test_a_plain_log_raises_none():
    items = pl.DataFrame({"item": ["0.0", "9"]})
    users = pl.DataFrame({"user": ["u1", "x"]})
    triples = pl.DataFrame({"head": ["a"], "relation": ["r"], "tail": ["1.0"]})
    ties = pl.DataFrame({"user": ["x"], "friend": ["u0"]})
    exposures = pl.DataFrame({"user": [None, "u1"], "item": ["7", "0.0"], "time": [NOW, NOW]})
    assert doubts(raw(items=items, users=users, triples=triples, ties=ties, exposures=exposures), NOW) == []


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ({"items": {"item": ["0", "1"]}}, "0 of 2 ids occur in the log as item: '0', '1' here, '0.0', '1.0' there"),
        ({"users": {"user": ["U0"]}}, "0 of 1 ids occur in the log as user: 'U0' here, 'u0', 'u1' there"),
        ({"triples": {"head": ["a"], "relation": ["r"], "tail": ["b"]}}, "0 of 2 ids occur in the log as item"),
        ({"ties": {"user": ["a"], "friend": ["b"]}}, "0 of 2 ids occur in the log as user"),
        ({"exposures": {"user": ["u0"], "item": ["0"], "time": [NOW]}}, "0 of 1 ids occur in the log as item"),
        ({"exposures": {"user": ["U"], "item": ["0.0"], "time": [NOW]}}, "0 of 1 ids occur in the log as user"),
        ({"exposures": {"user": ["u0"], "item": ["0.0"], "time": [NOW // 1000]}}, "1 of 1 times lie before 1990"),
    ],
)
def test_tables_that_share_no_ids_say_so(tables, line):
    found = doubts(raw(**{name: pl.DataFrame(table) for name, table in tables.items()}), NOW)
    assert len(found) == 1
    assert found[0].startswith(f"data.{next(iter(tables))}: {line}")


def test_times_that_cannot_be_meant():
    """Seconds read as microseconds lie in 1970; local time read as UTC lies hours ahead."""
    assert doubts(raw(times=(NOW, NOW + 60_000_000)), NOW) == []  # clocks differ a little
    early, ahead = doubts(raw(times=(NOW // 1_000_000, NOW, NOW + 8 * HOUR)), NOW)
    assert early.startswith("data.events: 1 of 3 times lie before 1990, the first at 1970-01-01T00:28:24")
    assert ahead.startswith("data.events: 1 of 3 times lie ahead of the clock, the last at 2024-01-01T08:00:00")
    far = int(np.datetime64("9999-12-31", "us").astype(int))
    assert "9999-12-31" in doubts(raw(times=(NOW, far)), NOW)[0]


def test_doubts_are_told_at_fit(shop, tmp_path, shortlist_command):
    """Nothing in the shop gives rise to any; a catalogue of other ids, and a row of the year 9999, do."""
    for name in ("log.csv", "shop.toml"):
        (tmp_path / name).write_bytes((shop / name).read_bytes())
    items = (shop / "items.csv").read_text()
    (tmp_path / "items.csv").write_text(items.replace("\ni", "\nitem-"))
    with (tmp_path / "log.csv").open("a") as log:
        log.write("u00,i00,5,253402214400\n")
    words = ["fit", tmp_path / "shop.toml", "--data", tmp_path, "--out", tmp_path / "run"]
    _, said, erred = shortlist_command(*words)
    told = " ".join((said + erred).split())
    assert "data.events: 1 of" in told
    assert "ahead of the clock, the last at 9999-12-31" in told
    assert "data.items: 0 of 24 ids occur in the log as item" in told


USERS = {
    "lines": b"u1\nu2\n",
    "a mark first": b"\xef\xbb\xbfu1\nu2\n",
    "utf-16": "u1\nu2\n".encode("utf-16"),
    "carriage returns, blank lines": b"u1\r\n\r\nu2\r\n",
    "a header": b"user\nu1\nu2\n",
    "quoted": b'"u1"\n"u2"\n',
    "a table": b"age,user\n1,u1\n2,u2\n",
    "a table with blanks": b"age, user\n1, u1\n2, u2\n",
    "Excel's": b"sep=;\nuser;age\nu1;1\nu2;2\n",
}


@pytest.mark.parametrize("how", USERS)
def test_a_list_of_users_is_read_as_a_log_is(tmp_path, how):
    (tmp_path / "users.txt").write_bytes(USERS[how])
    assert read_users(tmp_path / "users.txt") == ["u1", "u2"]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Binary, pl.Int64, pl.Float64])
def test_a_list_of_users_in_parquet(tmp_path, dtype):
    ids = pl.Series("user", ["7", None, "8"])
    column = ids.cast(pl.Int64).cast(dtype) if dtype.is_numeric() else ids.cast(dtype)
    pl.DataFrame({"user": column, "x": [[1], [2], [3]]}).write_parquet(tmp_path / "users.parquet")
    assert read_users(tmp_path / "users.parquet") == ["7", "8"]


@pytest.mark.parametrize("lines", [["a|b", "c|d"], ['27" tv', "x"], ["x y", "z"], ["a::b", "c::d"], ["100", "200"]])
def test_ids_are_taken_as_they_are(tmp_path, lines):
    (tmp_path / "users.txt").write_text("\n".join(lines))
    assert read_users(tmp_path / "users.txt") == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a table, found an empty file"),
        (b"a,b\nc,d\n", "expected one id a line, or a column user; found"),
    ],
)
def test_what_is_no_list_of_users(tmp_path, content, message):
    (tmp_path / "users.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_users(tmp_path / "users.txt")
