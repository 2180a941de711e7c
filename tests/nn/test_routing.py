"""Dynamic routing against a plain definition, its gradients by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.nn.routing import Routing


def plain(entries: np.ndarray, known: np.ndarray, block: Routing) -> np.ndarray:
    """[b, K, d], entry by entry and interest by interest."""
    s, first = block.shared.weight.detach().numpy(), block.first.numpy()
    b, w, d = entries.shape
    most = first.shape[1]
    out = np.zeros((b, most, d))
    for r in range(b):
        places = [i for i in range(w) if known[r, i]]
        if not places:
            continue
        interests = max(1, min(most, int(math.log2(len(places)))))
        e = {i: s @ entries[r, i] for i in places}
        logits = {(i, j): float(first[len(first) - w + i, j]) for i in places for j in range(interests)}
        for _ in range(block.rounds):
            u = []
            for j in range(interests):
                z = np.zeros(d)
                for i in places:
                    share = math.exp(logits[i, j]) / sum(math.exp(logits[i, k]) for k in range(interests))
                    z += share * e[i]
                square = z @ z
                u.append(square / (1 + square) * z / math.sqrt(square + 1e-9))
            for i in places:
                for j in range(interests):
                    logits[i, j] += e[i] @ u[j]
        out[r, :interests] = u
    return out


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_it_is_the_plain_definition(seed, most, rounds, lengths):
    luck = np.random.default_rng(seed)
    block = Routing(6, most, 20, rounds, seed, adaptive=True).double()
    w = max(1, *lengths)
    entries = luck.normal(size=(len(lengths), w, 6))
    known = np.arange(w) >= w - np.array(lengths)[:, None]
    entries[~known] = 0
    u, there = block(torch.from_numpy(entries), torch.from_numpy(known))
    expected = plain(entries, known, block)
    np.testing.assert_allclose(u.detach().numpy(), expected, atol=1e-9)
    number = [max(1, min(most, int(math.log2(n)))) if n else 0 for n in lengths]
    assert there.sum(1).tolist() == number


def test_padding_changes_nothing():
    block = Routing(4, 3, 12, 3, 0, adaptive=True)
    entries = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    wide = torch.cat([torch.zeros(2, 7, 4), entries], 1)
    known = torch.ones(2, 5, dtype=torch.bool)
    u, _ = block(entries, known)
    padded, _ = block(wide, torch.cat([torch.zeros(2, 7, dtype=torch.bool), known], 1))
    torch.testing.assert_close(u, padded)


def test_all_interests_are_there_unless_they_adapt():
    known = torch.tensor([[False, True], [False, False]])
    _, there = Routing(4, 3, 2, 3, 0, adaptive=False)(torch.randn(2, 2, 4), known)
    assert there.tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize("rounds", [1, 3])
def test_gradients_are_those_of_finite_differences(rounds):
    luck = torch.Generator().manual_seed(0)
    block = Routing(3, 2, 5, rounds, 0, adaptive=True).double()
    entries = torch.randn(2, 5, 3, generator=luck, dtype=torch.float64, requires_grad=True)
    known = torch.tensor([[True] * 5, [False, False, True, True, True]])

    def interests(entries: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(block, {"shared.weight": shared}, (entries, known))[0]

    assert torch.autograd.gradcheck(interests, (entries, block.shared.weight))
