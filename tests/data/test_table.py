"""Codes of categories and lists, rebuilt under the levels of an earlier table; ids that were forgotten."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data import MISSING_TIME, Table, Vocab
from shortlist.durations import UNITS

KINDS = {"town": "category", "likes": "list"}


def test_levels_given_are_kept_though_no_row_has_them():
    frame = pl.DataFrame({"user": ["b", "c"], "town": ["Bb", "Zz"], "likes": [["n", "m"], ["m", "z"]]})
    levels = {"town": ["Aa", "", "Bb"], "likes": ["l", "m", "", "", "n"]}
    table = Table.of(frame, "user", KINDS, Vocab(["a", "b", "c"]), levels)
    assert {name: list(column.levels) for name, column in table.codes.items()} == levels
    assert table.codes["town"].first(np.arange(3)).tolist() == [-1, 2, -1]  # Zz is none of them
    likes = table.codes["likes"].values
    assert likes["code"].tolist() == [4, 1, 1]
    assert likes.offsets.tolist() == [0, 0, 2, 3]


def test_without_levels_they_are_the_columns_own_sorted():
    frame = pl.DataFrame({"user": ["b", "a"], "town": ["Bb", "Aa"], "likes": [["n"], ["m", "n"]]})
    table = Table.of(frame, "user", KINDS, Vocab(["a", "b"]))
    assert table.codes["town"].levels == ("Aa", "Bb")
    assert table.codes["town"].first(np.arange(2)).tolist() == [0, 1]
    assert table.codes["likes"].levels == ("m", "n")


def test_attributes_are_looked_up_by_row_and_rows_outside_have_none():
    frame = pl.DataFrame(
        {
            "user": ["a", "b", "c"],
            "town": ["Bb", None, "Aa"],
            "likes": [["n", "m"], None, ["m"]],
            "age": [30.0, None, 7.5],
            "since": [2 * UNITS["d"], UNITS["h"], None],
        }
    )
    kinds = {**KINDS, "age": "number", "since": "time"}
    table = Table.of(frame, "user", kinds, Vocab(["a", "b", "c"]))
    rows = np.array([2, -1, 1, 0, 3, 2])
    assert table.codes["town"].first(rows).tolist() == [0, -1, -1, 1, -1, 0]
    assert table.codes["likes"].first(rows).tolist() == [0, -1, -1, 1, -1, 0]  # levels stand in the order of the list
    lists = table.codes["likes"].of(rows)
    assert [sorted(lists.row(r)["code"].tolist()) for r in range(6)] == [[0], [], [], [0, 1], [], [0]]
    np.testing.assert_array_equal(table.number("age", rows), np.array([7.5, np.nan, np.nan, 30, np.nan, 7.5]))
    np.testing.assert_allclose(table.number("since", rows), [np.nan, np.nan, 1 / 24, 2, np.nan, np.nan], rtol=1e-6)
    assert table.buckets("age", rows, np.array([7.5, 20])).tolist() == [1, -1, -1, 2, -1, 1]
    assert table.buckets("town", rows).tolist() == [0, -1, -1, 1, -1, 0]
    assert table.buckets("height", rows).tolist() == [-1] * 6


def test_an_empty_table_has_no_attributes_of_anybody():
    table = Table.of(
        pl.DataFrame(schema={"user": pl.String, "town": pl.String, "likes": pl.List(pl.String)}),
        "user",
        KINDS,
        Vocab([]),
    )
    assert table.codes["town"].first(np.array([0, -1])).tolist() == [-1, -1]
    assert table.codes["likes"].of(np.array([0, -1])).offsets.tolist() == [0, 0, 0]


def test_attributes_by_kind_keep_the_tables_order_and_an_unknown_one_is_named():
    table = Table(0, kinds={"town": "category", "age": "number", "likes": "list"})
    assert table.of_kind("features.x.user", None, "list", "category") == ["town", "likes"]
    assert table.of_kind("features.x.user", ["likes", "age"], "list", "category") == ["likes"]
    with pytest.raises(InputError, match=r"features\.x\.user: no attribute 'sex'; the table has town, age, likes"):
        table.of_kind("features.x.user", ["sex"], "list")


def test_a_forgotten_id_is_not_found_as_an_empty_one():
    vocab = Vocab(["a", "b", "c"])
    assert vocab.forget("b") == 1
    again = Vocab(vocab.ids)  # as read back from a file
    for one in (vocab, again):
        assert one.code("") == -1
        assert [one.code(raw) for raw in "abc"] == [0, -1, 2]
        assert one.forget("") == -1


def test_a_row_that_the_source_does_not_mention_is_not_listed():
    frame = pl.DataFrame(
        {"item": ["a", "c"], "colour": ["red", None], "price": [1.5, None], "made": [86_400_000_000, None]}
    )
    table = Table.of(frame, "item", {"colour": "category", "price": "number", "made": "time"}, Vocab(["a", "b", "c"]))
    assert table.listed.tolist() == [True, False, True]
    assert table.codes["colour"].first(np.array([0, 1, 2, 3, -1])).tolist() == [0, -1, -1, -1, -1]
    np.testing.assert_array_equal(
        table.number("price", np.array([2, 0, 3, -1])), np.array([np.nan, 1.5, np.nan, np.nan])
    )
    np.testing.assert_array_equal(table.number("made", np.array([0, 1, 2])), np.array([1, np.nan, np.nan]))
    assert table.times["made"].tolist()[1:] == [MISSING_TIME, MISSING_TIME]
    assert table.buckets("price", np.array([0, 1]), np.array([1.0, 1.5, 2.0])).tolist() == [2, -1]
    assert table.buckets("price", np.array([0, 1])).tolist() == [0, -1]
    assert table.buckets("made", np.array([0])).tolist() == [-1]
    again = table.frame("item", ["a", "b", "c"])
    assert again.sort("item").to_dicts() == frame.sort("item").to_dicts()
