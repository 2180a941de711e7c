"""A plain deep network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shortlist.nn.flat import Flat
from shortlist.nn.mlp import MLP
from shortlist.rank._deep import LayeredRanker


class DNN(LayeredRanker):
    """ŷ = σ(b + MLP([e_1 ... e_q, φ(x_1) ... φ(x_p)])), e the vectors of categories and lists, φ(x) numbers or curves.

    What the other deep rankers must beat: every cross it uses it has to find in its layers.

    Source: Covington, Adams, Sargin (2016), Deep Neural Networks for YouTube Recommendations (the ranking network).
    """

    def build(self) -> nn.Module:
        """Untrained."""
        flat = self.flat()
        return _Net(flat, self.layers(flat.size))


class _Net(nn.Module):
    def __init__(self, flat: Flat, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.flat, self.mlp = flat, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self.bias + self.mlp(self.flat(x)).squeeze(1)
