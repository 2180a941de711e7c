"""What sasrec and bert4rec share: what an entry of a history is, the layers over them, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from shortlist.component import Search
from shortlist.data import Dataset, State, Table
from shortlist.nn.sequences import read
from shortlist.nn.transformer import BUCKETS, Layers, Transformer, buckets
from shortlist.nn.transformer import Table as Codes
from shortlist.recall._learned import Learned, Retrieval
from shortlist.types import Array, Float32, Ragged, Requests

Reads = Literal["event", "strength", "gap"]


class Attentive(Learned):
    """A transformer over the latest ``length`` items of a history."""

    layers: Annotated[Layers, Search(choices=("vanilla", "ligr"))] = "vanilla"
    """The kind of layer: the transformer's, or LiGR's with gates and a gated feed."""
    blocks: Annotated[int, Field(ge=1), Search(1, 3)] = 1
    """Layers on top of each other."""
    heads: Annotated[int, Field(ge=1), Search(choices=(1, 2, 4))] = 1
    """Attentions side by side in a layer; they share ``factors``."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.2
    """Share of values left out at random in training."""
    length: Annotated[int, Field(ge=1), Search(20, 200, log=True)] = 50
    """How many of the latest events are read."""
    reads: list[Reads] = []
    """What an entry tells beside its item: its kind of event, its strength, and how long after it the next came (after
    the last one, the request)."""
    timed: bool = False
    """Whether attention has a bias by the time between two events."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.factors % self.heads:
            raise ValueError(f"heads: expected a divisor of factors, {self.factors}, got {self.heads}")
        return self

    def learn_inputs(self, data: Dataset, log: Ragged) -> None:
        """How many kinds of events there are."""
        self.events_: int = len(data.behaviours.strengths)

    def wanted(self) -> Sequence[str]:
        """What ``nn.sequences.read`` is to give."""
        return [
            *(name for name in self.reads if name != "gap"),
            *(["age"] if "gap" in self.reads or self.timed else []),
        ]

    def read(self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table) -> dict[str, Array]:
        """``item`` [n, length] and what ``reads`` names."""
        return read(log, start, end, now, self.length, self.wanted())

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, 1, f]; 0 where nothing of the history counts."""
        p = super().vectors(requests, state)
        return p * (self._counted(requests.history).lengths > 0).astype(np.float32)[:, None, None]


class Net(Retrieval):
    """Entries, layers, and one table for items that enter and that are compared."""

    def __init__(self, own: Attentive, *, causal: bool, more: int = 0) -> None:
        super().__init__()
        width = own.factors
        self.count = len(own.items_)
        self.item = Codes(1 + self.count + more, width)
        self.event = Codes(1 + own.events_, width) if "event" in own.reads else None
        self.gap = Codes(BUCKETS, width, padding=False) if "gap" in own.reads else None
        self.strength = Codes(1, width, padding=False) if "strength" in own.reads else None
        self.layers = Transformer(
            width,
            own.length + more,
            layers=own.layers,
            number=own.blocks,
            heads=own.heads,
            dropout=own.dropout,
            causal=causal,
            timed=own.timed,
        )

    def states(self, x: Mapping[str, Tensor]) -> Tensor:
        """[b, w, f]: what each place asks for."""
        item = x["item"]
        e = self.item(item)
        if self.event is not None:
            e = e + self.event(x["event"])
        if self.strength is not None:
            e = e + self.strength.table * torch.log1p(x["strength"].clamp(min=0))[..., None]
        age = x.get("age")
        if self.gap is not None and age is not None:
            e = e + self.gap(buckets(age - functional.pad(age[:, 1:], (0, 1))))
        out: Tensor = self.layers(e, item > 0, None if age is None else age.float())
        return out

    def begin(self, columns: Tensor, vectors: Tensor) -> None:
        with torch.no_grad():
            self.item.table[columns + 1] = vectors

    def items(self, columns: Tensor | None) -> Tensor:
        if columns is None:
            return self.item.table[1 : 1 + self.count]
        out: Tensor = self.item(columns + 1)
        return out
