"""Logs read from files, frames and by name; what is said where a guess is wrong."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shortlist as sl


def same(a, b) -> None:
    assert a.data.user_ids.ids == b.data.user_ids.ids
    assert a.data.item_ids.ids == b.data.item_ids.ids
    for column in ("user", "item", "time", "value", "weight"):
        np.testing.assert_array_equal(getattr(a.data.events, column), getattr(b.data.events, column))


def test_a_file_a_frame_and_a_name_are_one_log(desk, films):
    file = sl.read(desk / "ratings.csv", items=desk / "films.csv")
    frame = sl.read(pl.read_csv(desk / "ratings.csv"), items=pl.scan_csv(desk / "films.csv"))
    same(file, films)
    same(frame, films)
    assert file.items["title"][0] == "Toy Story (1995)"
    assert "100,000 events (rating) of 943 users and 1,682 items" in repr(file)
    assert f"right: rating from 4 on ({(films.events['weight'] > 0).sum():,} events)" in repr(file)
    assert "items: item = 'item', title, genres" in repr(file)
    assert "value = 'rating'" in repr(frame)


def test_pandas_and_arrow_frames(desk, films):
    pandas = pytest.importorskip("pandas")
    same(sl.read(pandas.read_csv(desk / "ratings.csv").set_index(np.arange(100_000)[::-1])), films)
    same(sl.read(pl.read_csv(desk / "ratings.csv").to_arrow()), films)


def test_columns_are_said_where_the_guess_is_wrong(films):
    odd = films.events.select(a="user", b="item", c=pl.col("time").dt.epoch("s"), stars="value")
    with pytest.raises(sl.InputError, match=r"^events: no column 'when' to be the time; found a, b, c, stars$"):
        sl.read(odd, time="when")
    same(sl.read(odd, user="a", item="b", time="c", value="stars"), films)
    swapped = sl.read(odd, user="b", item="a", time="c", value="stars")
    assert swapped.data.user_ids.ids == films.data.item_ids.ids


@pytest.mark.parametrize(
    ("positive", "share"),
    [(None, lambda v: v >= 4), (5, lambda v: v >= 5), (True, lambda v: v > 0), ({"rating": 2}, lambda v: v >= 2)],
)
def test_what_counts_as_right(films, positive, share):
    frame = films.events.select("user", "item", "time", "value")
    log = sl.read(frame, positive=positive)
    np.testing.assert_array_equal(log.data.events.weight > 0, share(log.data.events.value))


def test_behaviours_and_what_they_are_worth(films):
    kinds = pl.when(pl.col("value") >= 4).then(pl.lit("buy")).otherwise(pl.lit("view"))
    frame = films.events.select("user", "item", "time", event=kinds)
    log = sl.read(frame, positive="buy", strengths={"buy": 3})
    assert set(log.events.filter(pl.col("weight") > 0)["event"]) == {"buy"}
    assert set(log.events.filter(pl.col("weight") > 0)["weight"]) == {3.0}


@pytest.mark.parametrize("without", [["time"], []])
def test_what_cannot_be_told_is_taken_and_asked(films, without):
    frame = films.events.select("user", "item", "value", time=pl.lit("soon")).drop(without)
    with pytest.warns(UserWarning, match="no column is a time; are the rows in the order in which things happened?"):
        log = sl.read(frame)
    assert log.events["item"].to_list() == frame["item"].to_list()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: sl.read(f.select("user")), "events: no column looks like the item; found user"),
        (
            lambda f: sl.read(f.with_columns(value=pl.lit("x")), value="value"),
            "column value .*expected a number, found",
        ),
        (lambda f: sl.read(f, positive={"buy": True}), "data.positive.buy: the log has no such event; it has rating"),
        (lambda f: sl.read(f, items=f.select(pl.lit("zz").alias("item"))), "items: no column holds ids of the log's"),
        (lambda f: sl.read(f.head(0)), "events: expected events, found columns without rows: user, item, time, value"),
        (lambda f: sl.read(f).until(2.0), "until: expected a fraction from 0 to 1 or a moment, found 2.0"),
        (lambda f: sl.read(f).until("soon"), "until: expected ISO 8601 .*, found 'soon'"),
        (lambda f: sl.read(7), "events: expected a path or a frame of polars, pandas or Arrow, found a int"),
        (lambda f: sl.read("nowhere.csv"), "nowhere.csv: expected a file, found nothing"),
        (lambda f: sl.read("adult"), r"adult: a plain table .*See sl.table\('adult'\)"),
        (lambda f: sl.read("movielens-100k", user="x"), "a named data set brings its own columns"),
        (lambda f: sl.read(f, positive={"rating": "four"}), "data.positive.rating"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(films, call, message):
    with pytest.raises(sl.InputError, match=message) as error:
        call(films.events.select("user", "item", "time", "value").head(500))
    assert "\n" not in str(error.value)
    assert "shortlist-" not in str(error.value)  # no scratch folder of ours


def test_frames_of_a_log_are_what_was_read(films):
    events = films.events
    assert events.columns == ["user", "item", "event", "time", "value", "weight"]
    assert events["time"].is_sorted()
    assert films.users["user"].n_unique() == 943
    assert films.items.schema["released"] == pl.Datetime("us", "UTC")
    before = films.until(0.5)
    assert len(before.data.events) == pytest.approx(50_000, abs=50)
    assert before.events["time"].max() < events["time"][50_000]
