"""Logs without times in files: the order of the rows, of a column, or of the items on a line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from shortlist.component import InputError
from shortlist.data.order import MINUTE
from shortlist.data.raw import Raw
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

SHARED = Path(__file__).parents[4] / "shared" / "data"


def read(root: Path, text: str | bytes, *, data: dict[str, Any] | None = None, **events: Any) -> Raw:
    (root / "log.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(DataSpec.model_validate({"events": {"path": "log.txt", **events}, **(data or {})}), root)


def refused(root: Path, text: str | bytes, **more: Any) -> str:
    with pytest.raises((InputError, ValidationError)) as error:
        read(root, text, **more)
    return str(error.value)


def told(raw: Raw) -> dict[str | None, list[str]]:
    """Every user's items, oldest first."""
    users = raw.events.sort("time").group_by("user", maintain_order=True).agg("item")
    return dict(users.iter_rows())


STEP = {"user": "user", "item": "item", "time": {"column": "step", "kind": "order"}}


def test_the_place_of_a_row_is_its_time(tmp_path: Path) -> None:
    raw = read(tmp_path, "user,item\na,x\nb,y\na,z\n", time="row")
    assert raw.clock == "common"
    assert (raw.events["time"] / MINUTE).to_list() == [1, 2, 3]
    assert raw.events.columns == ["user", "item", "event", "time", "value"]


def test_rows_that_stand_together_by_user_are_each_users_own_order(tmp_path: Path) -> None:
    text = "a\tx\na\ty\nb\tx\nb\tz\n"
    how = {"names": ["user", "item"], "separator": "\t", "time": "row"}
    raw = read(tmp_path, text, **how)
    assert raw.clock == "each"
    assert told(raw) == {"a": ["x", "y"], "b": ["x", "z"]}
    assert raw.events["time"].max() < 4 * MINUTE
    assert read(tmp_path, text, **how, clock="common").clock == "common"


@pytest.mark.parametrize(
    ("steps", "clock", "minutes"),
    [
        ([30, 10, 20, 40], "common", [3, 1, 2, 4]),
        ([2.5, 1.5, 1.5, "1e3"], "common", [3, 1, 1, 4]),
        ([-1, 7, 2**40, 8], "common", [1, 2, 4, 3]),
    ],
)
def test_any_column_of_numbers_is_an_order(tmp_path: Path, steps: list[Any], clock: str, minutes: list[int]) -> None:
    users = ["a", "b", "a", "b"]
    rows = "".join(f"{user},x,{step}\n" for user, step in zip(users, steps, strict=True))
    raw = read(tmp_path, "user,item,step\n" + rows, columns=STEP)
    assert raw.clock == clock
    assert (raw.events["time"] / MINUTE).to_list() == minutes


def test_steps_that_start_anew_with_each_user_are_their_own(tmp_path: Path) -> None:
    raw = read(tmp_path, "user,item,step\na,x,2\nb,y,1\na,z,1\nb,w,2\n", columns=STEP)
    assert raw.clock == "each"
    assert told(raw) == {"a": ["z", "x"], "b": ["y", "w"]}


def test_an_order_that_is_no_number_is_told_by_row_and_column(tmp_path: Path) -> None:
    said = refused(tmp_path, "user,item,step\na,x,1\na,y,second\n", columns=STEP)
    assert said == "log.txt: row 3, column step (time): expected a number, found 'second'"


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("a x y z\nb y\n", {}),
        ("a\tx  y z \n\n b y\n", {}),
        ("\ufeffa x y z\r\nb y\r\n", {}),
        (gzip.compress(b"a x y z\nb y"), {}),
        ("a,x,y,z\nb,y\n", {"separator": ","}),
        ("a|x|y|z\nb|y\n", {"separator": "|"}),
        ("user items\na x y z\nb y\n", {"header": True}),
        ("a x y z\nb y\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a x\nb y\na y z\n", {}),  # a user of two lines goes on
    ],
)
def test_sequences_in_every_dress(tmp_path: Path, text: str | bytes, how: dict[str, Any]) -> None:
    raw = read(tmp_path, text, layout="sequences", **how)
    assert told(raw) == {"a": ["x", "y", "z"], "b": ["y"]}
    assert raw.clock == "each"
    assert raw.events.schema["time"] == pl.Int64


def test_lines_at_fault_are_told_or_kept_with_their_line(tmp_path: Path) -> None:
    text = "a,x,y\nb,x,,z\nc\n,w\n"
    said = refused(tmp_path, text, layout="sequences", separator=",")
    assert said == "log.txt: row 2, column item (item): expected an id, found nothing"
    rules = {"bad_rows": "drop", "item": {"drop": ["y"]}}
    raw = read(tmp_path, text, layout="sequences", separator=",", filters=rules)
    assert told(raw) == {"a": ["x"], "b": ["x", "z"], None: ["w"]}
    dropped = raw.rejected.select("row", "reason", "text").rows()
    assert dropped == [(1, "item in drop", "a,y"), (2, "item: not an id", "b,"), (3, "item: not an id", "c,")]


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    assert "row 2: expected utf-8 text" in refused(tmp_path, b"a x y\nb \xff z\n", layout="sequences")
    assert refused(tmp_path, "", layout="sequences") == "log.txt: expected sequences, found an empty file"
    assert "expected rows, found none" in refused(tmp_path, "\n \n", layout="sequences")


