"""Swing against its definition, pair of users by pair of users."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from shortlist.recall.swing import Swing
from shortlist.testing import worlds


def plain(data, alpha: float, power: float) -> np.ndarray:
    sets = [set(row.indices) for row in data.matrix()]
    out = np.zeros((data.n_items, data.n_items))
    for u, v in combinations([s for s in sets if s], 2):
        common = u & v
        for i, j in combinations(common, 2):
            w = (len(u) * len(v)) ** -power / (alpha + len(common))
            out[i, j] += w
            out[j, i] += w
    return out


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("alpha", "power"), [(1.0, 0.5), (5.0, 0.0)])
def test_matches_the_definition(alpha: float, power: float, threads: int):
    data = worlds.random_log(4, users=20, events=150)
    channel = Swing(alpha=alpha, user_power=power, threads=threads).fit(data)
    expected = plain(data, alpha, power)[np.ix_(channel.items_, channel.items_)]
    assert channel.table_.toarray() == pytest.approx(expected, rel=1e-5)


def test_a_sample_of_users_keeps_the_scale():
    data = worlds.checkerboard(n_users=80, n_items=20)
    whole = Swing().fit(data).table_.data.sum()
    sampled = Swing(max_users=10).fit(data)
    assert sampled.table_.data.sum() == pytest.approx(whole, rel=0.1)
    assert not np.array_equal(sampled.table_.data, Swing(max_users=10, seed=1).fit(data).table_.data)
