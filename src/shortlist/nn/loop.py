"""The one training loop: minibatches, fused Adam, early stopping with the best weights restored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from shortlist.nn.loss import Loss, softmax
from shortlist.nn.mlp import Dropout
from shortlist.nn.schema import Inputs
from shortlist.progress import emit, track
from shortlist.types import Array, Float32, Int64, spans

CHUNK = 2048
"""Rows scored at once: what a net makes of them (all pairs of fields, say) should fit into the cache."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a net learns from."""

    inputs: Inputs  # each [m, ...]
    label: Float32  # [m]
    weight: Float32  # [m]
    offsets: Int64 | None = None  # [n + 1] where each request's rows begin, if requests must stay whole

    def __len__(self) -> int:
        return len(self.label)

    @property
    def groups(self) -> int:
        """What is shuffled: rows, or requests that stay whole."""
        return len(self) if self.offsets is None else len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; the ranker's hyperparameters of the same names."""

    rate: float = 1e-3
    batch: int = 512
    epochs: int = 10
    stopping: int = 2
    checks: int = 1
    l2: float = 0.0
    embedding_l2: float = 0.0
    schedule: str = "constant"
    average: float = 0.0
    monitor: str = "loss"
    bias: str = "odds"
    seed: int = 0


def initialise(net: nn.Module, generator: torch.Generator, share: float) -> None:
    """Draws all weights from ``generator``; a parameter ``net.bias`` becomes the log odds of ``share`` positives.

    A block with a method ``reset(generator)`` draws its own; linear layers are uniform on ±1/√inputs.
    """
    for module in net.modules():
        if callable(reset := getattr(module, "reset", None)):
            reset(generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(max(1, module.in_features))
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, Dropout):
            module.generator = generator
    if isinstance(bias := getattr(net, "bias", None), nn.Parameter):
        share = min(max(share, 1e-6), 1 - 1e-6)
        nn.init.constant_(bias, math.log(share / (1 - share)))


def train(net: nn.Module, rows: Rows, valid: Rows | None, loss: Loss, plan: Plan, until: int = 0) -> int:
    """Trains ``net`` in place; returns how many checks it took (``checks`` an epoch) to the weights that it now has.

    With ``valid``, the weights that do best on it are put back in the end, and the end comes when ``stopping`` checks
    in a row brought nothing better (0 = never). ``until`` > 0 ends training after so many checks instead. Later rows
    that give every net the same figure are put aside with a warning: all epochs are trained.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    known = len(rows) > 0 and plan.bias == "odds"
    initialise(net, generator, float(np.average(rows.label > 0, weights=rows.weight)) if known else 0.5)
    if len(rows) < 2:
        return 0
    tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in rows.inputs]
    label, weight = torch.from_numpy(rows.label), torch.from_numpy(rows.weight / rows.weight.mean())
    steps = min(-(-len(rows) // plan.batch), rows.groups if rows.offsets is not None else len(rows) // 2)
    checks = min(plan.checks, steps)
    limit = until or plan.epochs * checks
    optimisers = _optimisers(net, plan)
    batches = _batches(rows, steps, generator)
    average, best = _Average(net, plan.average), _Best(plan.stopping)
    if valid is not None and not until and not _telling(valid, loss, plan.monitor):
        emit("warning", message="the later rows are none or all alike: they do not say when to stop training")
        valid = None
    for check in track(range(1, limit + 1), "train"):
        net.train()
        total = torch.zeros(())
        first, last = (check - 1) * steps // checks, check * steps // checks
        for step in range(first, last):
            chosen, request = next(batches)
            if len(chosen) < 2:  # a request of one row: no order to learn, nothing to standardise over
                continue
            logit = net(*[tensor.index_select(0, chosen) for tensor in tensors])
            value = loss(logit, label.index_select(0, chosen), weight.index_select(0, chosen), request)
            net.zero_grad(set_to_none=True)
            value.backward()
            for optimiser in optimisers:
                if plan.schedule == "cosine":
                    for group in optimiser.param_groups:
                        group["lr"] = plan.rate * 0.5 * (1 + math.cos(math.pi * step / (steps * plan.epochs)))
                optimiser.step()
            average.update(net)
            total += value.detach()
        loss_now = float(total) / max(1, last - first)
        if valid is None or until:
            emit("check", number=check, loss=loss_now)
            continue
        with average.applied(net):
            best.look(net, check, measure(net, valid, loss, plan.monitor))
        emit("check", number=check, loss=loss_now, valid=best.last)
        if best.stale:
            break
    if best.weights is None:
        average.put(net)
        return limit
    net.load_state_dict(best.weights)
    return best.check


def predict(net: nn.Module, inputs: Inputs) -> Float32:
    """[m]: the net's logits."""
    net.eval()
    with torch.inference_mode():
        m = len(inputs[0])
        tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in inputs]
        if m <= CHUNK:
            return np.asarray(net(*tensors).numpy(), np.float32)
        parts = [net(*[t[a : a + CHUNK] for t in tensors]) for a in range(0, m, CHUNK)]
        return np.asarray(torch.cat(parts).numpy(), np.float32)


