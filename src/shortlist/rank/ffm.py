"""A field-aware factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.field_aware import field_aware
from shortlist.nn.fields import Fields
from shortlist.rank._deep import DeepRanker


class FFM(DeepRanker):
    """ŷ = σ(b + Σ_f w_f + Σ_{f<g} ⟨v_fg, v_gf⟩).

    Each value has one vector for every field it may meet, so that what it means to one field need not fit another. A
    value's weight w and its F vectors v are one row of one table: for many columns, choose some.

    Source: Juan, Zhuang, Chin, Lin (2016), Field-aware Factorization Machines for CTR Prediction.
    """

    factors: Annotated[int, Field(ge=1), Search(2, 16, log=True)] = 4
    """Width of each of a field's vectors."""

    def build(self) -> nn.Module:
        """Untrained."""
        return _Net(self.fields(len(self.schema_.names) * self.factors + 1))


class _Net(nn.Module):
    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields = fields

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e = self.fields(x)  # [m, F, F · d + 1]
        v, w = e[..., :-1].unflatten(2, (self.fields.count, -1)), e[..., -1]
        return self.bias + w.sum(1) + field_aware(v)
