"""node2vec: what p and q do to the vectors; the walks themselves are tested in test_walks.py."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.deepwalk import DeepWalk
from shortlist.recall.node2vec import Node2Vec
from shortlist.testing import worlds

SMALL = {"factors": 16, "walks": 20, "length": 20, "window": 3, "directed": False}


def ring(n: int = 30) -> worlds.Dataset:
    """Users who each took three items that lie side by side on a ring."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, n, 400)
    item = (first[:, None] + rng.permuted(np.tile(np.arange(3), (400, 1)), axis=1)) % n
    return worlds.dataset(np.repeat(np.arange(400), 3), item.ravel(), np.tile(np.arange(3), 400) * worlds.MINUTE)


def reach(channel: Node2Vec, n: int = 30) -> float:
    """Mean cosine of items six places apart: how far along the ring the vectors still know each other."""
    vectors = channel.vectors_[channel.column_[np.arange(n)]]
    return float(np.mean([vectors[i] @ vectors[(i + 6) % n] for i in range(n)]))


def test_p_and_q_of_one_are_deepwalk():
    data = worlds.checkerboard()
    plain, same = DeepWalk(**SMALL).fit(data), Node2Vec(**SMALL, p=1, q=1).fit(data)
    assert np.array_equal(plain.table_, same.table_)
    assert not np.array_equal(plain.table_, Node2Vec(**SMALL, p=1, q=2).fit(data).table_)
    assert not np.array_equal(plain.table_, Node2Vec(**SMALL, p=2, q=1).fit(data).table_)


def test_walks_that_stay_near_know_less_of_what_is_far():
    data = ring()
    near, plain, far = (reach(Node2Vec(**SMALL, p=p, q=q).fit(data)) for p, q in ((0.1, 10), (1, 1), (10, 0.1)))
    assert near < plain < far


@pytest.mark.parametrize("name", ["p", "q"])
def test_the_parameters_are_above_nothing(name):
    with pytest.raises(ValueError, match="greater than 0"):
        Node2Vec.from_config({name: 0})
