"""What a log tells a net of requests: windows of users' sequences, what followed them, and what is held out.

A log is a ``Ragged`` with a row a user, oldest first: ``item`` (a column of the model, from 0), ``time``, ``event``,
``weight``. A net reads a history as arrays [n, w], padded on the left: ``item`` with 0 = padding and column + 1,
``event`` likewise, ``strength``, and ``age``: seconds from each event to the moment that is asked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shortlist.nn.rivals import Rivals
from shortlist.types import Array, Bool, Float64, Int64, Ragged

Each = Literal["batch", "sequence", "position"]
"""What has rivals of its own."""
STEPS = 8
"""Of an epoch at least, where there are windows enough: else whoever waits for some epochs waits for some steps."""
POOL = 32
"""Windows of so many batches are sorted by length together: little padding, and still an order drawn anew."""

ENOUGH = 1_000
"""Questions about a held out part that are told apart by more than luck."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step learns from: requests, what followed each of them, and rivals that it shares with its group."""

    inputs: Mapping[str, Tensor]  # each [b, ...]
    target: Tensor  # [b] or, of each place of a window, [b, w]; -1 = nothing to learn here
    rivals: Tensor | None  # [groups, s]: one group for all, one a row of ``inputs``, or one a target; None = all items
    log_q: Tensor | None  # [c]: what scores are to be less
    usual: float  # targets of a step on average: losses are summed and divided by it, so that no target counts more

    def __len__(self) -> int:
        return int((self.target >= 0).sum())

    def to(self, device: torch.device) -> Step:
        """The same on ``device``."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        rivals = None if self.rivals is None else self.rivals.to(device)
        log_q = None if self.log_q is None else self.log_q.to(device)
        return replace(self, inputs=inputs, target=self.target.to(device), rivals=rivals, log_q=log_q)


def read(log: Ragged, start: Array, end: Array, now: Array, width: int, reads: Sequence[str] = ()) -> dict[str, Array]:
    """The last ``width`` entries of ``start <= place < end`` [n] as the arrays of the file's head.

    ``now`` [n]: the moments asked at. ``reads``: which of event, strength and age to give beside the items.
    """
    place = np.asarray(end)[:, None] - np.arange(width, 0, -1)
    inside = place >= np.asarray(start)[:, None]
    at = np.where(inside, place, 0) if len(log["item"]) else np.zeros_like(place)
    columns = {name: log[name] if len(log[name]) else np.zeros(1, log[name].dtype) for name in log.columns}
    found: dict[str, Array] = {"item": np.where(inside, columns["item"][at].astype(np.int64) + 1, 0)}
    if "event" in reads:
        found["event"] = np.where(inside, columns["event"][at].astype(np.int64) + 1, 0)
    if "strength" in reads:
        found["strength"] = np.where(inside, columns["weight"][at], 0).astype(np.float32)
    if "age" in reads:
        found["age"] = np.where(inside, (np.asarray(now)[:, None] - columns["time"][at]) / 1e6, 0.0)
    return found


@dataclass(frozen=True)
class Windows:
    """Pieces of users' sequences as ``loop.Batches``: at every place the item that comes next is to be told.

    Every event but a user's first is a target once. Windows of about one length share a batch.
    """

    log: Ragged
    width: int
    reads: Sequence[str]
    rivals: Rivals | None  # None: all items are
    each: Each

    @cached_property
    def pieces(self) -> tuple[Int64, Int64]:
        """(start, end) [n] of the entries that are read; the last target is the entry at ``end``."""
        last, length = self.log.offsets[1:] - 1, self.log.lengths - 1
        number = np.where(length > 0, -(-length // self.width), 0)
        row = np.repeat(np.arange(len(length)), number)
        back = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)  # 0 = the user's latest piece
        end = last[row] - back * self.width
        return np.maximum(end - self.width, self.log.offsets[row]), end

    def __len__(self) -> int:
        return len(self.pieces[0])

    @property
    def targets(self) -> int:
        """Of an epoch."""
        return int((self.pieces[1] - self.pieces[0]).sum())

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` windows an epoch has: of a small log ``STEPS`` smaller ones."""
        return steps_of(len(self), batch) if self.targets > 1 else 0

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Step]:
        """``steps`` batches in an order drawn from ``generator``."""
        start, end = self.pieces
        for chosen in by_length(end - start, steps, generator):
            a, b = start[chosen], end[chosen]
            width = int((b - a).max())
            place = b[:, None] - np.arange(width, 0, -1)
            target = np.where(place >= a[:, None], self.log["item"][place + 1], -1).astype(np.int64)
            arrays = read(self.log, a, b, self.log["time"][b], width, self.reads)
            inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
            yield step(inputs, torch.from_numpy(target), self.rivals, self.each, self.targets / steps, generator)


