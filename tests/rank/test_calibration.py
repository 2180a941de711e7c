"""Calibration: the closed form after sampling, and isotonic regression against its definition and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.rank._calibration import apply_isotonic, fit_isotonic, unsampled


def test_the_closed_form_undoes_the_sampling():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, 400_000)
    label = rng.random(400_000) < np.array([0.01, 0.05, 0.2, 0.6])[group]
    kept = label | (rng.random(400_000) < 0.1)
    sampled = np.array([label[kept & (group == g)].mean() for g in range(4)])
    true = np.array([label[group == g].mean() for g in range(4)])
    assert (sampled > 1.3 * true).all()
    np.testing.assert_allclose(unsampled(sampled, 0.1), true, rtol=0.05)
    np.testing.assert_allclose(unsampled(sampled, 1.0), sampled, rtol=1e-6)
    assert unsampled(np.array([0.0, 1.0]), 0.3).tolist() == [0.0, 1.0]


def pooled(score, label, weight):
    """Pool adjacent violators, as its definition reads."""
    order = np.argsort(score, kind="stable")
    blocks = []
    for s in np.unique(score):
        rows = order[score[order] == s]
        blocks.append([weight[rows] @ label[rows], weight[rows].sum(), [s]])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, mass, at = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + mass, blocks[-1][2] + at]
    return {s: total / mass for total, mass, at in blocks for s in at}


rows = st.tuples(st.integers(0, 12), st.integers(0, 1), st.integers(1, 4))


@given(st.lists(rows, min_size=1, max_size=60))
def test_isotonic_pools_adjacent_violators(drawn):
    score, label, weight = np.array(drawn, np.float64).T
    at, value = fit_isotonic(score, label, weight)
    assert (np.diff(value) >= 0).all()
    expected = pooled(score, label, weight)
    np.testing.assert_allclose(apply_isotonic(score, at, value), [expected[s] for s in score], atol=1e-6)


def test_isotonic_is_scikit_learns():
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(0)
    score = rng.random(500)
    label, weight = (rng.random(500) < score**2).astype(float), rng.random(500)
    peer = isotonic.IsotonicRegression(out_of_bounds="clip").fit(score, label, sample_weight=weight)
    new = np.linspace(-0.2, 1.2, 300)
    np.testing.assert_allclose(apply_isotonic(new, *fit_isotonic(score, label, weight)), peer.predict(new), atol=1e-6)


def test_without_rows_nothing_changes():
    none = np.empty(0)
    p = np.array([0.0, 0.3, 1.0])
    np.testing.assert_allclose(apply_isotonic(p, *fit_isotonic(none, none)), p, rtol=1e-6)
    np.testing.assert_allclose(apply_isotonic(p, *fit_isotonic(p, p, np.zeros(3))), p, rtol=1e-6)
