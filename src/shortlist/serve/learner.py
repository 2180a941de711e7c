"""Rankers that learn while they serve: what was shown and what came of it, as a fit would see it, batch after batch.

A thread follows the store as every view does, with a view of its own for each version that answers, so that nothing it
does holds up an answer. Once ``every`` of the service's time has passed, it makes samples of all that was shown since
and whose ``samples.window`` is over (``train.exposures.followed``: the columns of the moment of asking, 0 where nothing
came of a row), lets its copy of the ranker ``update``, and hands over what that has learned before the next answer.

Nothing of it is stored. Rows are added one by one to sums, so what a ranker knows depends on the rows alone, not on how
they were dealt into batches: after a restart, after a turn to another version and in every other process it is learned
again from the bundle's log and the store, to the same bits. What is posted later than the window allows came too late
for whoever had learned the row by then, until they start again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.bundle import open_bundle
from shortlist.component import Updates, able
from shortlist.data import Dataset
from shortlist.serve.live import Live
from shortlist.serve.store import Record, Unavailable
from shortlist.serve.view import View
from shortlist.train.exposures import followed

log = logging.getLogger("shortlist.serve")
PAUSE = 0.5
"""Seconds between two looks at the store."""
ROWS = 20_000
"""Rows shown of which samples are made at a time, or as many as were shown at one moment."""
KEY = ["user", "item", "time"]


class Pupil:
    """The ranker of one version, and what it has learned since the version was fitted."""

    def __init__(self, path: Path, every: int):
        """Raises ``InputError`` if the version does not open."""
        self.every = every
        self.view = View(open_bundle(path))
        self.learned: Mapping[str, Any] = {}
        """Attributes of the ranker; none until it has learned."""
        self.rows = 0
        self.since = (self.view.bundle.pipeline.fitted_until or 0) + 1
        """What was shown before this moment is learned."""
        self._slates = pl.DataFrame(schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64, "request": pl.String})

    def apply(self, records: Sequence[Record]) -> None:
        """Adds the store's next records."""
        self.view.apply(records)
        user, item = self.view.data.user_ids.code, self.view.data.item_ids.code
        told = [
            (user(one["user"]) if "user" in one else -1, item(one["item"]), one["time"], one["request_id"])
            for one in records
            if one["kind"] == "shown" and "request_id" in one
        ]
        window = self.view.bundle.recipe.samples.window
        kept = self._slates.filter(pl.col("time") >= self.since - window)
        self._slates = pl.concat([kept, pl.DataFrame(told, schema=self._slates.schema, orient="row")])

    def learn(self, now: int) -> bool:
        """Learns from the next rows of which all is known at ``now``; False if there is no such moment any more."""
        bundle, state = self.view.bundle, self.view.state
        window, closes = bundle.recipe.samples.window, now // self.every * self.every
        if closes - window < self.since:
            return False
        shown = state.shown.exposures
        first = int(shown.time.searchsorted(self.since))
        if len(shown) > first + ROWS:
            closes = min(closes, int(shown.time[first + ROWS]) + window)
        slates = shown.take(slice(int(shown.time.searchsorted(self.since - window)), None)).frame()
        slates = slates.join(self._slates.unique(KEY), on=KEY, how="left", maintain_order="left")
        events = state.events.between(self.since - window, None)
        data: Dataset = replace(self.view.data, events=events, exposures=slates)
        samples = followed(bundle.pipeline, bundle.recipe.samples, data, state, self.since, closes)
        self.since = closes - window + 1
        if len(samples):
            ranker: Any = bundle.pipeline.ranker
            known = vars(ranker.update(samples))
            self.learned = {name: value for name, value in known.items() if name not in type(ranker).model_fields}
            self.rows += len(samples)
        return True


class Learner:
    """Lets the rankers of all views learn that ask for it (``every``); ``hand_over`` is for the thread that answers."""

    def __init__(self, live: Live):
        self.failed: str | None = None
        """Why nothing is learned just now."""
        self._live = live
        self._pupils: dict[Path, Pupil] = {}
        self._epoch = live.store.epoch
        self._given: dict[View, Mapping[str, Any]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to learn, where a ranker asks for it."""
        self._thread.start()

    def hand_over(self) -> None:
        """Gives the rankers that answer what was learned since; answers of experiments share them."""
        given: dict[View, Mapping[str, Any]] = {}
        for view in self._live.held.values():
            pupil = self._pupils.get(view.bundle.path)
            if pupil is None or not (learned := pupil.learned):
                continue
            if self._given.get(view) is not learned:
                vars(view.bundle.pipeline.ranker).update(learned)
            given[view] = learned
        self._given = given

    def told(self) -> dict[str, dict[str, Any]]:
        """By version: up to which moment what was shown is learned, and how many rows that were since the fit."""
        return {
            path.name: {"until": pupil.view.data.when(pupil.since), "rows": pupil.rows}
            for path, pupil in self._pupils.items()
        }

    @property
    def warning(self) -> str | None:
        """A line if nothing is learned just now, or a ranker that was to learn is not the one that answers."""
        if self.failed:
            return f"learning: {self.failed}"
        return next((line for view in self._live.held.values() if (line := idle(view))), None)

    def close(self) -> None:
        """Learns no more."""
        self._closed.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._closed.wait(PAUSE):
            try:
                self._follow()
                self.failed = None
            except Unavailable as error:
                self.failed = str(error)
            except Exception as error:  # whatever it is, answers go on with what is learned
                if self.failed is None:
                    log.exception("what was shown is not learned from")
                self.failed = f"{type(error).__name__}: {error}"

    def _follow(self) -> None:
        store, clock = self._live.store, self._live.clock
        wanted = {view.bundle.path: every for view in self._live.held.values() if (every := pace(view))}
        if not wanted:
            self._pupils = {}
            return
        store.last()  # the epoch is of now
        if store.epoch != self._epoch:
            self._pupils, self._epoch = {}, store.epoch
        for path, every in wanted.items():
            if path not in self._pupils:
                self._pupils = {**self._pupils, path: Pupil(path, every)}
        self._pupils = {path: pupil for path, pupil in self._pupils.items() if path in wanted}
        for pupil in self._pupils.values():
            pupil.apply(store.read(pupil.view.applied))
            while not self._closed.is_set() and pupil.learn(clock.now(pupil.view.last)):
                pass


def pace(view: View) -> int | None:
    """How often the ranker that answers learns, in microseconds; None = not at all."""
    ranker = able(view.bundle.pipeline.ranker, Updates)
    return None if ranker is None else ranker.pace()


def idle(view: View) -> str | None:
    """A line if a ranker of the recipe was to learn while it serves, and another one, or several as one, answer."""
    asked = [name for name, section in view.bundle.recipe.rankers.items() if section.get("every")]
    if not asked or pace(view):
        return None
    return f"{view.bundle.path.name}: {asked[0]} was to learn while it serves (every), and it is not what answers"


__all__ = ["Learner"]
