"""A planted world with the ranker in the loop: what exploring costs, what it earns, and that its log can be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.offpolicy import Rounds, inverse_propensity
from shortlist.rank.linucb import LinUCB
from shortlist.rank.thompson import Thompson
from shortlist.types import Candidates, Requests, Samples

ITEMS, ROUNDS, STEPS, SEEDS = 12, 12, 60, 6
"""Requests between two updates, updates a run, and worlds."""


class World:
    """Every request sees all items; what a click is worth hangs on the item's taste for the request's mood."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([seed, 5])
        self.taste = self.rng.uniform(-0.35, 0.35, (ITEMS, 2))
        self.worth = self.rng.uniform(0.2, 0.5, ITEMS)
        self.asked = 0

    def ask(self, n):
        """(requests, rows, chance of a click of each row)."""
        mood = self.rng.choice([-1.0, 1.0], (n, 2))
        item = np.tile(np.arange(ITEMS, dtype=np.int32), n)
        request = np.repeat(np.arange(n, dtype=np.uint32), ITEMS)
        rows = Candidates(request, item, {name: mood[request, j].astype(np.float32) for j, name in enumerate("xy")})
        requests = Requests.of(np.zeros(n, np.int32), np.arange(n))
        requests = replace(requests, id=np.arange(self.asked, self.asked + n, dtype=np.uint64))
        self.asked += n
        return requests, rows, np.clip(self.worth[item] + (self.taste[item] * mood[request]).sum(1), 0.02, 0.98)

    def clicks(self, chance):
        """Whether each row shown was clicked."""
        return (self.rng.random(len(chance)) < chance).astype(np.float32)


def shown(requests, rows, click):
    """One row a request, and what came of it."""
    return Samples(requests, rows, {"click": click}, np.ones(len(rows), np.float32))


def start(world, n=6):
    """A first batch by chance alone."""
    requests, rows, chance = world.ask(n)
    picked = np.arange(n) * ITEMS + world.rng.integers(0, ITEMS, n)
    return shown(requests, rows.take(picked), world.clicks(chance[picked]))


def regret(ranker, seed):
    """Mean over all requests of the best item's chance less that of the item shown."""
    world, lost = World(seed), []
    first = start(world)
    if ranker is not None:
        ranker.fit(first)
    for _ in range(STEPS):
        requests, rows, chance = world.ask(ROUNDS)
        if ranker is None:
            picked = np.arange(ROUNDS) * ITEMS + world.rng.integers(0, ITEMS, ROUNDS)
        else:
            score = ranker.score(requests, rows)["score"].reshape(ROUNDS, ITEMS)
            picked = np.arange(ROUNDS) * ITEMS + score.argmax(1)
            ranker.update(shown(requests, rows.take(picked), world.clicks(chance[picked])))
        lost.append(chance.reshape(ROUNDS, ITEMS).max(1) - chance[picked])
    return float(np.mean(lost))


def policies():
    """What makes each ranker, by policy and form; greedy is the same model without a bonus."""
    made = {("uniform", ""): lambda: None}
    for form in ("disjoint", "hybrid"):
        made["greedy", form] = lambda form=form: LinUCB(alpha=0.0, parameters=form)
        made["linucb", form] = lambda form=form: LinUCB(alpha=0.25, parameters=form)
        made["thompson", form] = lambda form=form: Thompson(scale=0.2, parameters=form)
    return made


@pytest.fixture(scope="module")
def lost():
    """[seeds] regret by policy and form."""
    return {name: np.array([regret(make(), seed) for seed in range(SEEDS)]) for name, make in policies().items()}


@pytest.mark.parametrize("form", ["disjoint", "hybrid"])
@pytest.mark.parametrize("name", ["linucb", "thompson"])
def test_exploring_loses_less_than_chance_and_than_never_exploring(lost, name, form):
    mine, greedy = lost[name, form], lost["greedy", form]
    assert (mine < 0.5 * lost["uniform", ""]).all()
    assert mine.mean() < 0.8 * greedy.mean()
    assert mine.max() < 0.7 * greedy.max()  # what exploring is for: never to stay with what is wrong
    if form == "hybrid":
        gain = greedy - mine
        assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(SEEDS)


def test_a_policy_is_worth_what_the_log_of_thompson_says():
    """inverse propensity of another policy on a log of what thompson showed first, against the truth."""
    world = World(1)
    logging = Thompson(scale=0.6, parameters="disjoint").fit(start(world, 100))
    requests, rows, chance = world.ask(4000)
    slate = rows.with_columns(**logging.score(requests, rows), chance=chance).top(1)
    item, n = slate.item, len(requests)
    target = np.full((n, ITEMS), 0.5 / ITEMS) + 0.5 * (np.arange(ITEMS) == 3)  # half the time item 3
    truth = (target * chance.reshape(n, ITEMS)).sum(1)
    first = logging.chances(requests, rows).reshape(n, ITEMS)
    np.testing.assert_allclose(slate["propensity"], first[np.arange(n), item], rtol=1e-6)
    reach = first > 0  # of what the log cannot show nothing can be told
    target, truth = target * reach, (target * reach * chance.reshape(n, ITEMS)).sum(1)
    reward = world.clicks(slate["chance"]).astype(float)
    log = Rounds(reward, slate["propensity"].astype(float), target[np.arange(n), item], np.arange(n))
    terms = inverse_propensity(log)
    error = terms.value.std() / np.sqrt(n)
    assert error < 0.05
    assert abs(terms.estimate - truth.mean()) < 3 * error
    assert abs(reward.mean() - truth.mean()) > 5 * error  # the log's own worth is another one
