"""Swing against its definition, pair of users by pair of users."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from shortlist.recall.swing import Swing
from shortlist.testing import worlds


def plain(data, channel: Swing) -> np.ndarray:
    latest = [dict(zip(row["item"].tolist(), row["time"].tolist(), strict=True)) for row in histories(data)]
    out = np.zeros((data.n_items, data.n_items))
    end = data.events.time[-1]

    def half(age: float, length: int | None) -> float:
        return 0.5 ** (age / length) if length else 1.0

    def m(own: dict[int, int], i: int, j: int) -> float:
        fading = half(end - own[i], channel.log_half_life) * half(end - own[j], channel.log_half_life)
        return len(own) ** -channel.user_power * half(abs(own[i] - own[j]), channel.pair_half_life) * fading

    for u, v in combinations([own for own in latest if own], 2):
        common = u.keys() & v.keys()
        for i, j in permutations(common, 2):
            out[i, j] += m(u, i, j) * m(v, i, j) / (channel.alpha + len(common))
    return out


def histories(data):
    sequences = data.sequences(signal="positive")
    return [sequences.row(u) for u in range(data.n_users)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 1.0, "user_power": 0.5},
        {"alpha": 5.0, "user_power": 0.0},
        {"pair_half_life": "3h"},
        {"log_half_life": "7h"},
        {"pair_half_life": "2h", "log_half_life": "5h", "neighbours": 3},
    ],
)
def test_matches_the_definition(options: dict, threads: int):
    data = worlds.random_log(4, users=20, events=250, unit=60 * worlds.MINUTE)
    channel = Swing(threads=threads, **options).fit(data)
    expected = plain(data, channel)[np.ix_(channel.items_, channel.items_)]
    worst = -np.sort(-expected, axis=1)[:, min(channel.neighbours, len(expected)) - 1]
    expected[expected < worst[:, None]] = 0
    assert channel.table_.toarray() == pytest.approx(expected, rel=1e-5)
    assert (expected > 0).sum() > 20


@pytest.mark.parametrize("max_users", [2, 5])
def test_a_sample_is_the_definition_on_the_users_sampled(max_users: int):
    """Each item's row is that of the log in which only its sampled users have it, scaled up."""
    data = worlds.random_log(9, users=12, items=6, events=150, unknown=0.0)
    channel = Swing(max_users=max_users).fit(data)
    x = channel._matrix(data)
    offsets, users, entries, scale = channel._sample(x)
    own = [set(x[u].indices) for u in range(x.shape[0])]
    assert (x.indices[entries] == np.repeat(np.arange(x.shape[1]), np.diff(offsets))).all()
    for i in range(x.shape[1]):
        row = np.zeros(x.shape[1])
        for u, v in combinations(users[offsets[i] : offsets[i + 1]], 2):
            for j in own[u] & own[v] - {i}:
                row[j] += (len(own[u]) * len(own[v])) ** -0.5 / (1 + len(own[u] & own[v]))
        assert channel.table_[i].toarray()[0] == pytest.approx(row * scale[i], rel=1e-5)


def test_a_sample_of_users_keeps_the_scale():
    data = worlds.checkerboard(n_users=80, n_items=20)
    whole = Swing().fit(data).table_.data.sum()
    sampled = Swing(max_users=10).fit(data)
    assert sampled.table_.data.sum() == pytest.approx(whole, rel=0.1)
    assert not np.array_equal(sampled.table_.data, Swing(max_users=10, seed=1).fit(data).table_.data)


def test_what_is_long_ago_has_happened():
    """Four users took 0 and 1, and 400 days later two of them 2."""
    user, item = np.array([0, 0, 1, 1, 2, 2, 3, 3, 0, 1]), np.array([0, 1] * 4 + [2, 2])
    data = worlds.dataset(user, item, np.append(np.arange(8), [400 * worlds.DAY] * 2))
    table = Swing(log_half_life="7d").fit(data).table_.toarray()
    assert 0 < table[0, 1] < table[0, 2]
