"""What the command line draws: progress from the events of long work, and the leaderboard."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from shortlist.progress import listening

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[None]:
    """Shows steps as they run: live bars on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        with listening(_Lines()):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as bars, listening(_Bars(bars)):
        yield


class _Bars:
    """One bar for each step that is running."""

    def __init__(self, bars: Progress):
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, name: str, fields: dict[str, Any]) -> None:
        if name in ("start", "advance"):
            title = fields["title"]
            if title not in self._tasks:
                self._tasks[title] = self._bars.add_task(title, total=fields.get("total"))
            if name == "advance":
                self._bars.update(self._tasks[title], completed=fields["done"], total=fields["total"])
                if fields["done"] == fields["total"]:
                    self._bars.remove_task(self._tasks.pop(title))
        elif name == "done":
            task = self._tasks.pop(fields["title"], None)
            if task is not None:
                self._bars.remove_task(task)
            if fields["seconds"] >= 0.5:
                self._bars.console.print(f"  {fields['title']}  [dim]{fields['seconds']:.1f} s[/dim]")
        else:
            self._bars.console.print(_line(name, fields))


class _Lines:
    """A line when a step ends, and at most every two seconds while something advances."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, name: str, fields: dict[str, Any]) -> None:
        now = time.monotonic()
        if name == "advance":
            if now - self._last >= 2:
                self._last = now
                err.print(f"  {fields['title']}: {fields['done']} of {fields['total'] or '?'}")
        elif name == "done":
            if fields["seconds"] >= 0.5:
                self._last = now
                err.print(f"  {fields['title']}  {fields['seconds']:.1f} s")
        elif name != "start":
            err.print(_line(name, fields))


def _line(name: str, fields: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} {_number(value)}" for key, value in fields.items() if value not in ({}, None))
    return f"  {name}: {said}"


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def leaderboard(document: Mapping[str, Any]) -> Table:
    """Each channel, each stage and the slate, with 95 % intervals."""
    k = min(document["protocol"]["k"])
    wide = max(document["protocol"]["k"])
    table = Table(
        title=f"{document['name']}: {document['requests']:,} requests of {document['users']:,} users, "
        f"{document['protocol']['requests']} protocol, from {document['protocol']['opens'][:10]}"
    )
    for column in ("", f"NDCG@{k}", "95 %", f"slate − row, NDCG@{k}", f"recall@{wide}", "recall@all", "only it", "coverage"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {**{f"  {n}": (n, v) for n, v in document["channels"].items()}}
    stages = document["stages"]
    rows |= {name: (name, stages[name]) for name in stages if name != "rules" and stages[name]}
    rows |= {f"  rule {n}": ("", v) for n, v in stages.get("rules", {}).items()}
    rows["slate"] = ("", document["slate"])
    for label, (key, values) in rows.items():
        if f"ndcg@{k}" not in values:
            continue
        main, paired = values[f"ndcg@{k}"], document["paired"].get(key, {}).get(f"ndcg@{k}")
        cells = [
            label,
            f"{main['mean']:.4f}",
            f"[{main['low']:.3f}, {main['high']:.3f}]",
            f"{paired['diff']:+.4f} [{paired['low']:+.4f}, {paired['high']:+.4f}]" if paired else "",
            f"{values[f'recall@{wide}']['mean']:.3f}",
            f"{values['recall@all']['mean']:.3f}",
            f"{values['unique_hits']:,}" if "unique_hits" in values else "",
            f"{values.get(f'coverage@{k}', float('nan')):.3f}",
        ]
        table.add_row(*cells, style="bold" if label == "slate" else "", end_section=label == list(rows)[-2])
    return table


def slate(user: str, items: list[dict[str, Any]]) -> Table:
    """One user's list with reasons."""
    table = Table(title=f"for user {user}")
    for column in ("", "item", "title", "score", "why", "found by"):
        table.add_column(column)
    for place, item in enumerate(items, 1):
        score = "" if item["score"] is None else f"{item['score']:.3f}"
        found = ", ".join(item["channels"])
        table.add_row(str(place), item["item"], item.get("title", ""), score, item.get("reason", ""), found)
    return table


def fail(message: str) -> None:
    """The user's input was wrong: one line on standard error."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
