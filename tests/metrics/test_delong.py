"""DeLong's interval against its definition over all pairs, and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.metrics.delong import auc_interval, paired_auc_interval
from shortlist.metrics.ranking import auc

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=15)


def pairs(positives, negatives):
    """[P, N]: 1 where the positive scores above the negative, half for a tie."""
    gap = np.subtract.outer(np.asarray(positives, float), np.asarray(negatives, float))
    return (gap > 0) + 0.5 * (gap == 0)


def plain_error(won):
    return math.sqrt(won.mean(1).var(ddof=1) / won.shape[0] + won.mean(0).var(ddof=1) / won.shape[1])


@settings(deadline=None, derandomize=True)
@given(positives=rows, negatives=rows)
def test_is_the_variance_of_the_placements(positives, negatives):
    (a1, b1), (a0, b0) = zip(*positives, strict=True), zip(*negatives, strict=True)
    labels = [1] * len(a1) + [0] * len(a0)
    won = pairs(a1, a0)
    found = auc_interval(labels, a1 + a0)
    assert found.mean == pytest.approx(won.mean())
    assert found.mean == pytest.approx(auc(np.array(labels), np.array(a1 + a0)))
    assert found.high == pytest.approx(min(1, won.mean() + 1.959964 * plain_error(won)), abs=1e-6)
    assert found.low == pytest.approx(max(0, won.mean() - 1.959964 * plain_error(won)), abs=1e-6)

    won = won - pairs(b1, b0)
    found = paired_auc_interval(labels, a1 + a0, b1 + b0)
    assert found.diff == pytest.approx(won.mean())
    assert found.low == pytest.approx(max(-1, won.mean() - 1.959964 * plain_error(won)), abs=1e-6)


def test_covers_the_true_auc():
    rng = np.random.default_rng(0)
    truth = 0.5 * (1 + math.erf(1 / 2))  # two normals one apart
    covered = 0
    for _ in range(300):
        y = rng.random(150) < 0.3
        found = auc_interval(y, rng.normal(size=150) + y)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 300 <= 0.99


def test_pairing_sees_a_small_difference_that_single_intervals_hide():
    rng = np.random.default_rng(1)
    y = rng.random(3000) < 0.3
    a = rng.normal(size=3000) + y
    b = a + 0.3 * rng.normal(size=3000)
    single, paired = auc_interval(y, a), paired_auc_interval(y, a, b)
    assert single.low < auc(y, b)
    assert paired.low > 0
    assert paired.p < 0.01


def test_degenerate_input():
    same = paired_auc_interval([1, 0, 1, 0], [1, 2, 3, 4], [1, 2, 3, 4])
    assert (same.diff, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert math.isnan(auc_interval([1, 1], [1, 2]).mean)
    assert math.isnan(auc_interval([], []).mean)
    one = auc_interval([1, 0], [2, 1])
    assert one.mean == 1
    assert math.isnan(one.low)
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        auc_interval([0.5, 1], [1, 2])
    with pytest.raises(ValueError, match="1 scores are NaN"):
        auc_interval([0, 1], [np.nan, 2])
