"""What the collaborative channels share: vocabulary and the worth of repeated events."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.item_cf import ItemCF
from shortlist.testing import worlds
from shortlist.types import Requests


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
    offsets, columns, weights = channel._profile(Requests.of([0, 1], [9, 9], history))
    assert (offsets.tolist(), columns.tolist()) == ([0, 2, 3], [1, 0, 2])
    assert weights.tolist() == [1, worth, 1]


def test_only_positive_events_by_default(shop):
    channel = ItemCF()
    assert channel._matrix(shop).toarray().tolist() == [[5], [0]]
    history = shop.state().history(np.array([0, 1]), np.array([9, 9]))
    assert channel._profile(Requests.of([0, 1], [9, 9], history))[0].tolist() == [0, 1, 1]


def test_rare_items_are_unknown(shop):
    channel = ItemCF(signal="all", min_count=2)
    channel._matrix(shop)
    assert channel.items_.tolist() == [0]
    assert channel.column_.tolist() == [0, -1, -1, -1]


@pytest.mark.parametrize("seed", range(3))
def test_the_matrix_is_the_log(seed: int):
    data = worlds.random_log(seed)
    channel = ItemCF(signal="all", repeats="sum")
    assert np.array_equal(channel._matrix(data).toarray(), data.matrix("all").toarray()[:, channel.items_])
    once = ItemCF(signal="all")._matrix(data)
    assert once.has_sorted_indices
    assert np.array_equal(once.toarray() > 0, data.matrix("all").toarray()[:, channel.items_] > 0)
