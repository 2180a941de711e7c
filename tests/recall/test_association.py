"""Association against its definition, pair by pair."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from shortlist.recall.association import Association
from shortlist.testing import worlds
from shortlist.types import Requests

HOUR = 60 * worlds.MINUTE


def plain(channel: Association, data) -> np.ndarray:
    out = np.zeros((data.n_items, data.n_items))
    for u in range(data.n_users):
        row = data.sequences(signal=channel.signal).row(u)
        item, time = row["item"], row["time"]
        for a, b in product(range(len(item)), repeat=2):
            gap = b - a
            if gap == 0 or item[a] == item[b]:
                continue
            near = channel.base ** (abs(gap) - 1) * (1 if gap > 0 else channel.backward)
            w = ((near if abs(gap) <= channel.window else 0) + channel.together) / np.log(
                1 + len(item)
            ) ** channel.length_power
            if channel.pair_half_life:
                w *= 0.5 ** (abs(time[a] - time[b]) / channel.pair_half_life)
            if channel.log_half_life:
                w *= 0.5 ** ((data.events.time[-1] - max(time[a], time[b])) / channel.log_half_life)
            out[item[a], item[b]] += w
    events = data.sequences(signal=channel.signal)["item"]
    count = np.maximum(np.bincount(events, minlength=data.n_items), 1.0)
    return out / count[:, None] ** channel.from_power / count**channel.to_power


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backward": 0.0},
        {"window": 2, "base": 0.5},
        {"pair_half_life": "3h", "signal": "all"},
        {"pair_half_life": "9h", "log_half_life": "4h"},
        {"together": 0.1, "window": 1},
        {"together": 2.0, "window": 3, "pair_half_life": "9h", "log_half_life": "4h", "to_power": 0.7},
        {"together": 0.3, "length_power": 0.0},
        {"length_power": 0.4},
        {"from_power": 1.0},
        {"from_power": 0.2, "to_power": 0.4, "signal": "all"},
    ],
)
def test_matches_the_definition(options):
    data = worlds.random_log(2, unit=HOUR)
    channel = Association(**options).fit(data)
    expected = plain(channel, data)[np.ix_(channel.items_, channel.items_)]
    assert channel.table_.toarray() == pytest.approx(expected, rel=1e-5)


def test_forwards_counts_more_than_backwards():
    data = worlds.dataset(np.zeros(3), np.array([0, 1, 2]), np.arange(3) * HOUR)
    s = Association(base=0.8, backward=0.7).fit(data).table_.toarray() * np.log(4)
    assert s == pytest.approx(np.array([[0, 1, 0.8], [0.7, 0, 1], [0.56, 0.7, 0]]))


def test_together_joins_what_no_window_reaches():
    items = np.array([0, 2, 3, 4, 1])
    data = worlds.dataset(np.zeros(5), items, np.arange(5) * HOUR)
    near, far = (Association(window=2, together=t).fit(data).table_.toarray() * np.log(6) for t in (0.0, 0.25))
    assert near[0, 1] == near[1, 0] == 0
    assert far[0, 1] == far[1, 0] == pytest.approx(0.25)
    assert far[0, 2] == pytest.approx(near[0, 2] + 0.25)


def test_powers_of_popularity_choose_between_the_common_and_the_rare():
    # of those who took 0 three went on to 1, which thirty others took as well, and two to 2, which nobody else did
    users = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *range(5, 35)])
    items = np.array([0, 1, 0, 1, 0, 1, 0, 2, 0, 2, *[1] * 30])
    data = worlds.dataset(users, items, np.arange(len(users)) * HOUR)

    def first(**options) -> int:
        return int(np.argmax(Association(**options).fit(data).table_.toarray()[0]))

    assert first() == first(from_power=1.0) == 1
    assert first(to_power=0.5) == 2


@pytest.mark.parametrize("clock", ["common", "each"])
def test_a_history_fades_by_step_where_there_are_no_times(clock):
    # 0 leads to 2 and 1 to 3, as often; who took 0 and then 1 is nearer to 3, and the times say nothing of it
    users = np.array([0, 0, 1, 1, 2, 2])
    items = np.array([0, 2, 1, 3, 0, 1])
    data = replace(worlds.dataset(users, items, np.arange(6) * HOUR), clock=clock)
    history = data.sequences().take(np.array([2]))
    history = replace(history, columns={**history.columns, "time": np.zeros(2, np.int64)})
    asked = Requests.of(np.array([2]), np.array([data.fitted_until]), history)
    for fade, expected in ((None, 1.0), (1.0, 0.5), (0.5, 0.25)):
        found = Association(fade=fade, backward=0.0).fit(data).retrieve(asked, data.state(), 10)
        score = dict(zip(found.item.tolist(), found["score"].tolist(), strict=True))
        assert score[2] / score[3] == pytest.approx(expected)


def test_only_the_strongest_are_kept():
    data = worlds.dataset(np.zeros(4), np.array([0, 1, 2, 3]), np.arange(4))
    assert Association(neighbours=1).fit(data).table_.indices.tolist() == [1, 2, 3, 2]


def test_pairs_too_faint_for_a_sum_are_none():
    items = np.array([0, 1, 0, 1, 0, 1, 2, 3, 4, 5])
    data = worlds.dataset(np.zeros(10), items, np.arange(10) * 200 * 1_000_000)  # 2^-200 is below float32
    assert Association(pair_half_life="1s").fit(data).table_.nnz == 0
