"""Tests over users and seeds, beside scipy and statsmodels; Holm; power; groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_rel
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from shortlist.metrics.significance import contrasts, groups, holm, users_needed


def test_where_everybody_asks_once_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.1, 1, (2, 80, 3))
    for column, found in enumerate(contrasts(a - b, np.arange(80))):
        wanted = ttest_rel(a[:, column], b[:, column])
        interval = wanted.confidence_interval(0.95)
        assert (found.t, found.p, found.df) == pytest.approx((wanted.statistic, wanted.pvalue, 79), abs=1e-12)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
        assert (found.users, math.isnan(found.seed_deviation)) == (80, True)


def test_users_who_ask_often_are_clusters():
    rng = np.random.default_rng(1)
    user = rng.integers(0, 40, 300)
    difference = rng.normal(0, 1, 300) + rng.normal(0.2, 1, 40)[user]
    found = contrasts(difference[:, None], user)[0]
    fitted = OLS(difference, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": user, "use_correction": False})
    assert found.diff == pytest.approx(fitted.params[0], abs=1e-12)
    assert found.error == pytest.approx(fitted.bse[0] * math.sqrt(40 / 39), abs=1e-12)
    assert found.df == 39


def balanced(seed, users=12, seeds=4, of_user=1.0, of_seed=1.0, noise=1.0):
    rng = np.random.default_rng(seed)
    parts = of_user * rng.normal(size=users) + of_seed * rng.normal(size=(seeds, 1))
    return parts + noise * rng.normal(size=(seeds, users))


def test_seeds_and_users_are_the_random_effects_of_the_balanced_table():
    """Mean squares of users U, seeds S and the rest R: error² = (U + S - R) / (users · seeds), df by Satterthwaite."""
    d = balanced(3)
    s, u = d.shape
    grand = d.mean()
    of_users = s * np.sum((d.mean(0) - grand) ** 2) / (u - 1)
    of_seeds = u * np.sum((d.mean(1) - grand) ** 2) / (s - 1)
    rest = np.sum((d - d.mean(0) - d.mean(1)[:, None] + grand) ** 2) / ((u - 1) * (s - 1))
    found = contrasts(d[:, :, None], np.arange(u))[0]
    whole = of_users + of_seeds - rest
    assert found.diff == pytest.approx(grand)
    assert found.error**2 == pytest.approx(whole / (u * s))
    df = whole**2 / (of_users**2 / (u - 1) + of_seeds**2 / (s - 1) + rest**2 / ((u - 1) * (s - 1)))
    assert found.df == pytest.approx(df)
    assert found.seed_deviation == pytest.approx(d.mean(1).std(ddof=1))


def test_seeds_that_agree_add_nothing():
    d = np.random.default_rng(0).normal(size=(50, 1))
    one, five = contrasts(d, np.arange(50))[0], contrasts(np.stack([d] * 5), np.arange(50))[0]
    assert (five.error, five.df, five.p) == pytest.approx((one.error, one.df, one.p))
    assert five.seed_deviation == 0


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_intervals_over_seeds_cover_and_those_over_users_alone_do_not(noise):
    """1,000 tables of 5 seeds and 60 users without a difference: 95 % hold 0, but for chance (once in 10,000)."""
    hits = np.zeros(2)
    for seed in range(1000):
        d = balanced(seed, 60, 5, of_user=1.0, of_seed=0.3, noise=noise)
        both, alone = contrasts(d[:, :, None], np.arange(60))[0], contrasts(d.mean(0)[:, None], np.arange(60))[0]
        hits += [both.low <= 0 <= both.high, alone.low <= 0 <= alone.high]
    assert binom.ppf(1e-4, 1000, 0.95) <= hits[0]
    assert hits[1] < binom.ppf(1e-4, 1000, 0.95)


def test_a_request_that_is_undefined_takes_no_part_with_any_seed():
    d = balanced(0)[:, :, None]
    holed = np.concatenate([d, np.full((4, 1, 1), 7.0)], axis=1)
    holed[2, -1] = np.nan
    assert contrasts(holed, np.arange(13)) == contrasts(d, np.arange(12))


def test_too_few_to_tell():
    one = contrasts(np.ones((3, 1)), np.zeros(3, int))[0]
    assert (one.diff, math.isnan(one.p), math.isnan(one.low), one.users_needed) == (1, True, True, math.inf)
    assert math.isnan(contrasts(np.empty((0, 1)), np.empty(0, int))[0].diff)
    same = contrasts(np.zeros((4, 1)), np.arange(4))[0]
    assert (same.p, same.low, same.high, same.users_needed) == (1, 0, 0, math.inf)
    sure = contrasts(np.ones((4, 1)), np.arange(4))[0]
    assert (sure.p, sure.low, sure.high) == (0, 1, 1)
    assert contrasts(np.ones((4, 1)), np.array([-1, -1, -1, -1]))[0].users == 4  # nobody known: each stands alone
    with pytest.raises(ValueError, match="4 requests for 3 users"):
        contrasts(np.ones((4, 1)), np.arange(3))


@pytest.mark.parametrize("m", [1, 2, 5, 12])
def test_holm_is_that_of_statsmodels(m):
    rng = np.random.default_rng(m)
    for _ in range(2):  # it collects all garbage each time
        p = rng.choice([rng.random(m), rng.random(m) ** 4, np.round(rng.random(m), 1)])
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_what_is_not_known_takes_no_part_in_holm():
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)


@given(st.floats(0.02, 0.6))
def test_users_needed_are_those_of_statsmodels(effect):
    wanted = NormalIndPower(ddof=0).solve_power(effect_size=effect, alpha=0.05, power=0.8, ratio=0)
    assert users_needed(effect, 1.0) == pytest.approx(wanted, abs=1.01)


def test_users_needed_find_it_as_often_as_promised_and_seeds_set_a_bound():
    rng = np.random.default_rng(0)
    n = int(users_needed(0.3, 1.0))
    found = np.mean([contrasts(rng.normal(0.3, 1, (n, 1)), np.arange(n))[0].p < 0.05 for _ in range(2000)])
    assert found == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / 2000) ** 0.5 + 0.01)
    assert users_needed(0.3, 1.0, fixed=0.01) > n
    assert users_needed(0.3, 1.0, fixed=0.02) == math.inf
    few, many = (
        contrasts(balanced(5, u, 5, of_user=3.0, of_seed=0.0)[:, :, None] + 1, np.arange(u))[0] for u in (400, 800)
    )
    assert few.users_needed == pytest.approx(many.users_needed, rel=0.5)


@given(st.integers(1, 8), st.integers(0, 2**28 - 1))
def test_groups_share_a_letter_just_where_nothing_tells_them_apart(m, bits):
    upper = np.triu(np.array([bits >> i & 1 for i in range(m * m)], bool).reshape(m, m), 1)
    differ = upper | upper.T
    found = groups(differ)
    for i in range(m):
        for j in range(m):
            assert bool(set(found[i]) & set(found[j])) == (not differ[i, j])
    assert "a" in found[0]
    together = [{i for i in range(m) if letter in found[i]} for letter in sorted(set("".join(found)))]
    assert not any(one < other for one in together for other in together)


def test_many_systems_that_nothing_tells_apart_are_one_group():
    assert groups(np.zeros((60, 60), bool)) == ["a"] * 60
    apart = groups(~np.eye(30, dtype=bool))
    assert (apart[0], apart[25], apart[26]) == ("a", "z", "aa")
