"""The one training loop: minibatches, fused Adam, early stopping with the best weights restored."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from shortlist.component import InputError
from shortlist.nn import checkpoint
from shortlist.nn.plan import Plan
from shortlist.nn.run import Run
from shortlist.progress import emit


class Batches(Protocol):
    """Draws what a net learns from, anew each epoch: an order of rows, fresh negatives, masks, rivals in the batch."""

    def __len__(self) -> int:
        """Rows of an epoch."""

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` rows an epoch has; 0 = there is nothing to learn from."""

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Any]:
        """``steps`` batches with ``len`` (rows) and ``to(device)``; all luck comes from ``generator``."""


_KEPT = {-3: 1 << 30, -1: (1 << 31) - 1}
"""malloc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: blocks of up to a gigabyte come of the heap, none is returned."""
_RETURNED = 128 * 1024
"""What both are unless somebody says otherwise."""
Loss = Callable[[nn.Module, Any], Tensor]
"""(net, batch) -> a number: of one head or of several, with whatever is to be added to it."""
Figure = Callable[[nn.Module], float]
"""What the net is on later rows; smaller is better."""


def initialise(net: nn.Module, generator: torch.Generator, share: float) -> None:
    """Draws all weights from ``generator``; a parameter ``net.bias`` becomes the log odds of ``share`` positives.

    A block with a method ``reset(generator)`` draws its own; linear layers are uniform on ±1/√inputs. One with an
    attribute ``generator`` is given it, to draw from in training. A net with a method ``warm`` then sets what it knows
    already.
    """
    for module in net.modules():
        if callable(reset := getattr(module, "reset", None)):
            reset(generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(max(1, module.in_features))
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif hasattr(module, "generator"):
            module.generator = generator  # type: ignore[assignment]
    if callable(warm := getattr(net, "warm", None)):
        warm()
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

    Inside ``checkpoint.kept_in`` a run that was cut short goes on from its last epoch, and one that was finished is not
    repeated.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    initialise(net, generator, share)
    steps = batches.steps(plan.batch)
    if not steps:
        return 0
    device = device_of(plan.device)
    net.to(device)
    if plan.compile:
        net.compile()
    checks = min(plan.checks, steps)
    limit = until or plan.epochs * checks
    run = Run(net, _optimisers(net, plan), generator, plan)
    kept = checkpoint.of(net, plan, batches, until, figure is None)
    if kept is not None:
        run.put(kept.load())
    stream, pace = _stream(batches, steps, generator), _Pace(limit, run.check)
    with memory_kept():
        while run.check < limit and not run.best.stale:
            check = run.check + 1
            net.train()
            total, rows = torch.zeros((), device=device), 0
            first, last = (check - 1) * steps // checks, check * steps // checks
            for step in range(first, last):
                batch = next(stream)
                rows += len(batch)
                if len(batch) < 2:  # a request of one row: no order to learn, nothing to standardise over
                    continue
                with _precision(device):
                    value = loss(net, batch.to(device))
                net.zero_grad(set_to_none=True)
                value.backward()
                if plan.schedule == "cosine":
                    run.set_rate(plan.rate * 0.5 * (1 + math.cos(math.pi * step / (steps * plan.epochs))))
                run.step()
                total += value.detach()
            run.check, said = check, {"loss": float(total) / max(1, last - first)}
            if figure is not None and not until:
                with run.average.applied(net), _precision(device):
                    run.best.look(net, check, figure(net))
                said["valid"] = run.best.last
            pace.tell(check, rows, said, over=run.best.stale)
            if kept is not None and check % checks == 0:
                kept.save(run.state, last=check == limit or run.best.stale)
    if run.best.weights is None:
        run.average.put(net)
    else:
        net.load_state_dict(run.best.weights)
    net.to("cpu")
    return run.best.check or limit


def device_of(wanted: str) -> torch.device:
    """``auto``: the graphics card if torch sees one."""
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not seen:
        raise InputError("device: expected a graphics card for cuda, and torch sees none")
    return torch.device("cuda" if seen and wanted != "cpu" else "cpu")


@contextmanager
def memory_kept() -> Iterator[None]:
    """What is freed inside the block is kept for the next step and given back at its end (glibc; nothing elsewhere).

    A step's larger tensors are otherwise asked of the system and returned each time, and clearing their pages takes up
    to two fifths of the step.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        yield
        return
    for what, size in _KEPT.items():
        mallopt(what, size)
    try:
        yield
    finally:
        for what in _KEPT:
            mallopt(what, _RETURNED)
        trim(0)


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


def _precision(device: torch.device) -> AbstractContextManager[object]:
    """Half precision (bfloat16) on a graphics card, full on the processor."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


class _Pace:
    """Says after each check how quick training is and how long it will take at most."""

    def __init__(self, limit: int, first: int = 0) -> None:
        self.limit, self.first, self.began, self.rows = limit, first, time.perf_counter(), 0

    def tell(self, check: int, rows: int, said: dict[str, float], *, over: bool) -> None:
        self.rows += rows
        spent = time.perf_counter() - self.began
        left = 0.0 if over else spent / (check - self.first) * (self.limit - check)
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
