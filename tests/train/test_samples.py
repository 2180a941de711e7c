"""Weights of training rows, and what sampling did to the odds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist import train
from shortlist.recipe import POSITIVE, read
from shortlist.train import rankers
from shortlist.train.samples import thinned, weighted
from shortlist.types import Candidates, Requests, Samples


def rows(user, time, per=3, seed=0):
    n = len(user)
    request = np.repeat(np.arange(n, dtype=np.uint32), per)
    label = (np.random.default_rng(seed).random(n * per) < 0.3).astype(np.float32)
    item = np.tile(np.arange(per, dtype=np.int32), n)
    asked = Requests.of(np.array(user), np.array(time))
    return Samples(asked, Candidates(request, item, {"x": label}), {POSITIVE: label}, np.ones(n * per, np.float32))


def test_without_options_nothing_changes():
    samples = rows([0, 1], [5, 9])
    assert weighted(samples) is samples


def test_age_halves_a_rows_weight():
    weight = weighted(rows([0, 1, 2], [0, 10, 20]), half_life=10).weight.reshape(3, 3)
    assert weight[2] / weight[1] == pytest.approx(2)
    assert weight[1] / weight[0] == pytest.approx(2)
    assert weight.mean() == pytest.approx(1)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=12), st.sampled_from([None, 4]))
def test_every_user_weighs_the_same_and_nobody_is_one_each(users, half_life):
    samples = rows(users, np.arange(len(users)))
    weight = weighted(samples, balance=True, half_life=half_life).weight
    who = np.where(np.array(users) < 0, 100 + np.arange(len(users)), users)[samples.candidates.request]
    sums = [weight[who == one].sum() for one in np.unique(who)]
    assert sums == pytest.approx([len(weight) / len(sums)] * len(sums), rel=1e-5)


def test_a_positive_weighs_more_and_the_rate_says_so():
    samples = weighted(rows([0, 1, 2, 3], [0, 0, 0, 0]), positive_weight=4)
    label = samples.labels[POSITIVE] > 0
    assert set(samples.weight[label]) == {4.0}
    assert set(samples.weight[~label]) == {1.0}
    assert samples.rate == 0.25


def test_the_rate_turns_the_odds_of_thinned_rows_back():
    samples = rows(np.arange(400), np.zeros(400), per=50)
    few = weighted(thinned(samples, 5), positive_weight=3)
    y, w = few.labels[POSITIVE] > 0, few.weight
    learned = w[y].sum() / w[~y].sum()
    true = np.sum(samples.labels[POSITIVE] > 0) / np.sum(samples.labels[POSITIVE] == 0)
    assert learned * few.rate == pytest.approx(true, rel=1e-5)
    assert samples.rate == 1
    assert few.take(np.arange(10)).rate == few.rate
    both = Samples.concat([few, few])
    assert both.rate == pytest.approx(few.rate)


def test_the_funnels_rate_is_the_share_of_negatives_it_kept(shop):
    made = {}
    for negatives in (0, 2):
        recipe = read(shop / "shop.toml", [f"samples.negatives={negatives}", "samples.positive_weight=2"])
        data, _ = train.load(recipe, shop)
        cuts = train.Cuts.of(data, recipe)
        pipeline, state = recipe.pipeline(), data.state()
        made[negatives] = rankers.samples_for_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test)
    others = {n: np.sum(found.train.labels[POSITIVE] == 0) for n, found in made.items()}
    assert made[0].unweighted.rate == 1
    assert made[2].unweighted.rate == pytest.approx(others[2] / others[0])
    assert made[2].train.rate == made[2].unweighted.rate / 2
    assert set(made[2].train.weight[made[2].train.labels[POSITIVE] > 0]) == {2.0}
    assert made[2].valid.rate == 1
    assert set(made[2].valid.weight) == {1.0}
