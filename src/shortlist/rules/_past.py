"""What the user did, as rules ask for it: from the request's history and, however long ago, from the state."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.component import InputError
from shortlist.data import Behaviours, Dataset, State
from shortlist.types import Array, Bool, Candidates, Int64, Ragged, Requests


def check_events(path: str, which: str, data: Dataset) -> None:
    """Raises ``InputError`` unless ``which`` is "positive", "all" or an event of the log."""
    if which not in ("positive", "all", *data.behaviours.names):
        known = ", ".join(data.behaviours.names)
        raise InputError(f"{path}: the log has no event {which!r}; there are positive, all, {known}")


def counted(history: Ragged, which: str, behaviours: Behaviours) -> Bool:
    """[h]: entries of the kind ``which``."""
    if which == "all":
        return np.ones(len(history["event"]), bool)
    return history["weight"] > 0 if which == "positive" else history["event"] == behaviours.code(which)


def last_met(requests: Requests, candidates: Candidates, state: State, which: str) -> Int64:
    """[m]: when each request's user last met the row's item by an event of the kind ``which``; -1 = never."""
    out = np.full(len(candidates), -1, np.int64)
    rows = candidates.offsets(len(requests))
    for past in (requests.history, state.history(requests.user, requests.time, which=which)):
        if len(past["item"]):
            counts = counted(past, which, state.behaviours)
            _latest(rows, candidates.item, past.offsets, past["item"], past["time"], counts, requests.time, out)
    return out


@njit(cache=True)
def _latest(
    rows: Array, items: Array, offsets: Array, met: Array, times: Array, counts: Array, now: Array, out: Array
) -> None:
    """out[row] = the latest of the times at which the request's history has the row's item, unless it was later."""
    for q in range(len(rows) - 1):
        low, high = rows[q], rows[q + 1]
        if low == high or offsets[q] == offsets[q + 1]:
            continue
        order = np.argsort(items[low:high])
        mine = items[low:high][order]
        for e in range(offsets[q], offsets[q + 1]):
            if not counts[e] or times[e] > now[q]:
                continue
            at = np.searchsorted(mine, met[e])
            if at < high - low and mine[at] == met[e]:
                row = low + order[at]
                out[row] = max(out[row], times[e])
