"""What holds of the estimators whatever the log, and that their intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from shortlist.component import InputError
from shortlist.offpolicy import bound, slates
from shortlist.offpolicy.estimators import (
    Terms,
    clipped,
    direct,
    doubly_robust,
    inverse_propensity,
    self_normalised,
    switch,
)
from shortlist.offpolicy.intervals import bootstrap, delta, error, lift
from shortlist.offpolicy.overlap import EFFECTIVE, Overlap, effective_size
from shortlist.offpolicy.reward import PRIOR, Expected, folds
from shortlist.offpolicy.rounds import Rounds
from shortlist.testing import policies


def made(seed, m=200, n=4, **changed):
    """Rounds over n items with rewards and a model drawn at random, and the tables they come from."""
    rng = np.random.default_rng(seed)
    logging, target = rng.dirichlet(np.ones(n)) * 0.9 + 0.1 / n, rng.dirichlet(np.ones(n))
    q = rng.normal(0, 1, n)
    item = rng.choice(n, m, p=logging)
    columns = {
        "reward": rng.normal(0, 1, m),
        "logged": logging[item],
        "target": target[item],
        "cluster": np.arange(m),
        "expected": q[item],
        "value": np.full(m, float(target @ q)),
    }
    return Rounds(**{**columns, **changed})


def every_item(seed, n=5):
    """One round for each item, with the chance that it is the one shown: an expectation is a weighted sum."""
    rng = np.random.default_rng(seed)
    logging, target = rng.dirichlet(np.ones(n)) * 0.9 + 0.1 / n, rng.dirichlet(np.ones(n))
    reward, q = rng.normal(0, 1, (2, n))
    return Rounds(reward, logging, target, np.arange(n), q, np.full(n, float(target @ q))), float(target @ reward)


@given(st.integers(0, 10_000))
def test_ips_and_doubly_robust_are_unbiased(seed):
    rounds, truth = every_item(seed)
    for estimator in (inverse_propensity, doubly_robust):
        assert float(rounds.logged @ estimator(rounds).value) == pytest.approx(truth, abs=1e-9)


@given(st.integers(0, 10_000))
def test_a_perfect_model_leaves_no_variance_to_the_rewards(seed):
    rounds = made(seed)
    perfect = made(seed, reward=rounds.expected)
    for estimator in (doubly_robust, direct, lambda r: switch(r, 1.5), lambda r: doubly_robust(r, 1.5)):
        assert np.array_equal(estimator(perfect).value, perfect.value)
        assert error(estimator(perfect).influence, perfect.cluster) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 10_000))
def test_the_logged_policy_is_worth_what_it_got(seed):
    rounds = made(seed)
    same = made(seed, target=rounds.logged)
    for estimator in (inverse_propensity, self_normalised, lambda r: clipped(r, 1.0)):
        assert estimator(same).estimate == pytest.approx(same.reward.mean(), abs=1e-12)
        assert lift(estimator(same), same.reward, same.cluster).mean == pytest.approx(0, abs=1e-12)
        assert lift(estimator(same), same.reward, same.cluster).high == pytest.approx(0, abs=1e-12)
    assert Overlap.of(same).effective == pytest.approx(len(same))
    assert Overlap.of(same).refused is None


@given(st.integers(0, 10_000), st.floats(-5, 5))
def test_self_normalised_moves_with_the_rewards_and_stays_among_them(seed, more):
    rounds = made(seed)
    found = self_normalised(rounds).estimate
    assert rounds.reward.min() - 1e-9 <= found <= rounds.reward.max() + 1e-9
    assert self_normalised(made(seed, reward=rounds.reward + more)).estimate == pytest.approx(found + more, abs=1e-9)


@given(st.integers(0, 10_000), st.floats(0, 20), st.floats(0, 20))
def test_bounds(seed, one, other):
    rounds = made(seed)
    paid = made(seed, reward=np.abs(rounds.reward))
    low, high = sorted((one, other))
    assert clipped(paid, low).estimate <= clipped(paid, high).estimate <= inverse_propensity(paid).estimate
    most = float(rounds.weight.max())
    assert np.array_equal(clipped(rounds, most).value, inverse_propensity(rounds).value)
    assert np.array_equal(switch(rounds, most).value, doubly_robust(rounds).value)
    assert np.array_equal(doubly_robust(rounds, most).value, doubly_robust(rounds).value)
    assert switch(rounds, -1.0).estimate == direct(rounds).estimate


def test_figures_by_hand():
    rounds = Rounds(
        np.array([1.0, 0.0, 2.0]),
        np.array([0.5, 0.25, 0.2]),
        np.array([0.25, 0.5, 1.0]),  # weights .5, 2, 5
        np.arange(3),
        np.array([0.5, 0.5, 1.0]),
        np.array([1.0, 2.0, 3.0]),
    )
    assert inverse_propensity(rounds).estimate == pytest.approx((0.5 + 0 + 10) / 3)
    assert self_normalised(rounds).estimate == pytest.approx(10.5 / 7.5)
    assert clipped(rounds, 3.0).estimate == pytest.approx((0.5 + 0 + 6) / 3)
    assert direct(rounds).estimate == pytest.approx(2)
    assert doubly_robust(rounds).estimate == pytest.approx((1 + 0.25 + 2 - 1 + 3 + 5) / 3)
    assert switch(rounds, 3.0).estimate == pytest.approx((1 + 0.25 + 2 - 1 + 3) / 3)
    assert effective_size(rounds.weight) == pytest.approx(7.5**2 / (0.25 + 4 + 25))


def test_slates_by_hand():
    slate, reward = np.array([7, 7, 3, 3, 3]), np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    logged, target = np.full(5, 0.5), np.array([1.0, 0.25, 0.5, 1.0, 0.0])  # weights 2 .5 | 1 2 0
    assert np.array_equal(slates.so_far(slate, target / logged), [2, 1, 1, 2, 0])
    assert slates.independent(slate, reward, logged, target).value.tolist() == [2.5, 2]
    assert slates.reward_interaction(slate, reward, logged, target).value.tolist() == [3, 2]
    assert slates.whole(slate, reward, logged, target).value.tolist() == [2, 0]
    assert slates.independent(slate, reward, logged, target).estimate == 2.25


@pytest.mark.parametrize("cascade", [False, True])
def test_slate_estimators_are_unbiased_where_their_assumption_holds(cascade):
    """Means over many worlds lie within four standard errors of the truth; that of the wrong assumption does not."""
    gaps = {"independent": [], "reward_interaction": [], "whole": []}
    for seed in range(60):
        world = policies.slates(seed, cascade=cascade)
        chances = (world.logged_given, world.target_given)
        for name in gaps:
            asked = (world.logged, world.target) if name == "independent" else chances
            found = getattr(slates, name)(world.slate, world.reward, *asked).estimate
            gaps[name].append(found - world.truth)
    far = {name: abs(np.mean(gap)) / (np.std(gap) / np.sqrt(len(gap))) for name, gap in gaps.items()}
    assert far["reward_interaction"] < 4
    assert far["whole"] < 4
    assert (far["independent"] < 4) != cascade
    assert np.std(gaps["reward_interaction"]) < np.std(gaps["whole"])


def test_slates_of_one_row_are_rounds():
    rounds = made(3)
    for estimator in (slates.independent, slates.reward_interaction, slates.whole):
        asked = (np.arange(len(rounds)), rounds.reward, rounds.logged, rounds.target)
        assert estimator(*asked).estimate == pytest.approx(inverse_propensity(rounds).estimate)


def test_error_is_that_of_a_mean_and_heeds_clusters():
    rounds = made(1, m=500)
    terms = inverse_propensity(rounds)
    assert error(terms.influence, rounds.cluster) == pytest.approx(terms.value.std(ddof=1) / np.sqrt(500))
    tenfold = Terms(np.repeat(terms.value, 10), np.ones(5000))
    assert error(tenfold.influence, np.repeat(rounds.cluster, 10)) == pytest.approx(
        error(terms.influence, rounds.cluster)
    )
    assert error(tenfold.influence, np.zeros(5000, int)) == np.inf


def test_skewed_rounds_have_a_longer_upper_end():
    """The mean of 30 exponential draws: mended intervals miss the truth as often above as below, plain ones do not."""
    rng = np.random.default_rng(0)
    missed = {True: np.zeros(2), False: np.zeros(2)}
    for _ in range(4000):
        terms = Terms(rng.exponential(1, 30), np.ones(30))
        for mended, sides in missed.items():
            interval = delta(terms, np.arange(30), mended=mended)
            sides += [interval.high < 1, interval.low > 1]
    below, above = missed[True] / 4000
    assert below + above < sum(missed[False]) / 4000
    assert below - above < 0.6 * (missed[False][0] - missed[False][1]) / 4000
    plain = delta(Terms(np.arange(30.0), np.ones(30)), np.arange(30), mended=False)
    assert delta(Terms(np.arange(30.0), np.ones(30)), np.arange(30)) == plain  # nothing is skewed
    assert plain.high - plain.mean == pytest.approx(1.959964 * np.arange(30).std(ddof=1) / 30**0.5)


@pytest.mark.parametrize("estimator", [inverse_propensity, self_normalised, doubly_robust])
def test_bootstrap_and_delta_method_agree(estimator):
    rounds, _ = policies.rounds(5, users=600)
    drawn, told = bootstrap([estimator(rounds)], rounds.cluster)[0], delta(estimator(rounds), rounds.cluster)
    assert drawn.mean == pytest.approx(told.mean)
    width = told.high - told.low
    assert drawn.high - drawn.low == pytest.approx(width, rel=0.08)
    assert drawn.low == pytest.approx(told.low, abs=0.1 * width)


@pytest.mark.parametrize("knows", [False, True])
def test_intervals_cover_and_doubly_robust_is_narrower(knows):
    """60 worlds: no fewer hits than 95 % intervals have by chance (once in 10,000); bench/offpolicy asks 500."""
    hits, ratio = {inverse_propensity: 0, self_normalised: 0, doubly_robust: 0}, []
    for seed in range(60):
        rounds, truth = policies.rounds(seed, knows=knows)
        found = {estimator: delta(estimator(rounds), rounds.cluster) for estimator in hits}
        for estimator, interval in found.items():
            hits[estimator] += interval.low <= truth <= interval.high
        widths = {estimator: interval.high - interval.low for estimator, interval in found.items()}
        ratio.append(widths[doubly_robust] / widths[inverse_propensity])
    assert min(hits.values()) >= binom.ppf(1e-4, 60, 0.95)
    assert np.mean(ratio) < 0.95
    assert np.mean(np.array(ratio) < 1) > 0.9


def test_bounds_are_chosen_by_bias_and_variance():
    """One round in fifty has a hundredfold weight. Where its reward is as any other's a bound costs bias; where it has
    no reward a bound costs nothing."""
    rng = np.random.default_rng(0)
    m = 2000
    rare = np.arange(m) % 50 == 0
    logged, target = np.where(rare, 0.01, 1.0), np.ones(m)
    paid = Rounds(rng.normal(1, 0.1, m), logged, target, np.arange(m))
    free = Rounds(np.where(rare, 0.0, rng.normal(1, 0.1, m)), logged, target, np.arange(m))
    bounds = [1.0, 10.0, 100.0]
    assert bound.least_error(paid, clipped, bounds, sure=False) == 100
    assert bound.slope(paid, clipped, bounds) == 100
    assert bound.slope(free, clipped, bounds) in bounds
    assert clipped(free, bound.least_error(free, clipped, bounds)).estimate == pytest.approx(free.reward.mean())
    assert bound.grid(paid)[-1] == pytest.approx(100)
    assert bound.grid(made(0, target=np.zeros(200))).tolist() == [1]


def test_a_bound_pays_where_weights_are_wild():
    """Over 80 logs the bias-aware bound has a smaller mean squared error than IPS."""
    gaps = {"ips": [], "clipped": []}
    for seed in range(80):
        rng = np.random.default_rng(seed)
        logging = np.array([0.002, 0.499, 0.499])
        item = rng.choice(3, 400, p=logging)
        reward = rng.binomial(1, 0.3, 400).astype(float)
        rounds = Rounds(reward, logging[item], np.full(400, 1 / 3), np.arange(400))
        gaps["ips"].append(inverse_propensity(rounds).estimate - 0.3)
        gaps["clipped"].append(clipped(rounds, bound.least_error(rounds, clipped, sure=False)).estimate - 0.3)
    assert np.mean(np.square(gaps["clipped"])) < np.mean(np.square(gaps["ips"]))


def test_refusals():
    m = 1000
    good = np.full(m, 0.5)
    paid = np.ones(m)
    assert Overlap.of(Rounds(paid, good, good, np.arange(m))).refused is None
    few = np.where(np.arange(m) < EFFECTIVE - 1, 0.5, 0)
    assert "99 of 1,000" in Overlap.of(Rounds(paid, good, few, np.arange(m))).refused
    assert "4 rewarded of the 1,000" in Overlap.of(Rounds(1.0 * (np.arange(m) < 4), good, good, np.arange(m))).refused
    said = Overlap.of(Rounds(paid, good, np.full(m, 0.3), np.arange(m))).refused
    assert "mean weight is 0.60" in said
    assert "\n" not in said
    never = Overlap.of(Rounds(paid, good, np.zeros(m), np.arange(m)))
    assert (never.effective, never.shown) == (0, 0)
    assert "0 of 1,000" in never.refused
    spread = Overlap.of(Rounds(paid, good, np.linspace(0, 1, m), np.arange(m)))
    assert spread.quantiles["0.5"] == pytest.approx(1)
    assert spread.largest == 2
    assert spread.mean.mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("logged", 0.0, "logged: round 3: expected a chance above 0"),
        ("logged", 1.5, "found 1.5"),
        ("logged", np.nan, "found nan"),
        ("target", -0.1, "target: round 3"),
        ("reward", np.inf, "reward: round 3: expected a finite number"),
        ("value", np.nan, "value: round 3"),
    ],
)
def test_rounds_that_cannot_be_are_refused(column, value, said):
    whole = getattr(made(0), column).copy()
    whole[2] = value
    with pytest.raises(InputError, match=said):
        made(0, **{column: whole})


def test_columns_of_other_lengths_and_halves_of_a_model_are_refused():
    with pytest.raises(InputError, match="target: expected 200 values, as many as rewards, found 3"):
        made(0, target=np.ones(3))
    with pytest.raises(InputError, match="value: expected 200 values, as many as rewards, found none"):
        made(0, value=None)
    with pytest.raises(InputError, match="needed by estimators with a model"):
        doubly_robust(made(0, value=None, expected=None))


def test_the_model_learns_no_round_from_itself():
    rng = np.random.default_rng(0)
    item, place = rng.integers(0, 5, 300), rng.integers(1, 3, 300)
    reward, cluster = rng.binomial(1, 0.3, 300).astype(float), np.arange(300) // 3
    fold = folds(cluster)
    assert all(len(set(fold[cluster == c])) == 1 for c in range(100))
    before = Expected.fit(item, place, reward, fold, 5, 2)
    other = np.where(fold == 2, 1 - reward, reward)
    after = Expected.fit(item, place, other, fold, 5, 2)
    mine = fold == 2
    assert np.array_equal(before.of(item, place, fold)[mine], after.of(item, place, fold)[mine])
    assert not np.allclose(before.of(item, place, fold)[~mine], after.of(item, place, fold)[~mine])


def test_the_model_by_hand():
    """Fold 0 is asked of fold 1: place 1 has two rounds, one rewarded, and the mean of all is 1/3."""
    item, place = np.array([0, 1, 1, 0]), np.array([1, 1, 2, 1])
    reward, fold = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1, 1, 1, 0])
    model = Expected.fit(item, place, reward, fold, 3, 2)
    rate = {1: (1 + 1 / 3) / 3, 2: (0 + 1 / 3) / 2}
    wanted = rate[1] * (1 + PRIOR) / (rate[1] + PRIOR)
    assert model.of(np.array([0]), np.array([1]), np.array([0]))[0] == pytest.approx(wanted)
    assert model.of(np.array([2]), np.array([2]), np.array([0]))[0] == pytest.approx(rate[2])  # an item never shown
    assert model.of(np.array([-1]), np.array([1]), np.array([0]))[0] == 0
