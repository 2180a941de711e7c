"""What "now" means to the service."""

from __future__ import annotations

import time
from typing import Literal

Kind = Literal["wall", "log"]
OLD = 30 * 86_400_000_000
"""Microseconds behind a wall clock at which data counts as old: windows of days are empty then."""


class Clock:
    """``wall`` is the time of day; ``log`` is the data's last moment plus the time since the service started."""

    def __init__(self, kind: Kind, last: int):
        self.kind = kind
        self._last = last
        self._started = time.monotonic_ns()

    def now(self, last: int = 0) -> int:
        """Microseconds; never before ``last``, so that what another process has just written is not in the future."""
        if self.kind == "wall":
            return max(time.time_ns() // 1000, last)
        return max(self._last + (time.monotonic_ns() - self._started) // 1000, last)

    def warning(self, last: int) -> str | None:
        """A line if a wall clock is asked about data that ends long before it."""
        days = (self.now() - last) // 86_400_000_000
        if self.kind == "log" or self.now() - last <= OLD:
            return None
        return f"the data ends {days} days before the wall clock; recent counts are empty (--clock log asks at its end)"
