"""DeepWalk on logs whose right answer is known: what walks join, what parts them, what has no vector."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.data import Behaviours
from shortlist.recall import _memory
from shortlist.recall.deepwalk import DeepWalk
from shortlist.testing import worlds
from shortlist.types import Requests

DAY, MINUTE = worlds.DAY, worlds.MINUTE
SMALL = {"factors": 16, "walks": 20, "length": 20, "window": 3, "directed": False}


def log(sessions, **more):
    """A session is (user, first moment, items), a minute between its events."""
    user = np.concatenate([np.full(len(items), u) for u, _, items in sessions])
    time = np.concatenate([start + MINUTE * np.arange(len(items)) for _, start, items in sessions])
    return worlds.dataset(user, np.concatenate([items for _, _, items in sessions]), time, **more)


def cosine(channel, i: int, j: int) -> float:
    a, b = (channel.vectors_[channel.column_[item]] for item in (i, j))
    return float(a @ b)


def halves(pause: int, n: int = 40):
    """Sessions of even items and of odd ones, by the same people, ``pause`` apart."""
    rng = np.random.default_rng(0)
    parts = [rng.permutation(np.arange(s % 2, 20, 2))[:5] for s in range(4 * n)]
    return log([(s // 4, (s % 4) * pause + worlds.START, items) for s, items in enumerate(parts)])


def apart(channel) -> float:
    """Mean cosine of items of one colour minus that of different colours."""
    cosines = channel.vectors_ @ channel.vectors_.T
    same = worlds.colour_of(np.arange(20))[:, None] == worlds.colour_of(np.arange(20))
    return float(cosines[same & ~np.eye(20, dtype=bool)].mean() - cosines[~same].mean())


def test_a_pause_parts_what_belongs_apart():
    data = halves(DAY)
    cut, whole = (apart(DeepWalk(**SMALL, gap=gap).fit(data)) for gap in ("30m", None))
    assert cut > 0.5
    assert whole < cut - 0.1


def test_walks_that_do_not_fit_are_refused(monkeypatch):
    data = halves(DAY)
    monkeypatch.setattr(_memory, "free", lambda: 300_000.0)
    with pytest.raises(InputError, match=r"deepwalk: 400 walks of 30 items need .* GB.*; lower walks or length"):
        DeepWalk(**SMALL | {"length": 30}).fit(data)
    DeepWalk(**SMALL).fit(data)


def test_walks_join_what_no_user_took_together():
    """A ring of 24 items, each user takes two that lie side by side: three places apart is nearer than twelve."""
    hops = np.random.default_rng(0).integers(0, 24, 600)
    data = log([(u, worlds.START, np.array([at, (at + 1) % 24])) for u, at in enumerate(hops)], n_items=24)
    channel = DeepWalk(**SMALL).fit(data)
    near = np.mean([cosine(channel, i, (i + 3) % 24) for i in range(24)])
    far = np.mean([cosine(channel, i, (i + 12) % 24) for i in range(24)])
    assert near > far + 0.3


def test_items_without_company_have_no_vector():
    data = log([(0, 0, np.array([0, 1, 2, 0])), (1, 0, np.array([3])), (2, 0, np.array([4, 4]))], n_items=6)
    channel = DeepWalk(**SMALL).fit(data)
    lengths = np.linalg.norm(channel.table_, axis=1)
    assert lengths[channel.column_[:3]].all()
    assert not lengths[channel.column_[[3, 4]]].any()
    assert channel.column_[5] == -1
    assert channel.similar(np.array([3, 4, 5]), 3).item.tolist() == []
    history = data.state().history(np.array([0, 1]), np.array([DAY, DAY]))
    found = channel.retrieve(Requests.of([0, 1], [DAY, DAY], history), data.state(), 5)
    assert set(found.request.tolist()) == {0}
    assert set(found.item.tolist()) <= {0, 1, 2}


def edges(channel: DeepWalk, data) -> dict[tuple[int, int], float]:
    graph = channel._graph(data).tocoo()
    return dict(zip(zip(graph.row.tolist(), graph.col.tolist(), strict=True), graph.data.tolist(), strict=True))


SHOP = Behaviours(("view", "buy"), np.array([1, 9], np.float32), np.array([np.inf, -np.inf], np.float32))


def test_edges_count_or_go_by_strength():
    """0 and 1 are viewed, 2 and 3 bought, a day between any two."""
    data = worlds.dataset(np.zeros(4, int), np.arange(4), np.arange(4) * DAY, np.array([0, 0, 1, 1]), behaviours=SHOP)
    assert edges(DeepWalk(directed=True, signal="all"), data) == {(0, 1): 1, (1, 2): 1, (2, 3): 1}
    by_strength = DeepWalk(directed=True, signal="all", edges="strength")
    assert edges(by_strength, data) == {(0, 1): 1, (1, 2): 3, (2, 3): 9}
    assert edges(DeepWalk(directed=False), data) == {(0, 1): 1, (1, 0): 1}  # of the bought ones alone
    assert DeepWalk().fit(data).items_.tolist() == [2, 3]
    assert edges(DeepWalk(signal="all", gap="6h"), data) == {}


def test_old_edges_fade():
    """0 -> 1 a week before 1 -> 2, and 2 -> 3 at the end."""
    data = log([(0, 0, np.array([0, 1])), (1, 7 * DAY, np.array([1, 2, 3]))])
    found = edges(DeepWalk(directed=True, log_half_life="7d"), data)
    assert found == pytest.approx({(0, 1): 0.5, (1, 2): 1, (2, 3): 1}, rel=1e-3)  # minutes count a little too


def test_rare_items_are_left_out_of_the_sequence():
    """0 2 1 with 2 too rare: 1 follows 0."""
    data = log([(0, 0, np.array([0, 2, 1])), (1, 0, np.array([0, 1]))])
    assert edges(DeepWalk(directed=True, min_count=2), data) == {(0, 1): 2}


def test_one_way_walks_end_and_are_learned_from():
    data = log([(u, 0, np.arange(6)) for u in range(5)])
    channel = DeepWalk(**{**SMALL, "directed": True}).fit(data)
    assert np.linalg.norm(channel.vectors_, axis=1) == pytest.approx(np.ones(6))


def test_another_seed_other_vectors():
    data = worlds.checkerboard()
    first, again, other = (DeepWalk(**SMALL, seed=seed).fit(data).table_ for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
