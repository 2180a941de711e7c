"""Who asks, when, and what counts as a right answer.

``replay``: a request stands 1 microsecond before a moment of a user's own log; targets are the distinct positive items
from that moment on. ``start``: one request a known user when the window opens; targets are all positives of the window.
Events held out without regard to time (``held``) stand in such a window of their own and are asked for in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shortlist.data.dataset import Dataset
from shortlist.data.events import Events
from shortlist.data.state import State
from shortlist.types import Array, Int64, Ragged, Requests, keys, spans

DAY = 86_400_000_000
HISTORY_LENGTH = 1000
"""The longest history a request carries; hard rules look further back through State."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Requests and their right answers."""

    requests: Requests
    targets: Ragged
    # [n] rows of "item" (distinct, in order of "time", that of its first right event), "known" (could be recommended at
    # that time), and of the strongest of its events "event" and "value"
    after: Ragged  # [n] rows of "item", "event", "value", "time": all that was done in the span looked at, right or not
    dropped: int = 0  # requests left out because nothing was right

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: Array) -> Questions:
        """Some of the questions."""
        return Questions(self.requests.take(rows), self.targets.take(rows), self.after.take(rows), self.dropped)

    def until(self, closes: int) -> Questions:
        """The same questions, in which nothing from ``closes`` on is right; some may have no target left."""
        targets, after = (part.keep(part["time"] < closes) for part in (self.targets, self.after))
        return replace(self, targets=targets, after=after)

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
            Ragged.concat([part.after for part in parts]),
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
        return Questions(self.requests.take(kept), targets.take(kept), self.after.take(kept), dropped)


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
    log = log.take(mine)
    user, time = log.user, log.time
    m = len(mine)
    new_user = np.append(True, user[1:] != user[:-1])[:m]
    new_moment = new_user | np.append(True, time[1:] != time[:-1])[:m]
    if min_gap:
        before = state.last_seen("user", user, time - 1)
        new_moment &= (before < 0) | (time - before >= min_gap)
    first = np.flatnonzero(new_moment)
    asked = _drawn(first[_spread(user[first], moments)], at_most, seed)

    # each question's events: up to `ahead`, then on to the end of that moment, cut by horizon, user and window
    user_end = np.append(np.flatnonzero(new_user), m)[1:][np.cumsum(new_user)[asked] - 1]
    last = np.minimum(asked + ahead, user_end) - 1
    moment = np.cumsum(np.append(True, (user[1:] != user[:-1]) | (time[1:] != time[:-1]))[:m])
    stop = np.searchsorted(moment, moment[last], side="right")
    rows = np.repeat(np.arange(len(asked)), stop - asked)
    entries = spans(asked, stop)
    near = data.order_only | (time[entries] - time[asked][rows] <= horizon)  # days are no bound to an order
    after = _after(rows[near], log.take(entries[near]), len(asked))
    return _questions(data, state, user[asked], time[asked] - 1, after)


def start(
    data: Dataset,
    state: State,
    start: int,
    end: int | None,
    *,
    unknown: bool = False,
    at_most: int | None = None,
    seed: int = 0,
) -> Questions:
    """One question for every user with events before ``start`` and positives in the window among known items.

    ``unknown``: items that nobody could have known are right answers too. ``at_most``: that many of the questions,
    drawn at random before histories are looked up.
    """
    log = data.events.between(start, end)
    known = data.until(start).user_counts("all") > 0
    log = log.take(np.flatnonzero((log.user >= 0) & (unknown | (data.available_from[log.item] < start))))
    users = np.unique(log.user[log.weight > 0])
    users = users[known[users]]
    rows = np.flatnonzero(np.isin(log.user, users))
    rows = rows[np.argsort(log.user[rows], kind="stable")]
    after = _after(np.searchsorted(users, log.user[rows]), log.take(rows), len(users))
    kept = _drawn(np.arange(len(users)), at_most, seed)
    asked = _questions(data, state, users[kept], np.full(len(kept), start - 1), after.take(kept))
    return replace(asked, dropped=int(known.sum()) - len(users))


def _questions(data: Dataset, state: State, users: Array, times: Int64, after: Ragged) -> Questions:
    targets = _distinct(after)
    known = data.available_from[targets["item"]] <= times[targets.rows]
    targets = replace(targets, columns={**targets.columns, "known": known})
    after = replace(after, columns={name: after[name] for name in ("item", "event", "value", "time")})
    requests = Requests.of(users, times, state.history(users, times, HISTORY_LENGTH))
    order = np.argsort(times, kind="stable")
    requests, targets, after = requests.take(order), targets.take(order), after.take(order)
    requests = replace(requests, id=np.arange(len(order), dtype=np.uint64))
    kept = np.flatnonzero(targets.lengths > 0)
    return Questions(requests.take(kept), targets.take(kept), after.take(kept), len(order) - len(kept))


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


def _after(rows: Array, events: Events, n: int) -> Ragged:
    """[n] rows of the events that follow each question, ``rows`` ascending."""
    return Ragged.of(rows, n, **{name: getattr(events, name) for name in ("item", "event", "value", "time", "weight")})


def _distinct(after: Ragged) -> Ragged:
    """Rows of distinct items with a positive event, each where its first one stood, with kind and value of the
    strongest (of equals, the first)."""
    good = after.keep(after["weight"] > 0)
    pair = keys(good.rows, good["item"])
    order = np.lexsort((-good["weight"], pair))
    begins = np.flatnonzero(np.append(True, pair[order][1:] != pair[order][:-1])[: len(order)])
    first = np.minimum.reduceat(order, begins) if len(begins) else begins
    place = np.argsort(first)
    first, strongest = first[place], order[begins][place]
    columns = {name: good[name][strongest] for name in ("event", "value")} | {"time": good["time"][first]}
    return Ragged.of(good.rows[first], len(after), item=good["item"][first], **columns)
