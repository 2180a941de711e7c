"""Fresh: what is new, at what rate it is taken, and who is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from shortlist.component import InputError
from shortlist.data import FOREVER, MISSING_TIME
from shortlist.recall import fresh
from shortlist.recall.fresh import Fresh
from shortlist.testing import worlds
from shortlist.types import Requests

HOUR, DAY = 60 * worlds.MINUTE, worlds.DAY


def asking(data, times, ids=None) -> Requests:
    users, times = np.zeros(len(times), np.int32), np.asarray(times)
    requests = Requests.of(users, times, data.state().history(users, times))
    return requests if ids is None else replace(requests, id=np.asarray(ids, np.uint64))


def lists(channel: Fresh, data, times, k: int = 100, ids=None) -> list[list[int]]:
    requests = asking(data, times, ids)
    found = channel.fit(data).retrieve(requests, data.state(), k)
    return [found.item[found.request == r].tolist() for r in range(len(times))]


def plain(channel: Fresh, data, tick: int) -> list[int]:
    """New items by falling rate, then the newer, then the lower code."""
    events = data.events
    counted = events.select(channel.event, data.behaviours) & (events.time <= tick)
    now = events.time[counted].max() if counted.any() else -1
    n, exposed, since = {}, {}, {}
    for item in range(data.n_items):
        mine = events.time[(events.item == item) & (events.time <= tick)]
        s = data.available_from[item]
        s = int(s) if s != MISSING_TIME else int(mine.min()) if len(mine) else FOREVER
        if not tick - channel.window < s <= tick:
            continue
        since[item] = s

        def left(age: float) -> float:
            return 0.5 ** (age / channel.half_life) if channel.half_life else 1.0

        n[item] = sum(
            (events.weight[e] or 1) * left(now - events.time[e])
            for e in np.flatnonzero(counted & (events.item == item))
        )
        exposed[item] = quad(left, 0, max(now - s, 0))[0]
    mean = sum(n.values()) / sum(exposed.values()) if sum(n.values()) and sum(exposed.values()) else 1.0
    rate = {i: (n[i] + channel.prior) / (exposed[i] + channel.prior / mean) for i in n}
    return sorted(rate, key=lambda i: (-round(rate[i] / max(rate.values()), 9), -since[i], i))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", [{}, {"half_life": None, "prior": 3.0}, {"event": "all", "half_life": "2h"}])
def test_without_exploring_the_order_is_that_of_the_rates(seed: int, options: dict):
    data = worlds.random_log(seed, items=30, events=120, unit=HOUR)
    channel = Fresh(window="8h", explore=0, refresh="2h", **options)
    times = np.array([3, 9, 14, 19]) * HOUR + 5
    for found, time in zip(lists(channel, data, times), times, strict=True):
        assert found == plain(channel, data, int(time // (2 * HOUR) * 2 * HOUR))


def launches(n: int = 40, tried: int = 20):
    """Item i can be had from minute i on; of the first ``tried`` item i has 10 + i events on day 1, the others none."""
    item = np.repeat(np.arange(tried), 10 + np.arange(tried))
    return worlds.dataset(
        np.zeros(len(item)), item, np.full(len(item), DAY), n_items=n, available_from=np.arange(n) * worlds.MINUTE
    )


def test_the_share_of_explored_places_and_who_may_be_drawn():
    data = launches()
    found = lists(Fresh(explore=0.25, budget=5, half_life=None), data, np.full(200, DAY + HOUR), k=20)
    drawn = np.array([[item >= 20 for item in row] for row in found])
    assert (drawn.sum(axis=1) == 5).all()
    assert np.flatnonzero(drawn[0]).tolist() == [3, 7, 11, 15, 19]
    assert all([i for i in row if i < 20] == list(range(19, 4, -1)) for row in found)
    share = np.bincount([i for row in found for i in row if i >= 20], minlength=40)[20:] / 200
    assert share == pytest.approx(0.25, abs=0.12)  # 5 of 20, each as likely
    assert lists(Fresh(explore=0, half_life=None), data, [DAY + HOUR], 20) == [list(range(19, -1, -1))]


def test_draws_are_of_the_request_and_the_seed():
    data, times = launches(), [DAY + HOUR] * 3
    one, other, again = lists(Fresh(explore=0.5), data, times, ids=[7, 8, 7])
    assert one == again
    assert one != other
    assert sorted(one) == sorted(other) == list(range(40))
    assert lists(Fresh(explore=0.5, seed=1), data, times[:1], ids=[7]) != [one]
    assert lists(Fresh(explore=0.5), data, times[:1], k=9, ids=[7]) == [one[:9]]
    everything = lists(Fresh(explore=1, budget=1000), data, times[:1], ids=[7])[0]
    assert sorted(everything) == list(range(40))


def test_excluded_items_leave_the_others_their_place():
    data = launches()
    channel = Fresh(explore=0.3).fit(data)
    requests = asking(data, [DAY + HOUR])
    whole = channel.retrieve(requests, data.state(), 40)
    gone = [whole.item[0], whole.item[5], 3]
    fewer = requests.excluding(type(requests.exclude).of(np.zeros(3, int), 1, item=np.array(gone, np.int32)))
    rest = channel.retrieve(fewer, data.state(), 40)
    kept = whole.take(~np.isin(whole.item, gone))
    assert rest.item.tolist() == kept.item.tolist()
    assert np.array_equal(rest["score"], kept["score"])
    assert np.array_equal(channel.score(fewer, whole, data.state()), whole["score"])


def test_new_as_of_the_last_refresh_never_before_it_can_be_had_and_no_longer_than_the_window():
    data = worlds.dataset(
        np.zeros(3), np.array([0, 1, 3]), np.array([0, 0, 5 * DAY]), n_items=5,
        available_from=np.array([0, 30 * HOUR, FOREVER, MISSING_TIME, 2 * DAY]),
    )  # fmt: skip
    channel = Fresh(window="3d", refresh="12h", explore=0)
    times = np.array([HOUR, 30 * HOUR, 36 * HOUR, 3 * DAY - 1, 3 * DAY, 5 * DAY + HOUR, 9 * DAY])
    assert [sorted(found) for found in lists(channel, data, times)] == [[0], [0], [0, 1], [0, 1, 4], [1, 4], [3], []]


def test_items_met_live_are_new_and_pieces_agree_with_the_whole(monkeypatch):
    data = worlds.random_log(3, items=20, events=90, unit=HOUR)
    channel = Fresh(window="9h", explore=0.2, refresh="1h").fit(data)
    state = data.state()
    live = data.events.take(slice(-2, None))
    state.append(replace(live, item=np.array([22, 25], np.int32), time=live.time + HOUR))
    requests = asking(data, np.array([20, 4, 21, 9, 20]) * HOUR + 3)
    whole = channel.retrieve(requests, state, 50)
    assert {22, 25} <= set(whole.item[whole.request == 2].tolist())
    assert not {22, 25} & set(whole.item[whole.request == 1].tolist())
    monkeypatch.setattr(fresh, "BLOCK", 1)
    pieces = channel.retrieve(requests, state, 50)
    assert np.array_equal(whole.keys, pieces.keys)
    assert np.array_equal(whole["score"], pieces["score"])
    assert np.array_equal(channel.score(requests, whole, state), whole["score"])


def test_an_unknown_kind_of_event_is_named():
    with pytest.raises(InputError, match=r"fresh\.event: 'buys'"):
        Fresh(event="buys").fit(launches())


def test_an_item_with_as_many_events_as_the_budget_has_been_tried():
    """Three new items with 2, 3 and 4 events, and a budget of 3: only the first is drawn."""
    item = np.repeat(np.arange(3), [2, 3, 4])
    data = worlds.dataset(np.zeros(9, int), item, worlds.START + np.arange(9) * worlds.MINUTE, n_users=1, n_items=3)
    firsts = lists(Fresh(explore=1, budget=3), data, np.full(50, worlds.START + 2 * HOUR), k=1, ids=np.arange(50))
    assert {first[0] for first in firsts} == {0}
