"""Several interests of one asker, each with rows of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from shortlist.component import Search
from shortlist.data import Table
from shortlist.nn.examples import Examples
from shortlist.nn.rivals import Rivals
from shortlist.nn.routing import Routing
from shortlist.nn.sequences import Each, Step
from shortlist.recall._learned import Retrieval
from shortlist.recall._towers import Asker, Described, Items
from shortlist.types import Ragged


class MIND(Described):
    """A history is routed to a few interests, and an item's score is that of the interest nearest to it.

    score(u, i) = max_j v_uj · q_i,  v_uj = MLP([u_j, attributes of u]),  u_j = squash(Σ_k w_kj S q_{s_k})

    The weights w come of ``nn.routing``: a few rounds in which entries go to the interests that they agree with. q_i is
    the mean of the item's id and attributes, in the history and in the answer. In training the interests that a target
    is compared with are averaged by softmax_j(power · v_uj · q_target), so that an item moves the interest it belongs
    to. Use it where people have several tastes that one vector would mix; ``interests = 1`` is that one vector.

    Source: Li et al. (2019), Multi-Interest Network with Dynamic Routing for Recommendation at Tmall. There the power
    is of v · q itself, here of exp(v · q), which is never negative.
    """

    each: Each = "batch"
    """What has rivals of its own; the more, the slower."""
    interests: Annotated[int, Field(ge=1), Search(1, 8)] = 4
    """K, of a long history."""
    adaptive: bool = True
    """Whether a history of n events has ⌊log2 n⌋ interests, one at least and K at most; else K."""
    rounds: Annotated[int, Field(ge=1), Search(1, 4)] = 3
    """How often entries are routed."""
    power: Annotated[float, Field(ge=0), Search(0.5, 16.0, log=True)] = 3.0
    """How much the interest nearest to the target counts in training: 0 = all alike, large = it alone. While vectors
    are short, a small power moves all interests as one, and they come apart late."""

    def build(self) -> Retrieval:
        """Untrained."""
        return _Net(self)

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Examples:
        """Each event that counts and what its user had done before, if he had."""
        return self.examples(log, rivals, users, empty=False)


class _Net(Retrieval):
    def __init__(self, own: MIND) -> None:
        super().__init__()
        # of length 1 or so: of what is short, squash leaves the square, and nothing would be learned of it for long
        self.rows = Items(own, own.factors, own.factors**-0.5)
        self.asker = Asker(own.askers, own.factors)
        self.routing = Routing(own.factors, own.interests, own.length, own.rounds, own.seed, adaptive=own.adaptive)
        self.layers = own.layers(own.factors + self.asker.size)
        self.power = own.power

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self._interests(x)[0]

    def _interests(self, x: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        vectors, place = self.rows.read(x["item"])
        u, there = self.routing(vectors[place], x["item"] > 0)
        asker = [own[:, None].expand(-1, u.shape[1], -1) for own in self.asker(x)]
        return self.layers(torch.cat([u, *asker], 2)) * there[..., None], there

    def towards(self, step: Step) -> tuple[Tensor, Tensor]:
        v, there = self._interests(step.inputs)
        target = self.items(step.target)
        near = self.power * (v @ target[..., None])[..., 0]
        share = torch.softmax(near.masked_fill(~there, -torch.inf), 1)
        return share[:, None] @ v, step.target[:, None]

    def items(self, columns: Tensor | None) -> Tensor:
        if columns is None:
            return self.rows(self.rows.all).mean(1)
        distinct, place = torch.unique(columns, return_inverse=True)
        return self.rows(distinct).mean(1)[place]
