"""DeepFM."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shortlist.nn.fields import Fields
from shortlist.nn.fm import pairwise
from shortlist.nn.mlp import MLP
from shortlist.rank._deep import LayeredRanker


class DeepFM(LayeredRanker):
    """ŷ = σ(b + Σ_f w_f + Σ_{f<g} ⟨v_f, v_g⟩ + MLP([v_1 ... v_F])).

    A factorisation machine for pairs and a perceptron for what lies beyond them, side by side over the same vectors v:
    no feature engineering, no pretraining. Each field's weight w and vector v are one row of one table.

    Source: Guo, Tang, Ye, Li, He (2017), DeepFM: A Factorization-Machine based Neural Network for CTR Prediction.
    """

    def build(self) -> nn.Module:
        """Untrained."""
        fields = self.fields(self.factors + 1)
        return _Net(fields, self.layers(fields.count * self.factors))


class _Net(nn.Module):
    def __init__(self, fields: Fields, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.mlp = fields, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, d + 1]
        v, w = e[..., :-1], e[..., -1]
        y_fm = w.sum(1) + pairwise(v)
        y_dnn = self.mlp(v.flatten(1)).squeeze(1)
        return self.bias + y_fm + y_dnn
