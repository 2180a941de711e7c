"""Association against its definition, pair by pair."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from shortlist.recall.association import Association
from shortlist.testing import worlds

HOUR = 60 * worlds.MINUTE


def plain(channel: Association, data) -> np.ndarray:
    out = np.zeros((data.n_items, data.n_items))
    for u in range(data.n_users):
        row = data.sequences(signal=channel.signal).row(u)
        item, time = row["item"], row["time"]
        for a, b in product(range(len(item)), repeat=2):
            gap = b - a
            if gap == 0 or abs(gap) > channel.window or item[a] == item[b]:
                continue
            w = channel.base ** (abs(gap) - 1) * (1 if gap > 0 else channel.backward) / np.log(1 + len(item))
            if channel.pair_half_life:
                w *= 0.5 ** (abs(time[a] - time[b]) / channel.pair_half_life)
            if channel.log_half_life:
                w *= 0.5 ** ((data.events.time[-1] - max(time[a], time[b])) / channel.log_half_life)
            out[item[a], item[b]] += w
    return out


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backward": 0.0},
        {"window": 2, "base": 0.5},
        {"pair_half_life": "3h", "signal": "all"},
        {"pair_half_life": "9h", "log_half_life": "4h"},
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


def test_only_the_strongest_are_kept():
    data = worlds.dataset(np.zeros(4), np.array([0, 1, 2, 3]), np.arange(4))
    assert Association(neighbours=1).fit(data).table_.indices.tolist() == [1, 2, 3, 2]


def test_pairs_too_faint_for_a_sum_are_none():
    items = np.array([0, 1, 0, 1, 0, 1, 2, 3, 4, 5])
    data = worlds.dataset(np.zeros(10), items, np.arange(10) * 200 * 1_000_000)  # 2^-200 is below float32
    assert Association(pair_half_life="1s").fit(data).table_.nnz == 0
