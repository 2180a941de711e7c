"""Intervals for daily peeking, planning, interleaving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower

from shortlist.experiment import plan
from shortlist.experiment.interleave import credited, drafted, preference
from shortlist.experiment.sequence import p_value, reach


@given(st.floats(1e-8, 1e4), st.floats(1e-4, 1e3), st.floats(1e-4, 0.5))
def test_the_interval_ends_where_the_p_value_reaches_alpha(variance: float, tau: float, alpha: float) -> None:
    wide = reach(variance, tau, alpha)
    np.testing.assert_allclose(p_value(wide, variance, tau), alpha, rtol=1e-6)
    assert p_value(0.0, variance, tau) == 1
    assert wide > stats.norm.isf(alpha / 2) * np.sqrt(variance)  # what holds always is wider than what holds once


def test_it_is_the_asymptotic_confidence_sequence_of_waudby_smith_et_al() -> None:
    """Their (1): sigma sqrt(2 (n rho² + 1) / (n² rho²) log(sqrt(n rho² + 1) / alpha)), rho = tau / sigma."""
    n, sigma, tau, alpha = np.arange(1, 5000, 37), 2.0, 0.1, 0.05
    rho2 = (tau / sigma) ** 2
    theirs = sigma * np.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha))
    np.testing.assert_allclose(reach(sigma**2 / n, tau, alpha), theirs, rtol=1e-12)


def test_whoever_looks_a_thousand_times_is_rarely_wrong() -> None:
    rng = np.random.default_rng(1)
    n = np.arange(1, 1001)
    mean = np.cumsum(rng.normal(size=(2000, 1000)), axis=1) / n
    ever = (np.abs(mean[:, 9:]) > reach(1 / n[9:], 0.1)).any(axis=1).mean()
    naive = (np.abs(mean[:, 9:]) > 1.96 / np.sqrt(n[9:])).any(axis=1).mean()
    assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert naive > 0.4


def test_no_spread_and_no_scale() -> None:
    assert reach(0.0, 1.0) == 0
    assert np.isnan(reach(0.0, 0.0))
    assert reach(1.0, 0.0) == np.inf
    assert p_value(1.0, 0.0, 1.0) == 0
    assert p_value(0.0, 0.0, 1.0) == 1


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2)])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_the_plan_is_statsmodels(shares: tuple[float, float], power: float) -> None:
    solved = NormalIndPower().solve_power(0.05, alpha=0.05, power=power, ratio=shares[1] / shares[0])
    whole = plan.users_needed(0.1, 4.0, shares, power=power)
    assert abs(whole - solved / shares[0]) < 1.01
    np.testing.assert_allclose(plan.detectable(whole, 4.0, shares, power=power), 0.1, rtol=1e-3)
    np.testing.assert_allclose(plan.power_of(whole, 0.1, 4.0, shares), power, rtol=1e-3)
    ours = plan.power_of(100, 0.5, 4.0, shares)
    theirs = NormalIndPower().power(0.25, 100 * shares[0], 0.05, shares[1] / shares[0])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_plan_for_nothing_is_refused() -> None:
    for wrong in ((0.0, 1.0), (0.1, 0.0)):
        with pytest.raises(ValueError, match="nothing to plan"):
            plan.users_needed(*wrong)
    with pytest.raises(ValueError, match="expected share"):
        plan.ratio_users(0.5, 0.5)


def test_the_users_for_a_skewed_split_find_it() -> None:
    n = plan.ratio_users(0.5, 0.52, power=0.9)
    found = stats.binom.rvs(n, 0.52, size=4000, random_state=1)
    p = stats.chi2.sf((found - n / 2) ** 2 / (n / 4), 1)
    assert abs((p < 0.001).mean() - 0.9) < 0.02


def test_days_until_enough_were_seen() -> None:
    day = 86_400_000_000
    seen = plan.arrivals(np.array([0, 1, day, 5 * day, 9 * day]), 0, 4)
    assert seen.tolist() == [2, 3, 3, 3]
    assert plan.days_needed(3, seen) == 2
    assert plan.days_needed(4, [1, 2, 3]) == 4
    assert plan.days_needed(10, [1, 2, 3]) == 10
    assert plan.days_needed(5, [4, 4, 4, 4, 4, 4, 4, 4]) == np.inf
    assert plan.days_needed(5, []) == np.inf


items = st.lists(st.integers(0, 15), max_size=10, unique=True)


@given(items, items, st.integers(0, 12), st.lists(st.integers(0, 1), min_size=12, max_size=12))
def test_a_drafted_slate_is_full_without_doubles_and_fair(a: list[int], b: list[int], n: int, coins: list[int]) -> None:
    picks = drafted(a, b, n, coins[:n])
    shown = [(a, b)[team][row] for team, row in picks]
    assert len(set(shown)) == len(shown) == min(n, len({*a, *b}))
    for team, ranking in ((0, a), (1, b)):
        rows = [row for t, row in picks if t == team]
        assert rows == sorted(rows)
        for row in rows:  # everything better in its own ranking is above it
            place = shown.index(ranking[row])
            assert set(ranking[:row]) <= set(shown[:place])
    both = min(len({*a} - {*b}), len({*b} - {*a}))
    counts = [sum(team == t for team, _ in picks[: 2 * both]) for t in (0, 1)]
    assert abs(counts[0] - counts[1]) <= 1


def test_a_draft_by_hand() -> None:
    assert drafted("abc", "axy", 4, [0, 1, 0, 0]) == [(0, 0), (1, 1), (1, 2), (0, 1)]


def test_preference_is_student_s_test_of_users() -> None:
    d, c = np.array([-1.0, 2, -1, -3, 4]), np.array([1, 2, 3, 3, 4])
    told = preference(np.append(d, 0), np.append(c, 0))  # who clicked nothing says nothing
    z = d.sum() / c.sum() + (d - d.sum() / c.sum() * c) / c.mean()
    assert told["users"] == 5
    np.testing.assert_allclose(told["preference"], 1 / 13)
    np.testing.assert_allclose(told["p"], stats.ttest_1samp(z, 0).pvalue)
    interval = stats.ttest_1samp(z, 0).confidence_interval()
    np.testing.assert_allclose((told["low"], told["high"]), interval)
    assert np.isnan(preference(np.array([1]), np.array([1]))["p"])


def test_a_click_on_what_both_would_have_shown_there_says_little() -> None:
    every = np.array([[first, second, 0, 0] for first in (0, 1) for second in (0, 1)])
    picks, credit = credited("abcd", "abdc", 4, every)
    assert [team for team, _ in picks] == [0, 1, 0, 1]
    assert credit == [0, 0, -1, 1]  # a and b stand first whoever picks; then c is a's and d is b's
    assert credited("ab", "", 4, every)[1] == [-1, -1]


def test_credit_has_the_expectation_of_teams_and_less_noise() -> None:
    rng, a, b = np.random.default_rng(3), list("abcdefgh"), list("abdcxfgy")
    appeal = {item: 0.1 + 0.08 * number for number, item in enumerate("zyxhgfedcba")}
    raw, credit = [], []
    for _ in range(3000):
        picks, credits = credited(a, b, 6, rng.integers(0, 2, (16, 6)))
        hit = [rng.random() < appeal[(a, b)[team][row]] / (1 + k) for k, (team, row) in enumerate(picks)]
        raw.append(sum(2 * team - 1 for (team, _), clicked in zip(picks, hit, strict=True) if clicked))
        credit.append(sum(one for one, clicked in zip(credits, hit, strict=True) if clicked))
    assert abs(np.mean(raw) - np.mean(credit)) < 4 * np.std(np.subtract(raw, credit)) / np.sqrt(3000)
    assert np.var(credit) < 0.8 * np.var(raw)


def test_nobody_is_preferred_where_clicks_fall_by_chance() -> None:
    """Lists of very different make: whoever clicks anywhere gives neither an advantage."""
    rng, a, b = np.random.default_rng(1), list("abcdefgh"), list("bcdxyazw")
    sums = np.zeros((4000, 2))
    for user in range(4000):
        _, credits = credited(a, b, 6, rng.integers(0, 2, (8, 6)))
        hit = rng.random(6) < 0.3
        sums[user] = np.dot(credits, hit), hit.sum()
    told = preference(sums[:, 0], sums[:, 1])
    assert told["low"] < 0 < told["high"]
    assert abs(told["preference"]) < 0.03
