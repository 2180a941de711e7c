"""EGES: its steps go down the loss it states, and attributes tell where the log says nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.recall._kernels.side import Parts, against, mixed, moved
from shortlist.recall.deepwalk import DeepWalk
from shortlist.recall.eges import EGES
from shortlist.testing import worlds
from shortlist.types import Requests

DAY, START = worlds.DAY, worlds.START
SMALL = {"factors": 16, "walks": 20, "length": 20, "window": 3, "directed": False}
KINDS, EACH, NEW = 6, 10, 4
"""A shop of so many kinds of things; of each kind's things the last few nobody has met."""


def sides():
    """Two items: one with a list of two values and an own row, one without the list."""
    return Parts(
        np.array([0, 4, 6]),
        np.array([0, 1, 1, 2, 0, 2], np.int32),
        np.array([0, 2, 3, 4, 1, 4]),
        np.array([1, 0.5, 0.5, 1, 1, 1], np.float32),
    )


def plain(i, parts, table, attention):
    """v_i as the docstring has it."""
    there = np.isfinite(attention[i])
    alpha = np.where(there, np.exp(np.where(there, attention[i], 0)), 0)
    alpha /= alpha.sum()
    entries = range(parts.offsets[i], parts.offsets[i + 1])
    return sum(alpha[parts.slot[e]] * parts.share[e] * table[parts.row[e]] for e in entries)


def loss(i, parts, table, attention, outputs, labels):
    v = plain(i, parts, table, attention)
    return sum(np.log1p(np.exp(-(1 if y else -1) * (v @ outputs[o]))) for o, y in enumerate(labels))


@pytest.mark.parametrize("i", [0, 1])
def test_a_step_is_down_the_gradient(i):
    rng = np.random.default_rng(i)
    parts, labels, f, step = sides(), [1, 0, 0, 1], 5, 1e-3
    table, outputs, attention = (rng.standard_normal(shape) for shape in ((5, f), (4, f), (2, 3)))
    attention[1, 1] = -np.inf
    fixed = np.where(np.isfinite(attention), attention, -1e38).astype(np.float32)
    tables = [table.astype(np.float32), fixed, outputs.astype(np.float32)]
    before = [x.astype(np.float64) for x in tables]
    v, error, weights, dots = np.empty(f, np.float32), np.zeros(f, np.float32), *np.empty((2, 3), np.float32)
    mixed(i, parts, tables[0], tables[1], weights, v)
    np.testing.assert_allclose(v, plain(i, parts, table, attention), rtol=1e-5)
    for o, y in enumerate(labels):
        against(v, tables[2], o, y, step, error)
    moved(i, parts, tables[0], tables[1], weights, v, error, dots)
    exact = [table, attention, outputs]
    for which, (old, new) in enumerate(zip(before, tables, strict=True)):
        went = np.where(np.isfinite(exact[which]), (new - old) / -step, 0)
        expected = np.zeros_like(exact[which])
        for at in np.argwhere(np.isfinite(exact[which])):
            sums = []
            for nudge in (1e-5, -1e-5):
                moved_to = [x.copy() for x in exact]
                moved_to[which][tuple(at)] += nudge
                sums.append(loss(i, parts, *moved_to, labels))
            expected[tuple(at)] = (sums[0] - sums[1]) / 2e-5
        np.testing.assert_allclose(went, expected, atol=3e-3)


