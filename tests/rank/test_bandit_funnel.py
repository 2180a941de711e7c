"""A ranker that draws inside the funnel: its chances ride to the slate, and not past a rule that moves rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shortlist.answer.slate import recommend, tell
from shortlist.component import InputError, Retriever, Rule
from shortlist.data.exposures import SHOWN_AT
from shortlist.merge.quota import Quota
from shortlist.offpolicy.policy import played
from shortlist.pipeline import Pipeline
from shortlist.rank.linucb import LinUCB
from shortlist.rank.thompson import Thompson
from shortlist.rules.explore import Explore
from shortlist.rules.fill import Fill
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests, Samples

ITEMS = 5


class Falling(Retriever):
    """Items from ``first`` on, the same for everybody."""

    first: int = 0

    def retrieve(self, requests, state, k):
        k, n = min(k, ITEMS), len(requests)
        item = np.tile(self.first + np.arange(k, dtype=np.int32), n)
        score = np.tile(1 / (1 + np.arange(k)), n).astype(np.float32)
        return Candidates(np.repeat(np.arange(n, dtype=np.uint32), k), item, {"score": score})


class Upside(Rule):
    """Turns the ranked rows of the second request around."""

    def apply(self, requests, candidates, state):
        place = np.where(candidates["fallback"], 99, candidates.positions())
        turned = (candidates.request == 1) & ~candidates["fallback"]
        return candidates.take(np.lexsort((np.where(turned, -place, place), candidates.request)))


class Shorter(Rule):
    """Drops item 3 of the first request."""

    def apply(self, requests, candidates, state):
        return candidates.take((candidates.request != 0) | (candidates.item != 3))


@pytest.fixture(scope="module")
def state():
    return worlds.dataset(np.zeros(2 * ITEMS), np.arange(2 * ITEMS), worlds.START + np.arange(2 * ITEMS)).state()


def samples(n=40):
    rng = np.random.default_rng(0)
    item = np.tile(np.arange(ITEMS, dtype=np.int32), n)
    rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), ITEMS), item, {"only.rank": item.astype(np.float32) + 1})
    click = (rng.random(len(item)) < 0.2 + 0.1 * (item == 3)).astype(np.float32)
    return Samples(Requests.of(np.zeros(n), np.zeros(n)), rows, {"click": click}, np.ones(len(item), np.float32))


def funnel(ranker, **rules):
    ranker.fit(samples())
    return Pipeline({"only": Falling()}, Quota(k=ITEMS), ranker=ranker, fallback=Falling(first=4), rules=rules)


def thompson():
    return Thompson(columns=["only.rank"], parameters="disjoint", scale=0.5)


def asked(n=3):
    return Requests.of(np.zeros(n), np.full(n, worlds.START + 100))


def test_chances_ride_to_the_slate_and_the_fallback_has_none(state):
    slate, _ = funnel(thompson(), fill=Fill(n=7)).recommend(asked(), state, 7)
    chance = slate["propensity"].reshape(3, 7)
    assert ((chance[:, :5] > 0) & (chance[:, :5] < 1)).all()
    assert np.isnan(chance[:, 5:]).all()  # nobody drew what fills a slate
    assert slate["fallback"].reshape(3, 7)[:, 5:].all()


def test_where_a_rule_moves_or_drops_a_row_its_request_has_no_chances(state):
    slate, _ = funnel(thompson(), upside=Upside(), fill=Fill(n=7)).recommend(asked(), state, 5)
    known = np.isfinite(slate["propensity"].reshape(3, 5))
    assert known.all(1).tolist() == [True, False, True]
    assert not known[1].any()
    slate, _ = funnel(thompson(), shorter=Shorter(), fill=Fill(n=7)).recommend(asked(), state, 4)
    assert np.isfinite(slate["propensity"].reshape(3, 4)).all(1).tolist() == [False, True, True]


def test_an_answer_says_the_chance_or_null(state):
    data = worlds.dataset(np.zeros(2 * ITEMS), np.arange(2 * ITEMS), worlds.START + np.arange(2 * ITEMS))
    pipeline = funnel(thompson(), fill=Fill(n=7))
    told = tell(recommend(pipeline, state, asked(1), 7), pipeline, data)[0]
    assert [line["propensity"] is None for line in told] == [False] * 5 + [True] * 2
    json.dumps(told, allow_nan=False)


def test_off_policy_evaluation_asks_it_under_other_ids(state):
    n = 200
    request, item = np.repeat(np.arange(n, dtype=np.uint32), ITEMS), np.tile(np.arange(ITEMS, dtype=np.int32), n)
    rows = Candidates(request, item, {SHOWN_AT: np.ones(len(item), np.float32)})
    shown = Samples(asked(n), rows, {}, np.ones(len(item), np.float32))
    ranker = thompson()
    found = played(funnel(ranker), shown, state, lambda row, item: np.zeros(len(row)), draws=32)
    assert found.draws == 32
    exact = ranker.chances(asked(1), samples(1).candidates)
    error = np.sqrt(exact * (1 - exact) / (32 * n))
    assert (np.abs(found.target.reshape(n, ITEMS).mean(0) - exact) <= 4 * error).all()
    turned = played(funnel(thompson(), upside=Upside()), shown, state, lambda row, item: np.zeros(len(row)), draws=4)
    assert turned.draws == 4
    sure = played(funnel(LinUCB(columns=["only.rank"])), shown, state, lambda row, item: np.zeros(len(row)), draws=32)
    assert sure.draws == 1


def test_an_explore_slot_stands_behind_linucb_and_not_behind_draws(state):
    explore = Explore(slots=[2], n=3, epsilon=0.5)
    slate, _ = funnel(LinUCB(columns=["only.rank"]), explore=explore).recommend(asked(), state, 3)
    assert set(slate["propensity"]) <= {0.5, 0.25, 1.0}
    believes = Explore(slots=[1], n=1, epsilon=1.0, draw="posterior", temperature=0.5)
    n, ranker = 2000, LinUCB(columns=["only.rank"], parameters="disjoint", alpha=0.0)
    slate, _ = funnel(ranker, explore=believes).recommend(asked(n), state, 1)
    rows = ranker.score(asked(1), samples(1).candidates)
    mean, deviation = (rows[f"posterior.{name}"].astype(float) for name in ("mean", "deviation"))
    np.testing.assert_allclose(rows["score"], mean, rtol=1e-6)  # alpha = 0
    behind = np.delete(np.arange(ITEMS), mean.argmax())
    draws = np.random.default_rng(0).normal(mean[behind], 0.5 * deviation[behind], (100_000, ITEMS - 1)).argmax(1)
    expected = np.bincount(draws, minlength=ITEMS - 1) / 100_000
    for item, share in zip(behind, expected, strict=True):
        here = slate.item == item
        assert here.mean() == pytest.approx(share, abs=4 * np.sqrt(0.25 / n))
        np.testing.assert_allclose(slate["propensity"][here], share, atol=0.01)
    with pytest.raises(InputError, match=r"rules.explore: the rows have a propensity already, from a ranker"):
        funnel(thompson(), explore=explore).recommend(asked(), state, 3)
