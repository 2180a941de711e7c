"""What was known at a time: the one structure behind the replay of a log and the live service.

A ``State`` is a few immutable, time-sorted segments of events and the attribute tables. A question names its moment and
only events at or before it are counted, so adding later events changes no answer. Live events make new small segments,
merged by size as in a log-structured tree; a snapshot plus a tail answers exactly as one long log would. The same holds
for what was shown (``State.shown``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from shortlist.data import _asof
from shortlist.data._decayed import DecayedSums, Key
from shortlist.data._kept import Kept
from shortlist.data._segments import appended
from shortlist.data.events import Behaviours, Events
from shortlist.data.exposures import Exposures
from shortlist.data.shown import Shown
from shortlist.data.table import Table
from shortlist.types import HISTORY, Array, Float32, Float64, Int32, Int64, Ragged, spans


class _Segment:
    """Events and, made when first asked for, their times grouped by entity."""

    def __init__(self, events: Events, behaviours: Behaviours, users: Table):
        self.events = events
        self.grouped = lru_cache(maxsize=None)(self._grouped)  # one entry per (entity, selector): bounded by the recipe
        self.running = lru_cache(maxsize=None)(self._running)
        self.crossed = lru_cache(maxsize=None)(self._crossed)
        self._behaviours = behaviours
        self._users = users

    def _grouped(self, entity: str, which: str) -> tuple[Int64, Int64, Int64]:
        """Offsets by entity code, times, and the event row behind each; ``"log"`` is one entity with every event."""
        chosen = self.events.select(which, self._behaviours)
        if entity == "log":
            rows = np.flatnonzero(chosen)
            offsets = np.array([0, len(rows)] if len(rows) else [0], np.int64)
        else:
            codes = getattr(self.events, entity)
            rows = np.flatnonzero(chosen & (codes >= 0))
            n = int(codes[rows].max()) + 1 if len(rows) else 0
            offsets, rows = _asof.grouped(np.asarray(codes, np.int32), rows, n)
        return offsets, self.events.time[rows], rows

    def _running(self, entity: str, which: str) -> tuple[Int64, Float64]:
        """[m + 1], [m + 1]: how many values, and their sum, stand before each place of ``grouped``."""
        values = self.events.value[self.grouped(entity, which)[2]]
        known = ~np.isnan(values)
        sums = np.cumsum(np.where(known, values, 0), dtype=np.float64)
        return np.concatenate([[0], np.cumsum(known)]), np.concatenate([[0.0], sums])

    def _crossed(self, entity: str, which: str, by: str, edges: tuple[float, ...]) -> tuple[Int64, Int64, Int64, Int64]:
        """Where each code's buckets (of users) begin, the buckets, and offsets and times of each as ``grouped``."""
        users, rows = self._users.known(by, self.events.user, self.events.time)
        bucket = users.buckets(by, rows, np.array(edges))
        codes = np.zeros(len(bucket), np.int64) if entity == "log" else getattr(self.events, entity).astype(np.int64)
        rows = np.flatnonzero(self.events.select(which, self._behaviours) & (codes >= 0) & (bucket >= 0))
        key = codes[rows] << 16 | bucket[rows]
        order = np.argsort(key, kind="stable")
        keys, first = np.unique(key[order], return_index=True)
        starts = np.searchsorted(keys >> 16, np.arange((int(keys[-1]) >> 16) + 2 if len(keys) else 1))
        return starts, keys & 0xFFFF, np.append(first, len(rows)), self.events.time[rows[order]]

    def __len__(self) -> int:
        return len(self.events)

    def joined(self, later: _Segment) -> _Segment:
        """Both as one segment; of equal times, the events of this one first."""
        return _Segment(Events.concat([self.events, later.events]), self._behaviours, self._users)


