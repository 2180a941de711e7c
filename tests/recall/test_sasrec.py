"""sasrec and bert4rec: order that item_cf cannot see, what a live click does, every objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.data import Dataset
from shortlist.recall.bert4rec import BERT4Rec
from shortlist.recall.sasrec import SASRec
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.types import HISTORY, Ragged, Requests

ITEMS, LENGTH, USERS = 40, 8, 240
SMALL = {"factors": 16, "batch": 32, "rate": 5e-3, "dropout": 0.0, "length": 10}
CHANNELS = [SASRec, BERT4Rec]


def ring(seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Everybody walks the items in one hidden order from a place of their own, forwards: only order tells the next."""
    rng = np.random.default_rng(seed)
    after = rng.permutation(ITEMS)
    first = rng.integers(0, ITEMS, USERS)
    item = after[(first[:, None] + np.arange(LENGTH)) % ITEMS]
    time = worlds.START + (rng.integers(0, 20, (USERS, 1)) + np.arange(LENGTH)) * worlds.DAY
    order = np.argsort(time.ravel(), kind="stable")
    user = np.repeat(np.arange(USERS), LENGTH)
    return worlds.dataset(user[order], item.ravel()[order], time.ravel()[order]), after


def walking(after: np.ndarray, starts: np.ndarray, length: int = 5) -> Requests:
    """New people who walked ``length`` places from ``starts``."""
    item = after[(starts[:, None] + np.arange(length)) % ITEMS].astype(np.int32)
    n = len(starts)
    time = np.tile(worlds.START + np.arange(length) * worlds.DAY, n)
    columns = {name: np.zeros(n * length, dtype) for name, dtype in HISTORY.items()}
    columns |= {"item": item.ravel(), "time": time, "weight": np.ones(n * length, np.float32)}
    history = Ragged(np.arange(n + 1) * length, columns)
    requests = Requests.of(np.full(n, -1), np.full(n, worlds.START + 60 * worlds.DAY), history)
    return requests.excluding(Ragged.of(np.repeat(np.arange(n), length), n, item=item.ravel()))


def right(channel: Any, data: Dataset, after: np.ndarray) -> float:
    """How often the first answer is the item that comes next."""
    starts = np.arange(ITEMS)
    found = channel.retrieve(walking(after, starts), data.state(), 1)
    return float((found.item == after[(starts[found.request] + 5) % ITEMS]).sum() / ITEMS)


@pytest.fixture(scope="module")
def world():
    return ring()


@pytest.mark.parametrize("cls", CHANNELS)
def test_order_tells_what_item_cf_cannot_see(world, cls):
    data, after = world
    net = cls(**SMALL, epochs=60, stopping=10).fit(data)
    assert right(net, data, after) >= 0.9
    assert right(find("recall", "item_cf")().fit(data), data, after) <= 0.6


OBJECTIVES: list[Mapping[str, Any]] = [
    {"objective": "sampled", "negatives": 20},
    {"objective": "sampled", "negatives": 20, "each": "position", "draw": "popularity"},
    {"objective": "sampled", "each": "batch", "draw": "log", "negatives": 20},
    {"objective": "sampled", "draw": "batch"},
    {"objective": "sampled", "draw": "mixed", "negatives": 10},
    {"objective": "gbce", "negatives": 20},
    {"objective": "bpr", "negatives": 20},
    {"layers": "ligr", "heads": 2, "blocks": 2},
    {"reads": ["event", "strength", "gap"], "timed": True},
]


@pytest.mark.parametrize("more", OBJECTIVES, ids=lambda more: "-".join(map(str, more.values())))
def test_every_objective_and_layer_learns_the_order(world, more):
    data, after = world
    assert right(SASRec(**SMALL, **more, hold=0, epochs=60).fit(data), data, after) >= 0.9


@pytest.mark.parametrize("cls", CHANNELS)
def test_a_live_click_moves_the_answer(world, cls):
    data, after = world
    net = cls(**SMALL, epochs=3, hold=0).fit(data)
    asked = walking(after, np.array([3]), 5)
    more = walking(after, np.array([3]), 6)
    a, b = (net.vectors(requests, data.state()) for requests in (asked, more))
    assert a.shape == (1, 1, 16)
    assert np.abs(a - b).max() > 0.01


def test_short_histories_agree_with_padded_ones_and_empty_ones_ask_nothing(world):
    data, after = world
    net = SASRec(**SMALL, epochs=3, hold=0).fit(data)
    alone = net.vectors(walking(after, np.array([0]), 2), data.state())
    nobody = Requests.of(np.array([-1]), np.array([worlds.START]))
    beside = net.vectors(Requests.concat([nobody, walking(after, np.array([0]), 2)]), data.state())
    np.testing.assert_allclose(alone[0], beside[1], atol=1e-6)
    assert not beside[0].any()
    assert len(net.retrieve(nobody, data.state(), 5)) == 0


def test_only_the_latest_are_read(world):
    data, after = world
    net = SASRec(**{**SMALL, "length": 3}, epochs=2, hold=0).fit(data)
    a = net.vectors(walking(after, np.array([2]), 5), data.state())
    b = net.vectors(walking(after, np.array([4]), 3), data.state())
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_training_stops_where_the_end_of_the_log_says(world):
    data, _ = world
    net = SASRec(**SMALL, epochs=200, stopping=3).fit(data)
    assert 0 < net.checks_ < 200
    few = worlds.dataset(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), worlds.START + np.arange(4) * worlds.DAY)
    assert SASRec(**SMALL, epochs=4).fit(few).checks_ == 4


def test_heads_share_the_vector():
    with pytest.raises(InputError, match="heads: expected a divisor of factors, 16, got 3"):
        SASRec(factors=16, heads=3)
