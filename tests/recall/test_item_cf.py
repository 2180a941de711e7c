"""ItemCF: the similarity as defined, from log to list."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.item_cf import ItemCF
from shortlist.testing import worlds
from shortlist.types import Requests

DAY = worlds.DAY


def asking(data, user: int) -> Requests:
    last = int(data.events.time[-1])
    return Requests.of([user], [last], data.state().history(np.array([user]), np.array([last])))


@pytest.fixture
def log():
    """u0: 0 1 2, u1: 0 1, u2: 1 3, a day between the events of a user."""
    user, item = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 1, 3])
    return worlds.dataset(user, item, np.array([0, 1, 2, 0, 1, 0, 1]) * DAY)


def similarities(channel: ItemCF) -> np.ndarray:
    return channel.table_.toarray()


def test_plain_cosine(log):
    s = similarities(ItemCF(inverse_user_frequency=False).fit(log))
    assert s[0, 1] == pytest.approx(2 / np.sqrt(2 * 3))
    assert s[1, 3] == pytest.approx(1 / np.sqrt(3))
    assert s[0, 3] == 0


def test_inverse_user_frequency(log):
    s = similarities(ItemCF().fit(log))
    assert s[0, 1] == pytest.approx((1 / np.log(4) + 1 / np.log(3)) / np.sqrt(6))


def test_time_between_the_events_of_a_pair(log):
    s = similarities(ItemCF(inverse_user_frequency=False, pair_half_life="1d").fit(log))
    assert s[0, 2] == pytest.approx(0.25 / np.sqrt(2))
    assert s[0, 1] == pytest.approx((0.5 + 0.5) / np.sqrt(6))


def test_normalised_rows_peak_at_one(log):
    assert similarities(ItemCF(normalise=True).fit(log)).max(axis=1) == pytest.approx(np.ones(4))


def test_score_is_the_weighted_sum_and_explains_itself(log):
    channel = ItemCF(inverse_user_frequency=False, half_life="1d").fit(log)
    s = similarities(channel)
    requests = asking(log, 0)
    requests = requests.excluding(requests.history)
    found = channel.retrieve(requests, log.state(), 10)
    assert found.item.tolist() == [3]
    assert found["score"] == pytest.approx([0.5 * s[1, 3]])  # item 1 is a day older than the latest event
    assert channel.explain(requests, found).tolist() == [1]


def test_last_two_items_only(log):
    found = ItemCF(last=1).fit(log).retrieve(asking(log, 0), log.state(), 10)
    assert found.item.tolist() == [0, 1]  # like item 2 alone


def test_similar(log):
    found = ItemCF(inverse_user_frequency=False).fit(log).similar(np.array([3, 99, 0]), 1)
    assert found.request.tolist() == [0, 2]
    assert found.item.tolist() == [1, 1]


def test_latest_time_of_a_repeated_pair():
    data = worlds.dataset(np.array([0, 0, 0]), np.array([0, 1, 0]), np.array([0, 1, 3]) * DAY)
    assert similarities(ItemCF(inverse_user_frequency=False, pair_half_life="1d").fit(data))[0, 1] == pytest.approx(
        0.25
    )


def test_live_history_with_items_unknown_to_the_model(log):
    channel = ItemCF(inverse_user_frequency=False).fit(log)
    live = worlds.dataset(np.array([0, 0]), np.array([3, 7]), np.array([0, 1]))
    found = channel.retrieve(asking(live, 0), live.state(), 5)
    assert found.item.tolist() == [1]
