"""What may be tuned: marks on fields, and a recipe's narrower ``search`` table."""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from shortlist.component import InputError, Retriever, Search
from shortlist.durations import UNITS, Duration, microseconds
from shortlist.recipe import parse
from shortlist.search import Dimension, declared, space


class Marked(Retriever):
    """One field of each kind."""

    neighbours: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100
    """Whole."""
    damping: Annotated[float, Search(0.1, 0.9)] | None = None
    """Real, or none; marked inside the union."""
    half_life: Annotated[Duration | None, Search(choices=(None, "1h", "7d"))] = None
    """A length of time."""
    window: Annotated[Duration, Search(UNITS["m"], UNITS["d"], log=True)] = UNITS["h"]
    """A length of time between bounds."""
    how: Annotated[Literal["a", "b"], Search()] = "a"
    """A name."""
    loud: Annotated[bool, Search()] = False
    """A switch."""
    last: Annotated[int, Search(choices=(5, None))] = 5
    """Never none."""
    plain: int = 1
    """Not to be tuned."""


def test_marks_are_read_wherever_they_stand():
    assert declared(Marked) == {
        "neighbours": Dimension(20, 500, True, "whole"),
        "damping": Dimension(0.1, 0.9, False, "real"),
        "half_life": Dimension(choices=(None, "1h", "7d")),
        "window": Dimension(UNITS["m"], UNITS["d"], True, "duration"),
        "how": Dimension(choices=("a", "b")),
        "loud": Dimension(choices=(False, True)),
        "last": Dimension(choices=(5,)),  # a recipe cannot say none where the default is something
    }


def test_a_table_names_what_is_tried_and_an_empty_one_leaves_it_to_the_component():
    assert space(Marked, {}, "s") == declared(Marked)
    table = {
        "neighbours": {"high": 50},
        "plain": {"low": 1, "high": 9},
        "damping": {},
        "half_life": ["1d", "2d"],
        "window": {"low": "2m", "high": "1h"},
    }
    assert space(Marked, table, "s") == {
        "neighbours": Dimension(20, 50, True, "whole"),
        "plain": Dimension(1, 9, False, "whole"),
        "damping": Dimension(0.1, 0.9, False, "real"),
        "half_life": Dimension(choices=("1d", "2d")),
        "window": Dimension(2 * UNITS["m"], UNITS["h"], True, "duration"),
    }


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (3, r"^s: expected a table of values or bounds to try, found 3"),
        ({"neighbors": [1]}, r"^s\.neighbors: unknown; did you mean neighbours\?"),
        ({"neighbours": 5}, r"^s\.neighbours: expected a list of values or a table with low and high, found 5"),
        ({"neighbours": []}, r"^s\.neighbours: expected a list"),
        ({"neighbours": {"lo": 5}}, r"^s\.neighbours\.lo: unknown; did you mean low\?"),
        ({"neighbours": {"low": 1.5}}, r"^s\.neighbours\.low: expected a whole number, found 1\.5"),
        ({"neighbours": {"low": 900}}, r"^s\.neighbours: expected low below high, found 900 and 500"),
        ({"neighbours": {"low": 0}}, r"^s\.neighbours\.low: expected more than 0 on a logarithmic scale"),
        ({"neighbours": {"log": 1}}, r"^s\.neighbours\.log: expected true or false, found 1"),
        ({"window": {"low": "soon"}}, r"^s\.window\.low: expected a duration"),
        ({"plain": {"low": 5}}, r"^s\.plain: expected low and high, since the component declares none"),
        ({"how": {"low": 1, "high": 2}}, r"^s\.how: not a number"),
    ],
)
def test_what_is_wrong_is_said_at_its_path(table, said):
    with pytest.raises(InputError, match=said):
        space(Marked, table, "s")


@given(st.floats(60e6, 90 * 86_400e6))
def test_a_drawn_duration_is_short_and_near(number):
    written = Dimension(1, 1e18, kind="duration").written(number)
    assert microseconds(written) == pytest.approx(number, rel=0.051)
    assert len(written) <= 5


def test_a_drawn_duration_stays_within_its_bounds():
    bounds = Dimension(67 * UNITS["m"], 8_123 * UNITS["ms"] + UNITS["d"], kind="duration")
    assert bounds.corners() == ("67m", "1d")
    assert microseconds(bounds.written(bounds.low + 1.7)) == bounds.low
    assert bounds.written(90 * UNITS["m"]) == "1.5h"


@given(st.floats(1e-9, 1e9))
def test_a_drawn_number_keeps_three_digits_within_its_bounds(number):
    dimension = Dimension(1e-6, 1e6)
    written = dimension.written(number)
    assert dimension.low <= written <= dimension.high
    if dimension.low <= number <= dimension.high:
        assert written == pytest.approx(number, rel=0.0051)


RECIPE = """
name = "r"
[data]
source = "tables"
events = { path = "log.csv" }
[recall.cf]
type = "item_cf"
[rank]
type = "gbdt"
"""


def parsed(section: str, search: str):
    return parse(tomllib.loads(f"{RECIPE}\n[{section}.search]\n{search}"))


def test_a_recipe_may_hold_search_tables_which_are_no_hyperparameters():
    recipe = parsed("recall.cf", "neighbours = [20, 50]")
    assert recipe.component("recall", "recall.cf", recipe.recall["cf"]).neighbours == 100
    parsed("rank", "leaves = { low = 4, high = 64, log = true }")


@pytest.mark.parametrize(
    ("section", "search", "said"),
    [
        ("recall.cf", "neighbors = [20]", r"^recall\.cf\.search\.neighbors: unknown; did you mean neighbours\?"),
        (
            "recall.cf",
            "neighbours = [20, 0]",
            r"^recall\.cf\.search\.neighbours: input should be greater than or equal",
        ),
        ("recall.cf", "neighbours = { low = -5, high = 5 }", r"^recall\.cf\.search\.neighbours"),
        ("rank", "leaves = ['many']", r"^rank\.search\.leaves: .*found 'many'"),
        ("fallback", "type = 'popular'", r"^fallback"),  # nothing tunes it
    ],
)
def test_a_search_table_is_checked_when_the_recipe_is_read(section, search, said):
    with pytest.raises(InputError, match=said):
        parsed(section, search)
