"""SVD: the best approximation of its rank, by projection."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.svd import SVD
from shortlist.testing import worlds


@pytest.mark.parametrize("factors", [3, 6])
@pytest.mark.parametrize("users", [10, 60])
@pytest.mark.parametrize("scaling", [1.0, 0.4])
def test_projection_is_the_best_approximation(users: int, factors: int, scaling: float):
    data = worlds.random_log(1, users=users, items=16, events=500)
    channel = SVD(factors=factors, scaling=scaling).fit(data)
    x = channel._matrix(data).toarray()
    norm = np.sqrt((x**2).sum(axis=0))
    x = x * np.where(norm > 0, norm, 1) ** (scaling - 1)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    right = channel.table_.astype(np.float64)
    assert x @ right @ right.T == pytest.approx(u[:, :factors] * s[:factors] @ v[:factors], abs=1e-4)
    assert (right[np.abs(right).argmax(axis=0), np.arange(factors)] > 0).all()


def test_more_factors_than_the_log_has_ranks():
    data = worlds.dataset(np.array([0, 0, 1]), np.array([0, 1, 1]), np.arange(3))
    assert SVD(factors=50).fit(data).table_.shape == (2, 2)
