"""Moments by hand: every form of the day, of the clock and of the zone, and what is none."""

from datetime import UTC, datetime, timedelta

import pytest

from shortlist.data import iso

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(*parts: int, micro: int = 0) -> int:
    return (datetime(*parts, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) + micro


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-09", at(2024, 3, 9)),
        ("2024-3-9", at(2024, 3, 9)),
        ("20240309", at(2024, 3, 9)),
        ("2024-W01-5", at(2024, 1, 5)),
        ("2024W015", at(2024, 1, 5)),
        ("2024-060", at(2024, 2, 29)),
        ("2024-05", at(2024, 5, 1)),
        ("2024-03-09T7", at(2024, 3, 9, 7)),
        ("2024-03-09 07:05", at(2024, 3, 9, 7, 5)),
        ("2024-03-09t07:05:11", at(2024, 3, 9, 7, 5, 11)),
        ("20240309T070511", at(2024, 3, 9, 7, 5, 11)),
        ("2024-03-09T07.5", at(2024, 3, 9, 7, 30)),
        ("2024-03-09T07:05,5", at(2024, 3, 9, 7, 5, 30)),
        ("2024-03-09T07:05:11.999999", at(2024, 3, 9, 7, 5, 11, micro=999_999)),
        ("2024-03-09T07:05:11,1234567", at(2024, 3, 9, 7, 5, 11, micro=123_456)),
        ("2024-03-09T24:00", at(2024, 3, 10)),
        ("2024-03-09T23:59:60", at(2024, 3, 10)),
        ("2024-03-09T07:05:11Z", at(2024, 3, 9, 7, 5, 11)),
        ("2024-03-09 07:05:11 UTC", at(2024, 3, 9, 7, 5, 11)),
        ("2024-03-09T07:05:11+01", at(2024, 3, 9, 6, 5, 11)),
        ("2024-03-09T07:05:11 -0530", at(2024, 3, 9, 12, 35, 11)),
        ("2024-03-09T07:05:11+05:30:15", at(2024, 3, 9, 1, 34, 56)),
        ("2024-03-09T07:05:11+01:00[Europe/Paris]", at(2024, 3, 9, 6, 5, 11)),
        ("1969-12-31T23:59:59.5", -500_000),
    ],
)
def test_a_moment(text, moment):
    assert iso.moment(text) == moment
    assert iso.moment(f"  {text} ") == moment


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-13-01", "2024-02-30", "2024-366x", "2023-366", "2024-W54-1", "2024-03-09T25", "2024-03-09T24:01",
     "2024-03-09T07:60", "2024-03-09T07:05:61", "2024-03-09T07:05+24:00", "2024-03-09T07:05+01:60", "2024-13",
     "24-03-09"],
)  # fmt: skip
def test_no_moment(text):
    assert iso.moment(text) is None
