"""A factorisation machine whose user and item sides meet in one inner product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from shortlist.component import Search
from shortlist.data import Dataset, Table
from shortlist.nn.fm import pairwise
from shortlist.nn.sequences import Each
from shortlist.nn.transformer import Table as Codes
from shortlist.recall._learned import Retrieval
from shortlist.recall._towers import DEVIATION, Asker, Described, Items, pooled
from shortlist.types import Array, Int32, Ragged


class FM(Described):
    """Every pair of features of the asker and of the item has an interaction, that of their vectors.

    ŷ(u, i) = Σ_g w_g + Σ_{g < h} ⟨v_g, v_h⟩ + Σ_{f, g} ⟨x_f v_f, v_g⟩ = [Σ_f x_f v_f, 1] · [Σ_g v_g, own_i]

    f the features of the asker: an id if ``own``, values of attributes, and the latest items, each with
    x = 1 / sqrt(their number) and a vector other than that it is found by; g, h those of the item: its id and values of
    its attributes. Terms of the asker alone, which order nothing, are left out, and the item's own are one more
    dimension, so that an index serves it. Items nobody has met are answered by their attributes, people of whom nothing
    is known by the items' own terms.

    Source: Rendle (2010), Factorization Machines; Rendle, Freudenthaler, Gantner, Schmidt-Thieme (2009), BPR: Bayesian
    Personalized Ranking from Implicit Feedback; Koren (2008), Factorization Meets the Neighborhood: a Multifaceted
    Collaborative Filtering Model (the history's share).
    """

    own: Annotated[bool, Search(choices=(False, True))] = False
    """Whether users seen at fit have a vector of their own, beside what they did and are."""
    each: Each = "batch"
    """What has rivals of its own; the more, the slower. Those of a batch are shared by all of it."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-7, 1e-3, log=True)] = 1e-6
    """Squared penalty (coupled: half of it × w² in the loss) on vectors and weights of features."""

    def without_effect(self) -> frozenset[str]:
        """There are no layers."""
        return super().without_effect() | {"hidden", "dropout"}

    def learn_inputs(self, data: Dataset, log: Ragged) -> None:
        """Who has a vector."""
        super().learn_inputs(data, log)
        self.askers_: Int32 = np.flatnonzero(log.lengths if self.own else np.zeros(0)).astype(np.int32)

    def known_of(self, who: Array, now: Array, users: Table) -> dict[str, Array]:
        """With ``row`` [n], 1 + the place among those who have a vector, else 0."""
        found = super().known_of(who, now, users)
        if not self.own:
            return found
        place = np.searchsorted(self.askers_, who)
        known = np.append(self.askers_, np.int32(-2))[place] == who
        return {**found, "row": np.where(known, 1 + place, 0).astype(np.int64)}

    def build(self) -> Retrieval:
        """Untrained."""
        return _Net(self)


class _Net(Retrieval):
    def __init__(self, own: FM) -> None:
        super().__init__()
        self.rows, self.asker = Items(own, own.factors + 1), Asker(own.askers, own.factors)
        self.past = Codes(1 + len(own.items_), own.factors, deviation=DEVIATION)
        self.who = Codes(1 + len(own.askers_), own.factors, deviation=DEVIATION) if own.own else None
        self.factors = own.factors

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        known = x["item"] > 0
        number = known.sum(1, keepdim=True).float()
        total = pooled(self.past.table, x["item"], known) * number.sqrt()
        for fields in self.asker(x):
            total = total + fields.unflatten(1, (-1, self.factors)).sum(1)
        if self.who is not None:
            total = total + self.who(x["row"])
        return torch.cat([total, torch.ones_like(number)], 1)[:, None]

    def items(self, columns: Tensor | None) -> Tensor:
        if columns is None:
            return self._folded(self.rows.all)
        distinct, place = torch.unique(columns, return_inverse=True)
        return self._folded(distinct)[place]

    def _folded(self, columns: Tensor) -> Tensor:
        """[k, f + 1]: Σ_g v_g and own_i."""
        v, w = self.rows(columns).split([self.factors, 1], -1)
        return torch.cat([v.sum(1), w.sum(1) + pairwise(v)[:, None]], 1)
