"""EASE against its definition as a constrained least-squares problem."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.recall.ease import Ease
from shortlist.testing import worlds


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(3, users=40, items=25, events=300)


def test_each_column_is_a_ridge_regression_on_the_other_items(log):
    channel = Ease(regularisation=2.0, signal="all", repeats="sum").fit(log)
    x = log.matrix("all")[:, channel.items_].toarray().astype(np.float64)
    assert np.diag(channel.table_).max() == 0
    for j in range(x.shape[1]):
        others = np.delete(x, j, axis=1)
        ridge = np.linalg.solve(others.T @ others + 2.0 * np.eye(others.shape[1]), others.T @ x[:, j])
        assert np.delete(channel.table_[:, j], j) == pytest.approx(ridge, abs=1e-5)


def test_in_blocks_as_in_one_piece(log, monkeypatch):
    whole = Ease(signal="all").fit(log).table_
    monkeypatch.setattr("shortlist.recall.ease.BLOCK", 7)
    assert Ease(signal="all").fit(log).table_ == pytest.approx(whole, abs=1e-7)


def test_too_large_a_catalogue_is_refused_with_its_size(log, monkeypatch):
    with pytest.raises(InputError, match=r"ease: 25 items need 5e-06 GB, .* 1e-06 GB that memory allows; .*min_count"):
        Ease(signal="all", memory=1e-6).fit(log)
    monkeypatch.setattr("shortlist.recall._memory.free", lambda: 4_000.0)
    with pytest.raises(InputError, match=r"5e-06 GB, more than the 4e-06 GB that the machine has free"):
        Ease(signal="all").fit(log)
    monkeypatch.setattr("shortlist.recall._memory.free", lambda: 5_000.0)
    Ease(signal="all").fit(log)
