"""Two towers: askers and items as vectors of one space, from ids, attributes and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from shortlist.component import Search
from shortlist.nn.rivals import Draw
from shortlist.recall._learned import Retrieval
from shortlist.recall._towers import Asker, Described, Items, pooled


class TwoTower(Described):
    """The cosine of what two nets make of the asker and of the item (DSSM).

    score(u, i) = p_u · q_i / temperature,  p_u = unit(MLP([mean_{j in history} e_j, attributes of u]))
    q_i = unit(MLP([id_i, attributes of i])),  e_j = the mean of id_j and of j's attributes' vectors

    Lists are the mean of their values' vectors, texts of those of their letter trigrams (hashed). Learned by softmax
    against the other right items of the batch, scores less log Q, so that what is popular is not told off for being
    often there; ``draw = "mixed"`` has uniform ones beside. Some items are learned from without their ids
    (``id_dropout``), so that items nobody has met have vectors by their attributes alone, as users have. An item costs
    one product, cheap enough to score every row with.

    Source: Huang, He, Gao, Deng, Acero, Heck (2013), Learning Deep Structured Semantic Models for Web Search using
    Clickthrough Data; Yi et al. (2019), Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations;
    Yang et al. (2020), Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations.
    """

    draw: Annotated[Draw, Search(choices=("batch", "mixed"))] = "batch"
    """How rivals are drawn: the right items of the same batch, or in any other way that ``sasrec`` knows."""
    temperature: Annotated[float, Field(gt=0), Search(0.02, 0.3, log=True)] = 0.1
    """What cosines are divided by: the smaller, the more the nearest rivals count."""

    def build(self) -> Retrieval:
        """Untrained."""
        return _Net(self)


class _Net(Retrieval):
    def __init__(self, own: TwoTower) -> None:
        super().__init__()
        self.rows, self.asker = Items(own, own.factors), Asker(own.askers, own.factors)
        self.user = own.layers(own.factors + self.asker.size)
        self.item = own.layers(own.factors * self.rows.count)
        self.temperature = own.temperature

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        vectors, place = self.rows.read(x["item"])
        history = pooled(vectors, place, x["item"] > 0)
        p = self.user(torch.cat([history, *self.asker(x)], 1))
        return functional.normalize(p, dim=1)[:, None] / self.temperature

    def items(self, columns: Tensor | None) -> Tensor:
        if columns is None:
            return self._tower(self.rows.all)
        distinct, place = torch.unique(columns, return_inverse=True)
        return self._tower(distinct)[place]

    def _tower(self, columns: Tensor) -> Tensor:
        return functional.normalize(self.item(self.rows(columns).flatten(1)), dim=1)
