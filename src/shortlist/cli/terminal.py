"""What the command line draws: progress from the events of long work, leaderboards, slates, lists of components."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from shortlist.progress import listening

WIDTH = 100
"""Columns where the width cannot be asked for: in a file, a pipe, a log of continuous integration."""
PATIENCE = 2.0
"""Seconds after which silence says what it is doing."""


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, highlight=False, soft_wrap=True, width=WIDTH)
    return console


out = _console()
err = _console(stderr=True)


@contextmanager
def progress() -> Iterator[None]:
    """Shows steps as they run: live bars on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        lines = _Lines()
        try:
            with listening(lines):
                yield
        finally:
            lines.close()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars, listening(_Bars(bars)):
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
            if fields["seconds"] >= 0.5:
                self._bars.console.print(f"  {escape(fields['title'])}  [dim]{fields['seconds']:.1f} s[/dim]")
        else:
            self._bars.console.print(_line(name, fields), markup=False)


class _Lines:
    """A line when a step ends; and, from a thread of its own, what is running when two seconds passed in silence."""

    def __init__(self) -> None:
        self._said = time.monotonic()
        self._running: list[str] = []
        self._advance = ""
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._speak_up, daemon=True)
        self._watch.start()

    def __call__(self, name: str, fields: dict[str, Any]) -> None:
        if name == "start":
            self._running.append(fields["title"])
            self._advance = ""
        elif name == "advance":
            note = f", {fields['note']}" if "note" in fields else ""
            self._advance = f"{fields['title']}: {fields['done']} of {fields['total'] or '?'}{note}"
        elif name == "done":
            if fields["title"] in self._running:
                self._running.remove(fields["title"])
            self._advance = ""
            if fields["seconds"] >= 0.5:
                self._say(f"  {fields['title']}  {fields['seconds']:.1f} s")
        else:
            self._say(_line(name, fields))

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        self._watch.join()

    def _speak_up(self) -> None:
        last = ""
        while not self._closed.wait(PATIENCE / 8):
            running = self._advance or (self._running[-1] if self._running else "")
            if running and running != last and time.monotonic() - self._said >= PATIENCE:
                last = running
                self._say(f"  {running} ...")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        err.print(line, markup=False)


