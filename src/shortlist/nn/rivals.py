"""Items that a net must tell from the right one: drawn at random, or what else was right in the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shortlist.types import Array

Draw = Literal["uniform", "log", "popularity", "batch", "mixed"]
LEAST = 1e-12
"""The chance of what was never right: its logarithm is a number."""


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

    @cached_property
    def _share(self) -> Tensor:
        """[c]: of the right ones."""
        counts = np.asarray(self.counts, np.float64)
        return torch.from_numpy(np.maximum(counts / max(counts.sum(), 1), LEAST))

    @cached_property
    def _order(self) -> Tensor:
        """[c]: the items, popular ones first."""
        return torch.from_numpy(np.argsort(-np.asarray(self.counts), kind="stable"))

    @cached_property
    def _q(self) -> Tensor:
        """[c]: an item's chance; of ``mixed`` to be one of those that are drawn."""
        c = len(self.counts)
        if self.how in ("popularity", "batch"):
            return self._share
        q = torch.full((c,), 1 / max(c, 1), dtype=torch.float64)
        if self.how == "log":
            rank = torch.arange(c, dtype=torch.float64)
            q[self._order] = torch.log((rank + 2) / (rank + 1)) / math.log(c + 1)
        return q

    @cached_property
    def _edges(self) -> Tensor:
        return self._q[self._order].cumsum(0)

    def drawn(self, groups: int, target: Tensor, generator: torch.Generator) -> Tensor:
        """[groups, s] Int64: rivals of each group's targets; of the batch's own ``target`` there is one group alone."""
        if self.how == "batch":
            return target[None]
        c, shape = len(self.counts), (groups, self.number)
        if self.how in ("uniform", "mixed"):
            drawn = torch.randint(0, c, shape, generator=generator)
            return drawn if self.how == "uniform" else torch.cat([target[None], drawn], 1)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) * self._edges[-1]
        place = torch.searchsorted(self._edges, drawn)
        return self._order[place.clamp(max=c - 1)]

    @property
    def together(self) -> bool:
        """Whether all targets of a batch must share their rivals."""
        return self.how in ("batch", "mixed")

    def log_q(self, targets: int) -> Tensor | None:
        """[c]: the logarithm of an item's chance to be a rival in a batch of so many ``targets``; None where all have
        one chance, or it is not to be corrected for."""
        if not self.correct or self.how == "uniform":
            return None
        q = self._q
        if self.how == "mixed":
            q = (targets * self._share + self.number * q) / (targets + self.number)
        return q.log().float()
