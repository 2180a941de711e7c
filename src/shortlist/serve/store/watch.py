"""A store that may stop answering, as those see it who must go on."""

from __future__ import annotations

import logging
import threading

from shortlist.serve.store._store import Store, Unavailable

log = logging.getLogger("shortlist.serve")
PAUSE = 0.5
"""Seconds between two questions to a store that does not answer."""


class Watch:
    """Asks a store for its last sequence before every answer; one that failed is asked by a thread until it is back.

    So no answer waits for it a second time.
    """

    def __init__(self, store: Store):
        self.store = store
        self.failed: str | None = None
        self._closed = threading.Event()

    def last(self) -> int | None:
        """As ``Store.last``; None while the store cannot be asked."""
        if self.failed is not None:
            return None
        try:
            return self.store.last()
        except Unavailable as error:
            self.lose(error)
            return None

    def lose(self, error: Unavailable) -> None:
        """The store has failed elsewhere. For the thread that answers: it is asked again by another."""
        if self.failed is None:
            log.warning("%s; answers go on from memory, nothing is stored", error)
            self.failed = str(error)
            threading.Thread(target=self._wait, daemon=True).start()

    def close(self) -> None:
        """Asks no more."""
        self._closed.set()

    def _wait(self) -> None:
        while not self._closed.wait(PAUSE):
            try:
                self.store.last()
            except Unavailable as error:
                self.failed = str(error)
            else:
                log.warning("the store answers again")
                self.failed = None
                return
