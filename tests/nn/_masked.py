"""A channel that a user might write: a small transformer that fills in what is masked, with masks drawn each step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Retriever
from shortlist.data import Dataset, State
from shortlist.encode.history import entries, last
from shortlist.encode.inputs import Inputs
from shortlist.nn.trained import Trained
from shortlist.types import Array, Candidates, Requests

MASK = 1


class Masked(Trained, Retriever):
    """score(r, i) = ⟨h, v_i⟩ + b_i, h what a transformer makes of [history, mask] where the mask stands.

    It is trained to fill in a share of each history's items that is masked anew at every step.

    Source: Sun et al. (2019), BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations.
    """

    output: ClassVar[str] = "vector"

    width: Annotated[int, Field(ge=2)] = 16
    """Coordinates of a vector."""
    length: Annotated[int, Field(ge=2)] = 25
    """Items of a history that are read."""
    masked: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of them that is masked."""

    def build(self) -> nn.Module:
        """Untrained."""
        return _Net(len(self.items_) + 2, self.length, self.width)

    def loss(self, net: nn.Module, batch: _Batch) -> Tensor:
        """Cross entropy of what is masked."""
        at = batch.target > 0
        logits = net.hidden(batch.inputs["history"])[at] @ net.table.T + net.bias
        return nn.functional.cross_entropy(logits, batch.target[at])

    def fit(self, data: Dataset) -> Self:
        """Learns from every user's last items."""
        self.items_ = np.unique(data.events.item)
        users = np.flatnonzero(data.user_counts("all"))
        history = data.sequences().take(users)
        sequences = self._codes(Requests.of(users, np.zeros(len(users)), history), self.length)
        return self.learn(Sequences(sequences, self.masked))

    def traced(self) -> Inputs:
        """Two histories of nothing but the mask."""
        return self._inputs(Requests.of(np.full(2, -1), np.zeros(2)))

    def vectors(self, requests: Requests) -> Array:
        """[n, width]."""
        return self.predict(self._inputs(requests))

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` of all known items."""
        net, n, c = self.net(), len(requests), len(self.items_)
        table, bias = net.table.detach().numpy()[2:], net.bias.detach().numpy()[2:]
        scores = (self.vectors(requests) @ table.T + bias).astype(np.float32)  # [n, c]
        request, item = np.repeat(np.arange(n, dtype=np.uint32), c), np.tile(self.items_, n).astype(np.int32)
        rows = Candidates(request, item, {"score": scores.ravel()})
        out = requests.exclude.rows << 32 | requests.exclude["item"]
        return rows.take(~np.isin(rows.keys, out)).top(k)

    def _inputs(self, requests: Requests) -> Inputs:
        past = self._codes(requests, self.length - 1)
        return Inputs({"history": np.pad(past, ((0, 0), (0, 1)), constant_values=MASK)})

    def _codes(self, requests: Requests, length: int) -> Array:
        """[n, length]: 2 + place among the known items, 0 where there is none or it is unknown."""
        items = entries(requests, "", *last(requests, length))
        place = np.searchsorted(self.items_, items)
        known = np.append(self.items_, -2)[place] == items
        return np.where(known, place + 2, 0).astype(np.int64)


@dataclass(frozen=True)
class _Batch:
    inputs: Mapping[str, Tensor]
    target: Tensor  # [b, length] what is masked, 0 elsewhere

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device) -> _Batch:
        return _Batch({name: tensor.to(device) for name, tensor in self.inputs.items()}, self.target.to(device))


class Sequences:
    """Histories with masks drawn anew each epoch; the last item is always masked, as it is when one asks."""

    def __init__(self, sequences: Array, share: float) -> None:
        self.sequences, self.share = torch.from_numpy(sequences), share

    def __len__(self) -> int:
        return len(self.sequences)

    def steps(self, batch: int) -> int:
        return len(self) // 2 and -(-len(self) // batch)

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[_Batch]:
        for part in torch.tensor_split(torch.randperm(len(self), generator=generator), steps):
            whole = self.sequences[part]
            masked = torch.rand(whole.shape, generator=generator) < self.share
            masked[:, -1] = True
            masked &= whole > 0
            yield _Batch({"history": whole.masked_fill(masked, MASK)}, whole.where(masked, torch.zeros(())).long())


class _Net(nn.Module):
    """One block of self-attention and one of two layers, each added to what it reads."""

    def __init__(self, rows: int, length: int, d: int) -> None:
        super().__init__()
        self.table, self.bias = nn.Parameter(torch.empty(rows, d)), nn.Parameter(torch.zeros(rows))
        self.place = nn.Parameter(torch.empty(length, d))
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.norm, self.layers = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def reset(self, generator: torch.Generator) -> None:
        """Draws the first vectors."""
        for table in (self.table, self.place):
            nn.init.normal_(table, 0, 0.1, generator=generator)

    def hidden(self, items: Tensor) -> Tensor:
        """[n, length, d]."""
        x = nn.functional.embedding(items, self.table) + self.place
        a = self.q(x) @ self.k(x).transpose(1, 2) / math.sqrt(x.shape[2])
        a = a.masked_fill((items == 0).unsqueeze(1), -1e9).softmax(2)
        x = x + self.o(a @ self.v(x))
        return x + self.layers(self.norm(x))

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self.hidden(x["history"])[:, -1]
