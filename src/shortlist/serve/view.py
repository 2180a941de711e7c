"""One opened bundle and everything known since: the snapshot of the log, and the store's records in their order.

Each record counts once:

* it is applied once, because a view remembers the last sequence it has applied;
* a record whose ``id`` the store knows is not stored again;
* an event that the bundle was fitted on (the log of a later fit contains what the store received before) is recognised
  by its content: not after the snapshot's last one, an event of the same user, item, kind and time as one in the
  snapshot is that one. A late event that the snapshot does not have counts. The same for what was shown, by user, item
  and time.

No record is dated ahead of the time of day when it is stored, unless the clock stood ahead then. Such a one counts as
of the latest moment that was known before it; events that the bundle itself dates ahead count when their time comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from shortlist.bundle import Bundle
from shortlist.data import Dataset, Events, Exposures, State
from shortlist.durations import stamp
from shortlist.serve.clock import SKEW, wall
from shortlist.serve.store import Record, digest
from shortlist.types import Array

Rows = TypeVar("Rows", Events, Exposures)
YEAR = 31_557_600_000_000


class View:
    """One opened bundle and everything known since."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.data: Dataset = bundle.data
        self.state: State = bundle.data.state()
        self.applied = 0  # sequence of the last record the state holds
        self._snapshot = bundle.data.events
        self._shown = self.state.shown.exposures
        self.notes: dict[bytes, int] = {}  # until when people are deleted, by digest
        self.last = self._known()  # the latest moment anything here knows of and that is not ahead of the time of day
        self._dated = 0  # the latest moment of a live record that was ahead
        pipeline = bundle.pipeline
        if pipeline.fitted_until is not None:  # a log that is dated ahead holds a wrong date, not the future
            pipeline.fitted_until = min(pipeline.fitted_until, self.last)

    @property
    def earliest(self) -> int | None:
        """Ten years before the log begins, not minding its first hundredth: an event before that is a mistaken unit."""
        times = self._snapshot.time
        return int(times[len(times) // 100]) - 10 * YEAR if len(times) and not self.data.order_only else None

    @property
    def doubts(self) -> list[str]:
        """A line for each kind of moment here that is ahead of the time of day."""
        told = [
            (
                self._ahead,
                "the data's last moment, {}, lies ahead of the wall clock: what is ahead counts when it comes",
            ),
            (self._dated, "live events were stored as of {}, ahead of the wall clock: they count as of their turn"),
        ]
        return [line.format(stamp(time)) for time, line in told if time > wall() + SKEW]

    def _known(self) -> int:
        """The latest credible moment of the bundle; ``_ahead`` is the latest of all."""
        watermark = int(self.bundle.manifest.get("watermark", self.data.fitted_until))
        moments = [watermark, self.bundle.pipeline.fitted_until or 0]
        moments += [int(log.time[-1]) for log in (self._snapshot, self._shown) if len(log)]
        limit = wall() + SKEW
        self._ahead = max(moments)
        for log in (self._snapshot, self._shown):
            if before := int(np.searchsorted(log.time, limit, side="right")):
                moments.append(int(log.time[before - 1]))
        return max((moment for moment in moments if moment <= limit), default=0)

    def apply(self, records: Sequence[Record]) -> None:
        """Adds records in the order of their sequence."""
        waiting: list[Record] = []
        for record in records:
            if record["kind"] in ("event", "shown"):
                waiting.append(record)
            elif record["kind"] == "forget":
                self._add(waiting)
                waiting = []
                until = int(self._dating([record["until"]]).item())
                self.last = max(self.last, until)
                self._forget(bytes.fromhex(record["digest"]), until)
        self._add(waiting)
        if records:
            self.applied = records[-1]["sequence"]

    def _add(self, records: Sequence[Record]) -> None:
        """Records as a new piece of state; new ids get the next free codes, unknown kinds of event are passed over."""
        data, kind = self.data, self.data.behaviours.code
        records = [record for record in records if record["kind"] == "shown" or kind(record["event"]) >= 0]
        if not records:
            return
        user = np.array([data.user_ids.add(r["user"]) if "user" in r else -1 for r in records], np.int32)
        item = np.array([data.item_ids.add(record["item"]) for record in records], np.int32)
        time = self._dating([record["time"] for record in records])
        self.last = max(self.last, int(time.max()))
        happened = [record for record in records if record["kind"] == "event"]
        if happened:
            rows = slice(None) if len(happened) == len(records) else [r["kind"] == "event" for r in records]
            values = np.array([np.nan if r.get("value") is None else r["value"] for r in happened], np.float32)
            kinds = np.array([kind(record["event"]) for record in happened], np.int16)
            events = Events.of(user[rows], item[rows], kinds, values, time[rows], data.behaviours)
            self.state.append(_unknown(events, self._snapshot, ["user", "item", "event", "time"]))
        if len(happened) < len(records):
            rows = [record["kind"] == "shown" for record in records]
            position = np.array([record.get("position", np.nan) for record in records], np.float32)
            shown = Exposures.of(user[rows], item[rows], time[rows], position[rows])
            self.state.shown.append(_unknown(shown, self._shown, ["user", "item", "time"]))

    def _dating(self, times: Sequence[int]) -> Array:
        """[n]: the times of records in their order; for those ahead of the time of day, the latest known till then."""
        time = np.array(times, np.int64)
        ahead = time > wall() + SKEW
        if not ahead.any():
            return time
        self._dated = max(self._dated, int(time.max()))
        known = np.maximum.accumulate(np.maximum(np.where(ahead, 0, time), self.last))
        return np.where(ahead, known, time)

    def _forget(self, key: bytes, until: int) -> None:
        self.notes[key] = max(until, self.notes.get(key, until))
        raw = next((raw for raw in self.data.user_ids.ids if raw and digest(raw) == key), None)
        if raw is None:
            return
        code = self.data.user_ids.code(raw)
        self.state.forget(code, until)
        one, ever = np.array([code], np.int32), np.array([np.iinfo(np.int64).max])
        if not len(self.state.history(one, ever)["item"]) and not self.state.shown.counts(one, None, ever).any():
            self.data.user_ids.forget(raw)  # should they come back, they are new: nothing learned is tied to them


def _unknown(rows: Rows, log: Rows, columns: list[str]) -> Rows:
    """The rows that the bundle's ``log`` does not have, judged by ``columns``; both are in time order."""
    late = int(np.searchsorted(rows.time, log.time[-1], side="right")) if len(log) else 0
    if not late:
        return rows
    frame = pl.DataFrame({name: getattr(rows, name)[:late] for name in columns})
    first, end = np.searchsorted(log.time, rows.time[0]), np.searchsorted(log.time, rows.time[late - 1], side="right")
    span = pl.DataFrame({name: getattr(log, name)[first:end] for name in columns}).unique()
    both = frame.join(span.with_columns(known=pl.lit(True)), on=columns, how="left", maintain_order="left")
    mask = np.ones(len(rows), bool)
    mask[:late] = both["known"].is_null().to_numpy()
    return rows.take(mask)