def test_a_duplicate_of_a_log_by_rows_is_one_without_its_place(tmp_path: Path) -> None:
    raw = read(tmp_path, "user,item\na,x\nb,x\na,x\n", time="row", filters={"duplicates": "drop"})
    assert raw.dropped() == {"events: duplicate": 1}
    rate = {"user_events": {"max": 1}}
    raw = read(tmp_path, "user,item\na,x\nb,x\na,y\n", time="row", filters=rate)
    assert told(raw) == {"a": ["x"], "b": ["x"]}


@pytest.mark.parametrize(
    ("events", "data", "word"),
    [
        ({"time": "row", "columns": {"user": "u", "item": "i", "time": "t"}}, {}, "a column time too"),
        ({"time": "line"}, {}, "'row'"),
        ({"layout": "sequences", "time": "row"}, {}, "has no time"),
        ({"layout": "sequences", "columns": {"user": "u"}}, {}, "has no columns"),
        ({"layout": "sequences", "format": "parquet"}, {}, "has no format"),
        ({"layout": "sequences", "derive": {"a": {"match": "x", "of": "item"}}}, {}, "has no derive"),
        ({"clock": "each"}, {}, "where there are no times"),
        ({"time": "row", "filters": {"time": {"after": "2020-01-01"}}}, {}, "filters.time"),
        ({"time": "row", "filters": {"user_events": {"max": 3, "per": "1d"}}}, {}, "user_events.per"),
        ({"time": "row"}, {"split": {"test": "2024-01-01"}}, "expected fractions"),
        ({"time": "row"}, {"exposures": {"path": "x.csv"}}, "exposures"),
        ({"time": "row"}, {"items": {"path": "i.csv", "columns": {"available_from": "time"}}}, "available_from"),
        ({"columns": {"user": "user", "item": {"column": "item", "kind": "order"}, "time": "user"}}, {}, "item: only"),
        ({"time": "row"}, {"items": {"path": "log.txt", "columns": {"item": "item", "a": "order"}}}, "'order'"),
    ],
)
def test_what_cannot_be_of_a_log_without_times(
    tmp_path: Path, events: dict[str, Any], data: dict[str, Any], word: str
) -> None:
    assert word in refused(tmp_path, "user,item\na,x\nb,x\na,x\n", data=data, **events)


def test_a_log_without_a_time_is_told_how_to_be_read(tmp_path: Path) -> None:
    assert 'time = "row"' in refused(tmp_path, "user,item\na,x\n")


def test_dates_of_items_are_doubted_and_the_logs_places_are_not(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item,made\nx,2020-01-01\ny,2021-01-01\n")
    items = {"path": "items.csv", "columns": {"made": "time"}}
    raw = read(tmp_path, "user,item\na,x\nb,y\na,y\n", time="row", data={"items": items})
    assert raw.doubts == ("items: made is a date, and the log is order only: its age then says nothing",)


REAL = {
    "sequences/amazon-beauty.txt.gz": (353_962, 40_226, 54_542, "each", {"separator": " ", "time": "row"}),
    "sequences/amazon-video-games.txt.gz": (287_107, 31_013, 23_715, "each", {"separator": " ", "time": "row"}),
    "amazon-5core/beauty.txt.gz": (198_502, 22_363, 12_101, "each", {"layout": "sequences"}),
    "amazon-5core/sports.txt.gz": (296_337, 35_598, 18_357, "each", {"layout": "sequences"}),
    "lastfm-2k/user_artists.dat.gz": (
        *(92_834, 1_892, 17_632, "each"),
        {"separator": "\t", "time": "row", "columns": {"user": "userID", "item": "artistID", "weight": "weight"}},
    ),
    "retailrocket-core/view_ecommerce.dat.gz": (
        *(78_371, 3_423, 8_878, "each"),
        {"separator": "\t", "time": "row", "columns": {"user": "visitorid", "item": "itemid"}},
    ),
    "taobao-userbehavior-slice/UserBehavior.csv.gz": (
        *(71_777, 45_277, 58_489, "time"),
        {"names": ["user", "item", "category", "event", "time"]},
    ),
}


@pytest.mark.parametrize("path", REAL)
def test_real_logs(path: str) -> None:
    if not (SHARED / path).is_file():
        pytest.skip(f"no copy of {path} in {SHARED}")
    rows, users, items, clock, how = REAL[path]
    if how.get("time") and "columns" not in how:
        how = {**how, "names": ["user", "item"]}
    raw = load(DataSpec.model_validate({"events": {"path": path, **how}}), SHARED)
    assert (raw.events.height, raw.clock) == (rows, clock)
    assert (raw.events["user"].n_unique(), raw.events["item"].n_unique()) == (users, items)
