"""Perceptrons side by side, of one shape and with no weight in common: experts, and the towers of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.nn.dice import Dice
from shortlist.nn.mlp import Activation, Dropout, activated
from shortlist.types import Array


class Parallel(nn.Module):
    """y_i = W_i x_i + b_i for i < n: one product for all n, which costs a step less than n small ones."""

    start: Tensor | None = None
    """[n]: where each b_i begins, if not at random."""

    def __init__(self, n: int, size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, size, width))
        self.bias = nn.Parameter(torch.empty(n, 1, width))

    def reset(self, generator: torch.Generator) -> None:
        """Draws each as a linear layer is drawn."""
        bound = 1 / math.sqrt(max(1, self.weight.shape[1]))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.bias, -bound, bound, generator=generator)
        if self.start is not None:
            with torch.no_grad():
                self.bias.copy_(self.start.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[n, m, width] of ``x`` [n, m, size], or of one ``x`` [m, size] for all."""
        n, size, width = self.weight.shape
        if x.dim() == 3:
            return torch.baddbmm(self.bias, x, self.weight)
        flat = torch.addmm(self.bias.flatten(), x, self.weight.transpose(0, 1).reshape(size, n * width))
        return flat.view(-1, n, width).transpose(0, 1)


class _Across(nn.Module):
    """A block over the m rows of n × width outputs [n, m, width], each of which is one of its columns."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        n, _, width = x.shape
        seen: Tensor = self.block(x.transpose(0, 1).reshape(-1, n * width))
        return seen.view(-1, n, width).transpose(0, 1)


class Perceptrons(nn.Sequential):
    """n times ``MLP``, one beside the other."""

    def __init__(
        self,
        n: int,
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
            layers.append(Parallel(n, size, width))
            if batch_norm:
                layers.append(_Across(nn.BatchNorm1d(n * width)))
            bend = activated(activation, n * width)
            layers.append(_Across(bend) if isinstance(bend, Dice) else bend)
            if dropout:
                layers.append(Dropout(dropout))
            size = width
        if out is not None:
            layers.append(Parallel(n, size, out))
        super().__init__(*layers)
        self.size = size if out is None else out


class Towers(Perceptrons):
    """z_k = MLP_k(h_k), a logit for each of n labels; its last bias begins as the log odds of ``shares`` [n]."""

    def __init__(self, size: int, hidden: Sequence[int], shares: Array, **options: Any) -> None:
        super().__init__(len(shares), size, hidden, 1, **options)
        p = np.clip(np.asarray(shares, np.float64), 1e-6, 1 - 1e-6)
        self[-1].start = torch.from_numpy(np.log(p / (1 - p)))

    def forward(self, h: Tensor) -> Tensor:
        """[m, n] of ``h`` [n, m, size], or of one ``h`` [m, size] for all."""
        for layer in self:
            h = layer(h)
        return h.squeeze(2).transpose(0, 1)
