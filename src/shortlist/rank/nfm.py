"""A neural factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shortlist.nn.fields import Fields
from shortlist.nn.fm import bi_interaction
from shortlist.nn.mlp import MLP, Dropout
from shortlist.rank._deep import LayeredRanker


class NFM(LayeredRanker):
    """ŷ = σ(b + Σ_f w_f + MLP(Σ_{f<g} v_f ∘ v_g)).

    The pairs' products are pooled into one vector before the layers, so these are narrow and cheap. ``dropout`` and
    ``batch_norm`` apply to the pooled vector too.

    Source: He, Chua (2017), Neural Factorization Machines for Sparse Predictive Analytics.
    """

    def build(self) -> nn.Module:
        """Untrained."""
        norm = nn.BatchNorm1d(self.factors) if self.batch_norm else nn.Identity()
        pooled = nn.Sequential(norm, Dropout(self.dropout))
        return _Net(self.fields(self.factors + 1), pooled, self.layers(self.factors))


class _Net(nn.Module):
    def __init__(self, fields: Fields, pooled: nn.Module, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.pooled, self.mlp = fields, pooled, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, d + 1]
        v, w = e[..., :-1], e[..., -1]
        return self.bias + w.sum(1) + self.mlp(self.pooled(bi_interaction(v))).squeeze(1)
