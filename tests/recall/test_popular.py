"""Popular: decay, refresh, segments, memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data import Codes, Table
from shortlist.data.table import Dated
from shortlist.recall import popular
from shortlist.recall.popular import Popular
from shortlist.testing import worlds
from shortlist.types import Ragged, Requests

HOUR = 60 * worlds.MINUTE
DAY = worlds.DAY


def asking(data, users, times) -> Requests:
    users, times = np.asarray(users), np.asarray(times)
    return Requests.of(users, times, data.state().history(users, times))


def lists(channel: Popular, data, users, times, k: int = 10) -> list[list[int]]:
    requests = asking(data, users, times)
    found = channel.fit(data).retrieve(requests, data.state(), k)
    return [found.item[found.request == r].tolist() for r in range(len(users))]


@pytest.fixture
def fading():
    """Item 0 three times on day 0, item 1 twice on day 10."""
    return worlds.dataset(np.arange(5), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 10, 10]) * DAY)


def test_decay(fading):
    assert lists(Popular(half_life=None), fading, [-1], [11 * DAY]) == [[0, 1]]
    assert lists(Popular(half_life="1d"), fading, [-1], [11 * DAY]) == [[1, 0]]
    found = Popular(half_life="5d").fit(fading).retrieve(asking(fading, [0], [10 * DAY]), fading.state(), 5)
    assert found["score"] == pytest.approx([2, 0.75])


def test_as_of_the_last_refresh(fading):
    day = Popular(half_life="1d", refresh="1d")
    assert lists(day, fading, [0, 0, 0], [10 * DAY - 1, 10 * DAY, DAY]) == [[0], [1, 0], [0]]
    late = Popular(half_life="1d", refresh="3d")
    assert lists(late, fading, [0, 0], [10 * DAY, 12 * DAY]) == [[0], [1, 0]]


def test_nothing_before_the_first_event():
    data = worlds.dataset(np.zeros(1), np.zeros(1), np.array([5 * DAY]))
    assert lists(Popular(), data, [0], [4 * DAY]) == [[]]


def test_excluded_items_use_up_no_k(fading):
    requests = asking(fading, [0], [11 * DAY])
    requests = requests.excluding(requests.history)
    assert Popular().fit(fading).retrieve(requests, fading.state(), 1).item.tolist() == [1]


@pytest.fixture
def shop():
    users = pl.DataFrame({"user": [f"u{u}" for u in range(6)], "team": ["a", "a", "b", "b", None, "c"]})
    items = pl.DataFrame({"item": [f"i{i}" for i in range(4)], "tags": [["x"], ["x", "y"], ["y"], []]})
    return worlds.dataset(
        np.array([0, 1, 2, 3, 3, 4]), np.array([0, 0, 1, 1, 2, 3]), np.arange(6) * HOUR,
        n_users=6, users=users, items=items, kinds={"team": "category", "tags": "list"},
    )  # fmt: skip


def test_user_segments_with_the_global_list_behind_them(shop):
    channel = Popular(segment=["team"], half_life=None)
    everything = [0, 1, 2, 3]
    # team a, team b, no team, a team without events, unknown user, a user newer than the table
    answers = lists(channel, shop, [0, 3, 4, 5, -1, 77], np.full(6, DAY))
    assert answers == [[0], [1, 2], everything, everything, everything, everything]


def test_item_segments_follow_the_history(shop):
    channel = Popular(segment=["tags"], half_life=None)
    # history of tag x; of x, y and y (item 1 has both: 2 * (1/3 + 2/3), item 0 has x: 2/3, item 2 has y: 2/3); none
    assert lists(channel, shop, [0, 3, -1], np.full(3, DAY)) == [[0, 1], [1, 0, 2], [0, 1, 2, 3]]
    assert lists(Popular(segment=["tags"], top=1, half_life=None), shop, [3], [DAY]) == [[1, 2]]


@pytest.mark.parametrize("segment", [[], ["team"], ["tags"], ["team", "tags"]])
def test_small_blocks_and_scores_of_rows_agree_with_one_list(shop, segment, monkeypatch):
    channel = Popular(segment=segment, half_life="2h").fit(shop)
    requests = asking(shop, [5, 3, 0, 3, -1, 2], np.array([9, 2, 6, 4, 1, 2]) * HOUR)
    whole = channel.retrieve(requests, shop.state(), 3)
    monkeypatch.setattr(popular, "BLOCK", 9)
    pieces = channel.retrieve(requests, shop.state(), 3)
    assert np.array_equal(whole.item, pieces.item)
    assert np.array_equal(whole.request, pieces.request)
    assert np.array_equal(whole["score"], pieces["score"])
    assert np.array_equal(channel.score(requests, whole, shop.state()), whole["score"])


def test_unknown_segment_and_event_are_named(shop):
    with pytest.raises(InputError, match=r"popular\.segment: 'colour'.*tags.*team"):
        Popular(segment=["colour"]).fit(shop)
    with pytest.raises(InputError, match=r"popular\.event: 'buy'"):
        Popular(event="buy").fit(shop)


def test_empty_log():
    data = worlds.empty()
    assert lists(Popular(segment=["team", "colour"]), data, [0, -1], [0, DAY]) == [[], []]


def test_a_segment_that_the_log_tells_is_the_one_of_the_moment(shop):
    """User 0 is of mood 0 until hour 10 and of mood 1 from then on; user 2 of mood 1 throughout, the others of none."""
    moods = Codes(Ragged(np.arange(4), {"code": np.array([0, 1, 1], np.int32)}), ("calm", "keen"))
    told = Table(3, codes={"mood": moods}, kinds={"mood": "category"})
    mood = Dated(np.array([0, 2, 2, 3, 3, 3, 3]), np.array([0, 10, 0]) * HOUR, told)
    data = replace(shop, users=shop.users.described({"mood": mood}))
    channel = Popular(segment=["mood"], half_life=None, refresh="1h")
    assert lists(channel, data, [0, 0, 2], np.array([9, 10, 9]) * HOUR) == [[0], [1], [1]]
