"""A model that cannot fit is refused before it is begun, with what it would need and what there is."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from shortlist.component import InputError

_KERNEL = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def need(what: str, wanted: float, instead: str, allowed: float | None = None) -> None:
    """Raises ``InputError`` if ``wanted`` bytes are more than ``allowed`` (none: than the machine has free).

    ``what`` names the channel and the size that matters ("ease: 50,000 items"), ``instead`` says what to do about it.
    """
    limit, whose = (free(), "the machine has free") if allowed is None else (allowed, "memory allows")
    if wanted > limit:
        raise InputError(
            f"{what} need {wanted / 1e9:.2g} GB, more than the {limit / 1e9:.2g} GB that {whose}; {instead}"
        )


def free() -> float:
    """Bytes this process may still take: of the machine, its control group and its own limit, where they say so."""
    return min(_machine(), _group(), _own())


def _machine() -> float:
    """What the kernel reckons can be had without swapping; elsewhere all memory there is."""
    if _KERNEL.is_file():
        for line in _KERNEL.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _own() -> float:
    """The limit on the process's data (``ulimit -d``), of which it has taken little when a fit begins."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else float(limit)


def _group() -> float:
    """What is left below the limit of the control group, as a container has."""
    limit, used, cached = _GROUP / "memory.max", _GROUP / "memory.current", _GROUP / "memory.stat"
    if not (limit.is_file() and used.is_file()):
        return float("inf")
    text = limit.read_text().strip()
    if text == "max":
        return float("inf")
    lines = cached.read_text().splitlines() if cached.is_file() else []
    file = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))  # given back when wanted
    return max(0.0, float(text) - float(used.read_text()) + file)
