"""LFM: it learns the loss it states, and its factors can be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from shortlist.recall._kernels import sgd
from shortlist.recall._kernels.random import alias_table
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


@pytest.mark.parametrize(
    "options", [{}, {"rate": 0.2}, {"log_half_life": "1d"}], ids=["defaults", "widest step", "old events fade"]
)
@pytest.mark.parametrize("strength", [10, 50, 60, 1e6])
def test_a_few_strong_events_do_not_make_the_descent_leap(board, options, strength):
    rare = np.random.default_rng(0).random(len(board.events)) < 0.01
    heavy = replace(board, events=replace(board.events, weight=np.where(rare, strength, 1).astype(np.float32)))
    channel = LFM.from_config({"factors": 4, **options}).fit(heavy)
    assert np.abs(channel.table_).max() < 10
    p = channel.user_factors_ @ channel.table_.T
    own = worlds.colour_of(np.arange(50))[:, None] == worlds.colour_of(channel.items_)
    assert p[own].mean() > p[~own].mean() + 0.3


def test_the_penalties_are_each_sides_own(board):
    """A stronger pull on one side makes that side's vectors the shorter ones."""
    pulls = {"user_regularisation": 0.001, "item_regularisation": 0.3}
    items_pulled = LFM(factors=4, **pulls).fit(board)
    users_pulled = LFM(factors=4, user_regularisation=0.3, item_regularisation=0.001).fit(board)
    ratio = [np.linalg.norm(c.table_) / np.linalg.norm(c.user_factors_) for c in (items_pulled, users_pulled)]
    assert ratio[0] < 1 < ratio[1]


def test_popular_items_are_the_negatives():
    """Who has not taken a popular item was asked about it by its count, so that its score fell the more."""
    rng = np.random.default_rng(0)
    taken = rng.random((150, 60)) < np.where(np.arange(60) < 10, 0.5, 0.05)
    user, item = np.nonzero(taken)
    data = worlds.dataset(user, item, worlds.START + np.arange(len(user)), n_users=150, n_items=60)
    left = []
    for power in (2.0, 0.0):
        channel = LFM(factors=4, popularity=power).fit(data)
        p = (channel.user_factors_ @ channel.table_.T)[:, :10]
        left.append(p[~taken[:, :10]].mean())
    assert left[0] < left[1] - 0.1


def test_the_steps_fall_in_a_line_to_a_tenth(board, monkeypatch):
    steps = []
    monkeypatch.setattr("shortlist.recall.lfm.epoch", lambda log, popular, users, items, rate, *_: steps.append(rate))
    LFM(factors=4, epochs=6, rate=0.2).fit(board)
    assert [*steps, 0.02] == pytest.approx(np.linspace(0.2, 0.02, 7))


def test_a_users_positives_come_in_every_order_alike():
    """Alike items end in the order of their turns: the first is met by the shortest user vector, and moves least."""
    orders = Counter()
    for seed in range(1200):
        users, items = np.ones((1, 1), np.float32), np.full((3, 1), 0.2, np.float32)
        log = Sparse(np.array([0, 3], np.int32), np.arange(3, dtype=np.int32), np.ones(3, np.float32))
        sgd.epoch(log, alias_table(np.ones(3)), users, items, 0.2, 0.0, 0.0, 0, np.arange(1), seed * 7919)
        orders[tuple(np.argsort(items[:, 0]).tolist())] += 1
    assert len(orders) == 6
    assert np.abs(np.array(list(orders.values())) - 200).max() < 5 * np.sqrt(1200 * 5 / 36)
