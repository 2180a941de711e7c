"""Rows of (what a user had done, what came next) as what a net learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numba import njit

from shortlist.data import Table
from shortlist.nn.rivals import Rivals
from shortlist.nn.sequences import Each, Step, by_length, step, steps_of
from shortlist.types import Array, Bool, Int64, Ragged


class Reads(Protocol):
    """What a net reads of the entries of ``log`` at ``start <= place < end`` and of ``who``, [n, ...] by name."""

    def __call__(
        self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table, width: int
    ) -> dict[str, Array]:
        """Histories are [n, ``width``], padded on the left."""


def known(log: Ragged) -> Int64:
    """[m]: before which place stands what was known of each entry's user at its moment.

    Events of a user at equal times are one moment: what came with an event did not come before it.
    """
    first = np.zeros(len(log["time"]), bool)
    first[1:] = log["time"][1:] != log["time"][:-1]
    first[log.offsets[:-1][log.lengths > 0]] = True
    return np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))


def latest(values: Array, start: Array, end: Array, width: int) -> Int64:
    """[n, width]: 1 + the last of ``values`` [m] that are not below 0 at ``start <= place < end``, padded with 0."""
    out = np.zeros((len(start), width), np.int64)
    _latest(values, np.asarray(start), np.asarray(end), out)
    return out


@njit(cache=True, nogil=True)
def _latest(values: Array, start: Array, end: Array, out: Array) -> None:
    for r in range(len(start)):
        left, place = out.shape[1], end[r] - 1
        while left > 0 and place >= start[r]:
            if values[place] >= 0:
                left -= 1
                out[r, left] = values[place] + 1
            place -= 1


@dataclass(frozen=True)
class Examples:
    """Every entry that counts as an example (``loop.Batches``): its user's history before its moment, and the item.

    Examples with histories of about one length share a batch.
    """

    log: Ragged
    users: Table
    width: int
    rivals: Rivals | None  # None: all items are
    each: Each
    reads: Reads
    counts: Bool  # [m] which entries are to be told; the others are history only
    empty: bool = False  # whether also those before which nothing had been done
    beside: Mapping[str, Array] = field(default_factory=dict)  # what else the net is made of: no other run goes on

    @cached_property
    def pieces(self) -> tuple[Int64, Int64, Int64, Int64]:
        """(row of the log, start and end of what was known, place of the target) [n]."""
        row, end = self.log.rows, known(self.log)
        start = self.log.offsets[row]
        told = np.flatnonzero(self.counts & (self.empty | (end > start)))
        return row[told], start[told], end[told], told

    def __len__(self) -> int:
        return len(self.pieces[0])

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` examples an epoch has: of a small log ``STEPS`` smaller ones."""
        return steps_of(len(self), batch) if len(self) > 1 else 0

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Step]:
        """``steps`` batches in an order drawn from ``generator``."""
        row, start, end, told = self.pieces
        for chosen in by_length(np.minimum(end - start, self.width), steps, generator):
            a, b, at = start[chosen], end[chosen], told[chosen]
            width = min(self.width, max(1, int((b - a).max())))
            arrays = self.reads(self.log, a, b, self.log["time"][at], row[chosen], self.users, width)
            inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
            target = torch.from_numpy(self.log["item"][at].astype(np.int64))
            yield step(inputs, target, self.rivals, self.each, len(self) / steps, generator)
