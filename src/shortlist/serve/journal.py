"""What was answered, kept beside the events: the exposure log that experiments are analysed from.

An ``Observer`` takes the slate as the funnel left it; the words (raw ids, channels) are made and written by a thread,
once a second, so that no answer waits for the disk. Where the store is away, up to ``WAITING`` answers wait for it;
what is older is lost, counted and said in ``/readyz``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shortlist.pipeline import Trace
from shortlist.serve.arms import Arms
from shortlist.serve.store import Record, Store, Unavailable
from shortlist.types import Candidates, Requests

log = logging.getLogger("shortlist.serve")
PAUSE = 1.0
"""Seconds between two writes."""
WAITING = 20_000
"""Answers that wait for a store that is away, at most."""
TRIM = 60.0
"""Seconds between two looks for what is too old or too much."""


@dataclass(slots=True)
class Asked:
    """One answer on its way."""

    number: int
    user: str | None
    time: int
    n: int
    arms: dict[str, str]
    bundle: str
    began: float
    slates: list[Candidates] = field(default_factory=list)


_Made = tuple[Asked, list[dict[str, Any]], list[tuple[int, int]] | None, float]


class Journal:
    """Keeps answers, as many and as long as the file of experiments says (``[kept]``)."""

    def __init__(self, store: Store, arms: Arms):
        self.store = store
        self.lost = 0
        """Answers that could not be kept."""
        self.failed: str | None = None
        self._arms = arms
        self._asked: dict[int, Asked] = {}
        self._waiting: deque[_Made] = deque()
        self._writing = threading.Lock()
        self._latest = 0  # the moment of the latest answer: the service's clock need not be the time of day
        self._closed = threading.Event()
        self._trimmed = -TRIM
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, number: int, user: str | None, time_: int, n: int) -> Asked:
        """A request came in; ``arms`` and ``bundle`` are filled in when they are dealt."""
        asked = self._asked[number] = Asked(number, user, time_, n, {}, "", time.perf_counter())
        return asked

    def observe(self, requests: Requests, slates: Candidates, trace: Trace) -> None:
        """Takes the slate of an answer that was begun: an ``Observer``. Trials are none."""
        asked = self._asked.get(int(requests.id[0])) if len(requests) == 1 else None
        if asked is not None:
            asked.slates.append(slates)

    def end(self, asked: Asked, items: list[dict[str, Any]] | None, picks: list[tuple[int, int]] | None = None) -> None:
        """The answer is made: ``items`` as they go out; None = there is none.

        ``picks`` says of each item which of two slates it came from, and its row there.
        """
        del self._asked[asked.number]
        if items is not None:
            self._latest = max(self._latest, asked.time)
            self._waiting.append((asked, items, picks, time.perf_counter() - asked.began))

    def flush(self) -> None:
        """Writes what waits; raises ``Unavailable`` and keeps it where that fails."""
        with self._writing:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                if batch:
                    self.store.log([_record(*one) for one in batch])
            except Unavailable:
                latest = batch[-WAITING:]
                self.lost += len(batch) - len(latest)
                self._waiting.extendleft(reversed(latest))
                raise
            except Exception:  # what cannot be written now never can
                self.lost += len(batch)
                raise
            if self._latest and time.monotonic() - self._trimmed >= TRIM:
                self._trimmed = time.monotonic()
                kept = self._arms.design.kept
                self.store.trim(self._latest - kept.age, kept.answers)

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._closed.set()
        self._thread.join(10)
        try:
            self.flush()
        except Unavailable as error:
            log.warning("%s; %d answers were not kept", error, len(self._waiting))

    @property
    def warning(self) -> str | None:
        """A line if answers were lost, or wait."""
        if self.failed is None and not self.lost:
            return None
        state = f"{len(self._waiting)} answers wait" if self.failed else "the store answers again"
        return f"exposures: {self.failed or 'were not all kept'}; {state}, {self.lost} were lost"

    def _run(self) -> None:
        while not self._closed.wait(PAUSE):
            try:
                self.flush()
                self.failed = None
            except Unavailable as error:
                self.failed = str(error)
            except Exception as error:  # a fault here must not end the log for good
                self.failed = f"{type(error).__name__}: {error}"
                log.exception("exposures are not written")


def _record(
    asked: Asked, items: Sequence[dict[str, Any]], picks: Sequence[tuple[int, int]] | None, latency: float
) -> Record:
    """One answer as it is stored; see ``store._store``."""
    places = [(0, row) for row in range(len(items))] if picks is None else picks
    rows = []
    for item, (team, row) in zip(items, places, strict=True):
        line: dict[str, Any] = {"item": item["item"], "channels": item["channels"]}
        chance = asked.slates[team].columns.get("propensity") if team < len(asked.slates) else None
        if chance is not None and np.isfinite(chance[row]):
            line["propensity"] = float(chance[row])
        line |= {name: item[name] for name in ("team", "credit") if name in item}
        rows.append(line)
    record: Record = {
        "request_id": f"{asked.number:016x}",
        "time": asked.time,
        "bundle": asked.bundle,
        "arms": asked.arms,
        "asked": asked.n,
        "latency": round(latency, 6),
        "items": rows,
    }
    return record if asked.user is None else {**record, "user": asked.user}


__all__ = ["Asked", "Journal"]
