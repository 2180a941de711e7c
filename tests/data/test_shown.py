"""What was shown, against plain Python: from one log, from a snapshot and its tail, and with people forgotten."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Exposures, Shown
from shortlist.data.build import dataset
from shortlist.data.raw import Raw
from shortlist.data.spec import DataSpec
from shortlist.testing.worlds import random_log

steady = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 10_000)
cuts = st.lists(st.integers(0, 90), min_size=1, max_size=6)
about = st.sampled_from(["user", "item", "both"])
WINDOWS = [1, 4, None]


def plain(rows: Exposures) -> list[tuple[int, int, int, float]]:
    return list(zip(*(getattr(rows, n).tolist() for n in ("user", "item", "time", "position")), strict=True))


def questions(seed, who, n=25):
    """Known and unknown codes, and moments before, inside and after the log."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(-1, 11, n).astype(np.int32), rng.integers(-1, 15, n).astype(np.int32)
    times = rng.integers(-2, 25, n)
    return (users if who != "item" else None), (items if who != "user" else None), times


def in_parts(rows: Exposures, at: list[int]) -> Shown:
    """What was shown until the first cut, and the rest in pieces."""
    bounds = [0, *sorted(min(cut, len(rows)) for cut in at), len(rows)]
    first, *rest = [rows.take(slice(a, b)) for a, b in pairwise(bounds)]
    shown = Shown(first)
    for piece in rest:
        shown.append(piece)
    return shown


def everything(shown: Shown, users, items, times) -> list[np.ndarray]:
    return [
        shown.counts(users, items, times, WINDOWS),
        shown.last_time(users, items, times),
        *(shown.position(users, items, times, which) for which in ("last", "best", "mean")),
    ]


def restated(log, users, items, times) -> list[np.ndarray]:
    """The definitions, row by row."""
    answers = []
    for r, time in enumerate(times.tolist()):
        mine = [row for row in log if row[2] <= time]
        for column, asked in ((0, users), (1, items)):
            if asked is not None:
                mine = [row for row in mine if row[column] == asked[r] >= 0]
        places = [row[3] for row in mine if row[3] == row[3]]
        answers.append(
            (
                [sum(window is None or row[2] > time - window for row in mine) for window in WINDOWS],
                max((row[2] for row in mine), default=-1),
                mine[-1][3] if mine else np.nan,
                min(places, default=np.nan),
                np.mean(places) if places else np.nan,
            )
        )
    return [np.array(column) for column in zip(*answers, strict=True)]


@steady
@given(seeds, cuts, about)
def test_answers_of_one_log_and_of_a_snapshot_with_a_tail(seed, at, who):
    rows = random_log(seed, shown=30).state().shown.exposures
    asked = questions(seed, who)
    expected = restated(plain(rows), *asked)
    for shown in (Shown(rows), in_parts(rows, at)):
        for got, wanted in zip(everything(shown, *asked), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)


@steady
@given(seeds, cuts, about, st.integers(0, 22))
def test_exposures_that_arrive_out_of_order_and_later_ones(seed, at, who, now):
    rows = random_log(seed, shown=30).state().shown.exposures
    users, items, times = questions(seed, who)
    times = np.minimum(times, now)
    until = rows.take(rows.time <= now)
    pieces = np.array_split(np.random.default_rng(seed).permutation(len(rows)), 4)
    mixed = Shown(rows.take(np.sort(pieces[0])))
    for piece in pieces[1:]:
        mixed.append(rows.take(np.sort(piece)))
    known = everything(Shown(until), users, items, times)
    for shown in (Shown(rows), in_parts(rows, at)):
        for got, wanted in zip(everything(shown, users, items, times), known, strict=True):
            np.testing.assert_array_equal(got, wanted)
    for n in (0, 1, 3, 4):  # of equal times, which came last is the order of arrival
        got = everything(mixed, users, items, times)[n]
        np.testing.assert_allclose(got, known[n], rtol=1e-6)


@steady
@given(seeds, cuts, about, st.integers(-1, 22), st.integers(-1, 10))
def test_a_person_forgotten_was_never_shown_anything_until_then(seed, at, who, until, user):
    state = random_log(seed, shown=30).state()
    rows = state.shown.exposures
    asked = questions(seed, who)
    kept = Shown(rows.take(~((rows.user == user) & (rows.time <= until))))
    state.forget(user, until)
    parts = in_parts(rows, at)
    parts.forget(user, until)
    for shown in (state.shown, parts):
        for got, wanted in zip(everything(shown, *asked), everything(kept, *asked), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_without_exposures_nothing_was_shown():
    state = random_log(1).state()
    users, items, times = questions(1, "both")
    for who in ((users, items), (users, None), (None, items)):
        counts, last, *positions = everything(state.shown, *who, times)
        assert not counts.any()
        assert (last == -1).all()
        assert np.isnan(positions).all()
    assert state.shown.latest == 0
    assert len(state.shown.exposures) == 0
    with pytest.raises(ValueError, match="found neither"):
        Shown(random_log(1, shown=3).state().shown.exposures).counts(None, None, times)


def test_many_small_tails_stay_few_segments():
    rows = random_log(7, shown=100).state().shown.exposures
    shown = Shown(Exposures.none())
    for row in range(len(rows)):
        shown.append(rows.take(slice(row, row + 1)))
    assert str(plain(shown.exposures)) == str(plain(rows))  # as text, where NaN is itself
    assert len(shown._segments) <= 2 + np.log2(len(rows))
    assert shown.latest == int(rows.time[-1])


def test_ids_of_the_exposures_are_coded_and_put_in_order():
    """Ids only ever shown have codes like any other; without a user it is nobody."""
    events = pl.DataFrame({"user": ["a"], "item": ["x"], "event": ["view"], "time": [5], "value": [None]})
    events = events.with_columns(pl.col("value").cast(pl.Float32))
    shown = pl.DataFrame({"user": ["b", None, "a"], "item": ["y", "y", "x"], "time": [9, 7, 7]})
    data = dataset(Raw(events, exposures=shown), DataSpec(source="movielens-100k"))
    rows = data.state().shown.exposures
    assert data.user_ids.ids == ["a", "b"]
    assert [row[:3] for row in plain(rows)] == [(-1, 1, 7), (0, 0, 7), (1, 1, 9)]
    assert np.isnan(rows.position).all()
    assert plain(data.until(9).state().shown.exposures)[-1][2] == 7
    now = np.array([9])
    assert data.state().shown.counts(None, np.array([1]), now).item() == 2
    assert data.state().shown.counts(np.array([1]), np.array([1]), now).item() == 1
