"""Experts, gates, towers and losses of several labels: against plain definitions and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.nn.dice import Dice
from shortlist.nn.gates import Extraction, Gates, mixed
from shortlist.nn.loop import initialise
from shortlist.nn.mlp import MLP
from shortlist.nn.parallel import Parallel, Perceptrons, Towers
from shortlist.nn.tasks import Tasks, Uncertainty, chained, losses

RNG = np.random.default_rng(0)


def drawn(net, seed=0):
    initialise(net, torch.Generator().manual_seed(seed), 0.5)
    return net.double().eval()


def normal(*shape):
    return torch.from_numpy(RNG.normal(size=shape))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("norm", [False, True])
def test_perceptrons_side_by_side_are_as_many_alone(norm):
    options = {"activation": "tanh", "batch_norm": norm}
    side = drawn(Perceptrons(3, 5, [4, 2], 1, **options))
    norms = [layer for layer in side.modules() if hasattr(layer, "running_mean")]
    for layer in norms:
        layer.running_mean.copy_(normal(*layer.running_mean.shape))
        layer.running_var.copy_(normal(*layer.running_var.shape) ** 2)
    x = normal(3, 7, 5)
    for i in range(3):
        one = MLP(5, [4, 2], 1, **options).double().eval()
        ours = [layer for layer in side if isinstance(layer, Parallel)]
        linear = [layer for layer in one if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for a, b in zip(linear, ours, strict=True):
                a.weight.copy_(b.weight[i].T)
                a.bias.copy_(b.bias[i, 0])
        for a, b in zip([layer for layer in one if hasattr(layer, "running_mean")], norms, strict=True):
            width = len(a.running_mean)
            a.running_mean.copy_(b.running_mean[i * width : (i + 1) * width])
            a.running_var.copy_(b.running_var[i * width : (i + 1) * width])
        torch.testing.assert_close(side(x)[i], one(x[i]))
        torch.testing.assert_close(side(x[0])[i], one(x[0]))


def test_dice_side_by_side_bends_each_output_at_its_own_mean():
    side = drawn(Perceptrons(2, 3, [4], activation="dice")).train()
    side(normal(2, 50, 3) + 5)
    dice = next(layer for layer in side.modules() if isinstance(layer, Dice))
    assert dice.mean.shape == (8,)
    assert len(dice.mean.unique()) == 8  # not one mean for both perceptrons
    assert side.eval()(normal(2, 7, 3)).shape == (2, 7, 4)


def test_each_is_drawn_as_a_linear_layer_and_differs_from_the_others():
    weight = Parallel(4, 100, 50)
    weight.reset(torch.Generator().manual_seed(0))
    values = weight.weight.detach()
    assert float(values.abs().max()) <= 0.1
    assert float(values.std()) == pytest.approx(0.1 / np.sqrt(3), rel=0.02)
    assert not torch.allclose(values[0], values[1])


def test_towers_begin_at_the_odds_of_their_labels():
    towers = Towers(3, [2], np.array([0.2, 0.0, 1.0]))
    initialise(towers, torch.Generator().manual_seed(0), 0.5)
    begun = towers[-1].bias.detach().ravel().sigmoid()
    np.testing.assert_allclose(begun, [0.2, 1e-6, 1 - 1e-6], rtol=1e-4)
    assert towers(torch.zeros(4, 3)).shape == (4, 3)


def test_gates_sum_to_one_and_mix_what_they_say():
    gates, h, experts = drawn(Gates(2, 5, 3)), normal(6, 5), normal(3, 6, 4)
    g = gates(h)
    assert g.shape == (2, 6, 3)
    torch.testing.assert_close(g.sum(2), torch.ones(2, 6, dtype=g.dtype))
    assert (g > 0).all()
    loop = np.zeros((2, 6, 4))
    for k in range(2):
        for row in range(6):
            for i in range(3):
                loop[k, row] += g[k, row, i].item() * experts[i, row].numpy()
    np.testing.assert_allclose(mixed(g, experts).detach(), loop)


def extracted(block, h):
    """One level by the paper's formulas, a label after the other; ``h``: what each label and the shared path read."""
    state = {name: value.numpy() for name, value in block.state_dict().items()}
    w, b = state["experts.0.weight"], state["experts.0.bias"]
    k, own, shared = block.labels, block.own, block.shared
    reads = [n for n in range(k) for _ in range(own)] + [k] * shared
    experts = [np.maximum(h[n] @ w[i] + b[i], 0) for i, n in enumerate(reads)]
    out = []
    for n in range(k):
        g = softmax(h[n] @ state["gates.weight"][n] + state["gates.bias"][n])
        mine = experts[n * own : (n + 1) * own] + experts[k * own :]
        out.append(sum(g[:, i : i + 1] * mine[i] for i in range(len(mine))))
    if block.gate is not None:
        g = softmax(h[k] @ state["gate.weight"][0] + state["gate.bias"][0])
        out.append(sum(g[:, i : i + 1] * experts[i] for i in range(len(experts))))
    return out


