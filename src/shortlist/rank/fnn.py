"""A network that begins as a factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn import loop
from shortlist.nn.fields import Fields
from shortlist.nn.mlp import MLP, Activation
from shortlist.rank._deep import LayeredRanker
from shortlist.rank.fm import FM


class FNN(LayeredRanker):
    """ŷ = σ(b + MLP([w_1, v_1 ... w_F, v_F])), w and v first learned by a factorisation machine.

    The machine is fitted with the same plan and stopped by the same later rows; then the perceptron is put on its
    weights w and vectors v, and all of it is trained. The machine's constant is left to the first layer's bias. Of the
    paper's two ways to begin the upper layers, this is the random one.

    Source: Zhang, Du, Wang (2016), Deep Learning over Multi-field Categorical Data.
    """

    activation: Activation = "tanh"
    """What follows each layer."""
    pretrain: Annotated[int, Field(ge=0), Search(choices=(0, 3, 10))] = 10
    """Passes over the rows for the factorisation machine; with ``valid``, at most; 0 = begin at random."""

    def build(self) -> nn.Module:
        """Untrained."""
        fields = _Begun(self.schema_, self.factors + 1, self.numeric, self.deviation)
        return _Net(fields, self.layers(fields.count * (self.factors + 1)))

    def train(self, net: nn.Module, batches: loop.Batches, figure: loop.Figure | None, until: int, share: float) -> int:
        """Fits the machine, then the net from where it ended."""
        if self.pretrain:
            same = {name: value for name, value in self.config().items() if name in FM.model_fields}
            machine = FM.from_config({**same, "epochs": self.pretrain}).reading(self.schema_)
            start = machine.build()
            before = int(self.__dict__["pretrain_checks_"]) if until else 0
            self.pretrain_checks_ = machine.train(start, batches, figure, before, share)
            net.fields.start = start.fields.state_dict()  # type: ignore[union-attr]
        return super().train(net, batches, figure, until, share)


class _Begun(Fields):
    """Fields that begin as others ended, where there are others."""

    start: dict[str, Tensor] | None = None

    def reset(self, generator: torch.Generator) -> None:
        if self.start is None:
            super().reset(generator)
        else:
            self.load_state_dict(self.start)


class _Net(nn.Module):
    def __init__(self, fields: Fields, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.mlp = fields, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        z = self.fields(x).flatten(1)  # [m, F · (d + 1)]
        return self.bias + self.mlp(z).squeeze(1)
