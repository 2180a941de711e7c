"""Lists and times in one cell, in every way that programs write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.sources import _lists as lists
from shortlist.data.sources import _times as times

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z"))).filter(bool), max_size=5)
ANY = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))), max_size=5)


def postgres(words: list[str]) -> str:
    """As array_out writes it, every element in quotes."""
    return "{" + ",".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "}"


@given(words=ANY)
def test_a_list_comes_back_from_every_language(words):
    kept = [word.strip() for word in words if word.strip()]
    assert list(lists.entries(json.dumps(words))) == kept
    assert list(lists.entries(json.dumps(words, ensure_ascii=False, indent=2))) == kept
    assert list(lists.entries(repr(words))) == kept
    assert list(lists.entries(repr(tuple(words)))) == kept
    assert list(lists.entries(postgres(words))) == kept


@given(words=WORDS)
def test_a_list_comes_back_from_numpy(words):
    with np.printoptions(threshold=100, linewidth=10_000):
        array = np.array(words, dtype=object)
        assert list(lists.entries(str(array))) == words
        assert list(lists.entries(repr(array))) == words


@given(numbers=st.lists(st.integers(-(10**9), 10**9), max_size=6))
def test_numbers(numbers):
    words = [str(number) for number in numbers]
    assert list(lists.entries(json.dumps(numbers))) == words
    assert list(lists.entries(str(np.array(numbers, dtype=np.int64)))) == words
    assert list(lists.entries("{" + ",".join(words) + "}")) == words
    assert list(lists.entries(str([float(number) for number in numbers]))) == words


@pytest.mark.parametrize("text", ["", "x", "[a", "a]", "[1 2 ... 9]", '[{"a": 1}]', "{'a': 1}", "[[[", '["a"', "(1"])
def test_what_is_no_list(text):
    with pytest.raises(ValueError):
        list(lists.entries(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[Drama, Sci Fi]", ["Drama", "Sci Fi"]),
        ("[Sci Fi]", ["Sci Fi"]),
        ("{NULL,a,\"NULL\"}", ["a", "NULL"]),
        ("{}", []),
        ("[None, nan, 'x']", ["x"]),
        ('[["A", "B"], ["C"]]', ["A", "B", "C"]),
        ("{'b', 'a'}", ["b", "a"]),
        ("[True]", ["true"]),
    ],
)  # fmt: skip
def test_lists_of_other_hands(text, words):
    assert list(lists.entries(text)) == words


FORMS = [
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y-%m-%dt%H:%M:%S.%fz",
    "%Y%m%dT%H%M%S.%fZ",
    "%Y-%m-%d %H:%M:%S.%f UTC",
    "%Y-%m-%d %H:%M:%S.%f +0000 UTC",
    "%Y-%m-%dT%H:%M:%S.%f000Z",
]


@settings(deadline=None)
@given(
    moments=st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=8),
    minutes=st.integers(-720, 840),
)
def test_a_moment_comes_back_from_every_way(moments, minutes):
    micros = [(m.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for m in moments]
    zone = timezone(timedelta(minutes=minutes))
    ways = [[m.strftime(form) for m in moments] for form in FORMS]
    local = [m.replace(tzinfo=UTC).astimezone(zone) for m in moments]
    ways += [[m.isoformat() for m in local], [m.strftime("%Y-%m-%d %H:%M:%S.%f%z") for m in local]]
    if minutes % 60 == 0:
        ways.append([m.strftime("%Y-%m-%d %H:%M:%S.%f%z")[:-2] for m in local])
    whole = [cell for each in zip(*ways, strict=True) for cell in each]  # and all in one column
    read = pl.DataFrame({"c": whole}).lazy().select(times.iso(pl.col("c"))).collect().to_series().to_list()
    assert read == [micro for micro in micros for _ in ways]
    for way in ways:
        assert all(times.is_iso(cell) for cell in way)
        assert pl.DataFrame({"c": way}).select(times.iso(pl.col("c"))).to_series().to_list() == micros


@pytest.mark.parametrize(
    "cell", ["2024-02-30", "2024-13-01", "12:00", "2024-01-01T25:00", "2024-01-01T10:61", "soon", ""]
)
def test_what_is_no_moment(cell):
    assert pl.DataFrame({"c": [cell]}).select(times.iso(pl.col("c"))).item() is None


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["20240131", "19991231"], "%Y%m%d"),
        (["20240131", "20240132"], None),
        (["20240131", "2024"], None),
        (["1704067200"], None),
        (["2024013123"], "%Y%m%d%H"),
        (["202401312359"], "%Y%m%d%H%M"),
        (["20240131235959"], "%Y%m%d%H%M%S"),
        (["1704067200000"], None),
        (["2024"], "%Y"),
        (["202413"], None),
        ([], None),
    ],
)
def test_numbers_that_look_like_dates(cells, form):
    assert times.dated(cells) == form
