"""Durations: read, refused, written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shortlist.durations import Duration, microseconds, text


class Config(BaseModel):
    half_life: Duration = 60_000_000


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30m", 1_800_000_000),
        ("1h", 3_600_000_000),
        ("7d", 604_800_000_000),
        ("2w", 1_209_600_000_000),
        ("1.5s", 1_500_000),
    ],
)
def test_strings_are_read(written: str, expected: int):
    assert Config(half_life=written).half_life == expected


def test_a_number_is_microseconds():
    assert Config(half_life=5).half_life == 5


@pytest.mark.parametrize("wrong", ["", "7", "d", "7 days", "-1h", "0d", 0, -3, None, "1e3h"])
def test_anything_else_is_refused(wrong: object):
    with pytest.raises(ValidationError, match="half_life"):
        Config(half_life=wrong)


def test_dumped_as_a_string_in_both_modes():
    assert Config(half_life="2w").model_dump() == {"half_life": "14d"}
    assert Config(half_life="90m").model_dump(mode="json") == {"half_life": "90m"}


@given(st.integers(1, 10**16))
def test_text_is_exact(value: int):
    assert microseconds(text(value)) == value
