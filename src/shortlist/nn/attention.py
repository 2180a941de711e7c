"""Attention over the products of pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.nn.product import pairs


class PairAttention(nn.Module):
    """Σ_{i<j} a_ij (v_i ∘ v_j), a = softmax over pairs of hᵀ relu(W (v_i ∘ v_j) + b).

    Source: Xiao, Ye, He, Zhang, Wu, Chua (2017), Attentional Factorization Machines: Learning the Weight of Feature
    Interactions via Attention Networks.
    """

    left: Tensor
    right: Tensor

    def __init__(self, count: int, width: int, attention: int) -> None:
        super().__init__()
        left, right = pairs(count)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.hidden = nn.Linear(width, attention)
        self.out = nn.Linear(attention, 1, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """[m, d] of ``vectors`` [m, f, d]; zero where there is no pair."""
        v = vectors.transpose(0, 1).contiguous()  # fields first: a pair is one block of memory
        p = v.index_select(0, self.left) * v.index_select(0, self.right)  # [pairs, m, d]
        a = torch.softmax(self.out(torch.relu(self.hidden(p))), 0)  # [pairs, m, 1]
        return (a * p).sum(0)
