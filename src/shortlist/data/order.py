"""Logs without times: what stands for the moments that nobody wrote down, and how it is said.

An event counts as a minute, so that every length of time of a recipe is a number of events: ``1h`` is 60 of them,
``7d`` 10,080. Half-lives and windows keep a meaning so, and a log that grows at its end changes no earlier moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from shortlist.types import Array, Int64

if TYPE_CHECKING:
    from shortlist.data.spec import DataSpec, EventsSpec

MINUTE = 60_000_000
"""What one event counts for, in microseconds."""
GOLDEN = (5**0.5 - 1) / 2
ALIKE = 0.9
"""So many users must count their own steps for a column to be taken for that."""
Clock = Literal["time", "common", "each"]
"""``time``: moments. ``common``: one order of all events. ``each``: every user's own, and none between users."""
WORDS = {
    "time": "",
    "common": "order only: the log has no times, its events are in one order and each counts as a minute",
    "each": "order only: the log has no times but each user's own order, spread evenly over one event a minute",
}
"""What is said of a clock wherever figures made by it are."""


def common(order: Array) -> Int64:
    """[m] microseconds: the n-th event of the order stands at n minutes, equal values of ``order`` [m] together."""
    values, place, counts = np.unique(order, return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return (before[place.reshape(-1)] + 1) * MINUTE if len(values) else np.zeros(0, np.int64)


def each(user: Array, order: Array) -> Int64:
    """[m] microseconds: the k-th of a user's n events (from 0) stands at (k + u) / n of the whole, m minutes.

    So every user's events are spread evenly, and a cut in time cuts everybody's own history at the same share of it.
    ``u`` in (0, 1) differs from user to user, in the order they come in: fractional parts of multiples of the golden
    ratio, which lie as evenly as can be, so that no moment is one of many users. ``user`` [m] are codes; equal values
    of ``order`` [m] stand together.
    """
    m = len(user)
    _, first, code, counts = np.unique(user, return_index=True, return_inverse=True, return_counts=True)
    code = code.reshape(-1)
    phase = (np.argsort(np.argsort(first)) + 1) * GOLDEN % 1.0
    sort = np.lexsort((order, code))
    starts = np.cumsum(counts) - counts
    again = np.append(False, (code[sort][1:] == code[sort][:-1]) & (order[sort][1:] == order[sort][:-1]))[:m]
    k = np.empty(m, np.int64)
    k[sort] = np.maximum.accumulate(np.where(again, 0, np.arange(m))) - starts[code[sort]]
    return np.rint((k + phase[code]) / counts[code] * m * MINUTE).astype(np.int64)


def is_own(user: Array, order: Array | None) -> bool:
    """Whether an order looks like each user's own: rows of every user that stand together, or steps 1, 2, 3 of each.

    ``order`` [m] is the column that gives it, None where the rows' places do.
    """
    m = len(user)
    n_users = len(np.unique(user))
    if n_users in (1, m):
        return False
    if order is None:
        return bool(1 + (user[1:] != user[:-1]).sum() == n_users)
    sort = np.lexsort((order, user))
    same = user[sort][1:] == user[sort][:-1]
    if (same & (order[sort][1:] == order[sort][:-1])).any():
        return False
    first, last = np.append(True, ~same), np.append(~same, True)
    lowest, highest, counts = order[sort][first], order[sort][last], np.diff(np.append(np.flatnonzero(first), m))
    steps = (lowest == order.min()) & (highest - lowest + 1 == counts)
    return bool(steps.mean() >= ALIKE)


def refuse_mixed(events: EventsSpec) -> None:
    """Raises ``ValueError`` where ``[data.events]`` says of its order what cannot be true together."""
    if events.layout == "sequences":
        found = next((name for name in ("time", "columns", "names", "derive") if getattr(events, name)), None)
        found = "format" if events.format not in (None, "csv") else found
        if found:
            raise ValueError(f'layout = "sequences": a line is a user and items, and has no {found}; leave it out')
    if events.time and "time" in {*(events.columns or {}), *events.derive}:
        raise ValueError('time = "row" is for a log without times, and here is a column time too; leave one out')
    if not events.order_only:
        if events.clock:
            raise ValueError('clock: says whose order it is where there are no times (time = "row"); leave it out')
        return
    rate = events.filters.user_events
    if events.filters.time or (rate and rate.per):
        found = "time" if events.filters.time else "user_events.per"
        raise ValueError(f"filters.{found}: expected nothing of dates, hours and days; the log is order only")


def refuse_moments(data: DataSpec) -> None:
    """Raises ``ValueError`` where ``[data]`` sets moments beside the places of a log that is order only."""
    if data.split and not isinstance(data.split.test, float):
        raise ValueError("split: expected fractions, found dates; the log is order only")
    if data.sessions:
        raise ValueError("sessions: expected none, since nobody knows when users paused; the log is order only")
    if data.exposures:
        raise ValueError("exposures: expected none, since they have times and the log is order only")
    if data.items and "available_from" in data.items.columns:
        raise ValueError("items.columns.available_from: expected none, since it is a date and the log is order only")
