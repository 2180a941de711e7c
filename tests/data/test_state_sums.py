"""Sums and first meetings as of a moment, against the plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
