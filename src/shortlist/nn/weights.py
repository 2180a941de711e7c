"""Weights that a training run holds beside those it moves: the best so far, and a running average."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Best:
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


class Average:
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
