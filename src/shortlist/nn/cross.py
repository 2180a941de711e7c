"""Cross layers, which multiply by the input once more each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class CrossVector(nn.Module):
    """x_{l+1} = x_0 (x_lᵀ w_l) + b_l + x_l: a weight for each coordinate, so all products of a layer share one factor.

    Source: Wang, Fu, Fu, Wang (2017), Deep & Cross Network for Ad Click Predictions.
    """

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layers, size))
        self.bias = nn.Parameter(torch.empty(layers, size))

    def reset(self, generator: torch.Generator) -> None:
        """Uniform on ±1/√size; biases 0."""
        bound = 1 / math.sqrt(max(1, self.weight.shape[1]))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x0: Tensor) -> Tensor:
        """[m, size] of ``x0`` [m, size]."""
        x = x0
        for w, b in zip(self.weight, self.bias, strict=True):
            x = torch.addcmul(x + b, x0, (x @ w).unsqueeze(1))
        return x


class CrossMatrix(nn.Module):
    """x_{l+1} = x_0 ∘ (W_l x_l + b_l) + x_l; with ``rank`` r > 0, W_l = U_l V_lᵀ of r columns each.

    Source: Wang, Shivanna, Cheng, Jain, Lin, Hong, Chi (2021), DCN V2: Improved Deep & Cross Network and Practical
    Lessons for Web-scale Learning to Rank Systems.
    """

    def __init__(self, size: int, layers: int, rank: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(size, rank, bias=False), nn.Linear(rank, size)) if rank else nn.Linear(size, size)
            for _ in range(layers)
        )

    def forward(self, x0: Tensor) -> Tensor:
        """[m, size] of ``x0`` [m, size]."""
        x = x0
        for layer in self.layers:
            x = torch.addcmul(x, x0, layer(x))
        return x
