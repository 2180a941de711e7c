"""An attentional factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.attention import PairAttention
from shortlist.nn.fields import Fields
from shortlist.nn.mlp import Dropout
from shortlist.rank._deep import DeepRanker


class AFM(DeepRanker):
    """ŷ = σ(b + Σ_f w_f + pᵀ Σ_{f<g} a_fg (v_f ∘ v_g)), a = softmax_fg(hᵀ relu(W (v_f ∘ v_g) + c)).

    A factorisation machine that weighs its pairs, row by row; the weights say which pair mattered.

    Source: Xiao, Ye, He, Zhang, Wu, Chua (2017), Attentional Factorization Machines: Learning the Weight of Feature
    Interactions via Attention Networks.
    """

    attention: Annotated[int, Field(ge=1), Search(4, 64, log=True)] = 8
    """Width of the attention network's hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of the pooled products left out at random in training."""

    def build(self) -> nn.Module:
        """Untrained."""
        fields = self.fields(self.factors + 1)
        return _Net(fields, PairAttention(fields.count, self.factors, self.attention), self.factors, self.dropout)


class _Net(nn.Module):
    def __init__(self, fields: Fields, pool: PairAttention, width: int, dropout: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.pool, self.dropout = fields, pool, Dropout(dropout)
        self.out = nn.Linear(width, 1, bias=False)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, d + 1]
        v, w = e[..., :-1], e[..., -1]
        return self.bias + w.sum(1) + self.out(self.dropout(self.pool(v))).squeeze(1)