def steps_of(n: int, batch: int) -> int:
    """How many batches of about ``batch`` there are of ``n``: of a few ``STEPS`` smaller ones."""
    return max(-(-n // batch), min(STEPS, n // 2))


def by_length(length: Array, steps: int, generator: torch.Generator) -> list[Int64]:
    """All of ``length`` [n] in ``steps`` parts drawn at random, those of about one length together."""
    n = len(length)
    drawn = torch.randperm(n, generator=generator).numpy()
    pool = np.arange(n) * steps // max(n, 1) // POOL
    drawn = drawn[np.lexsort((length[drawn], pool))]
    parts = [drawn[a:b] for a, b in itertools.pairwise(np.arange(steps + 1) * n // max(steps, 1))]
    return [parts[i] for i in torch.randperm(steps, generator=generator).tolist()]


def step(
    inputs: Mapping[str, Tensor],
    target: Tensor,
    rivals: Rivals | None,
    each: Each,
    usual: float,
    generator: torch.Generator,
) -> Step:
    """A step with its rivals drawn: a group of them for the batch, for each row of ``inputs`` or for each target."""
    if rivals is None:
        return Step(inputs, target, None, None, usual)
    told = target[target >= 0]
    groups = 1 if rivals.together or each == "batch" else len(target) if each == "sequence" else len(told)
    return Step(inputs, target, rivals.drawn(groups, told, generator), rivals.log_q(len(told)), usual)


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions that stop training: what each user had done, and what came then."""

    log: Ragged
    row: Int64  # [n] of the log
    end: Int64  # [n] the place of the target; what is known lies before it
    now: Float64  # [n]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def start(self) -> Int64:
        """[n] where the user's entries begin."""
        return self.log.offsets[self.row]

    @property
    def target(self) -> Int64:
        """[n] columns."""
        return self.log["item"][self.end].astype(np.int64)


def held(log: Ragged, share: float, *, counts: Bool, order_only: bool, at_most: int, seed: int) -> tuple[Ragged, Asked]:
    """What comes before the last ``share`` of the log's time, and a question a user: what came first after it.

    Only entries that ``counts`` [m] names are asked for, of users who did something before. Where few did so on both
    sides of the cut (people who come once do all in an hour), later entries drawn at random are asked for as well, to
    ``ENOUGH`` questions in all. Without times each user's last entry is. At most ``at_most`` are asked, drawn at
    random; none where ``share`` is 0.
    """
    first, last, rng = log.offsets[:-1], log.offsets[1:], np.random.default_rng(seed)
    if not share or not len(log["item"]):
        return log, Asked(log, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    if order_only:
        end = last - 1
        end = end[(log.lengths >= 3) & np.append(counts, False)[end]]
        mask = np.ones(len(log["item"]), bool)
        mask[end] = False
    else:
        time = log["time"]
        cut = np.sort(time)[int(len(time) * (1 - share))]
        mask = time < cut
        later = np.flatnonzero(~mask & counts)
        end = np.append(later, len(time))[np.searchsorted(later, first)]  # of this user or, where he has none, another
        end = end[(end > first) & (end < last)]
        if (missing := min(ENOUGH, at_most) - len(end)) > 0:
            others = np.setdiff1d(later[later > first[log.rows[later]]], end)
            end = np.sort(np.append(end, rng.choice(others, min(missing, len(others)), replace=False)))
    if len(end) > at_most:
        end = np.sort(rng.choice(end, at_most, replace=False))
    rows = log.rows[end]
    return log.keep(mask), Asked(log, rows, end, log["time"][end].astype(np.float64))
