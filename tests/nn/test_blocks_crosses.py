"""Blocks of the factorisation family against plain loops over numpy arrays, and finite differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from shortlist.nn.attention import PairAttention
from shortlist.nn.cin import CIN
from shortlist.nn.cross import CrossMatrix, CrossVector
from shortlist.nn.field_aware import field_aware
from shortlist.nn.loop import initialise
from shortlist.nn.product import InnerProducts, KernelProducts, OuterProducts

M, F, D = 3, 4, 2
PAIRS = list(itertools.combinations(range(F), 2))


def drawn(block):
    initialise(block, torch.Generator().manual_seed(0), 0.5)
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):  # begins at zero: a test must see where it goes
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return block.double()


def values(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).requires_grad_()


def plain(tensor):
    return tensor.detach().numpy()


def of(block):
    return {name: plain(p) for name, p in block.named_parameters()}


def same(block, x, expected):
    np.testing.assert_allclose(plain(block(x)), np.array(expected), rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(block, (x,))


def test_field_aware_is_the_double_loop_over_the_vectors_for_each_other():
    v = values(M, F, F, D)
    same(field_aware, v, [sum(row[i, j] @ row[j, i] for i, j in PAIRS) for row in plain(v)])


def test_cin_is_the_triple_loop():
    widths = [5, 3, 2]
    block, v = drawn(CIN(F, widths)), values(M, F, D)
    rows = []
    for x0 in plain(v):
        x, pooled = x0, []
        for k, width in enumerate(widths):
            w = of(block)[f"weights.{k}"].reshape(width, len(x), F)
            new = np.zeros((width, D))
            for h in range(width):
                for i in range(len(x)):
                    for j in range(F):
                        new[h] += w[h, i, j] * (x[i] * x0[j])
            x = new
            pooled.extend(x.sum(1))
        rows.append(pooled)
    assert block.size == sum(widths)
    same(block, v, rows)


def test_cin_keeps_the_scale_of_products():
    block = CIN(20, [200])
    initialise(block, torch.Generator().manual_seed(0), 0.5)
    v = torch.randn(200, 20, 1, generator=torch.Generator().manual_seed(1))
    assert plain(block(v)).std() == pytest.approx(1, abs=0.2)


def test_cross_vector_is_the_recursion():
    block, x0 = drawn(CrossVector(5, 3)), values(M, 5)
    w, b = of(block)["weight"], of(block)["bias"]
    rows = []
    for start in plain(x0):
        x = start
        for layer in range(3):
            x = start * (x @ w[layer]) + b[layer] + x
        rows.append(x)
    same(block, x0, rows)


@pytest.mark.parametrize("rank", [0, 2])
def test_cross_matrix_is_the_recursion(rank):
    block, x0 = drawn(CrossMatrix(5, 3, rank)), values(M, 5)
    p = of(block)
    rows = []
    for start in plain(x0):
        x = start
        for layer in range(3):
            if rank:
                w = p[f"layers.{layer}.1.weight"] @ p[f"layers.{layer}.0.weight"]
                assert np.linalg.matrix_rank(w) == rank
                b = p[f"layers.{layer}.1.bias"]
            else:
                w, b = p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"]
            x = start * (w @ x + b) + x
        rows.append(x)
    same(block, x0, rows)


def test_inner_products_are_the_pairs_of_the_double_loop():
    v, block = values(M, F, D), InnerProducts(F)
    same(block, v, [[row[i] @ row[j] for i, j in PAIRS] for row in plain(v)])
    assert block.size == len(PAIRS)


def test_outer_products_are_superposed():
    v, block = values(M, F, D), OuterProducts(D)
    total = [sum(np.outer(row[i], row[j]) for i in range(F) for j in range(F)) for row in plain(v)]
    same(block, v, np.reshape(total, (M, D * D)))
    assert block.size == D * D


def test_kernel_products_weigh_each_pairs_outer_product():
    v, block = values(M, F, D), drawn(KernelProducts(F, D))
    kernel = of(block)["kernel"]
    rows = [[(kernel[n] * np.outer(row[i], row[j])).sum() for n, (i, j) in enumerate(PAIRS)] for row in plain(v)]
    same(block, v, rows)
    assert block.size == len(PAIRS)


def test_attention_is_a_softmax_over_the_pairs_of_each_row():
    v, block = values(M, F, D), drawn(PairAttention(F, D, 3))
    p = of(block)
    rows = []
    for row in plain(v):
        products = [row[i] * row[j] for i, j in PAIRS]
        z = [(p["out.weight"] @ np.maximum(p["hidden.weight"] @ q + p["hidden.bias"], 0)).item() for q in products]
        a = np.exp(z) / np.exp(z).sum()
        assert a.std() > 1e-3
        rows.append(sum(weight * q for weight, q in zip(a, products, strict=True)))
    same(block, v, rows)


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (CIN(F, [3, 2]), (F, D)),
        (CrossVector(5, 2), (5,)),
        (CrossMatrix(5, 2, 2), (5,)),
        (InnerProducts(F), (F, D)),
        (OuterProducts(D), (F, D)),
        (KernelProducts(F, D), (F, D)),
        (PairAttention(F, D, 3), (F, D)),
        (field_aware, (F, F, D)),
    ],
)
def test_no_rows_and_one_row_are_batches_too(block, shape):
    if isinstance(block, torch.nn.Module):
        drawn(block)
    v = values(5, *shape).detach()
    np.testing.assert_allclose(plain(block(v[2:3])), plain(block(v)[2:3]), rtol=1e-10)
    assert len(block(v[:0])) == 0


@pytest.mark.parametrize("block", [InnerProducts(1), KernelProducts(1, D), PairAttention(1, D, 3)])
def test_one_field_has_no_pairs(block):
    initialise(block, torch.Generator().manual_seed(0), 0.5)
    assert not block(torch.ones(M, 1, D)).any()
