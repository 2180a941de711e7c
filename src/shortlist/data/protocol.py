"""Who asks, when, and what counts as a right answer: the two evaluation protocols.

``replay``: a request stands 1 microsecond before a moment of a user's own log; targets are the distinct positive items
from that moment on. ``start``: one request a known user when the window opens; targets are all positives of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shortlist.data.dataset import Dataset
from shortlist.data.state import State
from shortlist.types import Array, Int64, Ragged, Requests, keys, spans

DAY = 86_400_000_000
HISTORY_LENGTH = 1000
"""The longest history a request carries; hard rules look further back through State."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Requests and their right answers."""

    requests: Requests
    targets: Ragged  # [n] rows of "item" (distinct, in order of time) and "known" (could be recommended at that time)
    dropped: int = 0  # requests left out because nothing was right

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: Array) -> Questions:
        """Some of the questions."""
        return Questions(self.requests.take(rows), self.targets.take(rows), self.dropped)

    def batches(self, size: int) -> list[Questions]:
        """The questions in their order, ``size`` at a time."""
        parts = [self.take(np.arange(at, min(at + size, len(self)))) for at in range(0, len(self), size)]
        return [replace(part, dropped=self.dropped * (number == 0)) for number, part in enumerate(parts)] or [self]

    @staticmethod
    def concat(parts: Sequence[Questions]) -> Questions:
        """All questions, one part after the other."""
        return Questions(
            Requests.concat([part.requests for part in parts]),
            Ragged.concat([part.targets for part in parts]),
            sum(part.dropped for part in parts),
        )

    def answerable(self, excluded: Ragged) -> Questions:
        """Those with a target left that is not ``excluded`` [n]; the others are counted as dropped.

        What nobody could have known is no target that a rule took away: it stays in the denominator.
        """
        wanted = keys(self.targets.rows, self.targets["item"])
        gone = np.isin(wanted, keys(excluded.rows, excluded["item"]))
        targets = self.targets.keep(~(gone & self.targets["known"]))
        kept = np.flatnonzero(targets.lengths > 0)
        dropped = self.dropped + len(self) - len(kept)
        return Questions(self.requests.take(kept), targets.take(kept), dropped)


def replay(
    data: Dataset,
    state: State,
    start: int,
    end: int | None,
    *,
    moments: int | None = 10,
    ahead: int = 20,
    horizon: int = 7 * DAY,
    min_gap: int = 0,
    at_most: int | None = None,
    seed: int = 0,
) -> Questions:
    """Questions from the window start <= time < end.

    Of each user's distinct moments in the window at most ``moments`` are asked, evenly spaced by index with the first
    and the last among them. Targets: distinct positive items among the next ``ahead`` events (extended to whole
    moments) within ``horizon`` microseconds and the window. ``min_gap``: a moment counts only if the user did nothing
    for that long before it. ``at_most``: that many of all these moments, drawn at random before histories and targets
    are looked up, so that a window of millions of events costs no more than what is asked of it.
    """
    log = data.events.between(start, end)
    mine = np.flatnonzero(log.user >= 0)
    mine = mine[np.argsort(log.user[mine], kind="stable")]  # by user, then time, then file order
    user, time, item, good = log.user[mine], log.time[mine], log.item[mine], log.weight[mine] > 0
    m = len(mine)
    if not m:
        return Questions(Requests.of(np.empty(0), np.empty(0)), Ragged.empty(0, item=np.int32, known=bool))
    new_user = np.concatenate([[True], user[1:] != user[:-1]])
    new_moment = new_user | np.concatenate([[True], time[1:] != time[:-1]])
    if min_gap:
        before = state.last_seen("user", user, time - 1)
        new_moment &= (before < 0) | (time - before >= min_gap)
    first = np.flatnonzero(new_moment)
    asked = _drawn(first[_spread(user[first], moments)], at_most, seed)

    # each question's events: up to `ahead`, then on to the end of that moment, cut by horizon, user and window
    user_end = np.append(np.flatnonzero(new_user), m)[1:][np.cumsum(new_user)[asked] - 1]
    last = np.minimum(asked + ahead, user_end) - 1
    key = user.astype(np.int64) << 1  # moments end where user or time changes
    moment = np.cumsum(np.concatenate([[True], (key[1:] != key[:-1]) | (time[1:] != time[:-1])]))
    stop = np.searchsorted(moment, moment[last], side="right")
    rows = np.repeat(np.arange(len(asked)), stop - asked)
    entries = spans(asked, stop)
    near = good[entries] & (time[entries] - time[asked][rows] <= horizon)
    moment_of = time[asked] - 1
    targets = _distinct(rows[near], item[entries][near], len(asked))
    return _questions(data, state, user[asked], moment_of, targets)


def start(
    data: Dataset, state: State, start: int, end: int | None, *, at_most: int | None = None, seed: int = 0
) -> Questions:
    """One question for every user with events before ``start`` and positives in the window among known items.

    ``at_most``: that many of them, drawn at random before histories are looked up.
    """
    log = data.events.between(start, end)
    known = data.until(start).user_counts("all") > 0
    rows = np.flatnonzero((log.user >= 0) & (log.weight > 0))
    rows = rows[known[log.user[rows]] & (data.available_from[log.item[rows]] < start)]
    users, row_of = np.unique(log.user[rows], return_inverse=True)
    order = np.argsort(row_of, kind="stable")
    targets = _distinct(row_of[order], log.item[rows][order], len(users))
    kept = _drawn(np.arange(len(users)), at_most, seed)
    asked = _questions(data, state, users[kept], np.full(len(kept), start - 1), targets.take(kept))
    return replace(asked, dropped=int(known.sum()) - len(users))


def _questions(data: Dataset, state: State, users: Array, times: Int64, targets: Ragged) -> Questions:
    known = data.available_from[targets["item"]] <= times[targets.rows]
    targets = replace(targets, columns={**targets.columns, "known": known})
    requests = Requests.of(users, times, state.history(users, times, HISTORY_LENGTH))
    order = np.argsort(times, kind="stable")
    requests, targets = requests.take(order), targets.take(order)
    requests = replace(requests, id=np.arange(len(order), dtype=np.uint64))
    kept = np.flatnonzero(targets.lengths > 0)
    return Questions(requests.take(kept), targets.take(kept), len(order) - len(kept))


def _drawn(rows: Array, at_most: int | None, seed: int) -> Array:
    """``at_most`` of the rows at random, in the order they have."""
    if at_most is None or len(rows) <= at_most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), at_most, replace=False))]


def _spread(user: Array, moments: int | None) -> Array:
    """Row numbers of at most ``moments`` entries of each user, evenly spaced; ``user`` is grouped."""
    starts = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]]))
    counts = np.diff(np.append(starts, len(user)))
    if moments is None:
        return np.arange(len(user))
    kept = np.minimum(counts, moments)
    owner = np.repeat(np.arange(len(counts)), kept)
    place = spans(np.zeros(len(kept), np.int64), kept)
    apart = (counts - 1) / np.maximum(kept - 1, 1)  # 1 where all are kept
    return starts[owner] + np.round(place * apart[owner]).astype(int)


def _distinct(rows: Array, items: Array, n: int) -> Ragged:
    """Rows of distinct items, the first occurrence kept in its place."""
    _, first = np.unique(keys(rows, items), return_index=True)
    first = np.sort(first)
    return Ragged.of(rows[first], n, item=items[first].astype(np.int32))
