"""Blocks against plain definitions and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shortlist.encode._encoder import quantile_edges
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.nn.fields import Fields
from shortlist.nn.flat import Flat
from shortlist.nn.fm import bi_interaction, pairwise
from shortlist.nn.loop import initialise
from shortlist.nn.loss import pointwise, softmax
from shortlist.nn.mlp import MLP, Dropout
from shortlist.nn.rows import tensors_of
from shortlist.nn.wide import Wide
from shortlist.types import Candidates, Requests

NUMERIC = ("standard", "quantile", "piecewise", "periodic")


def drawn(net, seed=0):
    initialise(net, torch.Generator().manual_seed(seed), 0.5)
    return net


def world(numeric="standard", m=12):
    """(schema, encoded rows) of two numbers, one with gaps, a category and a list."""
    rng = np.random.default_rng(1)
    rows = Candidates(
        np.zeros(m, np.uint32),
        np.arange(m, dtype=np.int32),
        {
            "a": rng.normal(size=m).astype(np.float32),
            "b": np.where(rng.random(m) < 0.4, np.nan, rng.exponential(size=m)).astype(np.float32),
            "c": rng.integers(-1, 3, m).astype(np.int32),
            "l": np.where(np.arange(m)[:, None] == 0, -1, rng.integers(-1, 4, (m, 3))).astype(np.int32),
        },
    )
    requests = Requests.of(np.zeros(1), np.zeros(1))
    schema = learn_schema(["a", "b", "c", "l"], requests, rows, Options(numeric=numeric, buckets=4, min_count=1))
    return schema, tensors_of(schema.encode(requests, rows)), rows


def test_pairwise_is_the_double_loop():
    v = np.random.default_rng(0).normal(size=(5, 6, 3))
    loop = [sum(row[i] @ row[j] for i in range(6) for j in range(i + 1, 6)) for row in v]
    np.testing.assert_allclose(pairwise(torch.from_numpy(v)), loop)
    products = [sum(row[i] * row[j] for i in range(6) for j in range(i + 1, 6)) for row in v]
    np.testing.assert_allclose(bi_interaction(torch.from_numpy(v)), products)


def test_a_category_is_its_row_and_a_list_the_mean_of_its():
    schema, inputs, _ = world()
    codes, lists = inputs["codes"], inputs["lists"]
    fields = drawn(Fields(schema, 4))
    out = fields(inputs).detach().numpy()
    rows = fields.table.detach().numpy()
    for row in range(len(out)):
        np.testing.assert_array_equal(out[row, 0], rows[codes[row, 0]])
        present = [int(c) for c in lists[row] if c]
        mean = rows[present].mean(0) if present else np.zeros(4)
        np.testing.assert_allclose(out[row, 1], mean, atol=1e-7)
    assert not lists[0].any()
    assert (out[0, 1] == 0).all()
    assert (rows[0] == 0).all()


def test_a_standard_number_is_a_line_and_a_gap_a_step():
    schema, inputs, _ = world()
    fields = drawn(Fields(schema, 4))
    block = fields.numbers
    with torch.no_grad():
        block.bias.normal_()
        block.missing.normal_()
    out = fields(inputs).detach()
    z, gap = inputs["numbers"][:, :2], inputs["numbers"][:, 2]
    torch.testing.assert_close(out[:, 2], (z[:, :1] * block.weight[0, 0] + block.bias[0]).detach())
    expected = z[:, 1:2] * block.weight[1, 0] + block.bias[1] + gap[:, None] * block.missing[1]
    torch.testing.assert_close(out[:, 3], expected.detach())
    assert gap.any()
    torch.testing.assert_close(fields.eval()(inputs), out)


def test_piecewise_curves_rise_from_bin_to_bin():
    schema, inputs, rows = world("piecewise")
    fields = drawn(Fields(schema, 4, "piecewise"))
    bounds = np.unique([rows["a"].min(), rows["a"].max(), *quantile_edges(rows["a"], 4)])
    phi = np.clip((rows["a"][:, None] - bounds[:-1]) / np.diff(bounds), 0, 1)
    weight = fields.numbers.weight[0, : phi.shape[1]].detach().numpy()
    np.testing.assert_allclose(fields(inputs)[:, 2].detach().numpy(), phi @ weight, atol=1e-5)


def test_periodic_curves_are_sines_of_learned_frequency():
    schema, inputs, _ = world("periodic")
    fields = drawn(Fields(schema, 4, "periodic"))
    block = fields.numbers
    angle = 2 * np.pi * inputs["numbers"][:, :1].numpy() * block.frequency[0].detach().numpy()
    phi = np.concatenate([np.sin(angle), np.cos(angle)], 1)
    np.testing.assert_allclose(fields(inputs)[:, 2].detach(), phi @ block.weight[0].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("numeric", NUMERIC)
def test_gradients_of_fields_are_the_finite_differences(numeric):
    schema, inputs, _ = world(numeric)
    inputs["numbers"] = inputs["numbers"].double()
    fields = drawn(Fields(schema, 2, numeric)).double()

    def value(*weights):
        names = [name for name, _ in fields.named_parameters()]
        out = torch.func.functional_call(fields, dict(zip(names, weights, strict=True)), (inputs,))
        return out.square().sum()

    weights = [p.detach().clone().requires_grad_() for p in fields.parameters()]
    auto = torch.autograd.grad(value(*weights), weights)
    for weight, gradient in zip(weights, auto, strict=True):
        for at in range(0, weight.numel(), 3):
            step = torch.zeros(weight.numel(), dtype=torch.double)
            step[at] = 1e-6
            up, down = ([w + step.reshape(w.shape) * s if w is weight else w for w in weights] for s in (1, -1))
            difference = (value(*up) - value(*down)) / 2e-6
            if weight is weights[0] and at < weight.shape[1]:
                continue  # the padding's row is used as zero and never learned
            assert gradient.flatten()[at].item() == pytest.approx(difference.item(), abs=1e-6)


def test_gradients_of_the_layers_are_the_finite_differences():
    mlp = drawn(MLP(3, [4], 1, activation="tanh")).double()
    x = torch.randn(5, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    v = torch.randn(2, 4, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(mlp, (x,))
    assert torch.autograd.gradcheck(pairwise, (v,))


@pytest.mark.parametrize("numeric", NUMERIC)
def test_flat_has_the_size_it_says(numeric):
    schema, inputs, _ = world(numeric)
    flat = drawn(Flat(schema, 4, numeric))
    assert flat(inputs).shape == (12, flat.size)
    if numeric == "standard":
        assert flat.size == 2 * 4 + 3
        torch.testing.assert_close(flat(inputs)[:, -3:], inputs["numbers"])


def test_wide_is_a_sparse_product():
    wide = Wide(6, torch.tensor([3, 2]))
    with torch.no_grad():
        wide.table.copy_(torch.arange(6.0)[:, None])
    columns, values = torch.tensor([[1, 5], [0, 2]], dtype=torch.int32), torch.tensor([[2.0, 1.0], [9.0, 0.5]])
    assert wide(columns, values).tolist() == [1 + 5 + 3 * 2.0 + 2 * 1.0, 0 + 2 + 3 * 9.0 + 2 * 0.5]


def test_dropout_draws_from_its_own_generator_and_keeps_the_mean():
    drop = Dropout(0.25)
    drop.generator = torch.Generator().manual_seed(3)
    before = torch.get_rng_state()
    out = drop(torch.ones(40_000))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drop.eval()(out), out)


def test_losses_are_their_definitions():
    rng = np.random.default_rng(0)
    z, y, w = rng.normal(size=7), np.array([1, 0, 0, 0, 0, 1, 1.0]), rng.random(7)
    request = np.array([0, 0, 0, 1, 1, 2, 2])
    tensors = [torch.from_numpy(a).float() for a in (z, y, w)]
    p = 1 / (1 + np.exp(-z))
    expected = np.mean(w * -(y * np.log(p) + (1 - y) * np.log(1 - p)))
    assert float(pointwise(*tensors, torch.from_numpy(request))) == pytest.approx(expected, rel=1e-5)
    total = 0.0
    for q in (0, 2):  # 1 has no positive
        of = request == q
        share = np.exp(z[of]) / np.exp(z[of]).sum()
        total -= (w[of] * y[of] / y[of].sum() * np.log(share)).sum()
    assert float(softmax(*tensors, torch.from_numpy(request))) == pytest.approx(total / 2, rel=1e-5)


def test_first_weights_depend_on_the_seed_alone():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias, self.layers = nn.Parameter(torch.zeros(1)), MLP(4, [3], 1)

    torch.manual_seed(1)
    a = drawn(Net())
    torch.manual_seed(2)
    b, c = drawn(Net()), drawn(Net(), 1)
    for name, weight in a.state_dict().items():
        assert torch.equal(weight, b.state_dict()[name])
    assert not torch.equal(a.layers[0].weight, c.layers[0].weight)
    initialise(a, torch.Generator(), 0.2)
    assert a.bias.item() == pytest.approx(np.log(0.25))
