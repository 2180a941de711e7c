"""Sums and first meetings as of a moment, against the plain definition."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Table
from shortlist.durations import microseconds
from shortlist.testing.worlds import dataset, random_log


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["user", "item", "log"]), st.sampled_from(["all", "positive", "rating"]))
def test_sums_first_and_counts_of_a_split_log(seed, entity, which):
    data = random_log(seed)
    whole, events = data.state(), data.events
    split = data.until(int(events.time[len(events) // 2])).state()
    split.append(events.between(int(events.time[len(events) // 2]), None))
    rng = np.random.default_rng(seed)
    ids = np.zeros(20, np.int64) if entity == "log" else rng.integers(-1, 15, 20)
    times = rng.integers(-1, 22, 20)
    mine = events.select(which, data.behaviours)
    for state in (whole, split):
        count, total = state.sums(entity, ids, times, which)
        first = state.first_seen(entity, ids, times, which)
        counts = state.counts(entity, ids, times, [which], [5, None])
        for r in range(20):
            own = mine & (events.time <= times[r]) & (ids[r] >= 0)
            if entity != "log":
                own &= getattr(events, entity) == ids[r]
            values = events.value[own]
            values = values[~np.isnan(values)].astype(np.float64)
            assert count[r] == len(values)
            np.testing.assert_allclose(total[r], values.sum())
            assert first[r] == (events.time[own].min() if own.any() else -1)
            assert counts[r, 0].tolist() == [(own & (events.time > times[r] - 5)).sum(), own.sum()]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(["item", "log"]), st.sampled_from(["all", "positive"]), st.booleans())
def test_counts_of_a_group_of_users(seed, entity, which, by_age):
    """Groups are the levels of a category or the buckets of a number; who has neither counts in none."""
    data = random_log(seed)
    rng = np.random.default_rng(seed)
    known = rng.random(data.n_users) < 0.7
    people = pl.DataFrame(
        {
            "user": data.user_ids.ids,
            "team": [["red", "blue"][u % 2] if known[u] else None for u in range(data.n_users)],
            "age": [float(10 * (u % 4)) if known[u] else None for u in range(data.n_users)],
        }
    )
    users = Table.of(people, "user", {"team": "category", "age": "number"}, data.user_ids)
    data = replace(data, users=users)
    by, edges = ("age", (10.0, 25.0)) if by_age else ("team", ())
    levels = sorted(set(people["team"].drop_nulls()))
    group = np.array([levels.index(team) if team else -1 for team in people["team"]])
    if by_age:
        age = 10 * (np.arange(data.n_users) % 4)
        group = np.where(known, (age >= 10).astype(int) + (age >= 25), -1)
    events = data.events
    split = data.until(int(events.time[len(events) // 2])).state()
    split.append(events.between(int(events.time[len(events) // 2]), None))
    ids = np.zeros(20, np.int64) if entity == "log" else rng.integers(-1, data.n_items + 3, 20)
    bucket, times = rng.integers(-1, 4, 20), rng.integers(-1, 22, 20)
    mine = events.select(which, data.behaviours) & (events.user >= 0)
    for state in (data.state(), split):
        for window in (None, 4):
            found = state.segment_counts(entity, ids, bucket, times, by, edges, which, window)
            for r in range(20):
                own = (
                    mine
                    & (events.time <= times[r])
                    & (group[np.maximum(events.user, 0)] == bucket[r])
                    & (bucket[r] >= 0)
                )
                own &= (events.item == ids[r]) | (entity == "log")
                if window is not None:
                    own &= events.time > times[r] - window
                assert found[r] == own.sum()


@pytest.mark.parametrize("half_life", ["1h", "7d", None])
@pytest.mark.parametrize("days", [30, 400, 20_000])
def test_a_decayed_sum_never_becomes_nothing(half_life, days):
    """An item nobody took for years is still one that somebody took, however the sum was carried there."""
    day = 86_400_000_000
    data = dataset(np.zeros(4, int), np.array([1, 2, 0, 0]), np.array([0, 0, days // 2, days]) * day, n_items=4)
    period = None if half_life is None else microseconds(half_life)
    end = np.array([days * day])
    once = data.state().decayed("item", end, "all", period)[0]
    apart = data.state().decayed("item", np.array([0, days // 2, days]) * day, "all", period)[-1]
    assert (once[:3] > 0).all()
    assert once[3] == 0
    np.testing.assert_array_equal(once, apart)