def _line(name: str, fields: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} {_number(value)}" for key, value in fields.items() if value not in ({}, None))
    return f"  {name}: {said}"


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_number(part)}" for key, part in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _decimal(value: float | None, digits: int = 3, sign: bool = False) -> str:
    if value is None or value != value:
        return "–"
    value = round(value, digits) + 0.0  # no -0.000
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _interval(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    if not value:
        return ""
    middle = _decimal(value.get("mean", value.get("diff")), sign=sign)
    return f"{middle} ({_decimal(value['low'], sign=sign)}, {_decimal(value['high'], sign=sign)})"


def _table(title: str, columns: Sequence[str], left: Sequence[str] = ("",)) -> Table:
    table = Table(
        title=escape(title),
        box=SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=column not in left)
    return table


def leaderboard(document: Mapping[str, Any]) -> Table:
    """Each channel, each stage and the slate, with 95 % intervals."""
    asked = document["protocol"]
    k, wide = min(asked["k"]), max(asked["k"])
    metric = f"ndcg@{k}"
    title = (
        f"{document['name']}: {document['requests']:,} requests of {document['users']:,} users, "
        f"{asked['requests']} protocol, from {asked['opens'][:10]}"
    )
    heads = (
        "",
        f"NDCG@{k} (95 %)",
        "slate − it",
        f"recall\n@{wide}",
        "recall\n@all",
        "only\nit",
        "adds to\n@all",
        "cover-\nage",
    )
    table = _table(title, heads)
    rows = {f"  {name}": (name, value) for name, value in document["channels"].items()}
    rows |= {name: (name, value) for name, value in document["stages"].items() if name != "rules" and value}
    rows |= {f"  rule {name}": ("", value) for name, value in document["stages"].get("rules", {}).items()}
    rows["slate"] = ("", document["slate"])
    shown = {label: row for label, row in rows.items() if metric in row[1]}
    for label, (key, values) in shown.items():
        paired = document["paired"].get(key, {}).get(metric)
        several = label == "rank" and any(name.startswith("rank.") for name in shown)
        same = label in ("rank", "slate") and paired and not any(paired[bound] for bound in ("diff", "low", "high"))
        table.add_row(
            escape(f"rank ({document.get('ranker')})" if several else label),
            _interval(values[metric]),
            "" if same else _interval(paired, sign=True),
            _decimal(values[f"recall@{wide}"]["mean"]),
            "" if label == "slate" else _decimal(values["recall@all"]["mean"]),
            f"{values['unique_hits']:,}" if "unique_hits" in values else "",
            _decimal(values["ceiling_gain"]["diff"], sign=True) if "ceiling_gain" in values else "",
            _decimal(values.get(f"coverage@{k}")),
            style="bold" if label == "slate" else "",
            end_section=label
            in (f"  {list(document['channels'])[-1]}" if document["channels"] else "", list(shown)[-2:][0]),
        )
    idle = {name: values for name, values in document["channels"].items() if values.get("brings_nothing")}
    if idle:
        orders = [name for name, values in idle.items() if (values["gain"]["low"] or 0) > 0]
        but = f"; but to the order: {', '.join(orders)}" if orders else ""
        said = f"bring nothing to @all, each with the others there: {', '.join(idle)}{but}"
        table.caption = escape(textwrap.fill(said, WIDTH - 2))
        table.caption_justify = "left"
    if not shown:
        table.caption = "no request of the test window has a right answer: nothing to report"
    return table


def comparison(document: Mapping[str, Any]) -> Table:
    """Each run against the first, metric by metric."""
    baseline = document["runs"][0]["name"]
    table = _table(f"against {baseline}, request by request", ("", baseline, "it", "difference (95 %)", "p", ""))
    for pair in document["pairs"]:
        table.add_row(f"[bold]{escape(pair['name'])}[/bold]")
        for stage, metrics in pair["stages"].items():
            for metric, found in metrics.items():
                if not metric.startswith(("ndcg", "recall", "hit")):
                    continue
                sure = found["low"] is not None and (found["low"] > 0 or found["high"] < 0)
                word = ("better" if found["low"] > 0 else "worse") if sure else "could be chance"
                table.add_row(
                    f"  {stage} {metric}",
                    _decimal(found["baseline"]["mean"]),
                    _decimal(found["run"]["mean"]),
                    _interval(found, sign=True),
                    _decimal(found["p"]),
                    word,
                )
        table.add_section()
    said = [
        f"{pair['name']}: {pair['requests']:,} shared requests of {pair['users']:,} users; "
        f"{pair['only_run'] + pair['only_baseline']:,} had no partner and are left out"
        for pair in document["pairs"]
    ]
    table.caption = escape("\n".join([*said, *(f"note: {note}" for note in document["notes"])]))
    table.caption_justify = "left"
    return table


def rankers(document: Mapping[str, Any]) -> Table:
    """Rankers on a plain table: cross-validation and test AUC, beside the figures to beat."""
    asked = document["protocol"]
    seeds = len(asked["seeds"])
    title = (
        f"{document['name']}: {asked['train']:,} training and {asked['test']:,} test rows, {asked['folds']}-fold "
        f"cross-validation, {seeds} seed{'s' if seeds > 1 else ''}"
    )
    table = _table(
        title, ("ranker", "CV AUC", "reference", "test AUC", "± seeds", "reference ", "chosen"), ("ranker", "chosen")
    )
    for name, found in document["rankers"].items():
        reference = found.get("reference", {})
        chosen = ", ".join(f"{key} {value}" for key, value in found["chosen"].items())
        table.add_row(
            escape(name),
            _decimal(found["cv_auc"], 4),
            _decimal(reference.get("cv_auc"), 4),
            f"[bold]{_decimal(found['test_auc'], 4)}[/bold]",
            _decimal(found.get("test_auc_deviation"), 4),
            _decimal(reference.get("test_auc"), 4),
            escape(chosen),
        )
    return table


def tuned(section: Mapping[str, Any], most: int = 6) -> Table:
    """The settings tried for one section: its own, and the best of the others."""
    trials = list(enumerate(section["trials"]))
    others = sorted((t for t in trials[1:] if t[1]["value"] is not None), key=lambda t: (-t[1]["value"], t[0]))
    title = f"{section['section']} ({section['type']}): {section['metric']}, {section['asked']}"
    table = _table(title, ("trial", section["metric"], "setting"), ("setting",))
    for number, trial in [trials[0], *others[:most]]:
        changed = {key: value for key, value in trial["params"].items() if value != section["current"][key]}
        setting = ", ".join(f"no {k}" if v is None else f"{k} = {json.dumps(v)}" for k, v in changed.items())
        style = "bold" if number == section["best"] else ""
        table.add_row(str(number), _decimal(trial["value"], 4), escape(setting) or "as it was", style=style)
    refused = f", {section['refused']} refused" if section["refused"] else ""
    ended = ", stopped" if section["stopped"] else ""
    gain = _interval(section["gain"], sign=True)
    chance = "" if section["gain"]["low"] is None or section["gain"]["low"] > 0 else ", which could be chance,"
    if not section["best"]:
        gain, chance = "nothing better found", ""
    table.caption = escape(
        f"{_decimal(section['before'], 4)} before, {_decimal(section['after'], 4)} after: {gain}{chance} in "
        f"{len(trials)} trials{refused}{ended}"
    )
    table.caption_justify = "left"
    return table


def slate(user: str, items: Sequence[Mapping[str, Any]]) -> Table:
    """One user's list with reasons."""
    reasons = any(item.get("reason") for item in items)
    heads = ["", "item", "title", "score", *(["why"] if reasons else []), "found by"]
    table = _table(f"for user {user}", heads, ("item", "title", "why", "found by"))
    for place, item in enumerate(items, 1):
        channels = list(item["channels"])
        found = ", ".join(channels[:2]) + (f" +{len(channels) - 2}" if len(channels) > 2 else "")
        cells = [str(place), item["item"], item.get("title", ""), _decimal(item["score"])]
        cells += [item.get("reason", "")] if reasons else []
        table.add_row(*(escape(cell) for cell in (*cells, found)))
    return table


def neighbours(item: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Items most like one, by channel."""
    table = _table(f"like item {item}", ("channel", "", "item", "title", "score"), ("channel", "item", "title"))
    for name, items in found.items():
        for place, other in enumerate(items, 1):
            first = escape(name) if place == 1 else ""
            shown = (str(place), escape(other["item"]), escape(other.get("title", "")), _decimal(other["score"]))
            table.add_row(first, *shown, end_section=place == len(items))
    if not any(found.values()):
        table.caption = "no channel of this bundle compares items" if not found else "no channel has met this item"
    return table


def components(kind: str, entries: Sequence[Mapping[str, Any]]) -> Table:
    """What recipes may name: one line each."""
    table = _table(kind, ("name", "what it does"), ("name", "what it does"))
    table.columns[0].no_wrap = True
    for entry in entries:
        note = "" if entry["available"] else " [yellow](needs an extra that is not installed)[/yellow]"
        table.add_row(escape(entry["name"]), escape(entry["summary"]) + note)
    return table


def fail(message: str) -> None:
    """The user's input was wrong: one line on standard error."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
