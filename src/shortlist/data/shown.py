"""What was shown, as of a moment: the questions of ``State`` put to exposures instead of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from shortlist.data import _asof
from shortlist.data._segments import appended
from shortlist.data.exposures import Exposures
from shortlist.types import Array, Float32, Float64, Int64


class _Groups:
    """Exposures by entity, those of one entity in time order."""

    def __init__(self, rows: Exposures, key: Int64):
        known = np.flatnonzero(key >= 0)
        order = known[np.argsort(key[known], kind="stable")]
        self.keys, first = np.unique(key[order], return_index=True)  # [groups] ascending
        self.offsets = np.append(first, len(order))  # [groups + 1]
        self.times = rows.time[order]  # [m]
        self.positions = rows.position[order]  # [m]

    def find(self, key: Int64) -> Int64:
        """[n]: the number of each key's group; -1 = it has none."""
        if not len(self.keys):
            return np.full(len(key), -1)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[place] == key, place, -1)

    @cached_property
    def best(self) -> Float32:
        """[m]: the smallest position of the entity up to each place; NaN while none is known."""
        return _asof.running_minimum(self.offsets, self.positions)

    @cached_property
    def sums(self) -> tuple[Int64, Float64]:
        """[m + 1], [m + 1]: how many positions are known before each place, and their sum."""
        known = ~np.isnan(self.positions)
        total = np.cumsum(np.where(known, self.positions, 0), dtype=np.float64)
        return np.concatenate([[0], np.cumsum(known)]), np.concatenate([[0.0], total])


class _Segment:
    """Exposures and, made when first asked for, their groups."""

    def __init__(self, rows: Exposures):
        self.rows = rows
        self.groups = lru_cache(maxsize=None)(self._groups)  # by user, by item and by both

    def __len__(self) -> int:
        return len(self.rows)

    def joined(self, later: _Segment) -> _Segment:
        """Both as one segment; of equal times, the exposures of this one first."""
        return _Segment(Exposures.concat([self.rows, later.rows]))

    def _groups(self, users: bool, items: bool) -> _Groups:
        return _Groups(self.rows, _key(self.rows.user if users else None, self.rows.item if items else None))


class Shown:
    """Answers what was shown, as of a moment: only exposures at or before it count.

    Every question takes ``users`` [n], ``items`` [n] (codes) and ``times`` [n]. Row r asks about the item shown to the
    user; with ``users`` None about the item, whoever saw it; with ``items`` None about the user, whatever it was. An
    exposure of nobody known (user -1) counts for its item alone. A code never met was never shown.

    Segments are those of ``State``: a snapshot, and live rows merged by size. A million exposures take 20 MB. What is
    asked by user, by item or by both takes, once somebody asks, 12 MB more and 16 bytes for each user, item or pair (at
    most 28 MB); best positions 4 MB, mean ones 16 MB.
    ``State.kept`` outlives exposures that come in: nothing worked out from them may be put there.
    """

    def __init__(self, log: Exposures):
        self._segments = [_Segment(log)]

    @property
    def exposures(self) -> Exposures:
        """Everything known, whenever it was shown."""
        parts = [segment.rows for segment in self._segments]
        return parts[0] if len(parts) == 1 else Exposures.concat(parts)

    @property
    def latest(self) -> int:
        """The time of the latest exposure of all; 0 when there is none."""
        return max((int(s.rows.time[-1]) for s in self._segments if len(s)), default=0)

    def append(self, exposures: Exposures) -> None:
        """Adds live exposures (in time order among themselves, at any time)."""
        if len(exposures):  # one assignment: readers see the old list or the new
            self._segments = appended(self._segments, _Segment(exposures), _Segment.joined)

    def forget(self, user: int, until: int) -> None:
        """Drops what was shown to a user at or before ``until``."""

        def without(segment: _Segment) -> _Segment:
            mine = (segment.rows.user == user) & (segment.rows.time <= until)
            return _Segment(segment.rows.take(~mine)) if mine.any() else segment

        self._segments = [without(segment) for segment in self._segments]

    def counts(
        self, users: Array | None, items: Array | None, times: Int64, windows: Sequence[int | None] = (None,)
    ) -> Float32:
        """[n, W]: exposures in (time - window, time], windows in microseconds; None = ever."""
        out = np.zeros((len(times), len(windows)), np.float32)
        spans = np.array([-1 if window is None else window for window in windows], np.int64)
        for groups, ids in self._asked(users, items):
            _asof.window_counts(groups.offsets, groups.times, ids, np.asarray(times), spans, out)
        return out

    def last_time(self, users: Array | None, items: Array | None, times: Int64) -> Int64:
        """[n]: when the latest exposure at or before each moment was; -1 if there is none."""
        latest = np.full(len(times), -1, np.int64)
        for groups, found, _, end in self._ends(users, items, times):
            latest[found] = np.maximum(latest[found], groups.times[end - 1])
        return latest

    def position(
        self, users: Array | None, items: Array | None, times: Int64, which: Literal["last", "best", "mean"] = "last"
    ) -> Float32:
        """[n]: at which place (from 1), at or before each moment: the last time, at best, or on average.

        NaN if there was no exposure, or none whose place is known (``last``: if that of the latest one is not).
        """
        out = np.full(len(times), np.nan, np.float32)
        if which == "mean":
            count, total = np.zeros(len(times), np.int64), np.zeros(len(times))
            for groups, found, start, end in self._ends(users, items, times):
                known, sums = groups.sums
                count[found] += known[end] - known[start]
                total[found] += sums[end] - sums[start]
            np.divide(total, count, out=out, where=count > 0, casting="same_kind")
            return out
        latest = np.full(len(times), -1, np.int64)
        for groups, found, _, end in self._ends(users, items, times):
            if which == "best":
                out[found] = np.fmin(out[found], groups.best[end - 1])
                continue
            time = groups.times[end - 1]
            later = time >= latest[found]  # of equal times, the later segment's came last
            latest[found[later]] = time[later]
            out[found[later]] = groups.positions[end[later] - 1]
        return out

    def _asked(self, users: Array | None, items: Array | None) -> Iterator[tuple[_Groups, Int64]]:
        """For each segment: the groups that are asked about, and which of them each row [n] means."""
        key = _key(users, items)
        for segment in self._segments:
            if len(segment):
                groups = segment.groups(users is not None, items is not None)
                yield groups, groups.find(key)

    def _ends(
        self, users: Array | None, items: Array | None, times: Int64
    ) -> Iterator[tuple[_Groups, Int64, Int64, Int64]]:
        """For each segment: its groups, the rows of the question it knows something of, and from where to where."""
        for groups, ids in self._asked(users, items):
            start, end = _asof.ends(groups.offsets, groups.times, ids, np.asarray(times))
            found = np.flatnonzero(end > start)
            yield groups, found, start[found], end[found]


def _key(users: Array | None, items: Array | None) -> Int64:
    """[n]: one number for each entity, below 0 where there is none."""
    if users is None:
        if items is None:
            raise ValueError("expected users, items or both, found neither")
        return np.asarray(items, np.int64)
    user = np.asarray(users, np.int64)
    return user if items is None else np.where(np.asarray(items) < 0, -1, user << 32 | np.asarray(items, np.int64))
