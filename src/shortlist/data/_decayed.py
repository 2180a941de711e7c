"""Decayed sums of a long log, carried on from block to block so that the log is read once however often it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shortlist.data import _asof
from shortlist.data.events import Behaviours, Events
from shortlist.data.table import Table
from shortlist.types import Float32, Float64, Int32, Int64

BLOCK = 1 << 16
"""Events between two places at which a sum may be carried on."""
KEPT = 64
"""Different sums remembered at a time."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is summed: see ``State.decayed``."""

    entity: str
    event: str
    half_life: int | None
    segment: tuple[str, int] | None

    @property
    def rate(self) -> float:
        """Halvings a microsecond."""
        return 1 / self.half_life if self.half_life else 0.0


@dataclass(frozen=True, slots=True)
class _Carried:
    """The sum over the first ``block`` blocks of the log."""

    block: int
    reference: int  # as of this moment
    running: Float64  # [n]


class DecayedSums:
    """Sums over a log that never changes and a tail that may, as of ascending moments.

    Blocks begin at fixed places of the log, so what was asked before changes no answer. Remembered is the sum before
    the latest first moment: questions in order of time go on from there, earlier ones begin again.
    """

    def __init__(self, behaviours: Behaviours, users: Table, items: Table):
        self._behaviours = behaviours
        self._users = users
        self._n = {"item": items.n, "user": users.n}
        self._kept: dict[Key, _Carried] = {}

    def at(self, key: Key, log: Events, tail: Sequence[Events], ticks: Int64) -> Float32:
        """[T, n]: the sums as of each of ``ticks``, which ascend; ``tail`` may be of any time."""
        first = min([int(ticks[0]) + 1, *(int(part.time[0]) for part in tail if len(part))])
        carried = self._carry(key, log, int(np.searchsorted(log.time, first)) // BLOCK)
        begin, end = carried.block * BLOCK, int(np.searchsorted(log.time, ticks[-1], side="right"))
        rest = log.take(slice(begin, max(begin, end)))
        late = [part.between(None, int(ticks[-1]) + 1) for part in tail]
        out, _, _ = self._go_on(key, carried, Events.concat([rest, *late]) if late else rest, ticks)
        return out

    def _carry(self, key: Key, log: Events, block: int) -> _Carried:
        carried = self._kept.get(key)
        if carried is None or carried.block > block:
            carried = _Carried(0, _asof.NEVER, np.zeros(self._n[key.entity]))
        for number in range(carried.block, block):
            part = log.take(slice(number * BLOCK, (number + 1) * BLOCK))
            _, reference, running = self._go_on(key, carried, part, part.time[-1:])
            carried = _Carried(number + 1, reference, running)
        kept = {other: sums for other, sums in self._kept.items() if other != key}
        self._kept = dict([*list(kept.items())[-(KEPT - 1) :], (key, carried)])
        return carried

    def _go_on(self, key: Key, carried: _Carried, events: Events, ticks: Int64) -> tuple[Float32, int, Float64]:
        """The sums [T, n] as of ``ticks``, and the reference and sum [n] after the last of them."""
        ids, weight, time = self._counted(key, events)
        known = len(carried.running)
        n = max(int(ids.max()) + 1 if len(ids) else 0, known)
        running = np.concatenate([carried.running, np.zeros(n - known)])
        out = np.empty((len(ticks), n), np.float32)
        reference = _asof.decayed_counts(ids, weight, time, ticks, key.rate, running, carried.reference, out)
        return out, reference, running

    def _counted(self, key: Key, events: Events) -> tuple[Int32, Float32, Int64]:
        codes = getattr(events, key.entity)
        mask = events.select(key.event, self._behaviours) & (codes >= 0)
        if key.segment is not None:
            name, code = key.segment
            users, rows = self._users.known(name, events.user, events.time)
            mask &= users.codes[name].first(rows) == code
        weight = events.weight[mask]
        return codes[mask], np.where(weight > 0, weight, 1).astype(np.float32), events.time[mask]
