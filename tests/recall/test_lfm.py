"""LFM: it learns the loss it states, and its factors can be read."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall.lfm import LFM
from shortlist.testing import worlds
from shortlist.types import Candidates


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard()


@pytest.fixture(scope="module")
def channel(board):
    return LFM(factors=4).fit(board)


def test_positives_near_one_and_the_others_near_zero(board, channel):
    p = channel.user_factors_ @ channel.table_.T
    own = worlds.colour_of(np.arange(50))[:, None] == worlds.colour_of(channel.items_)
    assert p[own].mean() > 0.7
    assert abs(p[~own].mean()) < 0.1


def test_user_top_like_and_unknown_users(channel):
    found = channel.user_top_like(np.array([-1, 3, 500]), 10)
    assert found.request.tolist() == [1] * 10
    assert (worlds.colour_of(found.item) == 1).all()


def test_topics_are_the_items_that_load_most(channel):
    found = channel.topics(2, 5)
    assert isinstance(found, Candidates)
    loading = np.abs(channel.table_[:, 2])
    assert found["score"] == pytest.approx(np.sort(loading)[::-1][:5])
    assert np.array_equal(channel.items_[np.argsort(-loading)[:5]], found.item)


def test_folding_in_solves_the_stated_equations(board, channel):
    columns = np.array([4, 8, 11], np.int32)
    w = np.array([1.0, 0.5, 2.0], np.float32)
    p = channel._fold_in(Sparse(np.array([0, 3]), columns, w))[0]
    q = channel.table_.astype(np.float64)
    counts = board.item_counts()[channel.items_] ** 0.75
    pi = counts / counts.sum()
    n, total = channel.negatives, w.sum()
    spread = n * total * (q.T * pi) @ q + (1 + n) * total * channel.user_regularisation * np.eye(4)
    taken = q[columns]
    assert p == pytest.approx(np.linalg.solve((taken.T * w) @ taken + spread, taken.T @ w), abs=1e-4)


def test_another_seed_is_another_model(board, channel):
    assert np.array_equal(channel.table_, LFM(factors=4).fit(board).table_)
    assert not np.array_equal(channel.table_, LFM(factors=4, seed=1).fit(board).table_)
