"""Figures of single columns against their plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.metrics.columns import column_auc, column_gauc, out_of_fold_means
from shortlist.metrics.dependence import entropy, expected_mutual_information, mutual_information
from shortlist.metrics.drift import kolmogorov_smirnov, population_stability
from shortlist.metrics.ranking import auc

tables = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=2, max_size=40)


@given(tables)
def test_mutual_information_is_the_double_sum(rows):
    y, x = np.array(rows).T
    expected = 0.0
    for a in (0, 1):
        for b in range(5):
            joint = np.mean((y == a) & (x == b))
            if joint:
                expected += joint * math.log(joint / (np.mean(y == a) * np.mean(x == b)))
    assert mutual_information(y, x) == pytest.approx(expected, abs=1e-12)
    assert mutual_information(y, x) <= entropy(y) + 1e-12


@pytest.mark.parametrize(("m", "p", "values"), [(60, 0.3, 5), (60, 0.5, 60), (2000, 0.02, 300)])
def test_chance_is_what_shuffled_labels_give_on_average(m, p, values):
    rng = np.random.default_rng(1)
    y = (rng.random(m) < p).astype(float)
    x = np.arange(m) if values == m else rng.integers(0, values, m)
    shuffled = [mutual_information(rng.permutation(y), x) for _ in range(400)]
    error = np.std(shuffled) / 20
    assert abs(expected_mutual_information(y, x) - np.mean(shuffled)) <= 4 * error + 1e-9


def test_a_column_of_names_explains_everything_and_nothing_beyond_chance():
    y = np.array([0, 1, 1, 0, 1, 0, 0, 0.0])
    assert mutual_information(y, np.arange(8)) == pytest.approx(entropy(y))
    assert expected_mutual_information(y, np.arange(8)) == pytest.approx(entropy(y))
    assert mutual_information(y, y.astype(int)) == pytest.approx(entropy(y))


def test_unobserved_labels_are_left_out():
    y, x = np.array([0, 1, 1, 0.0]), np.array([0, 1, 1, 1])
    more, codes = np.append(y, [np.nan, np.nan]), np.append(x, [5, 0])
    assert mutual_information(more, codes) == mutual_information(y, x)
    assert expected_mutual_information(more, codes) == expected_mutual_information(y, x)
    assert entropy(more) == entropy(y)
    assert math.isnan(mutual_information(np.full(2, np.nan), np.zeros(2)))


def test_stability_index_by_hand_and_by_chance():
    p, q = np.array([30.5, 70.5]) / 101, np.array([50.5, 50.5]) / 101
    assert population_stability([30, 70], [50, 50]) == pytest.approx(sum((q - p) * np.log(q / p)))
    assert population_stability([30, 70, 0], [30, 70, 0]) == 0
    assert population_stability([100, 0], [0, 100]) > 5
    p, q = np.array([1.5, 50.5]) / 52, np.array([0.5, 50.5]) / 51  # one row in a bin is a bin
    assert population_stability([1, 50], [0, 50]) == pytest.approx(sum((q - p) * np.log(q / p)))
    assert math.isnan(population_stability([0, 0], [1, 2]))
    rng = np.random.default_rng(0)
    same = [
        population_stability(rng.multinomial(1000, [0.1] * 10), rng.multinomial(500, [0.1] * 10)) for _ in range(300)
    ]
    assert np.mean(same) == pytest.approx(9 * (1 / 1000 + 1 / 500), rel=0.1)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=15), st.lists(st.integers(0, 6), min_size=1, max_size=15))
def test_kolmogorov_smirnov_is_the_largest_gap(a, b):
    gaps = [abs(np.mean(np.array(a) <= x) - np.mean(np.array(b) <= x)) for x in range(7)]
    assert kolmogorov_smirnov([*map(float, a), np.nan], b) == pytest.approx(max(gaps))


def test_a_number_may_point_down_and_missing_may_tell():
    y = np.array([1, 1, 0, 0, 0, 1.0])
    x = np.array([1, 2, 3, 4, 5, 0.0])
    assert column_auc(y, x) == (1.0, -1)
    assert column_auc(y, -x) == (1.0, 1)
    gone = np.where(y == 1, np.nan, 3.0)
    assert column_auc(y, gone) == (1.0, -1) or column_auc(y, gone) == (1.0, 1)
    assert column_auc(y, np.where(y == 1, np.inf, 3.0)) == (1.0, 1)
    assert column_auc(y, np.full(6, 2.0)) == (0.5, 1)


def test_within_requests_a_column_of_the_request_tells_nothing():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(50), 8)
    y = (rng.random(400) < np.repeat(rng.random(50), 8)).astype(float)
    rate = np.bincount(group, y)[group]
    assert column_auc(y, rate)[0] > 0.7
    assert column_gauc(y, rate, group) == (0.5, 1)


def test_missing_rows_stand_where_they_say_more():
    x = np.array([np.nan, 2, 1, 1.5])
    assert column_auc(np.array([1, 1, 0, 0.0]), x) == (1.0, 1)  # below all: .5, above all: 1
    assert column_auc(np.array([0, 0, 1, 1.0]), x) == (1.0, -1)
    assert column_auc(np.array([0, 1.0]), np.array([np.nan, 1.0])) == (1.0, 1)  # no tie with the least value there is


def test_a_column_within_requests_is_their_average():
    y, x, group = np.array([1, 0, 0, 1, 0.0]), np.array([2, 1, 5, 5, 5.0]), np.array([7, 7, 3, 3, 3])
    assert column_gauc(y, x, group) == (pytest.approx((2 * 1 + 3 * 0.5) / 5), 1)  # by their rows
    assert column_gauc(y, -x, group) == (pytest.approx((2 * 1 + 3 * 0.5) / 5), -1)


def test_out_of_fold_means_never_see_their_own_request():
    rng = np.random.default_rng(3)
    m = 4000
    y, names = (rng.random(m) < 0.3).astype(float), np.arange(m)
    assert np.unique(out_of_fold_means(y, names, names)).tolist() == [y.mean()]  # every value once: the prior
    few = rng.integers(0, 1000, m)  # four rows each, no signal
    assert auc(y, out_of_fold_means(y, few, names)) == pytest.approx(0.5, abs=0.03)
    within = np.repeat(np.arange(m // 4), 4)
    same = np.repeat(rng.permutation(m // 4), 4)  # a code for each request: met nowhere else
    assert np.unique(out_of_fold_means(y, same, within)).tolist() == [y.mean()]
    told = (y + 2 * (rng.random(m) < 0.1)) % 2
    assert auc(y, out_of_fold_means(y, told, names)) > 0.85


def test_out_of_fold_means_are_the_other_folds_smoothed():
    y, x, group = np.array([1, 0, 1, 1.0]), np.array([7, 7, 7, 8]), np.array([0, 1, 2, 3])
    means = out_of_fold_means(y, x, group, folds=4, smoothing=2.0)  # four folds of four groups: leave one out
    assert means.tolist() == pytest.approx([(1 + 1.5) / 4, (2 + 1.5) / 4, (1 + 1.5) / 4, 0.75])
