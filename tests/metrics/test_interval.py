"""Intervals by resampling users: right estimate, honest width, reproducible."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.metrics import interval
from shortlist.metrics.interval import (
    gain,
    mean_interval,
    mean_intervals,
    paired_interval,
    user_mean_interval,
    user_means,
)


def clustered(rng, users=60, spread=1.0):
    """Requests whose values depend on the user; busy users ask up to 20 times."""
    owner = np.repeat(np.arange(users), rng.integers(1, 20, users))
    return rng.normal(size=users)[owner] * spread + 0.3 * rng.normal(size=len(owner)), owner


def plain(values, users, seed, replicates):
    """Draw users, put all their requests in one pile, take the mean of the pile."""
    names = np.unique(users)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(replicates):
        drawn = names[rng.integers(0, len(names), len(names))]
        means.append(np.mean(np.concatenate([values[users == name] for name in drawn])))
    return np.quantile(means, [0.025, 0.975])


def test_is_the_bootstrap_over_users():
    values, users = clustered(np.random.default_rng(0), users=25)
    found = mean_interval(values, users, seed=5, replicates=300)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(plain(values, users, 5, 300))


def test_covers_the_truth_where_resampling_requests_would_not():
    rng = np.random.default_rng(1)
    by_user = by_request = 0
    for trial in range(120):
        values, users = clustered(rng)  # true mean 0
        found = mean_interval(values, users, trial, replicates=300)
        naive = mean_interval(values, np.arange(len(values)), trial, replicates=300)
        by_user += found.low <= 0 <= found.high
        by_request += naive.low <= 0 <= naive.high
    assert by_user >= 0.87 * 120  # 95 % asked, 3.5 standard errors below
    assert by_request <= 0.75 * 120


def test_pairing_removes_what_two_systems_share():
    rng = np.random.default_rng(2)
    a, users = clustered(rng, spread=3)
    b = a - 0.1 + 0.1 * rng.normal(size=len(a))
    found = paired_interval(a, b, users)
    assert found.low <= 0.1 <= found.high
    assert found.high - found.low < 0.1
    assert found.p < 0.001
    assert paired_interval(b, a, users).diff == pytest.approx(-found.diff)


def test_p_values_are_even_when_nothing_differs():
    rng = np.random.default_rng(3)
    p = []
    for trial in range(200):
        a, users = clustered(rng, users=30)
        p.append(paired_interval(a, np.zeros_like(a), users, trial, replicates=200).p)
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.11
    assert 0.4 <= np.mean(p) <= 0.6


def test_identical_systems_differ_by_nothing():
    values, users = clustered(np.random.default_rng(4))
    found = paired_interval(values, values, users)
    assert (found.diff, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_p_of_two_users_is_exact():
    # both users better: of the four sign patterns two are as far from zero
    assert paired_interval([1.0, 1.0], [0.0, 0.0], [0, 1], replicates=4000).p == pytest.approx(0.5, abs=0.04)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=2, max_size=30).filter(
        lambda rows: len({user for user, _ in rows}) > 1
    ),
    st.integers(0, 99),
)
def test_holds_the_estimate_between_the_extremes_in_any_order(rows, seed):
    users, values = (np.array(column) for column in zip(*rows, strict=True))
    found = mean_interval(values, users, seed, replicates=100)
    assert values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9
    turned = mean_interval(values[::-1], users[::-1], seed, replicates=100)
    assert (turned.mean, turned.low, turned.high) == pytest.approx((found.mean, found.low, found.high), abs=1e-12)


def test_the_macro_mean_gives_every_user_one_voice():
    values, users = np.array([1.0, 1, 1, 0]), np.array([4, 4, 4, 9])
    np.testing.assert_allclose(user_means(values, users), [1, 0])
    assert user_mean_interval(values, users).mean == 0.5
    assert mean_interval(values, users).mean == 0.75


def test_undefined_requests_take_no_part():
    values, users = np.array([1.0, np.nan, 0.0, np.nan]), np.array([0, 0, 1, 2])
    assert mean_interval(values, users).mean == 0.5
    columns = mean_intervals(np.stack([values, np.full(4, np.nan)], axis=1), users)
    assert columns[0] == mean_interval(values, users)
    assert np.isnan(columns[1].mean)
    np.testing.assert_array_equal(user_means(values, users), [1, 0, np.nan])
    assert np.isnan(paired_interval(values, np.full(4, np.nan), users).p)


def test_one_user_has_a_mean_but_no_interval():
    found = mean_interval([0.0, 1.0], [7, 7])
    assert found.mean == 0.5
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(mean_interval([], []).mean)
    found = mean_interval([0.0, 1.0, np.nan], [7, 7, 8])  # the other user's metric is undefined
    assert found.mean == 0.5
    assert np.isnan([found.low, found.high]).all()


def test_requests_of_nobody_are_strangers_to_each_other():
    number, n = interval.clusters(np.array([-1, 5, -1, 5, 2]))
    assert number.tolist() == [2, 1, 3, 1, 0]
    assert n == 4
    assert interval.clusters(np.array([-1, -1]))[1] == 2
    assert interval.clusters(np.array(["b", "a", "b"]))[0].tolist() == [1, 0, 1]


def test_weights_make_a_weighted_mean():
    values, weights, users = np.array([1.0, 0, np.nan]), np.array([3.0, 1, 9]), np.array([0, 1, 2])
    found = mean_interval(values, users, weights=weights)
    assert found.mean == 0.75
    assert (found.low, found.high) == (0, 1)


def test_draws_do_not_depend_on_the_memory_they_are_given(monkeypatch):
    values, users = clustered(np.random.default_rng(6), users=11)
    whole = mean_interval(values, users, 3, replicates=50), paired_interval(values, -values, users, 3, replicates=50)
    for cells in (35, 5):  # three draws at a time, and fewer than one draw needs
        monkeypatch.setattr(interval, "CELLS", cells)
        mine = mean_interval(values, users, 3, replicates=50)
        paired = paired_interval(values, -values, users, 3, replicates=50)
        for found, expected in zip((mine, paired), whole, strict=True):  # sums of one row and of many: the last bit
            assert astuple(found) == pytest.approx(astuple(expected), abs=1e-12)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 values for 3 users"):
        mean_interval([1.0, 2.0], [0, 1, 2])


def test_a_gain_has_the_error_of_users_and_none_that_is_known_from_one_user():
    one, other = np.array([3, 5, 2, np.nan, 7]), np.array([1, 1, 1, 1, 1.0])
    users = np.array([4, 4, 9, 9, -2])
    # differences 2, 4 | 1 | 6, mean 3.25: what the users are off it is -0.5, -2.25 and 2.75
    assert gain(one, other, users) == pytest.approx((3.25, np.sqrt(0.5**2 + 2.25**2 + 2.75**2) / 4))
    assert gain(one[:2], other[:2], users[:2]) == (3, np.inf)
    assert gain(one[2:4], other[2:4], users[2:4]) == (1, np.inf)
    nothing = gain(one[3:4], other[3:4], users[3:4])
    assert np.isnan(nothing[0])
    assert nothing[1] == np.inf


def test_each_column_may_have_weights_of_its_own():
    rng = np.random.default_rng(0)
    values, weights, users = rng.normal(size=(60, 2)), rng.uniform(0, 3, (60, 2)), rng.integers(0, 20, 60)
    found = mean_intervals(values, users, 3, weights=weights)
    for column in range(2):
        alone = mean_interval(values[:, column], users, 3, weights=weights[:, column])
        assert astuple(found[column]) == pytest.approx(astuple(alone), abs=1e-12)
