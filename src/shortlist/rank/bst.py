"""A behaviour sequence transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from shortlist.component import Search
from shortlist.encode.history import Window
from shortlist.nn.behaviour import BehaviourLayer
from shortlist.nn.histories import Entries, Histories
from shortlist.nn.mlp import MLP, Activation, Dropout
from shortlist.rank._histories import HistoryRanker


class BST(HistoryRanker):
    """ŷ = σ(b + MLP([x, y_1 ... y_w, y_q])), y = transformer([k_1 ... k_w, q]).

    k = [item, attributes, behaviour, value, age] is an event of the history, q the target, x the row's columns. Events
    and target see each other: an event means what those around it make of it. The place of an event is its ``age``, the
    time between it and the request, as a vector of its bucket. ``recent`` has a transformer of its own.

    The target is one of the sequence, so all of it is worked out once a row. Of the first layer the attention among
    the events is not: once a request, and of the target's only w products a row are left. Each further layer costs w²
    products a row. With ``pooling = "target"`` the perceptron reads y_q alone, and of the last layer nothing else is
    worked out: of one layer that is the target's attention to single events, w products, and no event sees another.

    Source: Chen, Zhao, Li, Huang, Ou (2019), Behavior Sequence Transformer for E-commerce Recommendation in Alibaba;
    Xiong et al. (2020), On Layer Normalization in the Transformer Architecture (norms before).
    """

    activation: Activation = "leaky_relu"
    """What follows each layer of the perceptron."""
    width: Annotated[int, Field(ge=1), Search(choices=(8, 16, 32, 64))] = 16
    """Width of the transformer."""
    heads: Annotated[int, Field(ge=1), Search(choices=(1, 2, 4, 8))] = 2
    """Heads of each layer; they divide ``width``."""
    blocks: Annotated[int, Field(ge=1), Search(choices=(1, 2))] = 1
    """Layers of the transformer; the paper found one best."""
    norm: Annotated[Literal["after", "before"], Search(choices=("after", "before"))] = "after"
    """Whether a layer's norms stand behind what it adds, as in the paper, or before, so that vectors pass through it at
    the length they have. Of every place, two planted worlds of three were learned better so; on a small log
    (movielens-100k's funnel) rows were then soon learned by heart, and refitted it ranked worse."""
    pooling: Annotated[Literal["concat", "target"], Search(choices=("concat", "target"))] = "concat"
    """What the perceptron reads of the transformer: every place, as in the paper, or the target's alone. Of one layer
    that is scored in a quarter of the time, and on the three logs of bench/rank/HISTORIES.md it was chosen, with norms
    ``before`` and an ``embedding_l2`` of 0.01 or 0.03. It knows of the events' order only what their ages say."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-5, 1e-1, log=True)] = 1e-4
    """Squared penalty (coupled: half of it × w² in the loss) on the fields' vectors. With norms ``after`` and a tenth
    of what histories' other rankers have, a planted column of the row was not learned any more."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: expected a divisor of width, found {self.heads} and {self.width}")
        return self

    def build(self) -> nn.Module:
        """Untrained."""
        read = self.histories()
        sequences = {window.name: _Sequence(read, window, self) for window in self.windows()}
        places = sum(window.length + 1 if self.pooling == "concat" else 1 for window in self.windows())
        size = read.size + places * self.width
        return _Net(read, sequences, self.layers(size))


class _Net(nn.Module):
    def __init__(self, read: Histories, sequences: Mapping[str, nn.Module], mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.read, self.sequences, self.mlp = read, nn.ModuleDict(sequences), mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        q = self.read.item(x)
        y = [sequence(self.read.entries(x, name), q) for name, sequence in self.sequences.items()]
        return self.bias + self.mlp(torch.cat([self.read.row(x), *y], 1)).squeeze(1)


class _Sequence(nn.Module):
    """[m, (length + 1) · d]: what the transformer makes of a window's events and of the target; padding is 0.

    Or [m, d], what it makes of the target alone.
    """

    def __init__(self, read: Histories, window: Window, ranker: BST) -> None:
        super().__init__()
        width, self.alone = ranker.width, ranker.pooling == "target"
        self.size, self.sizes = (window.length + 1) * width, [read.target, read.entry - read.target]
        before = ranker.norm == "before"
        self.event = nn.Linear(read.entry, width)
        self.target = nn.Parameter(torch.empty(width))  # in place of an event's behaviour, value and age
        self.blocks = nn.ModuleList(
            [BehaviourLayer(width, ranker.heads, ranker.dropout, before=before) for _ in range(ranker.blocks)]
        )
        self.dropout = Dropout(ranker.dropout)

    def reset(self, generator: torch.Generator) -> None:
        """The target's own."""
        nn.init.normal_(self.target, 0, 0.05, generator=generator)

    def forward(self, entries: Entries, q: Tensor) -> Tensor:
        cheap = self.alone and len(self.blocks) == 1  # places times places nowhere, so padding costs little
        if cheap or not self.training:
            return self._of(entries, q)
        parts = entries.parts()
        rows = torch.cat([rows for rows, _ in parts])
        found = torch.cat([self._of(part, q.index_select(0, rows)) for rows, part in parts])
        return found.index_select(0, rows.argsort())

    def _layers(self) -> list[BehaviourLayer]:
        return [block for block in self.blocks if isinstance(block, BehaviourLayer)]

    def _of(self, entries: Entries, q: Tensor) -> Tensor:
        shared, _ = self.event.weight.split(self.sizes, 1)
        past, target = self.event(entries.vectors), functional.linear(q, shared) + self.target
        past, target = self.dropout(past), self.dropout(target)
        first, *more = self._layers()
        if self.alone and not more:
            return first.target(past, entries.known, target, entries.of)
        y = first.beside(past, entries.known, target, entries.of)
        known = functional.pad(entries.known, (0, 1), value=True)
        for block in more[:-1] if self.alone else more:
            y = block(y, known.index_select(0, entries.of))
        if self.alone:
            each = torch.ones_like(entries.of).cumsum(0) - 1  # not arange, whose length a file for onnxruntime fixes
            return more[-1].target(y[:, :-1], entries.known.index_select(0, entries.of), y[:, -1], each)
        there = known.to(y.dtype).unsqueeze(2).expand(-1, -1, y.shape[2]).flatten(1)
        y = y.flatten(1) * there.index_select(0, entries.of)
        return functional.pad(y, (self.size - y.shape[1], 0))  # a part may be cut to its longest history
