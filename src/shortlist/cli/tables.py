"""Tables of the terminal: how one looks, and the lists of items and components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text


def table(title: str, columns: Sequence[str], left: Sequence[str] = ("",)) -> Table:
    """An empty table; the columns named in ``left`` hold words, the others figures."""
    made = Table(
        title=Text(title, no_wrap=True, overflow="ignore"),
        box=SIMPLE_HEAD,
        show_edge=False,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        made.add_column(column, justify="left" if column in left else "right", no_wrap=column not in left)
    return made


def decimal(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """0.154, or +0.036 where a sign matters; a dash for nothing."""
    if value is None or value != value:
        return "–"
    value = round(value, digits) + 0.0  # no -0.000
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def interval(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    """A mean, or a difference, with its bounds in brackets."""
    if not value:
        return ""
    middle = decimal(value.get("mean", value.get("diff")), sign=sign)
    return f"{middle} ({decimal(value['low'], sign=sign)}, {decimal(value['high'], sign=sign)})"


def slate(user: str, items: Sequence[Mapping[str, Any]], *, whole: bool = True) -> Table:
    """One user's list with reasons; unless ``whole``, long words are cut so that every item is one line."""
    reasons = any(item.get("reason") for item in items)
    heads = ["", "item", "title", "score", *(["why"] if reasons else []), "found by"]
    shown = table(f"for user {user}", heads, ("item", "title", "why", "found by"))
    for place, item in enumerate(items, 1):
        channels = list(item["channels"])
        found = f"{channels[0]} +{len(channels) - 1}" if len(channels) > 1 else "".join(channels)
        cells = [str(place), item["item"], item.get("title", ""), decimal(item["score"])]
        reason = item.get("reason", "") if whole else item.get("reason", "").removeprefix("because of ")
        reason = "; ".join(filter(None, (reason, item.get("moved"))))
        cells += [reason, found] if reasons else [found]
        shown.add_row(*(Text(cell, no_wrap=not whole or None, overflow="ellipsis") for cell in cells))
    return shown


def neighbours(item: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Items most like one, by channel."""
    shown = table(f"like item {item}", ("channel", "", "item", "title", "score"), ("channel", "item", "title"))
    for name, items in found.items():
        for place, other in enumerate(items, 1):
            first = escape(name) if place == 1 else ""
            cells = (str(place), escape(other["item"]), escape(other.get("title", "")), decimal(other["score"]))
            shown.add_row(first, *cells, end_section=place == len(items))
    if not any(found.values()):
        shown.caption = "no channel of this bundle compares items" if not found else "no channel has met this item"
    return shown


def components(kind: str, entries: Sequence[Mapping[str, Any]]) -> Table:
    """What recipes may name: one line each."""
    shown = table(kind, ("name", "what it does"), ("name", "what it does"))
    shown.columns[0].no_wrap = True
    for entry in entries:
        note = "" if entry["available"] else " [yellow](needs an extra that is not installed)[/yellow]"
        shown.add_row(escape(entry["name"]), escape(entry["summary"]) + note)
    return shown
