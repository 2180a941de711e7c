"""Ages and gaps against the plain definition; context and repeat beside them."""

import numpy as np
import pytest

from shortlist.data import FOREVER

from .conftest import DAY, ITEMS, START, make

HOUR = DAY // 24


def hours(now, then):
    return np.log1p(max(now - then, 0) / HOUR)


def test_items(world):
    columns = world.columns(make("recency"))
    events = world.state.events
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        now = world.requests.time[q]
        own = (events.item == i) & (events.time <= now)
        good = own & (events.weight > 0)
        age = columns["recency.item.age"][r]
        assert age == pytest.approx(hours(now, START - DAY)) if i < ITEMS else np.isnan(age)
        for name, times in (("first", events.time[own][:1]), ("last", events.time[own][-1:])):
            got = columns[f"recency.item.{name}"][r]
            assert got == pytest.approx(hours(now, times[0]), abs=1e-5) if len(times) else np.isnan(got)
        got = columns["recency.item.last_positive"][r]
        assert got == pytest.approx(hours(now, events.time[good][-1]), abs=1e-5) if good.any() else np.isnan(got)
        got = columns["recency.item.released"][r]
        assert got == pytest.approx(hours(now, world.state.items.times["released"][i])) if i < ITEMS else np.isnan(got)


def test_an_arrival_still_to_come_is_not_known(world):
    """What the catalogue says about later moments is not read: the first event stands in."""
    world.state.available_from = np.full(ITEMS, FOREVER)
    columns = world.columns(make("recency"))
    np.testing.assert_array_equal(columns["recency.item.age"], columns["recency.item.first"])


def test_users(world):
    columns = world.columns(make("recency", windows=["3d"]))
    for r, q in enumerate(world.candidates.request):
        times, now = world.requests.history.row(int(q))["time"], world.requests.time[q]
        assert columns["recency.user.events.3d"][r] == pytest.approx(np.log1p((times > now - 3 * DAY).sum()), abs=1e-6)
        if len(times) < 2:
            assert np.isnan(columns["recency.user.gap"][r])
            continue
        assert columns["recency.user.last"][r] == pytest.approx(hours(now, times[-1]), abs=1e-5)
        assert columns["recency.user.gap"][r] == pytest.approx(np.log1p(np.diff(times[-10:]).mean() / HOUR), abs=1e-5)


def test_repeat(world):
    columns = world.columns(make("repeat", half_life="5d"))
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        h, now = world.requests.history.row(int(q)), world.requests.time[q]
        own = h["item"] == i
        assert columns["repeat.events"][r] == pytest.approx(np.log1p(own.sum()), abs=1e-6)
        assert columns["repeat.positive"][r] == pytest.approx(np.log1p((own & (h["weight"] > 0)).sum()), abs=1e-6)
        assert columns["repeat.decayed"][r] == pytest.approx(
            (0.5 ** ((now - h["time"][own]) / (5 * DAY))).sum(), rel=1e-4
        )
        last = columns["repeat.last"][r]
        assert last == pytest.approx(hours(now, h["time"][own][-1]), abs=1e-5) if own.any() else np.isnan(last)
    assert (columns["repeat.events"] > 0).any()
