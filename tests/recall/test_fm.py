"""FM: its inner product is the machine's sum over pairs, and attributes answer for whoever is new."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
import torch

from shortlist.recall.fm import FM
from shortlist.testing import worlds
from shortlist.types import Candidates, Ragged, Requests

DAY, START = worlds.DAY, worlds.START
NOW = START + 100 * DAY
TEAMS, PER, NEW = 4, 12, 3


@pytest.fixture(scope="module")
def world():
    """Team t takes things of maker t; the last things of every maker, and the last people of every team, are new."""
    rng = np.random.default_rng(0)
    people, things = TEAMS * 20, TEAMS * PER
    team, maker = np.arange(people) % TEAMS, np.arange(things) % TEAMS
    old = np.flatnonzero(np.arange(things) < things - TEAMS * NEW)
    user, item = [], []
    for u in range(people - TEAMS * NEW):
        own = rng.permutation(old[maker[old] == team[u]])[:5]
        user.append(np.full(len(own), u))
        item.append(own)
    users = pl.DataFrame({"user": [f"u{u:02}" for u in range(people)], "team": [f"t{t}" for t in team]})
    names = [f"i{i:02}" for i in range(things)]
    sizes = rng.integers(1, 4, things).astype(float)
    items = pl.DataFrame({"item": names, "maker": [f"m{m}" for m in maker], "size": sizes})
    user, item = np.concatenate(user), np.concatenate(item)
    order = rng.permutation(len(user))
    kinds = {"team": "category", "maker": "category", "size": "number"}
    time = START + np.arange(len(user)) * worlds.MINUTE
    sizes_of = {"n_users": people, "n_items": things, "users": users, "items": items, "kinds": kinds}
    return worlds.dataset(user[order], item[order], time, **sizes_of), team, maker


@pytest.fixture(scope="module", params=[False, True], ids=["history", "own"])
def channel(world, request):
    return FM(factors=8, own=request.param, epochs=30, hold=0, rate=0.01, negatives=16, embedding_l2=1e-4).fit(world[0])


def empty(n):
    return Ragged.empty(n, item=np.int32, event=np.int16, value=np.float32, time=np.int64, weight=np.float32)


def test_the_score_is_the_machines_sum_over_pairs(world, channel):
    """ŷ without what concerns the asker alone, feature by feature in plain loops."""
    data, *_ = world
    users = np.array([3, 70, -1], np.int32)  # of the log, new, nobody
    history = data.state().history(users, np.full(3, NOW))
    requests = Requests.of(users, np.full(3, NOW), history)
    items = np.array([0, 5, 40, 47], np.int32)
    rows = Candidates(np.repeat(np.arange(3, dtype=np.uint32), 4), np.tile(items, 3))
    score = channel.score(requests, rows, data.state()).reshape(3, 4)
    net = channel.net()
    w = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    f = channel.factors
    with torch.inference_mode():
        own = net.rows(torch.from_numpy(channel.column_[items].astype(np.int64))).numpy()  # [4, fields, f + 1]
    asker = channel.known_of(users, requests.time, data.users)
    for r, i in itertools.product(range(3), range(4)):
        features = [w["asker.fields.table"][row] for row in asker["user_codes"][r]]
        taken = history.row(r)["item"]
        features += [w["past.table"][1 + channel.column_[j]] / np.sqrt(len(taken)) for j in taken]
        if channel.own:
            features.append(w["who.table"][asker["row"][r]])
        expected = own[i, :, f].sum()
        expected += sum(a[:f] @ b[:f] for a, b in itertools.combinations(own[i], 2))
        expected += sum(a @ b[:f] for a in features for b in own[i])
        assert score[r, i] == pytest.approx(expected, abs=1e-4)


def test_new_people_are_answered_by_what_they_are(world, channel):
    data, team, maker = world
    users = np.arange(len(team) - TEAMS * NEW, len(team))
    requests = Requests.of(users, np.full(len(users), NOW), empty(len(users)))
    found = channel.retrieve(requests, data.state(), 5)
    assert (maker[found.item] == team[users[found.request]]).mean() > 0.95


def test_new_things_are_answered_by_what_they_are(world, channel):
    """Among the new things alone, those of one's own maker come first."""
    data, team, maker = world
    users, new = np.arange(40), np.arange(len(maker) - TEAMS * NEW, len(maker))
    requests = Requests.of(users, np.full(40, NOW), data.state().history(users, np.full(40, NOW)))
    rows = Candidates(np.repeat(np.arange(40, dtype=np.uint32), len(new)), np.tile(new, 40).astype(np.int32))
    best = channel.score(requests, rows, data.state()).reshape(40, -1).argsort(axis=1)[:, -NEW:]
    assert (maker[new[best]] == team[users][:, None]).mean() > 0.95


def test_a_live_click_moves_the_answer(world, channel):
    data, _, maker = world
    clicked = np.array([1, 2], np.int32)  # things of two makers, clicked by two who are nobody
    history = worlds.dataset(np.array([0, 1]), clicked, np.full(2, START), n_items=data.n_items).state()
    history = history.history(np.array([0, 1]), np.full(2, NOW))
    found = channel.retrieve(Requests.of([-1, -1], np.full(2, NOW), history), data.state(), 5)
    assert (maker[found.item] == maker[clicked][found.request]).mean() > 0.7  # a quarter by chance


def test_nobody_is_answered_by_the_items_own_terms(world, channel):
    data, *_ = world
    found = channel.retrieve(Requests.of([-1], [NOW], empty(1)), data.state(), 5)
    p = channel.vectors(Requests.of([-1], [NOW], empty(1)), data.state())
    assert p[0, 0, -1] == 1
    assert len(found) == 5
    assert found["score"][0] == pytest.approx(float((channel.table_ @ p[0, 0]).max()), abs=1e-5)


def test_it_says_which_settings_do_nothing():
    assert {"hidden", "dropout"} <= FM().without_effect()
