"""Codes of categories and lists, rebuilt under the levels of an earlier table; ids that were forgotten."""

from __future__ import annotations

import polars as pl

from shortlist.data import Table, Vocab

KINDS = {"town": "category", "likes": "list"}


def test_levels_given_are_kept_though_no_row_has_them():
    frame = pl.DataFrame({"user": ["b", "c"], "town": ["Bb", "Zz"], "likes": [["n", "m"], ["m", "z"]]})
    levels = {"town": ["Aa", "", "Bb"], "likes": ["l", "m", "", "", "n"]}
    table = Table.of(frame, "user", KINDS, Vocab(["a", "b", "c"]), levels)
    assert {name: list(column.levels) for name, column in table.codes.items()} == levels
    assert table.codes["town"].single().tolist() == [-1, 2, -1]  # Zz is none of them
    likes = table.codes["likes"].values
    assert likes["code"].tolist() == [4, 1, 1]
    assert likes.offsets.tolist() == [0, 0, 2, 3]


def test_without_levels_they_are_the_columns_own_sorted():
    frame = pl.DataFrame({"user": ["b", "a"], "town": ["Bb", "Aa"], "likes": [["n"], ["m", "n"]]})
    table = Table.of(frame, "user", KINDS, Vocab(["a", "b"]))
    assert table.codes["town"].levels == ("Aa", "Bb")
    assert table.codes["town"].single().tolist() == [0, 1]
    assert table.codes["likes"].levels == ("m", "n")


def test_a_forgotten_id_is_not_found_as_an_empty_one():
    vocab = Vocab(["a", "b", "c"])
    assert vocab.forget("b") == 1
    again = Vocab(vocab.ids)  # as read back from a file
    for one in (vocab, again):
        assert one.code("") == -1
        assert [one.code(raw) for raw in "abc"] == [0, -1, 2]
        assert one.forget("") == -1
