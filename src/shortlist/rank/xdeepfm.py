"""xDeepFM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.cin import CIN
from shortlist.nn.fields import Fields
from shortlist.nn.mlp import MLP
from shortlist.rank._deep import LayeredRanker


class XDeepFM(LayeredRanker):
    """ŷ = σ(b + Σ_f w_f + uᵀ CIN(v) + MLP([v_1 ... v_F])).

    The compressed interaction network crosses whole vectors, one order more with each layer: X^k_h = Σ_ij W^k_hij
    (X^{k-1}_i ∘ v_j), summed over the vectors' coordinates.

    Source: Lian, Zhou, Zhang, Chen, Xie, Sun (2018), xDeepFM: Combining Explicit and Implicit Feature Interactions for
    Recommender Systems.
    """

    crosses: Annotated[
        list[Annotated[int, Field(ge=1)]], Field(min_length=1), Search(choices=([16, 16], [64, 32], [64, 64, 32]))
    ] = [32, 32]
    """Maps of each layer of the interaction network."""

    def build(self) -> nn.Module:
        """Untrained."""
        fields = self.fields(self.factors + 1)
        return _Net(fields, CIN(fields.count, self.crosses), self.layers(fields.count * self.factors))


class _Net(nn.Module):
    def __init__(self, fields: Fields, cin: CIN, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.cin, self.mlp = fields, cin, mlp
        self.out = nn.Linear(cin.size, 1, bias=False)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, d + 1]
        v, w = e[..., :-1], e[..., -1]
        y_cin = self.out(self.cin(v)).squeeze(1)
        y_dnn = self.mlp(v.flatten(1)).squeeze(1)
        return self.bias + w.sum(1) + y_cin + y_dnn
