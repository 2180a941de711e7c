"""A factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shortlist.nn.fields import Fields
from shortlist.nn.fm import pairwise
from shortlist.rank._deep import DeepRanker


class FM(DeepRanker):
    """ŷ = σ(b + Σ_f w_f + Σ_{f<g} ⟨v_f, v_g⟩).

    Every pair of fields is crossed, also values that never met in training: what one learns of a value's vector serves
    all its pairs. Each field's weight w and vector v are one row of one table.

    Source: Rendle (2010), Factorization Machines.
    """

    def build(self) -> nn.Module:
        """Untrained."""
        return _Net(self.fields(self.factors + 1))


class _Net(nn.Module):
    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields = fields

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, d + 1]
        v, w = e[..., :-1], e[..., -1]
        return self.bias + w.sum(1) + pairwise(v)
