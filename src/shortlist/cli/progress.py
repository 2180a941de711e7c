"""Long work as it runs: live bars on a terminal, one line a finished step in a file or a pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from shortlist.cli import terminal
from shortlist.progress import listening

SHORT = 0.5
"""Seconds from which on a finished step is worth a line."""
PATIENCE = 30.0
"""Seconds of silence after which a file or a pipe is told what is running; twice as long each time it goes on."""
PASSING = ("advance", "check")
"""Events about a step that goes on: a bar shows them, a log would only grow by them."""


@contextmanager
def progress() -> Iterator[None]:
    """Shows the events of the work inside the block on standard error."""
    if not terminal.err.is_terminal:
        lines = _Lines()
        try:
            with listening(lines):
                yield
        finally:
            lines.close()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal.err, transient=True) as bars, listening(_Bars(bars)):
        yield


class _Bars:
    """One bar for each step that is running; a line above them when one ends."""

    def __init__(self, bars: Progress):
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, name: str, fields: dict[str, Any]) -> None:
        if name in ("start", "advance"):
            title = fields["title"]
            if title not in self._tasks:
                self._tasks[title] = self._bars.add_task(escape(title), total=fields.get("total"))
            if name == "advance":
                said = escape(f"{title}: {fields['note']}" if "note" in fields else title)
                self._bars.update(self._tasks[title], completed=fields["done"], total=fields["total"], description=said)
                if fields["done"] == fields["total"]:
                    self._bars.remove_task(self._tasks.pop(title))
        elif name == "done":
            task = self._tasks.pop(fields["title"], None)
            if task is not None:
                self._bars.remove_task(task)
            if fields["seconds"] >= SHORT:
                self._bars.console.print(f"  {escape(fields['title'])}  [dim]{fields['seconds']:.1f} s[/dim]")
        elif name != "check":  # told beside it by an ``advance`` with a note
            self._bars.console.print(f"  {name}: {_said(fields)}", markup=False)


class _Lines:
    """A line when a step ends; and, from a thread of its own, what is running when silence lasts."""

    def __init__(self) -> None:
        self._said = time.monotonic()
        self._running: list[str] = []
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._speak_up, daemon=True)
        self._watch.start()

    def __call__(self, name: str, fields: dict[str, Any]) -> None:
        if name == "start":
            self._running.append(fields["title"])
        elif name == "done":
            if fields["title"] in self._running:
                self._running.remove(fields["title"])
            if fields["seconds"] >= SHORT:
                self._say(f"  {fields['title']}  {fields['seconds']:.1f} s")
        elif name not in PASSING:
            self._say(f"  {name}: {_said(fields)}")

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        self._watch.join()

    def _speak_up(self) -> None:
        patience, heard = PATIENCE, self._said
        while not self._closed.wait(PATIENCE / 30):
            if heard != self._said:
                patience, heard = PATIENCE, self._said
            running = self._running[-1:]  # a look of its own: the step may end meanwhile
            if running and time.monotonic() - heard >= patience:
                terminal.err.print(f"  {running[0]} ...", markup=False)
                patience *= 2

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        terminal.err.print(line, markup=False)


def _said(fields: Mapping[str, Any]) -> str:
    told = ((key, _number(value)) for key, value in fields.items() if value not in ({}, None))
    return ", ".join(value if key == "message" else f"{key} {value}" for key, value in told)


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_number(part)}" for key, part in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
