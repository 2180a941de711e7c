"""The moment, the context and the history's summary."""

from dataclasses import replace

import numpy as np
import pytest

from .conftest import DAY, make


def test_hour_and_weekday(world):
    monday = np.datetime64("2024-03-04T22:30", "us").astype(np.int64)
    requests = replace(world.requests, time=np.full(len(world.requests), monday))
    columns = make("context").fit(world.data).compute(requests, world.candidates, world.state)
    assert set(columns["context.hour"]) == {22}
    assert set(columns["context.weekday"]) == {0}
    ahead = make("context", utc_offset=2).fit(world.data).compute(requests, world.candidates, world.state)
    assert set(ahead["context.hour"]) == {0}
    assert set(ahead["context.weekday"]) == {1}


def test_history(world):
    columns = world.columns(make("context", idle="12h").fit(world.data))
    for r, q in enumerate(world.candidates.request):
        h, now = world.requests.history.row(int(q)), world.requests.time[q]
        n = len(h["item"])
        assert columns["context.history.length"][r] == pytest.approx(np.log1p(n), abs=1e-6)
        if not n:
            assert np.isnan(columns["context.history.positive"][r])
            continue
        assert columns["context.history.positive"][r] == pytest.approx((h["weight"] > 0).mean(), abs=1e-6)
        rated = h["value"][~np.isnan(h["value"])].astype(np.float64)
        assert columns["context.history.mean"][r] == pytest.approx(rated.mean(), abs=1e-5)
        assert columns["context.history.sd"][r] == pytest.approx(rated.std(), abs=1e-5)
        assert columns["context.history.days"][r] == pytest.approx(np.log1p(len(np.unique(h["time"] // DAY))), abs=1e-6)
        sitting, until = 0, now
        for t in h["time"][::-1]:
            if until - t > DAY // 2:
                break
            sitting, until = sitting + 1, t
        assert columns["context.session"][r] == pytest.approx(np.log1p(sitting), abs=1e-6)


def test_columns_of_the_log(world):
    m, n = len(world.data.events), len(world.requests)
    context = {"device": np.array(["tv", "phone"])[np.arange(m) % 2], "km": np.arange(m, dtype=np.float32)}
    data = replace(world.data, events=replace(world.data.events, context=context))
    feature = make("context").fit(data)
    given = {"device": np.array(["phone", "tv", "fridge"])[np.arange(n) % 3], "km": np.full(n, 2.5)}
    requests = replace(world.requests, context=given)
    columns = feature.compute(requests, world.candidates, world.state)
    np.testing.assert_array_equal(columns["context.device"], np.array([0, 1, -1])[world.candidates.request % 3])
    assert set(columns["context.km"]) == {2.5}
    absent = world.columns(feature)
    assert set(absent["context.device"]) == {-1}
    assert np.isnan(absent["context.km"]).all()
    assert list(absent) == list(columns)
    again = type(feature).restore(feature.config(), feature.state())
    np.testing.assert_array_equal(
        again.compute(requests, world.candidates, world.state)["context.device"], columns["context.device"]
    )


def test_codes_stay_when_it_is_fitted_again(world):
    """A ranker has learned that 1 is a tv: a device met later must not take the number."""
    m, n = len(world.data.events), len(world.requests)

    def log(*devices):
        return replace(
            world.data,
            events=replace(world.data.events, context={"device": np.array(devices)[np.arange(m) % len(devices)]}),
        )

    feature = make("context").fit(log("phone", "tv")).fit(log("fridge", "phone", "tv"))
    requests = replace(world.requests, context={"device": np.array(["phone", "tv", "fridge"])[np.arange(n) % 3]})
    codes = feature.compute(requests, world.candidates, world.state)["context.device"]
    np.testing.assert_array_equal(codes, np.array([0, 1, -1])[world.candidates.request % 3])
