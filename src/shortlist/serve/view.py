"""One opened bundle and everything known since: the snapshot of the log, and the store's records in their order.

Each record counts once:

* it is applied once, because a view remembers the last sequence it has applied;
* a record whose ``id`` the store knows is not stored again;
* an event that the bundle was fitted on (the log of a later fit contains what the store received before) is recognised
  by its content: not after the snapshot's last one, an event of the same user, item, kind and time as one in the
  snapshot is that one. A late event that the snapshot does not have counts. The same for what was shown, by user, item
  and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from shortlist.bundle import Bundle
from shortlist.data import Dataset, Events, Exposures, State
from shortlist.serve.store import Record, digest

Rows = TypeVar("Rows", Events, Exposures)


class View:
    """One opened bundle and everything known since."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.data: Dataset = bundle.data
        self.state: State = bundle.data.state()
        self.applied = 0  # sequence of the last record the state holds
        self._snapshot = bundle.data.events
        self._shown = self.state.shown.exposures
        self._watermark = int(bundle.manifest.get("watermark", bundle.data.fitted_until))

    @property
    def last(self) -> int:
        """The latest moment anything here knows of."""
        return max(self.state.last, self.state.shown.latest, self._watermark, self.bundle.pipeline.fitted_until or 0)

    def apply(self, records: Sequence[Record]) -> None:
        """Adds records in the order of their sequence."""
        waiting: list[Record] = []
        for record in records:
            if record["kind"] in ("event", "shown"):
                waiting.append(record)
            elif record["kind"] == "forget":
                self._add(waiting)
                waiting = []
                self._forget(bytes.fromhex(record["digest"]), record["until"])
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
        time = np.array([record["time"] for record in records], np.int64)
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

    def _forget(self, key: bytes, until: int) -> None:
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
