"""Differences of arms beside statsmodels, scipy and the user bootstrap; CUPED; what must hold first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from shortlist.experiment.bootstrap import bootstrap
from shortlist.experiment.checks import heterogeneity, sample_ratio
from shortlist.experiment.coverage import distinct
from shortlist.experiment.effect import coefficient, effect, estimate
from shortlist.experiment.moments import Moments, moments, pooled


def clicks(n: int, seed: int, lift: float = 0.0) -> tuple[Any, ...]:
    """Users with a taste for clicking and a number of rows of their own: (y, x, y before, x before)."""
    rng = np.random.default_rng(seed)
    taste, rows, before = rng.beta(2, 18, n), 1 + rng.poisson(29, n), 1 + rng.poisson(29, n)
    return rng.binomial(rows, taste * (1 + lift)), rows, rng.binomial(before, taste), before


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-1, 2), *[st.floats(-1e3, 1e3)] * 3), min_size=1, max_size=30),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_moments_are_those_of_numpy_by_group_and_together(rows: list[Any], offset: float) -> None:
    group, *columns = (np.array(column) for column in zip(*rows, strict=True))
    columns = [column + offset for column in columns]
    found = moments(columns[0], columns[1], columns[2], group=group, groups=3)
    for g, part in enumerate(found):
        own = np.stack([column[group == g] for column in columns])
        assert part.n == own.shape[1]
        assert part.mean[3] == 1
        if part.n:
            np.testing.assert_allclose(part.mean[:3], own.mean(1), rtol=1e-9, atol=1e-9)
        if part.n > 1:
            np.testing.assert_allclose(part.covariance[:3, :3], np.cov(own), rtol=1e-6, atol=1e-6 * (1 + offset / 1e4))
            assert not part.covariance[3].any()
    whole, all_at_once = pooled(found), moments(*columns, group=np.where(group < 0, -1, 0))[0]
    assert whole.n == all_at_once.n
    if whole.n:
        np.testing.assert_allclose(whole.mean, all_at_once.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(whole.covariance, all_at_once.covariance, rtol=1e-6, atol=1e-6 * (1 + offset / 1e4))


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3"):
        moments(np.ones(3), np.ones(2))


def test_a_mean_per_user_is_welch_s_test_of_statsmodels_and_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 3, 400), rng.gamma(2, 3.4, 300)
    found = effect(moments(a)[0], moments(b)[0])
    oracle = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    low, high = oracle.tconfint_diff(usevar="unequal")
    np.testing.assert_allclose((found.low, found.high), (low, high), rtol=1e-10)
    np.testing.assert_allclose(found.p, oracle.ttest_ind(usevar="unequal")[1], rtol=1e-9)
    np.testing.assert_allclose(found.p, stats.ttest_ind(a, b, equal_var=False).pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.lift, b.mean() / a.mean() - 1, rtol=1e-12)


def test_a_ratio_is_welch_s_test_of_its_linearised_values() -> None:
    sides = [clicks(500, 2), clicks(400, 3, 0.3)]
    found = effect(*(moments(y, x)[0] for y, x, *_ in sides))
    z = [y.sum() / x.sum() + (y - y.sum() / x.sum() * x) / x.mean() for y, x, *_ in sides]
    np.testing.assert_allclose(found.p, stats.ttest_ind(*z, equal_var=False).pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.difference, z[1].mean() - z[0].mean(), rtol=1e-9)


def test_the_lift_s_bounds_are_those_of_the_logarithm() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.gamma(2, 3, 200), rng.gamma(2, 3.4, 250)
    found = effect(moments(a)[0], moments(b)[0])
    va, vb = (v.var(ddof=1) / len(v) / v.mean() ** 2 for v in (a, b))
    df = (va + vb) ** 2 / (va**2 / 199 + vb**2 / 249)
    times = np.exp(stats.t.ppf(0.975, df) * np.sqrt(va + vb))
    np.testing.assert_allclose(
        (found.lift_low, found.lift_high), (b.mean() / a.mean() / times - 1, b.mean() / a.mean() * times - 1), rtol=1e-9
    )


def test_delta_method_and_user_bootstrap_agree() -> None:
    y, x, *_ = (np.concatenate(pair) for pair in zip(clicks(3000, 5), clicks(3000, 6, 0.1), strict=True))
    treated = np.arange(6000) >= 3000
    low, high, error = bootstrap(y, x, treated, replicates=2000, seed=1)
    found = effect(*moments(y, x, group=treated.astype(int), groups=2))
    assert abs(error / np.sqrt(found.variance) - 1) < 0.05
    np.testing.assert_allclose((low, high), (found.low, found.high), atol=0.08 * (found.high - found.low))
    rows = np.sqrt(sum(r * (1 - r) / x[t].sum() for t in (treated, ~treated) for r in [y[t].sum() / x[t].sum()]))
    assert error / rows > 1.1  # as if every row were a person of its own, an interval would be too short


def test_cuped_takes_the_past_off_and_leaves_the_difference_unbiased() -> None:
    reductions, errors, plain_errors = [], [], []
    for seed in range(60):
        parts = [moments(*clicks(2000, 10 * seed + side))[0] for side in range(2)]
        adjusted, plain = effect(*parts), effect(*parts, cuped=False)
        reductions.append(1 - adjusted.variance / plain.variance)
        errors.append(adjusted.difference)
        plain_errors.append(plain.difference)
    assert abs(np.mean(reductions) - 0.36) < 0.04  # (var(p) / (var(p) + E[p (1 - p)] / 30))^2 = (.0043 / .0071)^2
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(60)
    assert np.var(errors) < np.var(plain_errors)
    assert 0.6 < np.var(errors) / np.mean([adjusted.variance]) < 1.6


def test_theta_is_the_regression_s_slope() -> None:
    rng = np.random.default_rng(7)
    before = rng.normal(size=500)
    now = 3 * before + rng.normal(size=500) + 10
    whole = moments(now, None, before)[0]
    np.testing.assert_allclose(coefficient(whole), stats.linregress(before, now).slope, rtol=1e-10)
    rest = now - coefficient(whole) * (before - before.mean())
    np.testing.assert_allclose(estimate(whole, whole, coefficient(whole)).variance, rest.var(ddof=1) / 500, rtol=1e-9)


def test_a_past_that_says_nothing_changes_nothing() -> None:
    a, b = (moments(np.arange(5.0) + s, None, np.zeros(5))[0] for s in (0, 1))
    assert effect(a, b) == effect(a, b, cuped=False)


@pytest.mark.parametrize(("a", "b"), [([], [1.0, 2.0]), ([1.0], [1.0, 2.0])])
def test_too_few_users_give_no_opinion(a: list[float], b: list[float]) -> None:
    found = effect(moments(np.array(a))[0], moments(np.array(b))[0])
    assert np.isnan([found.low, found.high, found.p]).all()


def test_no_rows_and_no_spread_are_no_error() -> None:
    nothing = effect(moments(np.zeros(3), np.zeros(3))[0], moments(np.zeros(3), np.zeros(3))[0])
    assert np.isnan(nothing.difference)
    same = effect(moments(np.ones(3))[0], moments(np.ones(3))[0])
    assert (same.difference, same.p, same.low, same.high) == (0, 1, 0, 0)
    negative = effect(moments(np.array([-1.0, -2, 0]))[0], moments(np.array([1.0, 2, 0]))[0])
    assert np.isnan(negative.lift)
    assert negative.difference == 2


def test_sample_ratio_is_scipy_s() -> None:
    p = sample_ratio({"a": 50_400, "b": 49_600}, {"a": 0.5, "b": 0.5})
    np.testing.assert_allclose(p, stats.chisquare([50_400, 49_600]).pvalue, rtol=1e-10)
    p = sample_ratio({"a": 300, "b": 100, "c": 0}, {"a": 6, "b": 3, "c": 1})
    np.testing.assert_allclose(p, stats.chisquare([300, 100, 0], [240, 120, 40]).pvalue, rtol=1e-10)
    assert np.isnan(sample_ratio({}, {"a": 1, "b": 1}))


def test_heterogeneity_is_even_where_groups_are_alike_and_small_where_not() -> None:
    rng = np.random.default_rng(8)
    v = np.array([0.01, 0.02, 0.04])
    p = [heterogeneity(0.3 + rng.normal(size=3) * np.sqrt(v), v)[1] for _ in range(500)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert heterogeneity(np.array([0.0, 1.0]), np.array([0.01, 0.01]))[1] < 1e-6
    q, alone = heterogeneity(np.array([0.0, np.nan]), np.array([0.01, 0.01]))
    assert np.isnan([q, alone]).all()


def test_distinct_items_are_those_of_a_draw_without_replacement() -> None:
    rng = np.random.default_rng(9)
    counts = np.array([50, 20, 5, 1, 1, 0])
    rows = np.repeat(np.arange(6), counts)
    drawn = [len(np.unique(rng.permutation(rows)[:20])) for _ in range(4000)]
    assert abs(np.mean(drawn) - distinct(counts, 20)) < 0.05
    assert distinct(counts, 77) == 5
    np.testing.assert_allclose(distinct(np.array([3, 3]), 3), 2 - 2 / 20)
    assert distinct(counts, 0) == 0
    assert np.isnan(distinct(counts, 78))


def test_moments_of_nobody() -> None:
    nobody, some = Moments(0, np.ones(4), np.zeros((4, 4))), moments(np.arange(3.0))[0]
    assert (nobody + some) is some
    assert (some + nobody) is some
