"""Deep rankers learn, to the bit, what a plain loop over rows learns that holds a copy of the history for each row."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from shortlist.nn import loop  # noqa: E402
from shortlist.nn.mlp import Dropout  # noqa: E402
from shortlist.nn.rows import predict  # noqa: E402
from shortlist.rank._deep import DeepRanker, LayeredRanker  # noqa: E402
from shortlist.rank._histories import HistoryRanker  # noqa: E402
from shortlist.rank.fm import FM  # noqa: E402
from shortlist.registry import entry, find, names  # noqa: E402
from shortlist.types import HISTORY, Candidates, Ragged, Requests, Samples  # noqa: E402

AVAILABLE = [name for name in names("rank") if entry("rank", name).available]
DEEP = [
    name
    for name in AVAILABLE
    if issubclass(cls := find("rank", name), DeepRanker) and not issubclass(cls, HistoryRanker)
]
WAYS = [
    {},
    {"average": 0.9, "schedule": "cosine", "checks": 2, "numeric": "piecewise"},
    {"numeric": "standard", "ids": ["item"], "bias": "zero", "l2": 0.3},
]
CASES = [(0, False, 0), (5, False, 1), (5, True, 1), (5, True, 2), (5, True, 0)]
"""Items of history, whether later rows stop, which of ``WAYS``."""


def made_up(m=400, each=8, seed=0):
    """Numbers with gaps, categories, a list, histories of 0 to 8 items, weights."""
    rng = np.random.default_rng(seed)
    n, lengths = m // each, rng.integers(0, 9, m // each)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    past = {name: np.zeros(offsets[-1], dtype) for name, dtype in HISTORY.items()}
    past["item"] = rng.integers(0, 30, offsets[-1]).astype(np.int32)
    a, kind = rng.normal(size=m).astype(np.float32), rng.integers(-1, 20, m).astype(np.int32)
    b = np.where(rng.random(m) < 0.2, np.nan, rng.exponential(size=m)).astype(np.float32)
    label = (rng.random(m) < 1 / (1 + np.exp(-1.5 * a - np.where(kind % 2, 1, -1)))).astype(np.float32)
    columns = {"a": a, "b": b, "kind": kind, "tags": rng.integers(-1, 8, (m, 3)).astype(np.int32)}
    rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), each), rng.integers(0, 30, m).astype(np.int32), columns)
    requests = Requests.of(np.zeros(n), np.arange(n), Ragged(offsets, past))
    return Samples(requests, rows, {"click": label}, np.where(np.arange(m) % 3, 1, 2).astype(np.float32))


def copied(ranker, samples):
    """What the net reads, a row each of everything, and label and weight."""
    read = ranker.inputs(samples.requests, samples.candidates)
    arrays = {**read.rows, **{name: array[samples.candidates.request] for name, array in read.asked.items()}}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    weight = samples.weight.astype(np.float64).astype(np.float32)
    return tensors, torch.from_numpy(samples.labels["click"]), weight


def asked(tensors, rows):
    """The rows numbered ``rows``, each its own request."""
    return {**{name: tensor[rows] for name, tensor in tensors.items()}, "request": torch.arange(len(rows))}


def loss_of(objective, z, y, w, group):
    if objective == "pointwise":
        return functional.binary_cross_entropy_with_logits(z, y, w)
    n = int(group[-1]) + 1
    top = torch.full((n,), -torch.inf).scatter_reduce(0, group, z.detach(), "amax")
    total = torch.zeros(n).index_add(0, group, (z - top[group]).exp())
    positives = torch.zeros(n).index_add(0, group, y)
    share = z - (total.log() + top)[group]
    return -(w * y / positives.clamp(min=1)[group] * share).sum() / (positives > 0).sum().clamp(min=1)


def began(net, generator, share):
    for module in net.modules():
        if callable(getattr(module, "reset", None)):
            module.reset(generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, Dropout):
            module.generator = generator
    nn.init.constant_(net.bias, math.log(share / (1 - share)))


def learned(ranker, net, train, valid, epochs, each=8):
    """Trains ``net`` plainly and returns for how many checks."""
    x, y, w = copied(ranker, train)
    m, softmax = len(y), ranker.objective == "softmax"
    n = m // each if softmax else m
    generator = torch.Generator().manual_seed(ranker.seed)
    share = float(np.average(y.numpy() > 0, weights=w)) if ranker.bias == "odds" else 0.5
    began(net, generator, share)
    w = torch.from_numpy(w / w.mean())
    steps = min(-(-m // ranker.batch), n if softmax else m // 2)
    of = {"table": [], "bias": [], "": []}
    for name, parameter in net.named_parameters():
        last = name.rpartition(".")[2]
        of[last if last in of else ""].append(parameter)
    tables = torch.optim.Adam(of["table"], lr=ranker.rate, weight_decay=ranker.embedding_l2, fused=True)
    groups = [{"params": of[name], "weight_decay": l2} for name, l2 in (("bias", 0.0), ("", ranker.l2)) if of[name]]
    others = torch.optim.AdamW(groups, lr=ranker.rate, fused=True)
    floats = [t.detach() for t in (*net.parameters(), *net.buffers()) if t.is_floating_point()]
    average, taken = [t.clone() for t in floats], 0
    best, since, limit = (math.inf, 0, None), 0, epochs * ranker.checks
    order = None
    for check in range(1, limit + 1):
        net.train()
        for step in range((check - 1) * steps // ranker.checks, check * steps // ranker.checks):
            if step % steps == 0:
                order = torch.randperm(n, generator=generator)
            part = order[n * (step % steps) // steps : n * (step % steps + 1) // steps]
            rows = (part[:, None] * each + torch.arange(each)).flatten() if softmax else part
            value = loss_of(ranker.objective, net(asked(x, rows)), y[rows], w[rows],
                            torch.arange(len(part)).repeat_interleave(each) if softmax else part)  # fmt: skip
            net.zero_grad(set_to_none=True)
            value.backward()
            for optimiser in (tables, others):
                for group in optimiser.param_groups:
                    if ranker.schedule == "cosine":
                        group["lr"] = ranker.rate * 0.5 * (1 + math.cos(math.pi * step / (steps * epochs)))
                optimiser.step()
            taken += 1
            if ranker.average:
                torch._foreach_lerp_(average, floats, 1 - min(ranker.average, taken / (taken + 9)))
        if valid is None:
            continue
        now = [t.clone() for t in floats]
        if ranker.average:
            for tensor, value in zip(floats, average, strict=True):
                tensor.copy_(value)
        net.eval()
        with torch.inference_mode():
            x2, y2, w2 = copied(ranker, valid)
            z = net(asked(x2, torch.arange(len(y2))))
            group = torch.arange(len(y2) // each).repeat_interleave(each)
            figure = float(loss_of(ranker.objective, z, y2, torch.from_numpy(w2), group))
        since += 1
        if figure < best[0]:
            best, since = (figure, check, {name: t.clone() for name, t in net.state_dict().items()}), 0
        for tensor, value in zip(floats, now, strict=True):
            tensor.copy_(value)
        if 0 < ranker.stopping <= since:
            break
    if best[2] is not None:
        net.load_state_dict(best[2])
    elif ranker.average:
        for tensor, value in zip(floats, average, strict=True):
            tensor.copy_(value)
    return best[1] or limit


def both(name, train, valid, objective, **config):
    """The ranker, and the net and the checks of the plain loop."""
    ranker = find("rank", name)(objective=objective, batch=100, rate=0.01, epochs=3, **config).fit(train, valid)
    net = ranker.build()
    if name == "fnn":
        same = {name: value for name, value in ranker.config().items() if name in FM.model_fields}
        machine = FM(**same).reading(ranker.schema_).build()
        learned(ranker, machine, train, valid, ranker.pretrain)
        net.fields.start = machine.fields.state_dict()
    return ranker, net, learned(ranker, net, train, valid, ranker.epochs)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("objective", ["pointwise", "softmax"])
def test_weights_and_scores_are_those_of_the_plain_loop(name, objective):
    train, valid = made_up(), made_up(200, seed=1)
    layered = {"dropout": 0.2, "batch_norm": True} if issubclass(find("rank", name), LayeredRanker) else {}
    for history, stops, number in CASES:
        way = {**WAYS[number], **(layered if number == 1 else {})}
        with loop.threads(1):
            ranker, net, checks = both(name, train, valid if stops else None, objective, history=history, **way)
        assert ranker.checks_ == checks
        for at, (weight, tensor) in enumerate(net.state_dict().items()):
            found = ranker.weights_.row(at)["value"]
            np.testing.assert_array_equal(found, tensor.numpy().ravel().astype(np.float32), err_msg=f"{weight} {way}")
        x, y, _ = copied(ranker, valid)
        with torch.inference_mode():
            z = net.eval()(asked(x, torch.arange(len(y)))).numpy()
        score = ranker.score(valid.requests, valid.candidates)["score"]
        expected = z if objective == "softmax" else 1 / (1 + np.exp(-z.astype(np.float64)))
        np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)  # onnxruntime scores, where it is installed
        by_torch = predict(ranker.net(), ranker.inputs(valid.requests, valid.candidates))
        np.testing.assert_array_equal(by_torch, z)  # which takes the mean of a history once a request
