"""The one training loop: minibatches, fused Adam, early stopping with the best weights restored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from shortlist.component import InputError
from shortlist.nn.mlp import Dropout
from shortlist.nn.plan import Plan
from shortlist.progress import emit


class Batches(Protocol):
    """Draws what a net learns from, anew each epoch: an order of rows, fresh negatives, masks, rivals in the batch."""

    def __len__(self) -> int:
        """Rows of an epoch."""

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` rows an epoch has; 0 = there is nothing to learn from."""

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Any]:
        """``steps`` batches with ``len`` (rows) and ``to(device)``; all luck comes from ``generator``."""


Loss = Callable[[nn.Module, Any], Tensor]
"""(net, batch) -> a number: of one head or of several, with whatever is to be added to it."""
Figure = Callable[[nn.Module], float]
"""What the net is on later rows; smaller is better."""


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


def train(
    net: nn.Module,
    batches: Batches,
    loss: Loss,
    plan: Plan,
    figure: Figure | None = None,
    until: int = 0,
    share: float = 0.5,
) -> int:
    """Trains ``net`` in place; returns how many checks it took (``checks`` an epoch) to the weights that it now has.

    With ``figure``, the weights that do best by it are put back in the end, and the end comes when ``stopping`` checks
    in a row brought nothing better (0 = never). ``until`` > 0 ends training after so many checks instead. ``share`` of
    positives is what ``net.bias`` begins with. The net is on the plan's device in training and on the processor after.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    initialise(net, generator, share)
    steps = batches.steps(plan.batch)
    if not steps:
        return 0
    device = device_of(plan.device)
    net.to(device)
    checks = min(plan.checks, steps)
    limit = until or plan.epochs * checks
    optimisers = _optimisers(net, plan)
    stream = _stream(batches, steps, generator)
    average, best, pace = _Average(net, plan.average), _Best(plan.stopping), _Pace(limit)
    for check in range(1, limit + 1):
        net.train()
        total, rows = torch.zeros((), device=device), 0
        first, last = (check - 1) * steps // checks, check * steps // checks
        for step in range(first, last):
            batch = next(stream)
            rows += len(batch)
            if len(batch) < 2:  # a request of one row: no order to learn, nothing to standardise over
                continue
            value = loss(net, batch.to(device))
            net.zero_grad(set_to_none=True)
            value.backward()
            for optimiser in optimisers:
                if plan.schedule == "cosine":
                    for group in optimiser.param_groups:
                        group["lr"] = plan.rate * 0.5 * (1 + math.cos(math.pi * step / (steps * plan.epochs)))
                optimiser.step()
            average.update(net)
            total += value.detach()
        said = {"loss": float(total) / max(1, last - first)}
        if figure is not None and not until:
            with average.applied(net):
                best.look(net, check, figure(net))
            said["valid"] = best.last
        pace.tell(check, rows, said, over=best.stale)
        if best.stale:
            break
    if best.weights is None:
        average.put(net)
    else:
        net.load_state_dict(best.weights)
    net.to("cpu")
    return best.check or limit


def device_of(wanted: str) -> torch.device:
    """``auto``: the graphics card if torch sees one."""
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not seen:
        raise InputError("device: expected a graphics card for cuda, and torch sees none")
    return torch.device("cuda" if seen and wanted != "cpu" else "cpu")


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


def _stream(batches: Batches, steps: int, generator: torch.Generator) -> Iterator[Any]:
    """Epoch after epoch, each begun when its first batch is wanted."""
    while True:
        yield from batches.epoch(steps, generator)


class _Pace:
    """Says after each check how quick training is and how long it will take at most."""

    def __init__(self, limit: int) -> None:
        self.limit, self.began, self.rows = limit, time.perf_counter(), 0

    def tell(self, check: int, rows: int, said: dict[str, float], *, over: bool) -> None:
        self.rows += rows
        spent = time.perf_counter() - self.began
        left = 0.0 if over else spent / check * (self.limit - check)
        pace = self.rows / max(spent, 1e-9)
        emit("check", number=check, **said, rows_per_second=pace, seconds_left=left)
        note = f"loss {said['loss']:.4g}, {pace:,.0f} rows a second, {left:.0f} s left"
        emit("advance", title="train", done=self.limit if over else check, total=self.limit, note=note)


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