class State:
    """Answers about users and items as of a moment. Codes it has never met have no history and no counts.

    ``shown`` answers in the same way what was shown to whom.
    """

    def __init__(
        self,
        behaviours: Behaviours,
        users: Table,
        items: Table,
        available_from: Int64,
        events: Events,
        shown: Exposures | None = None,
    ):
        self.behaviours = behaviours
        self.users = users
        self.items = items
        self.available_from = available_from
        self.shown = Shown(Exposures.none() if shown is None else shown)
        self._segments = [_Segment(events, behaviours, users)]
        self.kept = Kept()  # what channels worked out as of a moment; replaced when events of before it come in
        self._sums = DecayedSums(behaviours, users, items)

    @property
    def events(self) -> Events:
        """Everything known, whenever it happened."""
        parts = [segment.events for segment in self._segments]
        return parts[0] if len(parts) == 1 else Events.concat(parts)

    @property
    def last(self) -> int:
        """The time of the latest event; 0 when there is none."""
        return max((int(s.events.time[-1]) for s in self._segments if len(s.events)), default=0)

    def append(self, events: Events) -> None:
        """Adds live events (in time order among themselves, at any time)."""
        if not len(events):
            return
        new = _Segment(events, self.behaviours, self.users)
        self._segments = appended(
            self._segments, new, _Segment.joined
        )  # one assignment: readers see the old or the new
        self.kept = self.kept.before(int(events.time[0]))  # as of an earlier moment all stays what it was

    def forget(self, user: int, until: int) -> None:
        """Drops a user's events and exposures at or before ``until``; what was counted with them is counted anew."""

        def without(segment: _Segment) -> _Segment:
            mine = (segment.events.user == user) & (segment.events.time <= until)
            return _Segment(segment.events.take(~mine), self.behaviours, self.users) if mine.any() else segment

        self._segments = [without(segment) for segment in self._segments]
        self.shown.forget(user, until)
        self._sums = DecayedSums(self.behaviours, self.users, self.items)
        self.kept = Kept()

    def attributes(self, entity: str, name: str, ids: Array, times: Int64) -> tuple[Table, Array]:
        """Where attribute ``name`` of ``ids`` ("user" or "item" codes) stands as of ``times``: a table and its rows.

        Of a catalogue's column these are the table and the codes themselves; a column of the log has a row for every
        value it had, -1 where it had none yet.
        """
        return (self.items if entity == "item" else self.users).known(name, ids, times)

    def history(self, users: Int32, times: Int64, n: int | None = None, which: str = "all") -> Ragged:
        """[len(users)] rows of HISTORY columns at or before each time, oldest first, the last ``n`` of them."""
        parts = [self._history(segment, users, times, n, which) for segment in self._segments]
        if len(parts) == 1:
            return parts[0]
        rows = np.concatenate([part.rows for part in parts])
        time = np.concatenate([part["time"] for part in parts])
        order = np.lexsort((time, rows))
        columns = {name: np.concatenate([part[name] for part in parts])[order] for name in HISTORY}
        joined = Ragged.of(rows[order], len(users), **columns)
        if n is None:
            return joined
        place = np.arange(len(order)) - np.repeat(joined.offsets[1:], joined.lengths)
        return joined.keep(place >= -n)

    def _history(self, segment: _Segment, users: Int32, times: Int64, n: int | None, which: str) -> Ragged:
        offsets, stamps, rows = segment.grouped("user", which)
        start, end = _asof.ends(offsets, stamps, np.asarray(users), np.asarray(times))
        if n is not None:
            start = np.maximum(start, end - n)
        picked = rows[spans(start, end)]
        ends = np.zeros(len(start) + 1, np.int64)
        np.cumsum(end - start, out=ends[1:])
        return Ragged(ends, {name: getattr(segment.events, name)[picked] for name in HISTORY})

    def counts(
        self, entity: str, ids: Array, times: Int64, events: Sequence[str], windows: Sequence[int | None]
    ) -> Float32:
        """[n, E, W]: events of ``ids`` ("user" or "item" codes) in (time - window, time]; window None = ever.

        ``events`` names behaviours, ``"positive"`` or ``"all"``; windows are microseconds. Entity ``"log"`` with ids 0
        counts the events of the whole log.
        """
        out = np.zeros((len(events), len(ids), len(windows)), np.float32)
        spans_ = np.array([-1 if window is None else window for window in windows], np.int64)
        for segment in self._segments:
            for e, which in enumerate(events):
                offsets, stamps, _ = segment.grouped(entity, which)
                _asof.window_counts(offsets, stamps, np.asarray(ids), np.asarray(times), spans_, out[e])
        return out.transpose(1, 0, 2)

    def segment_counts(
        self,
        entity: str,
        ids: Array,
        bucket: Array,
        times: Int64,
        by: str,
        edges: tuple[float, ...] = (),
        which: str = "positive",
        window: int | None = None,
    ) -> Float32:
        """[n]: events of each item ("log": 0) by users of the bucket, in (time - window, time]; window None = ever.

        A bucket is what ``users.buckets(by, ..., edges)`` says, below 65,536; -1 has no events. Users are in the one
        they were in when the event happened.
        """
        out = np.zeros(len(ids), np.float32)
        ids, bucket, times = np.asarray(ids), np.asarray(bucket), np.asarray(times)
        span = -1 if window is None else window
        for segment in self._segments:
            starts, keys, offsets, stamps = segment.crossed(entity, which, by, edges)
            _asof.crossed_counts(starts, keys, offsets, stamps, ids, bucket, times, span, out)
        return out

    def sums(self, entity: str, ids: Array, times: Int64, which: str = "all") -> tuple[Int64, Float64]:
        """[n], [n]: how many events with a value each id ("log": 0) has at or before its moment, and their sum."""
        count, total = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.float64)
        for segment in self._segments:
            offsets, stamps, _ = segment.grouped(entity, which)
            start, end = _asof.ends(offsets, stamps, np.asarray(ids), np.asarray(times))
            counts, sums = segment.running(entity, which)
            count += counts[end] - counts[start]
            total += sums[end] - sums[start]
        return count, total

    def first_seen(self, entity: str, ids: Array, times: Int64, which: str = "all") -> Int64:
        """[n]: the time of the earliest event of each id; -1 if there is none at or before its moment."""
        never = np.iinfo(np.int64).max
        first = np.full(len(ids), never)
        for segment in self._segments:
            offsets, stamps, _ = segment.grouped(entity, which)
            start, end = _asof.ends(offsets, stamps, np.asarray(ids), np.asarray(times))
            found = end > start
            first[found] = np.minimum(first[found], stamps[start[found]])
        return np.where(first == never, -1, first)

    def last_seen(self, entity: str, ids: Array, times: Int64, which: str = "all") -> Int64:
        """[n]: the time of the latest event of each id at or before its moment; -1 if there is none."""
        latest = np.full(len(ids), -1, np.int64)
        for segment in self._segments:
            offsets, stamps, _ = segment.grouped(entity, which)
            start, end = _asof.ends(offsets, stamps, np.asarray(ids), np.asarray(times))
            found = end > start
            latest[found] = np.maximum(latest[found], stamps[end[found] - 1])
        return latest

    def decayed(
        self,
        entity: str,
        times: Int64,
        event: str = "positive",
        half_life: int | None = None,
        segment: tuple[str, int] | None = None,
    ) -> Float32:
        """[T, n]: for each moment, sum over events e at or before it of w_e 2^(-(reference - t_e) / half_life).

        ``n`` is the number of ``entity`` codes known so far, w_e the strength (1 for events that are not positive), the
        reference the last such event at or before the moment. ``segment`` = (user attribute, code) counts only events
        of users with that value.
        """
        times = np.asarray(times, np.int64)
        if len(times) == 1:
            kept, key = self.kept, ("decayed", entity, event, half_life, segment)
            found = kept.get(key, int(times[0]))
            if found is None:
                found = (self._sum_decayed(entity, times, event, half_life, segment),)
                kept.put(key, int(times[0]), found)
            return found[0]
        return self._sum_decayed(entity, times, event, half_life, segment)

    def _sum_decayed(
        self, entity: str, times: Int64, event: str, half_life: int | None, segment: tuple[str, int] | None
    ) -> Float32:
        ticks, back = np.unique(times, return_inverse=True)
        if not len(ticks):
            return np.empty((0, (self.items if entity == "item" else self.users).n), np.float32)
        sums = self._sums  # before the events: ``forget`` replaces them after, so none counted with it are carried on
        log, *tail = (part.events for part in self._segments)
        out = sums.at(Key(entity, event, half_life, segment), log, tail, ticks)
        return out if len(ticks) == len(times) and (np.diff(times) > 0).all() else out[back]