def shop(seed: int = 0, noise: bool = True):
    """Sessions within a kind. ``kind`` (category) tells it, ``tags`` (list) has it among others, ``colour`` tells
    nothing."""
    rng = np.random.default_rng(seed)
    n = KINDS * EACH
    kind = np.arange(n) // EACH
    met = np.flatnonzero(np.arange(n) % EACH < EACH - NEW)
    user, item = [], []
    for u in range(150):
        own = met[kind[met] == u % KINDS]
        item.append(rng.permutation(own)[:4])
        user.append(np.full(4, u))
    items = pl.DataFrame(
        {
            "item": [f"i{i:02}" for i in range(n)],
            "kind": [f"k{k}" for k in kind],
            "tags": [[f"t{k}", f"x{i % 7}"] for i, k in enumerate(kind)],
            "colour": [f"c{c}" for c in rng.integers(0, 5, n)],
        }
    )
    user, item = np.concatenate(user), np.concatenate(item)
    kinds = {"kind": "category", "tags": "list", "colour": "category"}
    time = START + np.arange(len(user)) * worlds.MINUTE
    return worlds.dataset(user, item, time, n_items=n, items=items, kinds=kinds), kind


@pytest.fixture(scope="module")
def world():
    return shop()


@pytest.fixture(scope="module")
def channel(world):
    return EGES(**SMALL).fit(world[0])


def new_items():
    return np.flatnonzero(np.arange(KINDS * EACH) % EACH >= EACH - NEW)


def asked(data):
    now = np.full(KINDS, START + 100 * DAY)
    users = np.arange(KINDS)
    return Requests.of(users, now, data.state().history(users, now))


@pytest.mark.parametrize("answer", ["context", "vector"])
def test_items_nobody_met_are_answered_by_their_attributes(world, answer):
    data, kind = world
    channel = EGES(**SMALL, answer=answer).fit(data)
    found = channel.retrieve(asked(data), data.state(), EACH)
    fresh = np.isin(found.item, new_items())
    right = kind[found.item] == np.arange(KINDS)[found.request]
    assert right.mean() > 0.9
    assert np.bincount(found.request[fresh & right], minlength=KINDS).min() == NEW
    assert not np.isin(DeepWalk(**SMALL).fit(data).retrieve(asked(data), data.state(), 60).item, new_items()).any()


def test_what_tells_is_attended_to(channel):
    """The kind says who goes with whom, the colour nothing."""
    weight = dict(zip(channel.columns_.tolist(), channel.attention_[channel.attention_[:, 0] > 0].mean(0), strict=True))
    assert weight["kind"] > weight["colour"] + 0.02
    np.testing.assert_allclose(channel.attention_.sum(1), 1, rtol=1e-5)
    met = np.isin(channel.items_, new_items(), invert=True)
    assert not channel.attention_[~met, 0].any()


def test_similar_items_are_of_one_kind_new_ones_too(world, channel):
    found = channel.similar(new_items(), 5)
    assert (world[1][found.item] == world[1][new_items()[found.request]]).mean() > 0.9


def test_items_of_which_nothing_is_known_have_no_vector(world):
    data, _ = world
    plain_world = EGES(**SMALL, attributes=[]).fit(data)
    assert not np.isin(plain_world.items_, new_items()).any()
    assert plain_world.columns_.tolist() == ["item"]
    np.testing.assert_allclose(plain_world.attention_, 1)


def test_values_that_only_new_items_have_tell_nothing():
    """An attribute met at new items alone was never learned: they are as if without it."""
    items = pl.DataFrame({"item": ["i0", "i1", "i2", "i3"], "maker": ["a", "a", "b", "b"]})
    data = worlds.dataset(
        np.repeat(np.arange(30), 2),
        np.tile([0, 1], 30),
        START + np.arange(60),
        n_items=4,
        items=items,
        kinds={"maker": "category"},
    )
    channel = EGES(**SMALL, rare=1).fit(data)
    lengths = dict(zip(channel.items_.tolist(), np.linalg.norm(channel.vectors_, axis=1).round(3), strict=True))
    assert lengths[0] == lengths[1] == 1
    assert not lengths.get(2, 0)


def test_an_attribute_that_is_not_there_is_refused(world):
    with pytest.raises(InputError, match=r"recall.attributes: no attribute 'color'; the table has kind, tags, colour"):
        EGES(attributes=["color"]).fit(world[0])


def test_it_has_no_other_architecture():
    with pytest.raises(InputError, match=r"architecture.*found 'cbow'"):
        EGES(architecture="cbow")
