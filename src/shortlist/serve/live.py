"""A bundle with the live events on top: what the service answers from.

A ``View`` is one opened bundle and its ``State``: the bundle's snapshot of the log, then the store's records in the
order of their sequence. Every process of the service keeps a view of its own and, before it answers, reads the records
it has not yet applied; a posted event is written to the store first and reaches the state on that same path.

Each event counts once:

* a record is applied once, because a view remembers the last sequence it has applied;
* a record whose ``id`` the store knows is not stored again;
* an event that the bundle was fitted on (the log of a later fit contains what the store received before) is recognised
  by its content: at or before the bundle's ``watermark``, an event of the same user, item, kind and time as one in the
  snapshot is that one. A late event, older than the watermark but not in the snapshot, counts. The same for what was
  shown: an exposure of the same user, item and time as one in the snapshot is that one.

One ``Live`` can hold several views, one for each arm of an experiment beside the one that answers everybody else. Every
view has a bundle, identities and a state of its own and applies every record itself, so two views share nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist import answer
from shortlist import bundle as bundles
from shortlist.bundle import Bundle, open_bundle
from shortlist.component import InputError
from shortlist.data import Dataset, Events, Exposures, State
from shortlist.serve.clock import Clock, Kind
from shortlist.serve.store import Record, Store, digest, open_store
from shortlist.types import Bool

STORE = Path("shortlist-store")


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


class Live:
    """The service's state: views that can be swapped, a store, a clock.

    ``view`` is for the one thread that answers; the other methods may run beside it. Arms live in the store's records:
    each process, and each start, opens the version that an arm was last turned to. What a further view costs is its
    bundle and state in memory, MEASURED, and that every record is applied once more.
    """

    def __init__(self, path: Path, view: View, store: Store, clock: Clock):
        self.path = path
        self.store = store
        self.clock = clock
        self.failed: str | None = None  # the last activation that did not work
        self._views: dict[str | None, View] = {None: view}
        self._heeded = view.applied  # sequence up to which turns to another version were heeded
        self._activating = threading.Lock()

    @staticmethod
    def open(path: Path, store: str | Path = STORE, clock: Kind = "wall") -> Live:
        """Opens a bundle (or a run's directory that has one) and the store, and applies what the store holds."""
        path = path if (path / "manifest.json").exists() or not (path / "bundle").exists() else path / "bundle"
        bundle = open_bundle(path)
        if "://" not in str(store) and Path(store).resolve().is_relative_to(bundle.path):
            raise InputError(f"store {store}: lies inside the bundle {bundle.path}, expected a directory outside")
        kept = open_store(store)
        view, records = View(bundle), kept.read(0)
        view.apply(records)
        live = Live(path, view, kept, Clock(clock, view.last))
        for arm, name in _turns(records).items():
            if arm is not None and name is not None:  # which version answers everybody else, the path says
                live._follow(name, arm)
        return live

    @property
    def folder(self) -> Path:
        """Where the versions of this bundle lie."""
        return self._views[None].bundle.path.parent

    def view(self, arm: str | None = None) -> View:
        """The current view, or that of an arm, with every record of the store applied.

        Raises ``InputError`` if no version was activated for the arm, or none is open here yet.
        """
        last = self.store.last()
        if any(view.applied != last for view in self._views.values()):
            self._catch_up()
        if arm not in self._views:
            held = ", ".join(sorted(name for name in self._views if name is not None)) or "none"
            raise InputError(f"arm {arm!r}: has no version open, expected one of {held}")
        return self._views[arm]

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
            line: dict[str, Any] = {"bundle": path.name, "active": path.name == self._views[None].bundle.path.name}
            try:
                manifest = bundles.read_manifest(path)
            except InputError as error:
                listed.append({**line, "error": str(error)})
                continue
            wanted = ("name", "hash", "fitted_until", "watermark", "final", "ranker")
            listed.append({**line, **{key: manifest[key] for key in wanted if key in manifest}})
        return listed

    def activate(self, name: str, arm: str | None = None) -> View:
        """Turns this and every other process to another version; the old one serves until the new one is verified.

        With ``arm`` only that arm turns to it, which gets a view of its own if it has none.

        Raises ``InputError`` and changes nothing if there is no such version or it does not verify. If the service was
        started on a link to its versions, the link is moved, so that a restart opens the new one.
        """
        if name not in {line["bundle"] for line in self.bundles()}:
            raise InputError(f"bundle {name!r}: not in {self.folder}")
        view = self._turn(name, arm)
        if arm is None and self.path.is_symlink():
            bundles.point(self.path, view.bundle.path)
        self.store.append([{"kind": "activate", "bundle": name} | ({} if arm is None else {"arm": arm})])
        return view

    def release(self, arm: str) -> None:
        """Lets go of an arm's view, here and in every other process."""
        self._let_go(arm)
        self.store.append([{"kind": "activate", "bundle": None, "arm": arm}])

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def _turn(self, name: str, arm: str | None) -> View:
        with self._activating:
            fresh = View(open_bundle(self.folder / name))
            fresh.apply(self.store.read(0))
            answer.recommend(
                fresh.bundle.pipeline, fresh.state, answer.requests_of(fresh.state, np.array([-1]), fresh.last)
            )
            self._views = {**self._views, arm: fresh}  # one assignment: a request sees the old view or the new
            self.failed = None
            return fresh

    def _catch_up(self) -> None:
        views = self._views
        records = self.store.read(min(view.applied for view in views.values()))
        for view in views.values():
            view.apply([record for record in records if record["sequence"] > view.applied])
        turns = _turns(record for record in records if record["sequence"] > self._heeded)
        self._heeded = max(self._heeded, records[-1]["sequence"]) if records else self._heeded
        for arm, name in turns.items():
            if name != (views[arm].bundle.path.name if arm in views else None):
                threading.Thread(target=self._follow, args=(name, arm), daemon=True).start()

    def _let_go(self, arm: str | None) -> None:
        with self._activating:
            self._views = {other: view for other, view in self._views.items() if other != arm}

    def _follow(self, name: str | None, arm: str | None) -> None:
        """Another process has turned to a version: so does this one, without holding up its answers."""
        try:
            if name is None:
                self._let_go(arm)
            else:
                self._turn(name, arm)
        except Exception as error:  # whatever it is, the old version goes on and /readyz says why
            self.failed = f"bundle {name}: {error}"


def _turns(records: Iterable[Record]) -> dict[str | None, str | None]:
    """The version that each arm (None: everybody else) was last turned to; None: the arm was let go."""
    return {record.get("arm"): record["bundle"] for record in records if record["kind"] == "activate"}


__all__ = ["Live", "STORE", "View"]
