"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.flat import Flat
from shortlist.nn.gates import Gates, mixed
from shortlist.nn.parallel import Perceptrons, Towers
from shortlist.rank._tasks import SharedRanker


class MMOE(SharedRanker):
    """ŷ_k = σ(MLP_k(f_k)), f_k = Σ_i g_ki e_i(x), g_k = softmax(W_k x), x = [e_1 ... e_q, φ(x_1) ... φ(x_p)].

    All labels have the same experts e_i, perceptrons of ``hidden``; for every row each label's gate says anew how much
    of which it takes. Labels that have little in common can keep apart.

    Source: Ma, Zhao, Yi, Chen, Hong, Chi (2018), Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts, KDD.
    """

    experts: Annotated[int, Field(ge=1), Search(2, 8)] = 4
    """Experts that all labels share."""

    def tasks(self, flat: Flat) -> nn.Module:
        """Untrained."""
        experts = Perceptrons(self.experts, flat.size, self.hidden, **self.options())
        return _Net(flat, experts, Gates(len(self.labels_), flat.size, self.experts), self.towers_on(experts.size))


class _Net(nn.Module):
    def __init__(self, flat: Flat, experts: Perceptrons, gates: Gates, towers: Towers) -> None:
        super().__init__()
        self.flat, self.experts, self.gates, self.towers = flat, experts, gates, towers

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        row = self.flat(x)
        logit: Tensor = self.towers(mixed(self.gates(row), self.experts(row)))
        return logit