def test_two_levels_of_extraction_are_the_papers():
    first = drawn(Extraction(2, 5, 2, 3, last=False, hidden=[4]))
    second = drawn(Extraction(2, 4, 1, 2, last=True, hidden=[3]), seed=1)
    x = normal(6, 5)
    upper = extracted(first, [x.numpy()] * 3)
    np.testing.assert_allclose(first(x).detach(), np.stack(upper))
    np.testing.assert_allclose(second(first(x)).detach(), np.stack(extracted(second, upper)))
    assert second(first(x)).shape == (2, 6, 3)


def test_chained_logits_are_those_of_products():
    z = normal(50, 3) * 4
    p = torch.cumprod(torch.sigmoid(z), 1)
    torch.testing.assert_close(torch.sigmoid(chained(z)), p)
    far = chained(torch.tensor([[40.0, 40.0], [-200.0, 30.0], [200.0, 200.0], [-90.0, -90.0]]))
    np.testing.assert_allclose(far[:, 1], [40 - np.log(2), -200, 200 - np.log(2), -180], rtol=1e-6)


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (lambda: Perceptrons(2, 3, [4], 1, activation="tanh"), (5, 3)),
        (lambda: Perceptrons(2, 3, [4], 1, activation="tanh"), (2, 5, 3)),
        (lambda: Gates(2, 3, 4), (5, 3)),
        (lambda: Extraction(2, 3, 1, 2, last=False, hidden=[4], activation="tanh"), (5, 3)),
        (lambda: Extraction(2, 3, 2, 1, last=True, hidden=[4], activation="tanh"), (3, 5, 3)),
        (lambda: Uncertainty(3), (3,)),
    ],
)
def test_gradients_are_finite_differences(block, shape):
    net = drawn(block())
    weights = [weight.requires_grad_() for weight in net.parameters()]
    x = normal(*shape).requires_grad_()
    torch.autograd.gradcheck(lambda given, *_: net(given), (x, *weights))


def test_gradients_of_mixing_and_chaining_are_finite_differences():
    given = [normal(2, 5, 3).softmax(2).requires_grad_(), normal(3, 5, 4).requires_grad_()]
    torch.autograd.gradcheck(mixed, given)
    torch.autograd.gradcheck(chained, normal(6, 3).requires_grad_())


def test_labels_that_are_not_known_teach_nothing_and_take_nothing_from_the_others():
    label = (RNG.random((8, 2)) < 0.5).astype(np.float32)
    gaps = label.copy()
    gaps[::2, 1] = np.nan
    weight = RNG.random(8).astype(np.float32) + 0.5
    z, found = RNG.normal(size=(8, 2)), []
    for y in (label, gaps):
        logit = torch.from_numpy(z).float().requires_grad_()
        known, each = Tasks.weighed(y, weight)
        np.testing.assert_allclose(each.mean(0), 1, rtol=1e-6)
        loss = losses(logit, torch.from_numpy(known), torch.from_numpy(each))
        loss.sum().backward()
        found.append((loss.detach().numpy(), logit.grad.numpy()))
    (whole, steps), (less, fewer) = found
    assert whole[0] == less[0]
    np.testing.assert_array_equal(steps[:, 0], fewer[:, 0])
    assert (fewer[::2, 1] == 0).all()
    seen = np.arange(8) % 2 == 1
    own = np.where(label[:, 1] > 0, np.logaddexp(0, -z[:, 1]), np.logaddexp(0, z[:, 1]))
    assert less[1] == pytest.approx(np.average(own[seen], weights=weight[seen]), rel=1e-5)


def test_uncertainty_weighs_least_what_is_least_certain():
    block, each = Uncertainty(2), torch.tensor([0.1, 2.0])
    block.reset(torch.Generator())
    assert float(block(each)) == pytest.approx(2.1)
    optimiser = torch.optim.SGD(block.parameters(), lr=0.2)
    for _ in range(500):
        optimiser.zero_grad()
        block(each).backward()
        optimiser.step()
    np.testing.assert_allclose(block.bias.detach(), np.log(2 * each), atol=1e-3)  # where the derivative is 0
