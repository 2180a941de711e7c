"""The training loop: early stopping puts the best weights back, seeds decide, whole requests, averages, AUC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from shortlist.component import InputError
from shortlist.encode.inputs import Inputs
from shortlist.metrics.ranking import auc as plain_auc
from shortlist.nn import loop
from shortlist.nn.loss import pointwise, softmax
from shortlist.nn.mlp import MLP
from shortlist.nn.plan import Plan as Hyperparameters
from shortlist.nn.rows import Rows, auc, predict
from shortlist.progress import listening


def Plan(**config):
    return Hyperparameters(**({"rate": 1e-3, "l2": 0.0, "embedding_l2": 0.0} | config))


def train(net, data, later, loss, plan, until=0, monitor="loss", share=0.5):
    """As rankers train."""
    figure = None if later is None else later.figure(loss, monitor)
    return loop.train(net, data, partial(of_batch, loss), plan, figure, until, share)


def of_batch(loss, net, batch):
    return loss(net(batch.inputs), batch.label, batch.weight, batch.group)


def measure(net, rows, loss):
    return rows.loss(net, loss)


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias, self.weight = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(3))

    def forward(self, inputs):
        return self.bias + inputs["x"] @ self.weight


class Deep(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.mlp = MLP(3, [16, 16], 1, dropout=dropout)

    def forward(self, inputs):
        return self.mlp(inputs["x"]).squeeze(1)


def rows(m=400, seed=0, flip=0.0, requests=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, 3)).astype(np.float32)
    y = ((x @ [2.0, -1.0, 0.0] > 0) ^ (rng.random(m) < flip)).astype(np.float32)
    offsets = None if requests is None else np.linspace(0, m, requests + 1).astype(np.int64)
    return Rows(Inputs({"x": x}), y, np.ones(m, np.float32), offsets)


def test_early_stopping_puts_the_best_weights_back():
    """Noise is learned by heart: the loss on later rows falls, then rises. What is kept is its lowest point."""
    seen = []
    later = rows(200, 1, 0.4)
    with listening(lambda name, fields: seen.append(fields["valid"]) if name == "check" else None):
        net = Deep()
        plan = Plan(rate=0.02, batch=32, epochs=40, stopping=3)
        checks = train(net, rows(150, 0, 0.4), later, pointwise, plan)
    assert checks == int(np.argmin(seen)) + 1 == len(seen) - 3 < 37
    assert measure(net, later, pointwise) == pytest.approx(min(seen), rel=1e-6)
    assert seen[-1] > min(seen)


def test_without_valid_all_epochs_are_run_and_until_ends_them():
    assert train(Line(), rows(), None, pointwise, Plan(epochs=3, checks=2)) == 6 - 3  # one step an epoch: one check
    assert train(Line(), rows(), None, pointwise, Plan(epochs=3, checks=2, batch=64)) == 6
    assert train(Line(), rows(), rows(), pointwise, Plan(epochs=9, batch=64), until=2) == 2


def test_trained_until_the_best_check_is_what_stopping_restored():
    data, later = rows(150, 0, 0.4), rows(200, 1, 0.4)
    plan = Plan(rate=0.02, batch=32, epochs=40, stopping=3, checks=2)
    stopped, again = Deep(), Deep()
    best = train(stopped, data, later, pointwise, plan)
    train(again, data, None, pointwise, plan, until=best)
    np.testing.assert_array_equal(predict(stopped, later.inputs), predict(again, later.inputs))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_seed_decides_and_global_luck_does_not(average):
    answers = []
    for luck, seed in ((1, 0), (2, 0), (3, 1)):
        torch.manual_seed(luck)
        net = Deep(dropout=0.3)
        state = torch.get_rng_state()
        train(net, rows(), None, pointwise, Plan(epochs=2, batch=64, seed=seed, average=average))
        assert torch.equal(torch.get_rng_state(), state)
        answers.append(predict(net, rows().inputs))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_the_bias_begins_at_the_log_odds_or_at_zero():
    data = rows()
    data = Rows(data.inputs, (data.inputs.rows["x"][:, 0] > -1).astype(np.float32), data.weight)
    share = float(data.label.mean())
    assert data.share() == pytest.approx(share)
    for at, start in ((data.share(), np.log(share / (1 - share))), (0.5, 0.0)):
        net = Line()
        train(net, data, None, pointwise, Plan(epochs=1, rate=1e-6), share=at)
        assert float(net.bias.detach()) == pytest.approx(start, abs=1e-4)


def test_the_average_is_of_weights_and_of_running_moments():
    class Normed(Line):
        def __init__(self):
            super().__init__()
            self.norm, self.seen = nn.BatchNorm1d(3), []

        def forward(self, inputs):
            x = self.norm(inputs["x"])
            if self.training:  # the moments after this step, the weights before it
                self.seen.append((self.norm.running_mean.clone(), self.weight.detach().clone()))
            return super().forward({"x": x})

    net, plan = Normed(), Plan(epochs=4, batch=64, rate=0.05, average=0.9)
    train(net, rows(), None, pointwise, plan)
    last = Normed()
    train(last, rows(), None, pointwise, Plan(epochs=4, batch=64, rate=0.05))
    weights = [weight for _, weight in net.seen[1:]] + [last.weight.detach()]
    mean, average = torch.zeros(3), torch.zeros(3)
    for step, ((moment, _), weight) in enumerate(zip(net.seen, weights, strict=True), 1):
        share = 1 - min(0.9, step / (step + 9))
        mean, average = mean + share * (moment - mean), average + share * (weight - average)
    torch.testing.assert_close(net.norm.running_mean, mean)
    torch.testing.assert_close(net.weight.detach(), average)


def test_weights_count_rows():
    data = rows(400, 0)
    x, y = data.inputs.rows["x"], data.label
    twice = np.arange(400) < 100
    weighted = Rows(Inputs({"x": x}), y, np.where(twice, 2, 1).astype(np.float32))
    x, y = np.concatenate([x, x[twice]]), np.concatenate([y, y[twice]])
    repeated = Rows(Inputs({"x": x}), y, np.ones(500, np.float32))
    plan = Plan(epochs=400, batch=1000, rate=0.05, schedule="cosine", l2=0.5)
    nets = [Line(), Line(), Line()]
    for net, what in zip(nets, (weighted, repeated, data), strict=True):
        train(net, what, None, pointwise, plan)
    a, b, c = (net.weight.detach().numpy() for net in nets)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert abs(a - c).max() > 5e-3


def test_softmax_learns_what_is_best_of_each_request():
    data = rows(600, 0, requests=120)
    level = np.repeat(np.random.default_rng(1).normal(0, 30, 120), 5)  # says nothing within a request
    x = np.column_stack([data.inputs.rows["x"][:, :2], level]).astype(np.float32)
    shifted = Rows(Inputs({"x": x}), data.label, data.weight, data.offsets)
    net = Line()
    train(net, shifted, None, softmax, Plan(epochs=40, batch=64, rate=0.05))
    weight = net.weight.detach().numpy()
    assert weight[0] > 1
    assert weight[1] < -0.5


def test_weights_count_requests_when_the_order_is_learned():
    """All rows of a request weigh the same where old ones, or people who ask often, are to count less."""
    data = rows(600, 0, 0.2, requests=120)
    often = np.repeat(np.where(np.arange(120) < 60, 3, 1), 5)
    weighted = Rows(data.inputs, data.label, often.astype(np.float32), data.offsets)
    first = np.concatenate([np.arange(600), np.tile(np.arange(300), 2)])
    x, label = data.inputs.rows["x"][first], data.label[first]
    repeated = Rows(Inputs({"x": x}), label, np.ones(1200, np.float32), np.arange(241, dtype=np.int64) * 5)
    plan = Plan(epochs=300, batch=2000, rate=0.05, schedule="cosine", l2=0.1)
    found = []
    for what in (weighted, repeated, data):
        net = Line()
        train(net, what, None, softmax, plan)
        found.append(net.weight.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=2e-3, atol=2e-3)
    assert abs(found[0] - found[2]).max() > 0.02


def test_batches_cover_every_row_once_an_epoch_and_keep_requests_whole():
    data = rows(103, requests=17)
    chosen = list(data.order(5, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat([rows for rows, _ in chosen]).tolist()) == list(range(103))
    for numbers, request in chosen:
        assert (request[1:] - request[:-1] >= 0).all()
        for r in range(int(request[-1]) + 1):
            whole = numbers[request == r].numpy()
            q = int(np.searchsorted(data.offsets, whole[0], "right")) - 1
            assert whole.tolist() == list(range(data.offsets[q], data.offsets[q + 1]))


def test_auc_is_the_metrics():
    rng = np.random.default_rng(0)
    label, score = (rng.random(300) < 0.3).astype(np.float32), np.round(rng.normal(size=300), 1)
    assert auc(label, score) == pytest.approx(plain_auc(label, score))
    assert auc(np.zeros(3), np.arange(3)) == 0.5


def test_nothing_to_learn_from_is_no_error():
    net = Deep()
    assert train(net, NONE, None, pointwise, Plan()) == 0
    assert predict(net, NONE.inputs).shape == (0,)


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = MLP(3, [4], 1, batch_norm=True)

    def forward(self, inputs):
        return self.mlp(inputs["x"]).squeeze(1)


@pytest.mark.parametrize("requests", [None, [0, 1, 3]])
def test_no_step_has_a_single_row(requests):
    """Which is nothing to standardise over."""
    data = rows(3)
    data = Rows(data.inputs, data.label, data.weight, None if requests is None else np.array(requests))
    net = Normed()
    train(net, data, None, pointwise if requests is None else softmax, Plan(batch=2, epochs=2))
    assert np.isfinite(predict(net, data.inputs)).all()


NONE = Rows(Inputs({"x": np.empty((0, 3), np.float32)}), np.empty(0, np.float32), np.empty(0, np.float32))


@pytest.mark.parametrize(
    ("later", "loss", "monitor"),
    [(NONE, pointwise, "loss"), (rows(50, requests=10), softmax, "loss"), (rows(50), pointwise, "auc")],
)
def test_later_rows_that_cannot_tell_have_no_figure(later, loss, monitor):
    later = Rows(later.inputs, np.zeros_like(later.label), later.weight, later.offsets)
    assert later.figure(loss, monitor) is None


@dataclass
class Pairs:
    """A batch of two lists."""

    x: torch.Tensor
    labels: torch.Tensor  # [b, 2]

    def __len__(self):
        return len(self.x)

    def to(self, device):
        return Pairs(self.x.to(device), self.labels.to(device))


class Drawn:
    """Batches of points that nobody has seen before, in every step."""

    def __init__(self):
        self.epochs = []

    def __len__(self):
        return 256

    def steps(self, batch):
        return 256 // batch

    def epoch(self, steps, generator):
        self.epochs.append([])
        for _ in range(steps):
            x = torch.randn((256 // steps, 3), generator=generator)
            self.epochs[-1].append(x)
            yield Pairs(x, torch.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 1], 1).float())


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = MLP(3, [8], 2)

    def forward(self, x):
        return self.mlp(x)


def test_batches_drawn_anew_and_a_loss_of_several_heads():
    batches, net = Drawn(), Heads()

    def loss(net, batch):
        z = net(batch.x)
        each = nn.functional.binary_cross_entropy_with_logits(z, batch.labels, reduction="none").mean(0)
        return each[0] + 0.5 * each[1] + 1e-4 * z.square().mean()

    test = next(iter(Drawn().epoch(1, torch.Generator().manual_seed(9))))
    figures = []

    def figure(net):
        with torch.inference_mode():
            figures.append(float(loss(net.eval(), test)))
        return figures[-1]

    plan = Plan(epochs=60, batch=64, rate=0.02, stopping=0)
    assert loop.train(net, batches, loss, plan, figure) == int(np.argmin(figures)) + 1
    assert [len(epoch) for epoch in batches.epochs] == [4] * 60
    assert len(torch.cat([x for epoch in batches.epochs for x in epoch]).unique(dim=0)) == 60 * 256
    with torch.inference_mode():
        z = net(test.x).numpy()
    assert all(auc(test.labels[:, head].numpy(), z[:, head]) > 0.98 for head in (0, 1))


def test_a_step_has_each_of_its_requests_once():
    rng = np.random.default_rng(0)
    request = np.repeat(np.arange(30), 4)
    inputs = Inputs({"x": rng.normal(size=(120, 2))}, {"history": rng.integers(0, 99, (30, 7))}, request)
    ones = np.ones(120, np.float32)
    for offsets in (None, np.arange(31, dtype=np.int64) * 4):
        data = Rows(inputs, ones, ones, offsets)
        order = list(data.order(5, torch.Generator().manual_seed(1)))
        for batch, (chosen, _) in zip(data.epoch(5, torch.Generator().manual_seed(1)), order, strict=True):
            past, at = batch.inputs["history"], batch.inputs["request"]
            assert len(past) == len(np.unique(request[chosen]))
            np.testing.assert_array_equal(past[at], inputs.asked["history"][request[chosen]])
            np.testing.assert_array_equal(batch.inputs["x"], inputs.rows["x"][chosen])


def test_the_device_is_the_graphics_card_where_torch_sees_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [loop.device_of(wanted).type for wanted in ("auto", "cpu")] == ["cpu", "cpu"]
    with pytest.raises(InputError, match="device: expected a graphics card"):
        train(Line(), rows(), None, pointwise, Plan(device="cuda"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [loop.device_of(wanted).type for wanted in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


def test_threads_are_what_they_were():
    before = torch.get_num_threads()
    with loop.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


class Table(nn.Module):
    """A row of a table for each of two values, and one weight."""

    def __init__(self):
        super().__init__()
        self.table, self.weight = nn.Parameter(torch.zeros(2, 1)), nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return nn.functional.embedding(inputs["code"], self.table)[:, 0, 0] + inputs["x"][:, 0] * self.weight


def test_the_penalty_on_tables_is_in_the_loss_and_holds_rare_values():
    """Learned to the end, the gradient of mean loss + l2 / 2 · |table|² is zero, whatever other weights' decay."""
    code = (np.arange(200) < 4).astype(np.int32)[:, None]
    label = (np.arange(200) % 4 > 0).astype(np.float32)  # three of four, of either value
    data = Rows(Inputs({"code": code, "x": np.zeros((200, 1), np.float32)}), label, np.ones(200, np.float32))
    net, l2 = Table(), 0.02
    train(
        net, data, None, pointwise, Plan(rate=0.05, batch=200, epochs=600, schedule="cosine", l2=0.3, embedding_l2=l2)
    )
    found = net.table.detach().numpy()[:, 0]
    p = 1 / (1 + np.exp(-found))
    share = np.array([0.98, 0.02])
    np.testing.assert_allclose(share * (p - 0.75) + l2 * found, 0, atol=1e-4)
    assert found[1] < found[0] / 3


def test_other_weights_decay_apart_from_the_gradient():
    """Without any gradient, w ← w (1 - rate · l2) at each step; a table without rows in a step is drawn in by Adam."""
    ones, inputs = np.ones(4, np.float32), {"code": np.zeros((4, 1), np.int32), "x": np.zeros((4, 1), np.float32)}
    data = Rows(Inputs(inputs), ones, ones)
    net = Table()
    with torch.no_grad():
        net.weight[0], net.table[1] = 1.0, 1.0
    train(net, data, None, pointwise, Plan(rate=0.01, batch=4, epochs=10, l2=0.5, embedding_l2=1e-4))
    assert net.weight.item() == pytest.approx((1 - 0.005) ** 10, rel=1e-5)
    assert net.table[1].item() == pytest.approx(0.9, abs=1e-3)
