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

import numpy as np
import polars as pl

from shortlist.bundle import Bundle
from shortlist.data import Dataset, Events, Exposures, State
from shortlist.serve.store import Record, digest
from shortlist.types import Bool


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
        data = self.data
        events: list[tuple[int, int, int, float, int]] = []
        shown: list[tuple[int, int, int, float]] = []
        for record in records:  # one pass, so that the codes of new ids depend on the order of the records alone
            happened = data.behaviours.code(record["event"]) if record["kind"] == "event" else None
            if happened is not None and happened < 0:
                continue
            code = data.user_ids.add(record["user"]) if record.get("user") is not None else -1
            about, when = data.item_ids.add(record["item"]), record["time"]
            if happened is None:
                shown.append((code, about, when, _number(record.get("position"))))
            else:
                events.append((code, about, happened, _number(record.get("value")), when))
        if events:
            user, item, kind, value, time = (np.array(column) for column in zip(*events, strict=True))
            fresh = Events.of(user, item, kind, value, time, data.behaviours)
            self.state.append(fresh.take(~_among(fresh, self._snapshot, ["user", "item", "event", "time"])))
        if shown:
            user, item, time, position = (np.array(column) for column in zip(*shown, strict=True))
            rows = Exposures.of(user, item, time, position)
            self.state.shown.append(rows.take(~_among(rows, self._shown, ["user", "item", "time"])))

    def _forget(self, key: bytes, until: int) -> None:
        raw = next((raw for raw in self.data.user_ids.ids if raw and digest(raw) == key), None)
        if raw is None:
            return
        code = self.data.user_ids.code(raw)
        self.state.forget(code, until)
        one, ever = np.array([code], np.int32), np.array([np.iinfo(np.int64).max])
        if not len(self.state.history(one, ever)["item"]) and not self.state.shown.counts(one, None, ever).any():
            self.data.user_ids.forget(raw)  # should they come back, they are new: nothing learned is tied to them


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _among(rows: Events | Exposures, log: Events | Exposures, columns: list[str]) -> Bool:
    """[m] mask: rows that the bundle's ``log`` has too, judged by ``columns``; both are in time order."""
    late = int(np.searchsorted(rows.time, log.time[-1], side="right")) if len(log) else 0
    mask = np.zeros(len(rows), bool)
    if late:
        frame = pl.DataFrame({name: getattr(rows, name)[:late] for name in columns})
        first, end = np.searchsorted(log.time, rows.time[0]), np.searchsorted(log.time, rows.time[late - 1], "right")
        span = pl.DataFrame({name: getattr(log, name)[first:end] for name in columns}).unique()
        both = frame.join(span.with_columns(known=pl.lit(True)), on=columns, how="left", maintain_order="left")
        mask[:late] = both["known"].fill_null(False).to_numpy()
    return mask
