"""Items that a net must tell from the right one: drawn at random, or what else was right in the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shortlist.types import Array

Draw = Literal["uniform", "log", "popularity", "batch", "mixed"]


@dataclass(frozen=True)
class Rivals:
    """How rivals are drawn of c items that were right ``counts`` [c] times.

    ``uniform``: all items alike. ``log``: Zipf's law over the items by popularity, Q = log((r + 2) / (r + 1)) /
    log(c + 1) of rank r from 0. ``popularity``: by how often they were right. ``batch``: none are drawn, the targets of
    the batch are each other's rivals, so Q is their popularity. ``mixed``: those of the batch and uniform ones beside.
    """

    counts: Array  # [c]
    how: Draw
    number: int  # of drawn ones
    correct: bool = True  # whether scores are to be less log Q

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, np.float64)
        c = max(len(counts), 1)
        share = counts / max(counts.sum(), 1) if len(counts) else np.ones(1)
        q = np.full(len(counts), 1 / c)
        order = np.argsort(-counts, kind="stable")
        if self.how == "log":
            rank = np.arange(len(counts))
            q[order] = np.log((rank + 2) / (rank + 1)) / np.log(len(counts) + 1)
        elif self.how in ("popularity", "batch"):
            q = share
        object.__setattr__(self, "_q", torch.from_numpy(np.maximum(q, 1e-12)))
        object.__setattr__(self, "_share", torch.from_numpy(np.maximum(share, 1e-12)))
        object.__setattr__(self, "_edges", torch.from_numpy(np.cumsum(q[order])))
        object.__setattr__(self, "_order", torch.from_numpy(order.copy()))

    def drawn(self, groups: int, target: Tensor, generator: torch.Generator) -> Tensor:
        """[groups, s] Int64: rivals of each group's targets; of the batch's own ``target`` there is one group alone."""
        if self.how == "batch":
            return target[None]
        c, shape = len(self.counts), (groups, self.number)
        if self.how in ("uniform", "mixed"):
            drawn = torch.randint(0, c, shape, generator=generator)
            return drawn if self.how == "uniform" else torch.cat([target[None], drawn], 1)
        edges: Tensor = self._edges  # type: ignore[attr-defined]
        place = torch.searchsorted(edges, torch.rand(shape, generator=generator, dtype=torch.float64) * edges[-1])
        order: Tensor = self._order  # type: ignore[attr-defined]
        return order[place.clamp(max=c - 1)]

    @property
    def together(self) -> bool:
        """Whether all targets of a batch must share their rivals."""
        return self.how in ("batch", "mixed")

    def log_q(self, targets: int) -> Tensor | None:
        """[c]: the logarithm of an item's chance to be a rival in a batch of so many ``targets``; None where all have
        one chance, or it is not to be corrected for."""
        if not self.correct or self.how == "uniform":
            return None
        q: Tensor = self._q  # type: ignore[attr-defined]
        if self.how == "mixed":
            share: Tensor = self._share  # type: ignore[attr-defined]
            q = (targets * share + self.number * q) / (targets + self.number)
        return q.log().float()
