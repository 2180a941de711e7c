"""A deep interest evolution network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.activation import shares
from shortlist.nn.augru import AUGRU, NextEntry
from shortlist.nn.histories import Entries, Histories
from shortlist.nn.loss import LOSSES
from shortlist.nn.mlp import MLP
from shortlist.nn.rows import Batch
from shortlist.rank._histories import HistoryRanker


class DIEN(HistoryRanker):
    """ŷ = σ(b + MLP([x, h'])), h' = AUGRU(h_1 ... h_w; a), a = softmax_t(h_t · W q), h_t = GRU(k_1 ... k_t).

    k is an event of the history (item, attributes, behaviour, value, age), q the target, x the row's columns. The first
    layer finds the interest h_t at each event. The loss has ``auxiliary`` × the mean of
    -log σ(h_t · e_{t+1}) - log(1 - σ(h_t · ê)) in it: an interest tells what came next, e, from the event ê of somebody
    in the same step. The second layer follows those interests that have to do with the target, in order, to what they
    have become. ``recent`` has layers of its own.

    The first layer runs once a request; the second once a row, event after event.

    Source: Zhou, Mou, Fan, Pi, Bian, Zhou, Zhu, Gai (2019), Deep Interest Evolution Network for Click-Through Rate
    Prediction.
    """

    example: ClassVar[Mapping[str, Any]] = {"history": 12}  # the file has some nodes for each event

    auxiliary: Annotated[float, Field(ge=0), Search(choices=(0.0, 0.1, 1.0))] = 1.0
    """Weight of the auxiliary loss; 0 = none."""

    def build(self) -> nn.Module:
        """Untrained."""
        read, names = self.histories(), [window.name for window in self.windows()]
        return _Net(read, names, self.layers(read.size + len(names) * read.target))

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """The objective and the auxiliary loss, of one run through the net."""
        z, told = net.told(batch.inputs)
        value = LOSSES[self.objective](z, batch.label, batch.weight, batch.group)
        return value + self.auxiliary * told if self.auxiliary else value


class _Net(nn.Module):
    def __init__(self, read: Histories, windows: Sequence[str], mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.read, self.mlp = read, mlp
        self.evolutions = nn.ModuleDict({name: _Evolution(read.entry, read.target) for name in windows})

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self._answer(x)[0]

    def told(self, x: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The logits [m], and how ill the interests tell what came next."""
        z, interests = self._answer(x)
        return z, torch.stack([evolution.ill(entries, h) for evolution, entries, h in interests]).mean()

    def _answer(self, x: Mapping[str, Tensor]) -> tuple[Tensor, list[tuple[_Evolution, Entries, Tensor]]]:
        q, parts, interests = self.read.item(x), [self.read.row(x)], []
        for name, evolution in self.evolutions.items():
            assert isinstance(evolution, _Evolution)
            entries = self.read.entries(x, name)
            h = evolution.interests(entries)
            parts.append(evolution(entries, h, q))
            interests.append((evolution, entries, h))
        return self.bias + self.mlp(torch.cat(parts, 1)).squeeze(1), interests


class _Evolution(nn.Module):
    """The two layers over one window; states are as wide as the target, as the inner products ask."""

    def __init__(self, entry: int, target: int) -> None:
        super().__init__()
        self.extract, self.evolve = AUGRU(entry, target), AUGRU(target, target)
        self.relate = nn.Linear(target, target, bias=False)
        self.next = NextEntry()

    def interests(self, entries: Entries) -> Tensor:
        """[n, w, q]: once a request; learning [e, q], without padding."""
        if not self.training:
            return torch.stack(self.extract(entries.vectors, entries.known.to(entries.vectors.dtype)), 1)
        pairs = entries.pairs(torch.arange(len(entries.known), device=entries.of.device))
        k = pairs.entries
        return self.extract.of_pairs(k, k.new_ones(len(k)), pairs).index_select(0, pairs.entry.argsort())

    def forward(self, entries: Entries, h: Tensor, target: Tensor) -> Tensor:
        """[m, q]: what the interests have become."""
        if not self.training:
            at, known = h.index_select(0, entries.of), entries.known.index_select(0, entries.of)
            a = shares((at @ self.relate(target).unsqueeze(2)).squeeze(2), known)
            return self.evolve(h, a, entries.of)[-1]
        pairs = entries.pairs()
        a = (h.index_select(0, pairs.entry) * self.relate(target).index_select(0, pairs.row)).sum(1)
        states = self.evolve.of_pairs(h, pairs.shares(a), pairs)
        last = slice(len(states) - sum(pairs.counts()[-1:]), None)
        return states.new_zeros(len(target), states.shape[1]).index_copy(0, pairs.row[last], states[last])

    def ill(self, entries: Entries, h: Tensor) -> Tensor:
        """The auxiliary loss."""
        h = h if self.training else h[entries.known]
        return self.next(h, entries.vectors[entries.known][:, : entries.shared], entries.known.nonzero()[:, 0])
