"""What the collaborative channels share: vocabulary and the worth of repeated events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import refuse_unsound
from shortlist.recall.item_cf import ItemCF
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests


@pytest.fixture
def shop():
    """u0 views item 0 twice and buys it, views item 1; u1 views item 3. Views have strength 1, purchases 5."""
    user, item = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 3])
    return worlds.dataset(user, item, np.arange(5), np.array([0, 1, 0, 0, 0]), behaviours=worlds.SHOP)


@pytest.mark.parametrize(("repeats", "worth"), [("once", 5), ("sum", 7), ("log", 3)])
def test_several_events_of_a_pair(shop, repeats: str, worth: float):
    channel = ItemCF(signal="all", repeats=repeats)
    matrix = channel._matrix(shop)
    assert matrix.toarray().tolist() == [[worth, 1, 0], [0, 0, 1]]
    assert channel.items_.tolist() == [0, 1, 3]
    history = shop.state().history(np.array([0, 1]), np.array([9, 9]))
    offsets, columns, weights = channel._taken(Requests.of([0, 1], [9, 9], history))
    assert (offsets.tolist(), columns.tolist()) == ([0, 2, 3], [1, 0, 2])
    assert weights.tolist() == [1, worth, 1]


def test_only_positive_events_by_default(shop):
    channel = ItemCF()
    assert channel._matrix(shop).toarray().tolist() == [[5], [0]]
    history = shop.state().history(np.array([0, 1]), np.array([9, 9]))
    assert channel._taken(Requests.of([0, 1], [9, 9], history))[0].tolist() == [0, 1, 1]


def test_rare_items_are_unknown(shop):
    channel = ItemCF(signal="all", min_count=2)
    channel._matrix(shop)
    assert channel.items_.tolist() == [0]
    assert channel.column_.tolist() == [0, -1, -1, -1]


def test_an_event_counts_alike_in_the_log_and_in_a_history(shop):
    events = replace(shop.events, weight=shop.events.weight * np.float32(0.4))  # the purchase counts 2
    kinds = replace(shop.behaviours, strengths=np.where(shop.behaviours.strengths == 1, 0.5, 5).astype(np.float32))
    shop = replace(shop, events=events, behaviours=kinds)
    channel = ItemCF(signal="all")
    assert channel._matrix(shop).toarray().tolist() == [[2, 0.5, 0], [0, 0, 0.5]]
    history = shop.state().history(np.array([0]), np.array([9]))
    assert channel._taken(Requests.of([0], [9], history))[2].tolist() == [0.5, 2]


def test_no_event_counts_more_than_five_typical_ones(shop):
    events = replace(shop.events, weight=shop.events.weight * np.float32(1e6))
    channel = ItemCF(signal="all")
    assert channel._matrix(replace(shop, events=events)).toarray().tolist() == [[5, 1, 0], [0, 0, 1]]
    history = replace(shop, events=events).state().history(np.array([0]), np.array([9]))
    assert channel._taken(Requests.of([0], [9], history))[2].tolist() == [1, 5]


def test_events_of_no_strength_do_not_make_an_item_known(shop):
    kinds = replace(shop.behaviours, strengths=shop.behaviours.strengths * (shop.behaviours.strengths > 1))
    channel = ItemCF(signal="all", min_count=1)
    channel._matrix(replace(shop, behaviours=kinds))
    assert channel.items_.tolist() == [0]
    channel = ItemCF(signal="all", min_count=2)
    channel._matrix(replace(shop, behaviours=kinds))
    assert channel.items_.tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_the_matrix_is_the_log(seed: int):
    data = worlds.random_log(seed)
    channel = ItemCF(signal="all", repeats="sum")
    assert np.array_equal(channel._matrix(data).toarray(), data.matrix("all").toarray()[:, channel.items_])
    once = ItemCF(signal="all")._matrix(data)
    assert once.has_sorted_indices
    assert np.array_equal(once.toarray() > 0, data.matrix("all").toarray()[:, channel.items_] > 0)


@pytest.mark.parametrize("repeats", ["once", "sum", "log"])
@pytest.mark.parametrize("signal", ["all", "positive"])
def test_events_of_the_log_fade_with_their_age(repeats: str, signal: str):
    data = worlds.random_log(2, unit=60 * worlds.MINUTE)
    channel = ItemCF(signal=signal, repeats=repeats, log_half_life="3h")
    found = channel._matrix(data).toarray()
    events, half_life = data.events, 3 * 60 * worlds.MINUTE
    expected = np.zeros((data.n_users, data.n_items))
    for e in range(len(events)):
        worth = events.weight[e] or (data.behaviours.strengths[events.event[e]] if signal == "all" else 0)
        worth *= 0.5 ** ((events.time[-1] - events.time[e]) / half_life)
        if events.user[e] >= 0:
            pair = events.user[e], events.item[e]
            expected[pair] = max(expected[pair], worth) if repeats == "once" else expected[pair] + worth
    expected = expected[:, channel.items_]
    assert found == pytest.approx(np.log2(1 + expected) if repeats == "log" else expected, rel=1e-5)


def test_however_old_a_pair_stays_in_the_matrix():
    data = worlds.random_log(2, unit=60 * worlds.MINUTE)
    faded = ItemCF(log_half_life="1s")._matrix(data)
    assert np.array_equal(faded.toarray() > 0, ItemCF()._matrix(data).toarray() > 0)
    channel = ItemCF()
    matrix = channel._matrix(data)
    latest = channel._latest(data)
    for p, (u, c) in enumerate(zip(*matrix.nonzero(), strict=True)):
        mine = (data.events.user == u) & (data.events.item == channel.items_[c]) & (data.events.weight > 0)
        assert latest[p] == data.events.time[mine].max()


@pytest.mark.parametrize("name", ["item_cf", "user_cf", "ease", "als", "svd", "lfm", "swing", "association"])
def test_every_channel_of_the_log_lets_the_past_fade(name: str):
    """Long ago 1 was taken with 0, of late 2 is."""
    user = np.repeat(np.arange(20), 2)
    item = np.where(np.arange(40) % 2 == 0, 0, np.where(user < 10, 1, 2))
    time = np.where(user < 10, 0, 90 * worlds.DAY) + np.arange(40)
    data = worlds.dataset(np.append(user, 20), np.append(item, 0), np.append(time, 90 * worlds.DAY + 50))
    channel = find("recall", name).from_config({"log_half_life": "30d"}).fit(data)
    now = np.array([91 * worlds.DAY])
    requests = Requests.of([20], now, data.state().history(np.array([20]), now))
    requests = requests.excluding(requests.history)
    assert channel.retrieve(requests, data.state(), 1).item.tolist() == [2]


@pytest.mark.parametrize(("clip", "worth"), [("none", 50), (2, 2), (5.0, 5)])
def test_how_much_an_event_may_count_can_be_said(clip, worth):
    """One purchase of strength 50 among views; what is learned passes the check that a fit makes."""
    user, item = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    data = worlds.dataset(user, item, np.arange(4), n_items=2)
    data = replace(data, events=replace(data.events, weight=np.array([50, 1, 1, 1], np.float32)))
    channel = ItemCF(clip=clip).fit(data)
    refuse_unsound("recall.cf", channel)
    assert channel._matrix(data).toarray().tolist() == [[worth, 1], [1, 1]]
    restored = ItemCF.restore(channel.config(), channel.state())
    assert restored._strength(data.events.weight, data.events.event).tolist() == [worth, 1, 1, 1]


REASONS = ["item_cf", "user_cf", "ease", "als", "svd", "lfm", "swing", "association", "rp3beta", "item2vec"]


@pytest.mark.parametrize("name", REASONS)
def test_no_item_is_the_reason_where_none_speaks_for_a_row(name: str):
    """Of an item that is not known, to somebody without a history, and where the model knows no item at all: -1."""
    data = worlds.checkerboard(n_users=12, n_items=10, unseen=0)
    users, now = np.array([4, -1]), np.full(2, data.events.time[-1])
    requests = Requests.of(users, now, data.state().history(users, now))
    rows = Candidates(np.array([0, 1], np.uint32), np.array([77, 2], np.int32))
    cls = find("recall", name)
    options = {**cls.example, "signal": "all"}
    assert cls.from_config(options).fit(data).explain(requests, rows).tolist() == [-1, -1]
    nothing = cls.from_config({**options, "min_count": 1000}).fit(data)
    known = Candidates(np.array([0, 0], np.uint32), np.array([2, 3], np.int32))
    assert nothing.explain(requests, known).tolist() == [-1, -1]
