"""The moments that stand for an order: every user's own spread evenly, or one order of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.order import MINUTE, common, each, is_own

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=60)


def test_a_common_order_counts_a_minute_an_event_and_equal_places_stand_together() -> None:
    assert (common(np.array([5.0, 7.0, 7.0, 6.5])) / MINUTE).tolist() == [1, 3, 3, 2]
    assert common(np.zeros(0)).tolist() == []


@given(ROWS)
def test_a_common_order_is_kept_and_what_comes_behind_moves_nothing(rows: list[tuple[int, int]]) -> None:
    order = np.array([value for _, value in rows], np.float64)
    time = common(order)
    assert (np.sign(np.subtract.outer(time, time)) == np.sign(np.subtract.outer(order, order))).all()
    assert (common(np.append(order, order.max() + 1))[:-1] == time).all()


@given(ROWS)
def test_each_users_own_order_is_kept_within_the_span_of_a_minute_an_event(rows: list[tuple[int, int]]) -> None:
    user, order = (np.array(column) for column in zip(*rows, strict=True))
    time = each(user, order)
    assert ((time > 0) & (time < len(rows) * MINUTE)).all()
    for one in np.unique(user):
        mine, own = time[user == one], order[user == one]
        assert (np.sign(np.subtract.outer(mine, mine)) == np.sign(np.subtract.outer(own, own))).all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.floats(0.05, 0.95))
def test_a_cut_in_time_cuts_everybody_at_the_same_share(lengths: list[int], share: float) -> None:
    user = np.repeat(np.arange(len(lengths)), lengths)
    time = each(user, np.arange(len(user)))
    before = np.bincount(user[time < share * len(user) * MINUTE], minlength=len(lengths))
    assert (np.abs(before - share * np.array(lengths)) <= 1).all()


def test_users_of_equal_length_do_not_stand_on_one_moment() -> None:
    user = np.repeat(np.arange(1000), 5)
    last = each(user, np.arange(5000)).reshape(1000, 5)[:, -1] / (5000 * MINUTE)
    counts, _ = np.histogram(last, bins=10, range=(0.8, 1.0))  # (4 + u) / 5
    assert counts.tolist() == pytest.approx([100] * 10, abs=2)


@pytest.mark.parametrize(
    ("user", "order", "own"),
    [
        ([1, 1, 2, 2, 3], None, True),
        ([1, 2, 1, 2, 3], None, False),
        ([1, 2, 3, 4, 5], None, False),  # an event each: nobody has an order of their own
        ([1, 1, 1, 1, 1], None, False),
        ([1, 2, 1, 2, 3], [1, 1, 2, 2, 1], True),
        ([1, 2, 1, 2, 3], [1, 2, 3, 4, 5], False),
        ([1, 1, 1, 2, 2], [1, 1, 2, 1, 2], False),  # two of one user in one step: a week, say
    ],
)
def test_whose_order_it_is_shows(user: list[int], order: list[int] | None, own: bool) -> None:
    assert is_own(np.array(user), None if order is None else np.array(order)) is own
