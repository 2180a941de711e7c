"""A bundle with the live events on top: what the service answers from.

Every process of the service keeps a ``View`` of its own (a bundle's snapshot and the store's records) and, before it
answers, reads the records it has not yet applied; what is posted is written to the store first and reaches the state on
that same path. One ``Live`` can hold several views, one for each arm of an experiment beside the one that answers
everybody else. Each has a bundle, identities and a state of its own and applies every record itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from shortlist import bundle as bundles
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data.order import WORDS
from shortlist.pipeline import Observer
from shortlist.serve.clock import SKEW, Clock, Kind, wall
from shortlist.serve.lists import nameless
from shortlist.serve.owner import claim
from shortlist.serve.store import Record, Store, Unavailable, Watch, digest, open_store
from shortlist.serve.trial import try_out
from shortlist.serve.view import View

log = logging.getLogger("shortlist.serve")
STORE = Path("shortlist-store")


class Start(NamedTuple):
    """Where a service begins: a version, and the last record it need not follow. Its workers begin there too."""

    version: Path
    since: int

    @staticmethod
    def of(path: Path, store: Store) -> Start:
        """Both as of one moment: no activation comes in between. ``path`` is a bundle or a link to one."""
        while (version := path.resolve()).is_dir():
            with bundles.locked(version.parent, shared=True):
                if path.resolve() == version:
                    return Start(version, store.last())
        return Start(version, store.last())  # opening it says what is wrong


class Live:
    """The service's state: views that can be swapped, a store, a clock.

    ``view`` is for the one thread that answers; the other methods may run beside it. Arms live in the store's records:
    each process, and each start, opens the version that an arm was last turned to. A further view costs the memory of
    its bundle and state (28 MB for movielens-100k, about 80 MB more with a million exposures) and the time to apply
    every record once more (2 µs each).
    """

    def __init__(self, path: Path, view: View, store: Store, clock: Clock):
        self.path = path
        self.store = store
        self.watch = Watch(store)
        self.clock = clock
        self.lost: str | None = None  # what the store no longer holds
        self.unwritten: str | None = None  # why the latest records could not be stored
        self.began = Start(view.bundle.path, view.applied)
        self.failed: str | None = None  # the last activation that did not work
        self.uncleaned: str | None = None  # versions that still hold people who were deleted
        self.observers: list[Observer] = []  # hear of every answer of every view
        view.bundle.pipeline.observers = self.observers
        self._views: dict[str | None, View] = {None: view}
        self._heeded = view.applied  # sequence up to which turns to another version were heeded
        self._wanted: dict[str | None, str | None] = {}  # what the latest of them said, by arm
        self._epoch = store.epoch
        self._rereading = threading.Lock()
        self._activating = threading.RLock()
        self._closed = threading.Event()

    @staticmethod
    def open(path: Path, store: str | Path = STORE, clock: Kind = "wall", start: Start | None = None) -> Live:
        """Opens a bundle (or a run's directory that has one) and the store, and applies what the store holds.

        With ``start`` it begins where the rest of its service did, and goes on to what they have turned to since.
        """
        path = path if (path / "manifest.json").exists() or not (path / "bundle").exists() else path / "bundle"
        if "://" not in str(store) and Path(store).resolve().is_relative_to(path.resolve()):
            raise InputError(f"store {store}: lies inside the bundle {path.resolve()}, expected a directory outside")
        bundles.read_manifest(path)  # before there is a store: a path that leads to no bundle leaves none behind
        kept = open_store(store)
        try:
            return Live._over(path, kept, str(store), clock, start)
        except BaseException:
            kept.close()
            raise

    @staticmethod
    def _over(path: Path, kept: Store, name: str, clock: Kind, start: Start | None) -> Live:
        begun = start if start is not None and start.version.is_dir() else Start.of(path, kept)
        view = View(open_bundle(begun.version))
        claim(kept, view.bundle, name, begun=start is not None)
        kept.last()  # the epoch of what is read now
        records = kept.read(0)
        view.apply(records)
        try_out(view, view.last)
        if view.data.order_only:
            clock = "log"  # the next event stands behind the last, and not decades later by the time of day
            log.info("%s; live events follow its end, in the order in which they come", WORDS[view.data.clock])
        live = Live(path, view, kept, Clock(clock, view.last))
        live.began = begun
        turned = _turns(record for record in records if record["sequence"] > begun.since)
        live._wanted = {arm: name for arm, name in _turns(records).items() if arm is not None or arm in turned}
        for arm in live._wanted:
            live._follow(arm)
        live._finish()
        return live

    @property
    def held(self) -> Mapping[str | None, View]:
        """The open views by arm, as they are: other threads may read of which bundles they are."""
        return self._views

    @property
    def folder(self) -> Path:
        """Where the versions of this bundle lie."""
        return self._views[None].bundle.path.parent

    def view(self, arm: str | None = None) -> View:
        """The current view, or that of an arm, with every record of the store applied; as it is if the store is away.

        Raises ``InputError`` if no version was activated for the arm, or none is open here yet.
        """
        views, last = self._views, self.watch.last()  # these: a thread may put others in their place meanwhile
        if self._outdated(views):
            if not self._rereading.locked():
                threading.Thread(target=self._read_again, daemon=True).start()
        elif last is not None and any(view.applied != last for view in views.values()):
            try:
                self._catch_up(views)
            except Unavailable as error:
                self.watch.lose(error)
        if arm not in views:
            held = ", ".join(sorted(name for name in views if name is not None)) or "none"
            raise InputError(f"arm {arm!r}: has no version open, expected one of {held}")
        return views[arm]

    def now(self, view: View) -> int:
        """The moment a request is asked at; nothing known is later."""
        return self.clock.now(view.last)

    def append(self, records: Sequence[Record]) -> None:
        """Stores records; the next ``view`` knows them. Raises ``Unavailable`` if they are not stored for certain."""
        try:
            self.store.append(records)
            self.store.last()
        except Unavailable as error:
            self.unwritten = str(error)
            raise
        self.unwritten = self.watch.failed = None
        if self.store.epoch != self._epoch:
            self._read_again()

    def forget(self, user: str, until: int) -> dict[str, Any]:
        """Deletes a person from files and store; see ``DELETE /v1/users/{id}`` for what that covers.

        The store's note comes between writing the new files and putting them in place: what cannot be written is found
        out before anything is gone, and what a killed process left undone the next start finishes. Every process's
        memory, this one's too, follows with the note at its next ``view``.

        Raises ``OSError`` if a version cannot be written; it says whether anything was deleted.
        """
        listed = self.bundles()
        readable = [self.folder / line["bundle"] for line in listed if "error" not in line]
        noted = False
        try:
            with nameless(self.folder.parent, user.__eq__), bundles.deletion(readable, [user]) as found:
                known = any(gone is not None for gone in found.gone.values()) or self.store.holds(user)
                known = known or any(view.data.user_ids.code(user) >= 0 for view in self._views.values())
                live_events = self.store.forget(user, until) if known else 0  # of whom nobody knows no note is kept
                noted = True
                found.commit()
        except OSError as error:
            left = "gone from every answer, but not yet from every file; ask again" if noted else "nothing was deleted"
            raise OSError(f"user {user!r}: {left}: {error}") from error
        return {
            "user": user,
            "live_events": live_events,
            "snapshot_events": {path.name: gone for path, gone in found.gone.items()},
            "unreadable": [line["bundle"] for line in listed if "error" in line]
            + [path.name for path in found.unreadable],
        }

    def _finish(self) -> None:
        """Takes out of the files whom the store's notes name: a process was killed at it, or a version copied back.

        Whoever has events after the note came back, and stays.
        """
        notes = self._views[None].notes
        try:
            with nameless(self.folder.parent, lambda user: digest(user) in notes) if notes else nullcontext():
                pass
            for path in (self.folder / line["bundle"] for line in self.bundles() if "error" not in line):
                known = bundles.latest(path) if notes else []
                gone = [user for user, last in known if last <= notes.get(digest(user), -1)]
                if gone or len(list(path.glob("users*"))) > 1:  # the rest is a killed process's
                    bundles.forget(path, gone)
        except (InputError, OSError) as error:
            self.uncleaned = f"people who were deleted are still in the files of {self.folder}: {error}"

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
        with self._activating, bundles.locked(self.folder):  # of several at once, one is the last everywhere
            fresh = self._opened(name)
            with self._linked(fresh) if arm is None else nullcontext():
                claim(self.store, fresh.bundle, "", begun=True)
                self.store.append([{"kind": "activate", "bundle": name} | ({} if arm is None else {"arm": arm})])
            self._put(fresh, arm)
        return fresh

    def release(self, arm: str) -> None:
        """Lets go of an arm's view, here and in every other process."""
        self._let_go(arm)
        self.store.append([{"kind": "activate", "bundle": None, "arm": arm}])

    def close(self) -> None:
        """Closes the store."""
        self._closed.set()
        self.watch.close()
        self.store.close()

    @property
    def astray(self) -> str | None:
        """A line if the link this process was started on leads to another version than the one it answers from."""
        leads, held = self.path.resolve(), self._views[None].bundle.path
        if not self.path.is_symlink() or leads == held:
            return None
        return f"{self.path} leads to {leads.name}, and {held.name} answers: activate {leads.name}, or start again"

    def _opened(self, name: str) -> View:
        """A version, verified and tried; raises ``InputError`` if it does not answer."""
        fresh = View(open_bundle(self.folder / name))
        fresh.apply(self.store.read(0))
        try_out(fresh, fresh.last)
        return fresh

    def _put(self, fresh: View, arm: str | None) -> None:
        fresh.bundle.pipeline.observers = self.observers  # nobody hears of the answers that tried it
        self._views = {**self._views, arm: fresh}  # one assignment: a request sees the old view or the new
        self.failed = None

    def _linked(self, fresh: View) -> AbstractContextManager[None]:
        """Moves the link that the service was started on, if it was one, when the block ends well."""
        return bundles.pointing(self.path, fresh.bundle.path) if self.path.is_symlink() else nullcontext()

    def _catch_up(self, views: Mapping[str | None, View]) -> None:
        records = self.store.read(min(view.applied for view in views.values()))
        for view in views.values():
            view.apply([record for record in records if record["sequence"] > view.applied])
        turns = _turns(record for record in records if record["sequence"] > self._heeded)
        self._heeded = max(self._heeded, records[-1]["sequence"]) if records else self._heeded
        self._wanted.update(turns)
        for arm in turns:
            threading.Thread(target=self._keep_following, args=(arm,), daemon=True).start()

    def _outdated(self, views: Mapping[str | None, View]) -> bool:
        """Whether the store holds other things than it did, or the clock stood ahead when something was stored."""
        return self.store.epoch != self._epoch or any(view.last > wall() + SKEW for view in views.values())

    def _read_again(self) -> None:
        """Opens every view anew."""
        with self._rereading, self._activating:
            held = max(view.applied for view in self._views.values())
            try:
                last, epoch = self.store.last(), self.store.epoch
                if not self._outdated(self._views):
                    return  # another thread has just done it
                for arm, view in self._views.items():
                    self._put(self._opened(view.bundle.path.name), arm)
            except (InputError, OSError) as error:
                self.failed = f"the store could not be read again: {error}"
                self._closed.wait(1)  # before anybody tries once more
                return
            if last < held or epoch.partition(" ")[0] != self._epoch.partition(" ")[0]:
                self.lost = f"the store lost what it held up to record {held}; it was read again, up to record {last}"
                log.warning(self.lost)
            self._heeded, self._epoch = last, epoch

    def _let_go(self, arm: str | None) -> None:
        with self._activating:
            self._views = {other: view for other, view in self._views.items() if other != arm}

    def _keep_following(self, arm: str | None) -> None:
        """Follows, and tries again as long as it does not work: every minute in the end."""
        wait = 1.0
        while not self._follow(arm) and not self._closed.wait(wait):
            wait = min(2 * wait, 60.0)

    def _follow(self, arm: str | None) -> bool:
        """Another process has turned to a version: so does this one, without holding up its answers.

        Which one is asked only once it is this turn's turn: of several in a row, the last must stay. The link follows
        too, where it is another than the one the other process has moved (on another host), or that was killed at it.
        """
        with self._activating:
            name, held = self._wanted[arm], self._views.get(arm)
            try:
                if name is None:
                    self._let_go(arm)
                elif held is None or name != held.bundle.path.name:
                    fresh = self._opened(name)
                    self._put(fresh, arm)
                    if arm is None and held is not None and self.path.is_symlink():
                        with bundles.locked(self.folder):
                            if self.path.resolve() == held.bundle.path:
                                bundles.point(self.path, fresh.bundle.path)
            except Exception as error:  # whatever it is, the old version goes on and /readyz says why
                self.failed = f"bundle {name}: {error}"
                return False
            return True


def _turns(records: Iterable[Record]) -> dict[str | None, str | None]:
    """The version that each arm (None: everybody else) was last turned to; None: the arm was let go."""
    return {record.get("arm"): record["bundle"] for record in records if record["kind"] == "activate"}


__all__ = ["STORE", "Live", "Start"]
