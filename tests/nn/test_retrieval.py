"""Losses of retrieval against their plain definitions, and their gradients against differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from shortlist.nn import retrieval
from shortlist.nn.retrieval import against, bpr, full_softmax, gbce, ndcg, sampled_softmax


@pytest.fixture
def drawn():
    g = torch.Generator().manual_seed(3)
    return torch.randn(9, 5, generator=g), torch.randn(30, 5, generator=g), torch.randint(0, 30, (9,), generator=g)


@pytest.mark.parametrize("chunk", [1, 4, 9, 100])
def test_softmax_is_cross_entropy_with_its_gradients(drawn, monkeypatch, chunk):
    monkeypatch.setattr(retrieval, "CHUNK", chunk)
    p, q, target = (t.clone() for t in drawn)
    ours = [p.requires_grad_(), q.requires_grad_()]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    a = 3 * full_softmax(p, target, q)
    b = 3 * functional.cross_entropy(theirs[0] @ theirs[1].T, target, reduction="sum")
    a.backward()
    b.backward()
    torch.testing.assert_close(a, b)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_softmax_s_gradient_is_that_of_differences(drawn):
    p, q, target = drawn
    p, q = p.double().requires_grad_(), q.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, q: full_softmax(p, target, q), (p, q))


def test_softmax_of_large_scores_is_finite():
    p, q = torch.full((2, 1), 300.0), torch.tensor([[1.0], [-1.0]])
    assert full_softmax(p, torch.tensor([0, 1]), q).item() == pytest.approx(600)


@pytest.mark.parametrize("groups", [1, 3, 9])
def test_rivals_of_a_group_and_none_that_is_the_target(drawn, groups):
    p, q, target = drawn
    p, target = p.view(groups, 9 // groups, 5), target.view(groups, 9 // groups)
    rivals = torch.stack([torch.arange(30)] * groups)  # every item, the targets too
    right, wrong = against(p, target, rivals, lambda i: q if i is None else q[i])
    for g in range(groups):
        for r in range(9 // groups):
            assert right[g, r] == pytest.approx(float(p[g, r] @ q[target[g, r]]), abs=1e-5)
            for i in range(30):
                wanted = -math.inf if i == target[g, r] else float(p[g, r] @ q[i])
                assert wrong[g, r, i] == pytest.approx(wanted, abs=1e-5)
    # against all others a sampled softmax is the whole one
    whole = functional.cross_entropy(drawn[0] @ q.T, drawn[2], reduction="none")
    torch.testing.assert_close(sampled_softmax(right, wrong).flatten(), whole)


def test_gbce_and_bpr_are_their_formulas():
    right, wrong = torch.tensor([0.7, -1.2]), torch.tensor([[0.1, 2.0, -0.5], [1.0, -math.inf, 0.3]])
    sigma = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    for calibration in (0.0, 0.75, 1.0):
        alpha = 0.1
        beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
        for row in range(2):
            told = [float(x) for x in wrong[row] if math.isfinite(x)]
            wanted = -beta * math.log(sigma(float(right[row]))) - sum(math.log(1 - sigma(x)) for x in told)
            assert gbce(right, wrong, alpha, calibration)[row] == pytest.approx(wanted / 4, abs=1e-5)
    pairs = [-math.log(sigma(0.7 - x)) for x in (0.1, 2.0, -0.5)]
    assert bpr(right, wrong)[0] == pytest.approx(sum(pairs) / 3, abs=1e-5)


def test_gbce_without_calibration_is_binary_cross_entropy():
    right, wrong = torch.tensor([0.3]), torch.tensor([[-0.2, 0.9]])
    label = torch.tensor([1.0, 0.0, 0.0])
    plain = functional.binary_cross_entropy_with_logits(torch.cat([right, wrong[0]]), label)
    assert gbce(right, wrong, 0.01, 0.0)[0] == pytest.approx(float(plain))


def test_ndcg_of_one_target_and_of_equals():
    scores = torch.tensor([[3.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
    found = ndcg(scores, torch.tensor([1, 2, 0]), k=3)
    assert found.tolist() == pytest.approx([1 / math.log2(3), 1 / math.log2(3.5), 0.0])
