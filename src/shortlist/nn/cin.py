"""The compressed interaction network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CIN(nn.Module):
    """X^k_h = Σ_i Σ_j W^k_hij (X^{k-1}_i ∘ X⁰_j), p^k_h = Σ_d X^k_hd: crosses of order k + 1, vector by vector.

    X⁰ are the fields' vectors, ∘ the elementwise product. Each of the ``widths`` gives as many maps h, without an
    activation (the authors found none to be the best).

    Source: Lian et al. (2018), xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems.
    """

    def __init__(self, count: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [count, *widths[:-1]]
        self.weights = nn.ParameterList(
            torch.empty(width, maps * count) for maps, width in zip(inputs, widths, strict=True)
        )
        self.size = sum(widths)

    def reset(self, generator: torch.Generator) -> None:
        """Uniform, with a variance that keeps the products' scale."""
        for weight in self.weights:
            bound = math.sqrt(3 / weight.shape[1])
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(self, vectors: Tensor) -> Tensor:
        """[m, Σ widths]: p of ``vectors`` [m, f, d]."""
        m, f, d = vectors.shape
        x0 = vectors.transpose(0, 1).reshape(f, m * d)  # maps first: each layer is one product of matrices
        x, pooled = x0, []
        for weight in self.weights[:-1]:
            z = (x.unsqueeze(1) * x0.unsqueeze(0)).flatten(0, 1)  # [maps · f, m · d]
            x = weight @ z
            pooled.append(x.view(len(x), m, d).sum(2).transpose(0, 1))
        z_sum = x.view(len(x), m, d).transpose(0, 1) @ vectors.transpose(1, 2)  # Σ_d z: all that the last layer needs
        pooled.append(z_sum.flatten(1) @ self.weights[-1].transpose(0, 1))
        return torch.cat(pooled, 1)
