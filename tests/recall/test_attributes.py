"""Attributes as nets read them: every kind of column, as of a moment, and what is missing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.data import MISSING_TIME, Table, Vocab
from shortlist.encode.options import Options
from shortlist.recall._attributes import LETTERS, LISTED, Attributes, columns, trigrams

DAY = 86_400_000_000
KINDS = {"colour": "category", "tags": "list", "price": "number", "born": "time", "title": "text"}


@pytest.fixture
def table() -> Table:
    frame = pl.DataFrame(
        {
            "item": ["a", "b", "c"],
            "colour": ["red", "blue", None],
            "tags": [["x", "y"], [], [str(i) for i in range(100, 140)]],
            "price": [1.5, None, 3.0],
            "born": pl.Series([10 * DAY, 4 * DAY, None], dtype=pl.Int64),
            "title": ["Ab  b", None, "z" * 200],
        }
    )
    return Table.of(frame, "item", KINDS, Vocab(["a", "b", "c"]))


def number(letters: str) -> int:
    return sum(ord(letter) << shift for letter, shift in zip(letters, (42, 21, 0), strict=True))


def test_every_kind_of_column(table):
    codes = np.array([0, 1, 2, -1, 9])
    found = columns(table, KINDS, codes, np.full(5, 12 * DAY), {"tags": 2})
    levels = table.codes["colour"].levels
    assert [levels[c] if c >= 0 else None for c in found["colour"]] == ["red", "blue", None, None, None]
    assert (found["tags"] >= 0).tolist() == [[True, True], [False] * 2, [True, True], [False] * 2, [False] * 2]
    np.testing.assert_array_equal(found["price"], [1.5, np.nan, 3, np.nan, np.nan])
    np.testing.assert_array_equal(found["born"], [2, 8, np.nan, np.nan, np.nan])  # days, as of the moment asked at
    wide = columns(table, KINDS, codes, np.full(5, 12 * DAY), {})
    assert wide["tags"].shape == (5, LISTED)
    assert (wide["title"][2] >= 0).sum() == LETTERS


def test_trigrams_are_of_words_with_a_space_at_either_end():
    texts = pl.Series(["Ab  b", None, "", "é"])
    found = trigrams(texts, np.array([0, 1, 2, 3, -1, 7]), 5)
    told = [[g for g in row if g >= 0] for row in found.tolist()]
    assert told == [[number(" ab"), number("ab "), number(" b ")], [], [], [number(" é ")], [], []]


def test_what_is_kept_reads_as_what_was_learned(table):
    codes, times = np.arange(3), np.full(3, 12 * DAY)
    learned = Attributes.learn(table, list(KINDS), codes, times, Options(min_count=1, hash_width=50))
    again = Attributes.of(learned.state("x_"), "x_")
    asked = np.array([2, 0, -1])
    for name, array in learned.read(table, asked, times).items():
        np.testing.assert_array_equal(again.read(table, asked, times)[name], array)
    assert learned.count == 5
    missing = learned.read(Table(0), np.array([-1]), times[:1])
    alone = learned.read(table, np.array([-1]), times[:1])
    assert {name: array.tolist() for name, array in missing.items()} == {n: a.tolist() for n, a in alone.items()}
    assert learned.any(table, np.array([0, 1, 2, -1]), np.full(4, DAY)).tolist() == [True, True, True, False]


def test_no_columns_are_read_as_nothing(table):
    none = Attributes.learn(table, [], np.arange(3), np.zeros(3, np.int64), Options())
    assert none.count == 0
    assert none.read(table, np.arange(3), np.zeros(3, np.int64)) == {}
    assert not none.any(table, np.arange(3), np.zeros(3, np.int64)).any()
    assert table.times["born"][2] == MISSING_TIME
