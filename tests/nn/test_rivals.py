"""Rivals are drawn as often as their log Q says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.nn.rivals import Rivals

COUNTS = np.array([5, 0, 40, 10, 45])


@pytest.mark.parametrize("how", ["uniform", "log", "popularity"])
def test_items_are_drawn_with_their_chance(how):
    rivals = Rivals(COUNTS, how, 20_000)
    drawn = rivals.drawn(2, torch.tensor([0]), torch.Generator().manual_seed(1))
    assert drawn.shape == (2, 20_000)
    share = np.bincount(drawn.flatten().numpy(), minlength=5) / 40_000
    log_q = rivals.log_q(1)
    wanted = np.full(5, 0.2) if log_q is None else log_q.exp().numpy()
    assert wanted.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(share, wanted, atol=0.012)
    if how == "popularity":
        np.testing.assert_allclose(wanted, COUNTS / 100, atol=1e-6)
    if how == "log":
        assert np.argsort(-wanted).tolist() == [4, 2, 3, 0, 1]
        assert wanted[4] == pytest.approx(np.log(2) / np.log(6))


def test_the_batch_s_own_targets_are_rivals_by_popularity():
    rivals = Rivals(COUNTS, "batch", 7)
    assert rivals.drawn(1, torch.tensor([2, 4, 4]), torch.Generator()).tolist() == [[2, 4, 4]]
    np.testing.assert_allclose(rivals.log_q(3).exp().numpy(), COUNTS / 100, atol=1e-6)


def test_mixed_rivals_are_of_both_kinds_in_their_proportion():
    rivals = Rivals(COUNTS, "mixed", 6)
    drawn = rivals.drawn(1, torch.tensor([2, 4]), torch.Generator())
    assert drawn.shape == (1, 8)
    assert drawn[0, :2].tolist() == [2, 4]
    np.testing.assert_allclose(rivals.log_q(2).exp().numpy(), (2 * COUNTS / 100 + 6 / 5) / 8, atol=1e-6)


def test_nothing_is_corrected_where_that_is_not_wanted():
    assert Rivals(COUNTS, "popularity", 3, correct=False).log_q(1) is None
    assert Rivals(COUNTS, "uniform", 3).log_q(1) is None
