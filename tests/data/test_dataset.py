"""Dataset and Events: cuts never split a moment; matrices, sequences and counts against plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import MISSING_TIME, Behaviours, Events
from shortlist.testing.worlds import SHOP, checkerboard, dataset, empty, random_log, two_behaviours

steady = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 10_000)


def rows(events):
    names = ("user", "item", "event", "value", "time", "weight")
    return list(zip(*(getattr(events, name).tolist() for name in names), strict=True))


@steady
@given(seeds, st.integers(-2, 22), st.integers(-2, 22))
def test_until_and_between(seed, a, b):
    data = random_log(seed)
    before, after = data.until(a), data.between(a, None)
    assert repr(rows(before.events) + rows(after.events)) == repr(rows(data.events))
    assert all(t < a for t in before.events.time)
    assert all(t >= a for t in after.events.time)
    inside = data.between(a, b)
    assert repr(rows(inside.events)) == repr([row for row in rows(data.events) if a <= row[4] < b])
    assert before.fitted_until == a - 1
    assert before.n_items == data.n_items
    assert before.items is data.items


@steady
@given(seeds, st.floats(0, 1))
def test_a_fraction_is_cut_by_time_and_splits_no_moment(seed, at):
    data = random_log(seed, span=6)
    cut = data.cut(at)
    before, after = data.until(cut).events, data.between(cut, None).events
    assert not set(before.time.tolist()) & set(after.time.tolist())
    assert len(before) <= at * len(data.events)
    assert len(after) >= 1
    same_moment = int((data.events.time == cut).sum())
    assert len(before) + same_moment > at * len(data.events) - 1


def test_cuts_given_as_moments_and_of_nothing():
    data = random_log(1)
    assert data.cut(12) == 12
    assert data.cut(1.0) == data.events.time[-1]
    assert empty().cut(0.5) == 0
    assert empty().fitted_until == MISSING_TIME
    assert data.fitted_until == data.events.time[-1]


@steady
@given(seeds, st.sampled_from(["positive", "all"]), st.sampled_from([None, 3]))
def test_matrix(seed, signal, half_life):
    data = random_log(seed)
    expected = np.zeros((data.n_users, data.n_items))
    last = int(data.events.time[-1])
    for user, item, event, _, time, weight in rows(data.events):
        if user >= 0 and (signal == "all" or weight > 0):
            decay = 0.5 ** ((last - time) / half_life) if half_life else 1
            expected[user, item] += float(data.behaviours.strengths[event]) * decay
    matrix = data.matrix(signal, half_life)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-5)


@steady
@given(seeds, st.sampled_from(["positive", "all"]), st.sampled_from([None, 1, 4]))
def test_sequences(seed, signal, n):
    data = random_log(seed)
    expected = defaultdict(list)
    for user, item, _, _, time, weight in rows(data.events):
        if signal == "all" or weight > 0:
            expected[user].append((item, time))
    got = data.sequences(n, signal)
    assert len(got) == data.n_users
    for user in range(data.n_users):
        row = got.row(user)
        wanted = expected[user] if n is None else expected[user][-n:]
        assert list(zip(row["item"].tolist(), row["time"].tolist(), strict=True)) == wanted


@steady
@given(seeds, st.sampled_from(["positive", "all", "view", "buy", "no such behaviour"]))
def test_counts(seed, which):
    data = random_log(seed)
    names = data.behaviours.names
    chosen = [
        row
        for row in rows(data.events)
        if which == "all" or (which == "positive" and row[5] > 0) or (which in names and names[row[2]] == which)
    ]
    items, users = Counter(row[1] for row in chosen), Counter(row[0] for row in chosen)
    assert data.item_counts(which).tolist() == [items[i] for i in range(data.n_items)]
    assert data.user_counts(which).tolist() == [users[u] for u in range(data.n_users)]


@pytest.mark.parametrize(
    ("name", "value", "weight"),
    [("view", np.nan, 0), ("view", 9, 0), ("buy", np.nan, 5), ("buy", -1, 5), ("rating", 4, 2), ("rating", 3.9, 0),
     ("rating", np.nan, 0)],
)  # fmt: skip
def test_what_is_positive(name, value, weight):
    assert SHOP.weight(np.array([SHOP.code(name)], np.int16), np.array([value], np.float32)) == weight


def test_no_code_for_an_unknown_behaviour():
    assert Behaviours(("view",), np.ones(1, np.float32), np.zeros(1, np.float32)).code("buy") == -1


@steady
@given(seeds, st.integers(0, 80))
def test_events_concat_is_one_log(seed, at):
    data = random_log(seed)
    parts = [data.events.take(slice(0, at)), data.events.take(slice(at, None))]
    assert repr(rows(Events.concat(parts))) == repr(rows(data.events))


def test_events_of_keeps_the_file_order_of_equal_times():
    data = dataset(np.zeros(4, int), np.array([3, 1, 2, 0]), np.array([5, 5, 1, 5]))
    assert data.events.item.tolist() == [2, 3, 1, 0]


def test_worlds_are_what_they_say():
    board = checkerboard()
    events = board.events
    assert (events.user % 2 == events.item % 2).all()
    seen = board.matrix().toarray() > 0
    assert (seen.sum(1) == 24).all()
    assert repr(rows(checkerboard(seed=0).events)) == repr(rows(events))
    shop = two_behaviours()
    good = shop.events.weight > 0
    assert (shop.events.user[good] % 2 == shop.events.item[good] % 2).all()
    assert (shop.events.user[~good] % 2 != shop.events.item[~good] % 2).any()
