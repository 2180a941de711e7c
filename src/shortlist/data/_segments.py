"""A snapshot and its tail as a list of segments, merged by size as in a log-structured tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

S = TypeVar("S", bound=Sized)


def appended(segments: Sequence[S], new: S, join: Callable[[S, S], S]) -> list[S]:
    """The segments with ``new`` behind them; the first is never touched, and m rows of tail are log₂ m segments."""
    first, *tail = segments
    tail.append(new)
    while len(tail) > 1 and len(tail[-2]) <= 2 * len(tail[-1]):
        last, before = tail.pop(), tail.pop()
        tail.append(join(before, last))
    return [first, *tail]