def measure(net: nn.Module, rows: Rows, loss: Loss, monitor: str) -> float:
    """The loss on ``rows``, or 1 - AUC; smaller is better."""
    logit = predict(net, rows.inputs)
    if monitor == "auc":
        return 1 - auc(rows.label, logit)
    y, w, request = (
        torch.from_numpy(rows.label),
        torch.from_numpy(rows.weight),
        torch.zeros(len(rows), dtype=torch.long),
    )
    if rows.offsets is not None:
        request = torch.from_numpy(np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets)))
    return float(loss(torch.from_numpy(logit), y, w, request))


def _telling(rows: Rows, loss: Loss, monitor: str) -> bool:
    """Whether ``measure`` can differ between nets."""
    positives = int((rows.label > 0).sum())
    if monitor == "auc":
        return 0 < positives < len(rows)
    return len(rows) > 0 and (loss is not softmax or positives > 0)


def auc(label: Array, score: Array) -> float:
    """The chance that a random positive is above a random negative; .5 where there is only one kind."""
    positive = label > 0
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return 0.5
    return float((rankdata(score)[positive].sum() - p * (p + 1) / 2) / (p * n))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch computes with ``count`` threads inside the block."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batches(rows: Rows, steps: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch: row numbers, and which of the step's requests each row belongs to (or nothing of use)."""
    n, offsets = rows.groups, rows.offsets
    while True:
        order = torch.randperm(n, generator=generator)
        for step in range(steps):
            part = order[n * step // steps : n * (step + 1) // steps]
            if offsets is None:
                yield part, part
            else:
                starts, ends = offsets[part], offsets[part + 1]
                request = np.repeat(np.arange(len(part)), ends - starts)
                yield torch.from_numpy(spans(starts, ends)), torch.from_numpy(request)


def _optimisers(net: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """Adam for tables, their decay part of the gradient; AdamW for other weights; no decay of biases.

    A decay apart from the gradient draws the rows of rare and of frequent values in alike. As part of it, it is what
    moves a row that most steps do not have, while a row in every step barely feels it.
    """
    groups: dict[str, list[nn.Parameter]] = {"table": [], "bias": [], "": []}
    for name, parameter in net.named_parameters():
        last = name.rpartition(".")[2]
        groups[last if last in groups else ""].append(parameter)
    optimisers: list[torch.optim.Optimizer] = []
    if tables := groups["table"]:
        optimisers.append(torch.optim.Adam(tables, lr=plan.rate, weight_decay=plan.embedding_l2, fused=True))
    own = [{"params": groups[name], "weight_decay": l2} for name, l2 in (("bias", 0.0), ("", plan.l2)) if groups[name]]
    if own:
        optimisers.append(torch.optim.AdamW(own, lr=plan.rate, fused=True))
    return optimisers


class _Best:
    """The weights that did best on ``valid`` so far."""

    def __init__(self, stopping: int) -> None:
        self.stopping = stopping
        self.value, self.last, self.check, self.since = math.inf, math.inf, 0, 0
        self.weights: dict[str, Tensor] | None = None

    def look(self, net: nn.Module, check: int, value: float) -> None:
        self.last, self.since = value, self.since + 1
        if value < self.value or self.weights is None:
            self.value, self.check, self.since = value, check, 0
            self.weights = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    @property
    def stale(self) -> bool:
        return 0 < self.stopping <= self.since


class _Average:
    """Weights averaged over the steps, recent ones most: a ← decay a + (1 - decay) w. Does nothing with decay 0.

    The running moments of ``batch_norm`` too: those of the last weights are not of the averaged ones.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = [w.clone() for w in _averaged(net)] if decay else []
        self.steps = 0

    def update(self, net: nn.Module) -> None:
        if self.decay:
            self.steps += 1
            now = min(self.decay, self.steps / (self.steps + 9))  # the first weights are soon forgotten
            torch._foreach_lerp_(self.weights, _averaged(net), 1 - now)

    @contextmanager
    def applied(self, net: nn.Module) -> Iterator[None]:
        """The net has the averaged weights inside the block."""
        before = [w.clone() for w in _averaged(net)] if self.decay else []
        self.put(net)
        try:
            yield
        finally:
            _set(net, before)

    def put(self, net: nn.Module) -> None:
        """Gives the net the averaged weights."""
        _set(net, self.weights)


def _averaged(net: nn.Module) -> list[Tensor]:
    return [w.detach() for w in (*net.parameters(), *net.buffers()) if w.is_floating_point()]


def _set(net: nn.Module, values: list[Tensor]) -> None:
    for weight, value in zip(_averaged(net), values, strict=False):
        weight.copy_(value)
