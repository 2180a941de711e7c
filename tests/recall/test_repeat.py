"""Repeat against its definition, event by event."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.recall.repeat import Repeat
from shortlist.testing import worlds
from shortlist.types import Requests

HOUR = 60 * worlds.MINUTE


def asking(data, users, times) -> Requests:
    users, times = np.asarray(users), np.asarray(times)
    return Requests.of(users, times, data.state().history(users, times))


def plain(channel: Repeat, data, user: int, now: int) -> dict[int, float]:
    """Score of each item that may come."""
    mine = defaultdict(list)
    events, names = data.events, data.behaviours.names
    for e in range(len(events)):
        kind = names[events.event[e]]
        counts = "all" in channel.events or kind in channel.events
        counts |= "positive" in channel.events and events.weight[e] > 0
        if events.user[e] == user and events.time[e] <= now and counts:
            strength = events.weight[e] or data.behaviours.strengths[events.event[e]]
            mine[int(events.item[e])].append((int(events.time[e]), float(strength)))
    latest = max((t for own in mine.values() for t, _ in own), default=0)
    scores = {}
    for item, own in mine.items():
        if len(own) < channel.min_count or (channel.min_age and max(t for t, _ in own) > now - channel.min_age):
            continue
        h = channel.half_life
        scores[item] = sum(s * (0.5 ** ((latest - t) / h) if h else 1) for t, s in own)
    return scores


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 1000),
    st.fixed_dictionaries(
        {},
        optional={
            "events": st.sampled_from([["all"], ["view"], ["positive", "view"], ["buy"]]),
            "half_life": st.sampled_from([None, "3h"]),
            "min_age": st.sampled_from([None, "4h"]),
            "min_count": st.sampled_from([1, 2]),
        },
    ),
)
def test_matches_the_definition(seed: int, options: dict):
    data = worlds.random_log(seed, events=150, unit=HOUR)
    channel = Repeat(**options).fit(data)
    users, times = np.array([0, 1, 2, -1, 50]), np.array([20, 12, 7, 20, 20]) * HOUR
    requests = asking(data, users, times)
    found = channel.retrieve(requests, data.state(), 100)
    for r in range(5):
        expected = plain(channel, data, int(users[r]), int(times[r])) if users[r] >= 0 else {}
        rows = found.take(found.request == r)
        assert dict(zip(rows.item.tolist(), rows["score"], strict=True)) == pytest.approx(expected, rel=1e-5)
        dense = channel.score(requests, rows, data.state()) if r == 0 else rows["score"]
        assert np.array_equal(dense, rows["score"])
    assert np.array_equal(channel.explain(requests, found), found.item)


@pytest.fixture
def shop():
    """u0 buys item 2 on days 0 and 7 and item 1 on day 9."""
    return worlds.dataset(np.zeros(3), np.array([2, 2, 1]), np.array([0, 7, 9]) * worlds.DAY, n_items=4)


def test_what_was_just_bought_waits_and_what_is_excluded_makes_room(shop):
    requests = asking(shop, [0], [10 * worlds.DAY])
    state = shop.state()
    assert Repeat(half_life="1d").fit(shop).retrieve(requests, state, 5).item.tolist() == [1, 2]
    assert Repeat(half_life=None).fit(shop).retrieve(requests, state, 5).item.tolist() == [2, 1]
    assert Repeat(min_age="2d").fit(shop).retrieve(requests, state, 5).item.tolist() == [2]
    seen = requests.excluding(requests.history)
    assert len(Repeat().fit(shop).retrieve(seen, state, 5)) == 0
    strange = Repeat(min_count=2).fit(shop).retrieve(requests, state, 1)
    assert strange.item.tolist() == [2]
    scores = Repeat(min_count=2).fit(shop).score(requests, strange.with_columns(), state)
    assert np.array_equal(scores, strange["score"])


def test_what_is_long_ago_still_comes(shop):
    requests = asking(shop, [0], [10 * worlds.DAY])
    found = Repeat(half_life="1m").fit(shop).retrieve(requests, shop.state(), 5)
    assert found.item.tolist() == [1, 2]
    assert (found["score"] > 0).all()


def test_an_unknown_kind_of_event_is_named(shop):
    with pytest.raises(InputError, match=r"repeat\.events: 'buys' is not positive, all or one of"):
        Repeat(events=["buys"]).fit(shop)
