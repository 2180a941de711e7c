"""Metrics of predictions against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from shortlist.metrics import ranking

rows = st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40)


def plain_auc(labels, scores):
    pairs = [(p > n) + (p == n) / 2 for p, y in zip(scores, labels, strict=True) if y for n, z in
             zip(scores, labels, strict=True) if not z]  # fmt: skip
    return np.mean(pairs) if pairs else np.nan


@settings(deadline=None, derandomize=True)
@given(rows=rows)
def test_auc_counts_pairs_and_ties_as_half(rows):
    labels, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
    assert ranking.auc(labels, scores) == pytest.approx(plain_auc(labels, scores), nan_ok=True)
    names, value, size, positives = ranking.auc_by_group(labels, scores, groups)
    for name, auc, n, p in zip(names, value, size, positives, strict=True):
        mine = groups == name
        assert auc == pytest.approx(plain_auc(labels[mine], scores[mine]), nan_ok=True)
        assert (n, p) == (mine.sum(), labels[mine].sum())


def test_auc_and_log_loss_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    p = np.round(rng.random(2000), 2)  # many ties
    y = (rng.random(2000) < p).astype(np.float32)
    assert ranking.auc(y, p) == pytest.approx(peer.roc_auc_score(y, p), rel=1e-12)
    assert ranking.log_loss(y, p) == pytest.approx(peer.log_loss(y, p), rel=1e-9)


def test_gauc_weighs_groups_by_rows_or_by_positives():
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 1])
    scores = np.array([3, 2, 1, 1, 2, 3, 9, 9])  # group 0 perfect, 1 reversed, 2 has one class
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    assert ranking.gauc(labels, scores, groups) == pytest.approx((3 * 1 + 3 * 0) / 6)
    assert ranking.gauc(labels, scores, groups, "positives") == pytest.approx((1 * 1 + 2 * 0) / 3)
    assert np.isnan(ranking.gauc([1, 1], [1, 2], [0, 0]))


def test_gauc_is_blind_to_levels_between_groups():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 20, 600)
    scores = rng.normal(size=600)
    labels = (scores + rng.normal(size=600) > 0).astype(float)
    shifted = scores + 100 * rng.permutation(20)[groups]
    assert ranking.gauc(labels, shifted, groups) == pytest.approx(ranking.gauc(labels, scores, groups))


def test_calibration_of_a_worked_example():
    p = np.array([0.1, 0.1, 0.3, 0.9, 1.0])
    y = np.array([0, 1, 0, 0, 1])
    # bins of .5: {.1, .1, .3} mean 1/6 against 1/3, and {.9, 1} mean .95 against 1/2
    assert ranking.calibration_error(y, p, bins=2) == pytest.approx((3 * (1 / 3 - 1 / 6) + 2 * 0.45) / 5)
    assert ranking.calibration_ratio(y, p) == pytest.approx(2.4 / 2)
    assert np.isnan(ranking.calibration_ratio([0, 0], [0.1, 0.2]))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.floats(0, 1)), min_size=1, max_size=50), st.integers(1, 20))
def test_calibration_error_is_bounded_and_0_for_certainty(rows, bins):
    y, p = (np.array(column, float) for column in zip(*rows, strict=True))
    assert 0 <= ranking.calibration_error(y, p, bins) <= 1
    assert ranking.calibration_error(y, y, bins) == 0


def test_labels_not_observed_are_left_out():
    y, p = np.array([1, np.nan, 0, np.nan]), np.array([0.8, np.nan, 0.3, 0.9])
    assert ranking.auc(y, p) == 1
    assert ranking.log_loss(y, p) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)
    assert np.isnan(ranking.log_loss([np.nan], [0.5]))
    assert np.isnan(ranking.auc([], []))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking.auc([0, 2], [0.1, 0.2]), "labels must be 0, 1 or NaN"),
        (lambda: ranking.auc([0, 1], [0.1, np.nan]), "1 scores are NaN"),
        (lambda: ranking.auc([0, 1], [0.1]), "2 labels for 1 scores"),
        (lambda: ranking.log_loss([0, 1], [0.1, 1.5]), "must be probabilities"),
        (lambda: ranking.gauc([0, 1], [0.1, 0.2], [0]), "2 labels for 1 groups"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
