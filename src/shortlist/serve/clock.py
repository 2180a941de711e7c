"""What "now" means to the service."""

from __future__ import annotations

import time
from typing import Literal

from shortlist.data.doubts import YEAR_1990
from shortlist.durations import stamp

Kind = Literal["wall", "log"]
OLD = 30 * 86_400_000_000
"""Microseconds behind a wall clock at which data counts as old: windows of days are empty then."""
SKEW = 60_000_000
"""Microseconds by which the clocks of those who write may differ from this one."""


def wall() -> int:
    """The time of day in microseconds."""
    return time.time_ns() // 1000


class Clock:
    """``wall`` is the time of day; ``log`` is the data's last moment plus the time since the service started.

    Neither is carried ahead of the time of day by what data says: a log may hold a moment of the year 9999, and a
    clock may once have stood years ahead.
    """

    def __init__(self, kind: Kind, last: int):
        self.kind = kind
        self._last = credible(last)
        self._started = time.monotonic_ns()

    def now(self, last: int = 0) -> int:
        """Microseconds; not before ``last``, so that what another process has just written is not in the future."""
        if self.kind == "wall":
            return max(wall(), credible(last))
        return max(self._last + (time.monotonic_ns() - self._started) // 1000, credible(last))

    def warning(self, last: int, order_only: bool = False) -> str | None:
        """A line if data can hardly be meant to end where it does, or a wall clock is asked about old data."""
        if order_only:
            return None
        if last < YEAR_1990:
            return f"the data ends at {stamp(last)}, before 1990: is its time in another unit?"
        if self.kind == "log" or wall() - last <= OLD:
            return None
        days = (wall() - last) // 86_400_000_000
        return f"the data ends {days} days before the wall clock; recent counts are empty (--clock log asks at its end)"


def credible(time: int) -> int:
    """A moment of the data, or the time of day if it lies further ahead of it than clocks differ."""
    now = wall()
    return time if time <= now + SKEW else now
