"""Logistic regression against scikit-learn on the same matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from shortlist.component import InputError
from shortlist.rank._solver import fit_logistic
from shortlist.rank.logistic import Logistic

from ._tables import auc, made_up, score

linear = pytest.importorskip("sklearn.linear_model")


def problem(seed=0, m=600, d=12):
    rng = np.random.default_rng(seed)
    x = sp.random(m, d, 0.5, format="csr", random_state=rng, data_rvs=rng.standard_normal)
    y = (rng.random(m) < 1 / (1 + np.exp(-(x @ rng.normal(size=d) + 0.5)))).astype(float)
    return x, y, rng.uniform(0.2, 2.0, m)


@pytest.mark.parametrize(("l1", "l2"), [(0, 0.5), (0, 20.0), (8.0, 0), (5.0, 5.0)])
def test_coefficients_are_scikit_learns(l1, l2):
    x, y, weight = problem()
    total = l1 + l2
    peer = linear.LogisticRegression(C=1 / total, l1_ratio=l1 / total, solver="saga", tol=1e-10, max_iter=20000)
    peer.fit(x, y, sample_weight=weight)
    coefficients, intercept = fit_logistic(x, y, weight, l1, l2, tolerance=1e-9)
    np.testing.assert_allclose(coefficients, peer.coef_[0], atol=2e-4)
    assert intercept == pytest.approx(peer.intercept_[0], abs=2e-4)
    if l1 == 8.0:
        assert ((coefficients == 0) == (np.abs(peer.coef_[0]) < 1e-8)).all()
        assert (coefficients == 0).any()


def test_penalties_may_differ_by_column():
    x, y, weight = problem()
    l2 = np.where(np.arange(12) < 6, 1e6, 0.5)
    coefficients, _ = fit_logistic(x, y, weight, 0.0, l2)
    assert np.abs(coefficients[:6]).max() < 1e-3
    alone, _ = fit_logistic(x[:, 6:], y, weight, 0.0, 0.5)
    np.testing.assert_allclose(coefficients[6:], alone, atol=1e-2)


def test_one_class_only_gives_a_finite_answer():
    x, y, weight = problem()
    coefficients, intercept = fit_logistic(x, np.zeros_like(y), weight, 0.0, 1.0)
    assert np.isfinite(coefficients).all()
    assert intercept < -3


def test_scores_are_the_probabilities_of_scikit_learn_on_the_same_design():
    train, later = made_up(seed=0), made_up(seed=1)
    ranker = Logistic(l2=2.0, buckets=8, crosses=[("b", "kind")], tolerance=1e-8).fit(train)
    design = ranker.design()
    peer = linear.LogisticRegression(C=0.5, tol=1e-8, max_iter=5000)
    peer.fit(design.matrix(ranker.table(train.candidates)), train.labels["click"])
    expected = peer.predict_proba(design.matrix(ranker.table(later.candidates)))[:, 1]
    np.testing.assert_allclose(score(ranker, later), expected, atol=1e-4)


def test_a_heavy_penalty_on_crosses_leaves_the_plain_model():
    train = made_up()
    plain = Logistic(tolerance=1e-6, crosses=[]).fit(train)
    crossed = Logistic(tolerance=1e-6, crosses="all", cross_l2=1e4).fit(train)
    np.testing.assert_allclose(score(crossed, train), score(plain, train), atol=1e-3)


def test_crosses_learn_what_neither_column_says_alone():
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 2, (2, 2000)).astype(np.int32)
    samples = made_up()
    rows = replace(samples.candidates, columns={"left": left, "right": right})
    samples = replace(samples, candidates=rows, labels={"click": (left ^ right).astype(np.float32)})
    assert auc(samples, score(Logistic(crosses="all").fit(samples), samples)) == 1.0
    assert abs(auc(samples, score(Logistic().fit(samples), samples)) - 0.5) < 0.4


def test_rows_without_label_or_weight_are_left_out():
    train = made_up()
    hidden = train.labels["click"].copy()
    hidden[1000:1500] = np.nan
    weight = train.weight.copy()
    weight[1500:] = 0
    masked = replace(train, labels={"click": hidden}, weight=weight)
    np.testing.assert_array_equal(
        score(Logistic().fit(masked), train), score(Logistic().fit(train.take(np.arange(100))), train)
    )


def test_a_missing_feature_column_is_named():
    train = made_up()
    ranker = Logistic().fit(train)
    short = replace(train.candidates, columns={"a": train.candidates["a"], "kind": train.candidates["kind"]})
    with pytest.raises(InputError, match="feature column 'b' is missing"):
        ranker.score(train.requests, short)
    with pytest.raises(InputError, match="columns: feature column 'x' is missing; there are a, b, kind"):
        Logistic(columns=["x"]).fit(train)
    with pytest.raises(InputError, match="label: no label 'buy'; there are click"):
        Logistic(label="buy").fit(train)


def test_a_column_that_has_become_text_is_named():
    ranker, later = Logistic().fit(made_up()), made_up(20)
    text = later.candidates.with_columns(a=np.array(["?"] * 20))
    with pytest.raises(InputError, match="'a': expected one number or code a row, found the type <U1"):
        ranker.score(later.requests, text)


def test_columns_can_be_chosen_or_left_out_and_hidden_ones_are_skipped():
    train = made_up()
    rows = train.candidates.with_columns(_secret=train.labels["click"])
    samples = replace(train, candidates=rows)
    assert Logistic().fit(samples).columns_.tolist() == ["a", "b", "kind"]
    assert Logistic(without=["b"]).fit(samples).columns_.tolist() == ["a", "kind"]
    assert Logistic(columns=["kind", "a"]).fit(samples).categorical_.tolist() == [True, False]


def test_no_rows_are_no_error():
    samples = made_up(100)
    fitted = Logistic().fit(samples.take(np.empty(0, np.int64)))
    assert np.isfinite(score(fitted, samples)).all()
