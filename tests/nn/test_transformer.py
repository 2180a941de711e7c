"""What a place of a sequence may see, and that padding changes nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from shortlist.nn.loop import initialise
from shortlist.nn.transformer import LAYERS, Attention, Transformer, buckets


def made(layers: str, *, causal: bool = True, timed: bool = False) -> Transformer:
    net = Transformer(8, 6, layers=layers, number=2, heads=2, dropout=0.0, causal=causal, timed=timed)
    initialise(net, torch.Generator().manual_seed(5), 0.5)
    return net.eval()


@pytest.fixture
def entries():
    return torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("layers", LAYERS)
def test_a_causal_place_sees_nothing_behind_it(entries, layers):
    net, known = made(layers), torch.ones(3, 6, dtype=torch.bool)
    other = entries.clone()
    other[:, 4:] = other[:, 4:].flip(-1)
    a, b = net(entries, known), net(other, known)
    torch.testing.assert_close(a[:, :4], b[:, :4])
    assert (a[:, 4:] - b[:, 4:]).abs().max() > 0.1
    both = made(layers, causal=False)
    assert (both(entries, known)[:, :4] - both(other, known)[:, :4]).abs().max() > 1e-3


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("causal", [True, False])
def test_padding_on_the_left_changes_nothing(entries, layers, causal):
    net = made(layers, causal=causal, timed=True)
    age = torch.tensor([[50.0, 40, 30, 20, 10, 1]] * 3)
    known = torch.arange(6).expand(3, 6) >= 3
    padded = net(entries * known[..., None], known, age * known)
    short = net(entries[:, 3:], known[:, 3:], age[:, 3:])
    torch.testing.assert_close(padded[:, 3:], short)
    assert padded.isfinite().all()


def test_attention_is_its_formula(entries):
    layer = Attention(8, 2)
    initialise(layer, torch.Generator().manual_seed(1), 0.5)
    bias = torch.zeros(1, 1, 6, 6).masked_fill(~torch.ones(6, 6, dtype=torch.bool).tril(), -torch.inf)
    q, k, v = layer.into(entries).split(8, -1)
    heads = []
    for h in range(2):
        own = slice(4 * h, 4 * h + 4)
        seen = functional.softmax(q[..., own] @ k[..., own].transpose(1, 2) / math.sqrt(4) + bias[0], -1)
        heads.append(seen @ v[..., own])
    torch.testing.assert_close(layer(entries, bias), layer.out(torch.cat(heads, -1)))


def test_the_bias_of_time_is_of_differences_alone(entries):
    net, known = made("vanilla", timed=True), torch.ones(3, 6, dtype=torch.bool)
    with torch.no_grad():
        net.times.of.table.normal_(0, 1, generator=torch.Generator().manual_seed(3))
    age = torch.tensor([[900.0, 500, 300, 100, 40, 0]] * 3)
    torch.testing.assert_close(net(entries, known, age), net(entries, known, age + 7))
    assert (net(entries, known, age) - net(entries, known, age * 1000)).abs().max() > 0.05


def test_buckets_are_powers_of_two():
    assert buckets(torch.tensor([0.0, 0.9, 1.0, 3.0, -3.0, 1e12])).tolist() == [0, 0, 1, 2, 2, 31]
