"""A bundle with the live events on top: what the service answers from.

A ``View`` is one opened bundle and its ``State``: the bundle's snapshot of the log, then the store's records in the
order of their sequence. Every process of the service keeps a view of its own and, before it answers, reads the records
it has not yet applied; a posted event is written to the store first and reaches the state on that same path.

Each event counts once:

* a record is applied once, because a view remembers the last sequence it has applied;
* a record whose ``id`` the store knows is not stored again;
* an event that the bundle was fitted on (the log of a later fit contains what the store received before) is recognised
  by its content: at or before the bundle's ``watermark``, an event of the same user, item, kind and time as one in the
  snapshot is that one. A late event, older than the watermark but not in the snapshot, counts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist import answer
from shortlist import bundle as bundles
from shortlist.bundle import Bundle, open_bundle
from shortlist.component import InputError
from shortlist.data import Dataset, Events, State
from shortlist.serve.clock import Clock, Kind
from shortlist.serve.store import Record, Store, digest, open_store
from shortlist.types import Bool

STORE = Path("shortlist-store")
_KEY = ["user", "item", "event", "time"]


class View:
    """One opened bundle and everything known since."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.data: Dataset = bundle.data
        self.state: State = bundle.data.state()
        self.applied = 0  # sequence of the last record the state holds
        self._snapshot = bundle.data.events
        self._watermark = int(bundle.manifest.get("watermark", bundle.data.fitted_until))

    @property
    def last(self) -> int:
        """The latest moment anything here knows of."""
        return max(self.state.last, self._watermark, self.bundle.pipeline.fitted_until or 0)

    def apply(self, records: Sequence[Record]) -> None:
        """Adds records in the order of their sequence."""
        waiting: list[Record] = []
        for record in records:
            if record["kind"] == "event":
                waiting.append(record)
            elif record["kind"] == "forget":
                self._add(waiting)
                waiting = []
                self._forget(bytes.fromhex(record["digest"]), record["until"])
        self._add(waiting)
        if records:
            self.applied = records[-1]["sequence"]

    def _add(self, records: Sequence[Record]) -> None:
        """Events of records as a new piece of state; new ids get the next free codes, unknown kinds are passed over."""
        data = self.data
        records = [record for record in records if data.behaviours.code(record["event"]) >= 0]
        if not records:
            return
        values = [np.nan if record.get("value") is None else record["value"] for record in records]
        events = Events.of(
            np.array([data.user_ids.add(record["user"]) for record in records], np.int32),
            np.array([data.item_ids.add(record["item"]) for record in records], np.int32),
            np.array([data.behaviours.code(record["event"]) for record in records], np.int16),
            np.array(values, np.float32),
            np.array([record["time"] for record in records], np.int64),
            data.behaviours,
        )
        self.state.append(events.take(~self._fitted_on(events)))

    def _fitted_on(self, events: Events) -> Bool:
        """[m] mask: events that are in the bundle's snapshot."""
        late = int(np.searchsorted(events.time, self._watermark, side="right"))
        mask = np.zeros(len(events), bool)
        if late:
            frame = pl.DataFrame({name: getattr(events, name)[:late] for name in _KEY})
            span = self._snapshot.between(int(events.time[0]), int(events.time[late - 1]) + 1)
            known = pl.DataFrame({name: getattr(span, name) for name in _KEY}).unique().with_columns(known=pl.lit(True))
            mask[:late] = (
                frame.join(known, on=_KEY, how="left", maintain_order="left")["known"].fill_null(False).to_numpy()
            )
        return mask

    def _forget(self, key: bytes, until: int) -> None:
        raw = next((raw for raw in self.data.user_ids.ids if raw and digest(raw) == key), None)
        if raw is None:
            return
        code = self.data.user_ids.code(raw)
        self.state.forget(code, until)
        if not len(self.state.history(np.array([code], np.int32), np.array([np.iinfo(np.int64).max]))["item"]):
            self.data.user_ids.forget(raw)  # should they come back, they are new: nothing learned is tied to them


