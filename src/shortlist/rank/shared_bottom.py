"""Labels that share a bottom."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from shortlist.nn.flat import Flat
from shortlist.nn.mlp import MLP
from shortlist.nn.parallel import Towers
from shortlist.rank._tasks import SharedRanker


class SharedBottom(SharedRanker):
    """ŷ_k = σ(MLP_k(h)), h = MLP([e_1 ... e_q, φ(x_1) ... φ(x_p)]): one bottom for all labels, a tower for each.

    The cheapest net of several labels, and what the others must beat: labels that want different things of a row must
    agree on h.

    Source: Caruana (1997), Multitask Learning.
    """

    def tasks(self, flat: Flat) -> nn.Module:
        """Untrained."""
        bottom = self.layers(flat.size, None)
        return _Net(flat, bottom, self.towers_on(bottom.size))


class _Net(nn.Module):
    def __init__(self, flat: Flat, bottom: MLP, towers: Towers) -> None:
        super().__init__()
        self.flat, self.bottom, self.towers = flat, bottom, towers

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        logit: Tensor = self.towers(self.bottom(self.flat(x)))
        return logit
