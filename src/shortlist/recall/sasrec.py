"""Self-attentive sequential recommendation."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from shortlist.data import Table
from shortlist.nn.rivals import Rivals
from shortlist.nn.sequences import Step, Windows
from shortlist.recall._attentive import Attentive, Net
from shortlist.types import Ragged


class SASRec(Attentive):
    """A transformer over the latest items reads, at every place, what the user wants next.

    score(u, i) = h_L · q_i,  h = norm(layers(q_{s_k} + place_{L - k})), each place seeing itself and earlier ones

    The items' vectors q are those that enter and those that are compared. Trained at every place of every user's
    sequence on the item that follows. ``objective = "softmax"`` or ``"sampled"`` does far better than the paper's
    binary cross-entropy with one negative; ``layers = "ligr"`` with sampled softmax is eSASRec. Where order tells
    something; costs minutes where ``association``, which sees the same, takes a second.

    Source: Kang, McAuley (2018), Self-Attentive Sequential Recommendation; Klenitskiy, Vasilev (2023), Turning Dross
    Into Gold Loss: is BERT4Rec really better than SASRec?; Tikhonovich et al. (2025), eSASRec: Enhancing
    Transformer-based Recommendations in a Modular Fashion.
    """

    def build(self) -> Net:
        """Untrained."""
        return _Net(self, causal=True)

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Windows:
        """Pieces of ``length`` entries."""
        return Windows(log, self.length, self.wanted(), rivals, self.each)


class _Net(Net):
    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self.states(x)[:, -1:]

    def towards(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.states(step.inputs), step.target