class Live:
    """The service's state: a view that can be swapped, a store, a clock.

    ``view`` is for the one thread that answers; the other methods may run beside it.
    """

    def __init__(self, path: Path, view: View, store: Store, clock: Clock):
        self.path = path
        self.store = store
        self.clock = clock
        self.failed: str | None = None  # the last activation that did not work
        self._view = view
        self._activating = threading.Lock()

    @staticmethod
    def open(path: Path, store: str | Path = STORE, clock: Kind = "wall") -> Live:
        """Opens a bundle (or a run's directory that has one) and the store, and applies what the store holds."""
        path = path if (path / "manifest.json").exists() or not (path / "bundle").exists() else path / "bundle"
        bundle = open_bundle(path)
        if "://" not in str(store) and Path(store).resolve().is_relative_to(bundle.path):
            raise InputError(f"store {store}: lies inside the bundle {bundle.path}, expected a directory outside")
        kept = open_store(store)
        view = View(bundle)
        view.apply(kept.read(0))
        return Live(path, view, kept, Clock(clock, view.last))

    @property
    def folder(self) -> Path:
        """Where the versions of this bundle lie."""
        return self._view.bundle.path.parent

    def view(self) -> View:
        """The current view, with every record of the store applied."""
        if self.store.last() != self._view.applied:
            self._catch_up()
        return self._view

    def now(self, view: View) -> int:
        """The moment a request is asked at; nothing known is later."""
        return self.clock.now(view.last)

    def forget(self, user: str, until: int) -> dict[str, Any]:
        """Deletes a person from files and store; see ``DELETE /v1/users/{id}`` for what that covers.

        Every process's memory, this one's too, follows with the ``forget`` record at its next ``view``.
        """
        with self._activating:
            readable = [line["bundle"] for line in self.bundles() if "error" not in line]
            snapshots = {name: bundles.forget(self.folder / name, user) for name in readable}
        return {"user": user, "live_events": self.store.forget(user, until), "snapshot_events": snapshots}

    def bundles(self) -> list[dict[str, Any]]:
        """The versions beside the one that serves, by name."""
        listed = []
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith(".") or path.is_symlink() or not (path / "manifest.json").is_file():
                continue
            line: dict[str, Any] = {"bundle": path.name, "active": path.name == self._view.bundle.path.name}
            try:
                manifest = bundles.read_manifest(path)
            except InputError as error:
                listed.append({**line, "error": str(error)})
                continue
            wanted = ("name", "hash", "fitted_until", "watermark", "final", "ranker")
            listed.append({**line, **{key: manifest[key] for key in wanted if key in manifest}})
        return listed

    def activate(self, name: str) -> View:
        """Turns this and every other process to another version; the old one serves until the new one is verified.

        Raises ``InputError`` and changes nothing if there is no such version or it does not verify. If the service was
        started on a link to its versions, the link is moved, so that a restart opens the new one.
        """
        if name not in {line["bundle"] for line in self.bundles()}:
            raise InputError(f"bundle {name!r}: not in {self.folder}")
        view = self._turn(name)
        if self.path.is_symlink():
            bundles.point(self.path, view.bundle.path)
        self.store.append([{"kind": "activate", "bundle": name}])
        return view

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def _turn(self, name: str) -> View:
        with self._activating:
            fresh = View(open_bundle(self.folder / name))
            fresh.apply(self.store.read(0))
            answer.recommend(
                fresh.bundle.pipeline, fresh.state, answer.requests_of(fresh.state, np.array([-1]), fresh.last)
            )
            self._view = fresh  # one assignment: a request sees the old view or the new
            self.failed = None
            return fresh

    def _catch_up(self) -> None:
        view = self._view
        records = self.store.read(view.applied)
        view.apply(records)
        turns = [record["bundle"] for record in records if record["kind"] == "activate"]
        if turns and turns[-1] != view.bundle.path.name:
            threading.Thread(target=self._follow, args=(turns[-1],), daemon=True).start()

    def _follow(self, name: str) -> None:
        """Another process has turned to a version: so does this one, without holding up its answers."""
        try:
            self._turn(name)
        except Exception as error:  # whatever it is, the old version goes on and /readyz says why
            self.failed = f"bundle {name}: {error}"


__all__ = ["Live", "STORE", "View"]
