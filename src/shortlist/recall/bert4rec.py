"""Bidirectional encoder representations from transformers, of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from shortlist.component import Search
from shortlist.data import Table
from shortlist.nn.rivals import Rivals
from shortlist.nn.sequences import Step, Windows, by_length, read, step
from shortlist.recall._attentive import Attentive, Net
from shortlist.types import Ragged


class BERT4Rec(Attentive):
    """A transformer that sees both sides fills in items masked at random; a request is a mask behind the history.

    score(u, i) = h_{L + 1} · q_i,  h = norm(layers([q_{s_1} ... q_{s_L}, mask] + place)), each place seeing all

    Trained on users' sequences in which a ``share`` of the items is masked, drawn anew in each pass, to tell what they
    were. It learns from fewer places than ``sasrec`` and wants more passes; it can use what came after an item.

    Source: Sun, Liu, Wu, Pei, Lin, Ou, Jiang (2019), BERT4Rec: Sequential Recommendation with Bidirectional Encoder
    Representations from Transformer; Petrov, Macdonald (2022), A Systematic Review and Replicability Study of BERT4Rec
    for Sequential Recommendation.
    """

    share: Annotated[float, Field(gt=0, le=1), Search(0.1, 0.8)] = 0.3
    """Share of a sequence's items that are masked."""
    ending: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.2
    """Share of the sequences in which the last item alone is masked: what a request is like."""

    def build(self) -> Net:
        """Untrained."""
        return _Net(self, causal=False, more=1)

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Windows:
        """Pieces of ``length`` + 1 entries."""
        return _Masked(
            log, self.length, self.wanted(), rivals, self.each, self.share, self.ending, len(self.items_) + 1
        )


@dataclass(frozen=True)
class _Masked(Windows):
    """Windows with the entry that follows them, in which some items are masked."""

    share: float
    ending: float
    mask: int

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Step]:
        start, end = self.pieces
        usual = max(1.0, (self.targets + len(self)) * self.share / steps)
        for chosen in by_length(end - start, steps, generator):
            a, b = start[chosen], end[chosen] + 1
            arrays = read(self.log, a, b, self.log["time"][b - 1], int((b - a).max()), self.reads)
            inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
            item = inputs["item"]
            masked = torch.rand(item.shape, generator=generator) < self.share
            ending = torch.rand(len(item), generator=generator) < self.ending
            ending |= ~(masked & (item > 0)).any(1)  # something is to be told in each
            masked[ending] = False
            masked[ending, -1] = True
            masked &= item > 0
            target = torch.where(masked, item - 1, -1)
            inputs["item"] = item.masked_fill(masked, self.mask)
            for name in {"event", "strength"} & inputs.keys():
                inputs[name] = inputs[name].masked_fill(masked, 0)
            yield step(inputs, target, self.rivals, self.each, usual, generator)


class _Net(Net):
    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """The answer to a mask behind the entries."""
        behind = {name: functional.pad(tensor, (0, 1)) for name, tensor in x.items() if name != "item"}
        return self.states({"item": functional.pad(x["item"], (0, 1), value=self.count + 1), **behind})[:, -1:]

    def towards(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.states(step.inputs), step.target
