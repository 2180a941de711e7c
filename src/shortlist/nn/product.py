"""Products of the fields' vectors, as inputs to a perceptron."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def pairs(count: int) -> Tensor:
    """[2, count (count - 1) / 2]: i and j of all i < j."""
    return torch.triu_indices(count, count, 1)


class InnerProducts(nn.Module):
    """p_ij = ⟨v_i, v_j⟩ of all pairs i < j.

    Source: Qu et al. (2016), Product-based Neural Networks for User Response Prediction.
    """

    place: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        left, right = pairs(count)
        self.register_buffer("place", left * count + right, persistent=False)
        self.size = len(left)

    def forward(self, vectors: Tensor) -> Tensor:
        """[m, pairs] of ``vectors`` [m, f, d]."""
        return (vectors @ vectors.transpose(1, 2)).flatten(1).index_select(1, self.place)


class OuterProducts(nn.Module):
    """p = Σ_i Σ_j v_i v_jᵀ = (Σ_i v_i)(Σ_j v_j)ᵀ: the pairs' outer products superposed.

    Source: Qu et al. (2016), Product-based Neural Networks for User Response Prediction.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = width * width

    def forward(self, vectors: Tensor) -> Tensor:
        """[m, d · d] of ``vectors`` [m, f, d]."""
        total = vectors.sum(1)
        return (total.unsqueeze(2) * total.unsqueeze(1)).flatten(1)


class KernelProducts(nn.Module):
    """p_ij = v_iᵀ W_ij v_j of all pairs i < j: each pair weighs its outer product with a matrix of its own.

    Source: Qu et al. (2018), Product-based Neural Networks for User Response Prediction over Multi-field Categorical
    Data.
    """

    left: Tensor
    right: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        left, right = pairs(count)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.kernel = nn.Parameter(torch.empty(len(left), width, width))
        self.size = len(left)

    def reset(self, generator: torch.Generator) -> None:
        """Uniform on ±1/√d."""
        bound = 1 / math.sqrt(self.kernel.shape[1])
        nn.init.uniform_(self.kernel, -bound, bound, generator=generator)

    def forward(self, vectors: Tensor) -> Tensor:
        """[m, pairs] of ``vectors`` [m, f, d]."""
        v = vectors.transpose(0, 1).contiguous()  # fields first: a pair is one block of memory, its kernel one product
        return ((v.index_select(0, self.left) @ self.kernel) * v.index_select(0, self.right)).sum(2).transpose(0, 1)
