"""Events of long work: library code says what it does, whoever runs it decides how to show it.

    with listening(print_event):
        fit(recipe)

Nothing is shown unless somebody listens; the command line draws bars from these events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
Listener = Callable[[str, dict[str, Any]], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Sends the events emitted inside the block to ``listener(name, fields)``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def emit(name: str, /, **fields: Any) -> None:
    """Tells the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(name, fields)


@contextmanager
def step(title: str, **fields: Any) -> Iterator[None]:
    """Marks a piece of work: events ``start`` and ``done`` (with ``seconds``), nested as the blocks are."""
    emit("start", title=title, **fields)
    began = time.perf_counter()
    try:
        yield
    finally:
        emit("done", title=title, seconds=time.perf_counter() - began)


def track(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yields ``items`` and emits ``advance`` with ``done`` of ``total`` after each."""
    total = len(items) if total is None and hasattr(items, "__len__") else total  # type: ignore[arg-type]
    for done, item in enumerate(items, 1):
        yield item
        emit("advance", title=title, done=done, total=total)


class Timed:
    """A block whose time is kept; a request has thirty, so it is no generator, which takes three times as long."""

    __slots__ = ("began", "seconds", "stage")

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self.began
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + spent
