"""How far the session is in which somebody asks."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from shortlist.component import Feature
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.features import _history
from shortlist.types import Array, Candidates, Requests

COLUMNS = ("position", "events", "seconds")


class Session(Feature):
    """The user's session up to the request: what they did before it without a pause longer than ``gap``.

    ``position`` = log(p), the request stands at the p-th moment of the session (1 opens it); ``events`` = log(1 +
    events in it so far); ``seconds`` = log(1 + seconds since its first). A request after a longer pause opens a
    session: all are 0. Use it where a ranker should tell who has just come in, and is best met with what they like,
    from who is looking for something and is best met with more of it.

    Source: Quadrana, Cremonesi and Jannach (2018), Sequence-aware recommender systems.
    """

    calendar: ClassVar[bool] = True

    gap: Duration | None = None
    """A pause longer than this begins a new session; none = as ``[data.sessions]`` says, and without it 30 minutes."""

    def fit(self, data: Dataset) -> Self:
        """Learns what a session of the log is."""
        self.gap_: int = self.gap or data.session_gap or 30 * UNITS["m"]
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``session.*``, each [m]."""
        history, mine = requests.history, np.empty((len(COLUMNS), len(requests)), np.float32)
        _history.session(history.offsets, history["time"], requests.time, self.gap_, float(UNITS["s"]), mine)
        columns = np.take(mine, candidates.request, axis=1)
        return {f"session.{name}": column for name, column in zip(COLUMNS, columns, strict=True)}
