"""What was worked out from the events up to a moment, kept for whoever asks about that moment again."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock

from shortlist.types import Array

ROOM = 128 << 20
"""Bytes of arrays kept at a time; the oldest go first."""


class Kept:
    """Tuples of arrays by what they are, as of when, and which learned array they come of (by identity; None = none).

    Whoever works something out takes the ``State.kept`` of the moment *before* reading any event and puts the result
    there: an event that comes in meanwhile makes the state drop this object, so nothing outdated is ever found.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[Hashable, int, int], tuple[tuple[Array, ...], Array | None]] = {}
        self._size = 0
        self._lock = Lock()

    def get(self, what: Hashable, time: int, of: Array | None = None) -> tuple[Array, ...] | None:
        """What was put there; None = nothing, or no longer."""
        found = self._found.get((what, time, id(of)))
        return found[0] if found else None

    def put(self, what: Hashable, time: int, arrays: tuple[Array, ...], of: Array | None = None) -> None:
        """Keeps the arrays, from now on read-only, if there is room for them at all."""
        size = _size(arrays)
        if size > ROOM:
            return
        for array in arrays:
            array.setflags(write=False)
        key = what, time, id(of)
        with self._lock:
            self._drop(key)
            while self._size + size > ROOM:
                self._drop(next(iter(self._found)))
            self._found[key] = arrays, of  # while ``of`` is held nothing else has its id
            self._size += size

    def before(self, first: int) -> Kept:
        """What is kept as of moments before ``first``."""
        out = Kept()
        with self._lock:
            out._found = {key: found for key, found in self._found.items() if key[1] < first}
        out._size = sum(_size(arrays) for arrays, _ in out._found.values())
        return out

    def _drop(self, key: tuple[Hashable, int, int]) -> None:
        if key in self._found:
            self._size -= _size(self._found.pop(key)[0])


def _size(arrays: tuple[Array, ...]) -> int:
    return sum(array.nbytes for array in arrays)
