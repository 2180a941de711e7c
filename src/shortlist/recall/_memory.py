"""Refusing work that cannot fit, before it begins."""

from __future__ import annotations

import os

from shortlist.component import InputError

GIB = 2**30


def available() -> int:
    """Bytes of memory this machine could give now; its whole memory where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def need(channel: str, what: str, size: float, limit: float | None = None, instead: str = "") -> None:
    """Raises ``InputError`` if ``what`` takes more than ``limit`` bytes, or than the machine has (``limit`` none).

    ``need("ease", "50,000 items", 12 * c * c, 4e9, "raise min_count")``; ``instead`` says what to do.
    """
    allowed = available() if limit is None else limit
    if size > allowed:
        hint = f"; {instead}" if instead else ""
        raise InputError(f"{channel}: {what} need {size / GIB:.2g} GiB, {allowed / GIB:.2g} GiB are allowed{hint}")
