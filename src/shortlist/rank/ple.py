"""Progressive layered extraction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.flat import Flat
from shortlist.nn.gates import Extraction
from shortlist.nn.parallel import Towers
from shortlist.rank._tasks import SharedRanker


class PLE(SharedRanker):
    """ŷ_k = σ(MLP_k(f_k)), f_k mixed by a gate of label k's own experts and of those all labels share.

    On several ``levels`` each label and the shared path have an f of their own, which the next level's experts and
    gates read (``nn.gates.Extraction``). Experts are perceptrons of ``hidden``. Experts of its own protect a label from
    what the others ask of the shared ones. One level is the paper's CGC.

    Source: Tang, Liu, Zhao, Gong (2020), Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model
    for Personalized Recommendations, RecSys.
    """

    experts: Annotated[int, Field(ge=1), Search(1, 4)] = 2
    """Experts of each label on each level."""
    shared: Annotated[int, Field(ge=1), Search(1, 4)] = 2
    """Experts that all labels share, on each level."""
    levels: Annotated[int, Field(ge=1), Search(1, 2)] = 1
    """How often experts are mixed, one after the other."""

    def tasks(self, flat: Flat) -> nn.Module:
        """Untrained."""
        size, levels = flat.size, list[Extraction]()
        for level in range(self.levels):
            last = level == self.levels - 1
            levels.append(
                Extraction(
                    len(self.labels_), size, self.experts, self.shared, last, hidden=self.hidden, **self.options()
                )
            )
            size = levels[-1].size
        return _Net(flat, levels, self.towers_on(size))


class _Net(nn.Module):
    def __init__(self, flat: Flat, levels: list[Extraction], towers: Towers) -> None:
        super().__init__()
        self.flat, self.levels, self.towers = flat, nn.Sequential(*levels), towers

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        logit: Tensor = self.towers(self.levels(self.flat(x)))
        return logit
