"""A deep interest network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.activation import ActivationUnit, Interest
from shortlist.nn.histories import Histories
from shortlist.nn.mlp import MLP
from shortlist.rank._histories import HistoryRanker


class DIN(HistoryRanker):
    """ŷ = σ(b + MLP([x, v])), v = Σ_j w_j k_j, w = softmax_j a(k_j, q), a(k, q) = MLP([k, q, s - q, s ∘ q]).

    k = [s, behaviour, value, age] is an event of the history, s its item and attributes, q those of the target, by the
    same vectors; x the row's columns, q among them. Which of a user's interests counts depends on what is looked at.
    ``recent`` has a v of its own. The paper's regularisation of the ids of a batch is not here: ``embedding_l2`` is.

    For each row and event: a product of s and the unit's first layer; what it makes of an event alone is worked out
    once a request.

    Source: Zhou, Song, Zhu, Fan, Zhu, Ma, Yan, Jin, Li, Gai (2018), Deep Interest Network for Click-Through Rate
    Prediction.
    """

    attention: Annotated[
        list[Annotated[int, Field(ge=1)]], Field(min_length=1), Search(choices=([16], [36], [80, 40]))
    ] = [36]
    """Widths of the layers that say how much an event matters, each followed by ``activation`` too."""
    weights: Annotated[Literal["share", "sum"], Search(choices=("share", "sum"))] = "share"
    """Whether events count by softmax of a, which a history's length does not change, or by a, as in the paper. By
    softmax ranked better on the three logs of bench/rank/HISTORIES.md."""

    def build(self) -> nn.Module:
        """Untrained."""
        read = self.histories()
        interests = {
            window.name: Interest(
                ActivationUnit(read.entry, read.target, self.attention, self.activation), share=self.weights == "share"
            )
            for window in self.windows()
        }
        return _Net(read, interests, self.layers(read.size + len(interests) * read.entry))


class _Net(nn.Module):
    def __init__(self, read: Histories, interests: Mapping[str, Interest], mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.read, self.interests, self.mlp = read, nn.ModuleDict(interests), mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        q = self.read.item(x)
        v = [interest(self.read.entries(x, window), q) for window, interest in self.interests.items()]
        return self.bias + self.mlp(torch.cat([self.read.row(x), *v], 1)).squeeze(1)
