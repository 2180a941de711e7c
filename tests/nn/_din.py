"""A ranker that a user might write: attention of the target over what was done, to which items and how long ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.nn.fields import Fields
from shortlist.nn.mlp import MLP
from shortlist.rank._deep import LayeredRanker


class DIN(LayeredRanker):
    """ŷ = σ(b + MLP([e_1 ... e_F, Σ_j a(k_j, q) k_j])), a(k, q) = MLP([k, q, i ∘ q]), k = [i, behaviour, age].

    i and q are vectors of an item in the history and of the target, from one table. ``pool = "mean"`` has a = 1 / n.

    Source: Zhou et al. (2018), Deep Interest Network for Click-Through Rate Prediction.
    """

    ids: list[Literal["item", "user"]] = ["item"]
    """The target."""
    history: Annotated[int, Field(ge=1)] = 20
    """How many of the request's last events it attends to."""
    history_carries: list[str] = ["event", "age"]
    """What each of them has beside its item."""
    pool: Literal["attention", "mean"] = "attention"
    """How they become one vector."""

    def build(self) -> nn.Module:
        """Untrained."""
        fields, parts = Fields(self.schema_, self.factors, self.numeric, histories=False), 1 + len(self.history_carries)
        return _Net(fields, self.schema_.coded("item"), parts, self.pool == "mean", self.layers)


class _Net(nn.Module):
    def __init__(self, fields: Fields, target: int, parts: int, mean: bool, layers) -> None:
        super().__init__()
        d = fields.width
        self.bias, self.fields, self.target, self.mean = nn.Parameter(torch.zeros(1)), fields, target, mean
        self.activation, self.mlp = MLP((parts + 2) * d, [32], 1), layers((fields.count + parts) * d)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        e, of = self.fields(x), x["request"]
        past = [name for name in x if name.partition(".")[0] == "history"]
        k = torch.cat([self.fields.vectors(x[name]) for name in past], 2).index_select(0, of)  # [m, L, parts · d]
        q = e[:, self.target].unsqueeze(1).expand(-1, k.shape[1], -1)  # [m, L, d]
        there = (x["history"] > 0).float().index_select(0, of)  # [m, L]
        a = self.activation(torch.cat([k, q, k[..., : q.shape[2]] * q], 2)).squeeze(2)
        a = there * (1 / there.sum(1, keepdim=True).clamp(min=1) if self.mean else a)
        return self.bias + self.mlp(torch.cat([e.flatten(1), (a.unsqueeze(2) * k).sum(1)], 1)).squeeze(1)
