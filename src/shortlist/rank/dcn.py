"""Deep & Cross Network, both versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.cross import CrossMatrix, CrossVector
from shortlist.nn.flat import Flat
from shortlist.nn.mlp import MLP
from shortlist.rank._deep import LayeredRanker


class DCN(LayeredRanker):
    """ŷ = σ(b + uᵀ [x_L, MLP(x_0)]), x_0 = [e_1 ... e_q, φ(x_1) ... φ(x_p)], x_l crosses of order up to l + 1.

    Version 1: x_{l+1} = x_0 (x_lᵀ w_l) + b_l + x_l. Version 2: x_{l+1} = x_0 ∘ (W_l x_l + b_l) + x_l, where ``rank``
    makes W_l = U_l V_lᵀ. ``stacked`` puts the layers on the crosses instead: ŷ = σ(b + uᵀ MLP(x_L)).

    Source: Wang, Fu, Fu, Wang (2017), Deep & Cross Network for Ad Click Predictions; Wang et al. (2021), DCN V2:
    Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems.
    """

    version: Annotated[Literal[1, 2], Search(choices=(1, 2))] = 2
    """Whether a cross layer has a vector or a matrix of weights."""
    crosses: Annotated[int, Field(ge=1), Search(1, 4)] = 2
    """Cross layers."""
    rank: Annotated[int, Field(ge=0)] = 0
    """Columns of the factors of version 2's matrices; 0 = full matrices."""
    stacked: Annotated[bool, Search(choices=(False, True))] = False
    """Whether the layers follow the crosses or stand beside them."""

    def build(self) -> nn.Module:
        """Untrained."""
        flat = self.flat()
        cross: CrossVector | CrossMatrix
        if self.version == 1:
            cross = CrossVector(flat.size, self.crosses)
        else:
            cross = CrossMatrix(flat.size, self.crosses, self.rank)
        return _Net(flat, cross, self.layers(flat.size, None), self.stacked)


class _Net(nn.Module):
    def __init__(self, flat: Flat, cross: nn.Module, mlp: MLP, stacked: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.flat, self.cross, self.mlp, self.stacked = flat, cross, mlp, stacked
        self.out = nn.Linear(mlp.size if stacked else flat.size + mlp.size, 1, bias=False)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        x0 = self.flat(x)
        crossed = self.cross(x0)
        h = self.mlp(crossed) if self.stacked else torch.cat([crossed, self.mlp(x0)], 1)
        return self.bias + self.out(h).squeeze(1)
