"""A multilayer perceptron, and dropout that draws from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.nn.dice import Dice

Activation = Literal["relu", "leaky_relu", "silu", "gelu", "tanh", "dice"]
PLAIN: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}
"""Activations without weights."""


def activated(activation: Activation, width: int) -> nn.Module:
    """What follows a layer of ``width`` outputs."""
    return Dice(width) if activation == "dice" else PLAIN[activation]()


class Dropout(nn.Module):
    """y = x · b / (1 - rate), b ~ Bernoulli(1 - rate) in training; y = x afterwards.

    Draws from ``generator``, which the training loop sets: fits in several threads do not disturb each other. It is the
    processor's, so that a seed means the same on every device.

    Source: Srivastava et al. (2014), Dropout: a Simple Way to Prevent Neural Networks from Overfitting.
    """

    generator: torch.Generator | None = None

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x``."""
        if not self.training or not self.rate:
            return x
        kept = torch.empty_like(x, device="cpu").bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.div_(1 - self.rate).to(x.device)


class MLP(nn.Sequential):
    """h_l = dropout(a(norm(W_l h_{l-1} + b_l))) for each width in ``hidden``, then W h + b to ``out`` if given."""

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        out: int | None = None,
        *,
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(nn.Linear(size, width))
            if batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers.append(activated(activation, width))
            if dropout:
                layers.append(Dropout(dropout))
            size = width
        if out is not None:
            layers.append(nn.Linear(size, out))
        super().__init__(*layers)
        self.size = size if out is None else out
