"""The terminal's tables of rules: what each costs and brings, and how far the slate is from its aim."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from shortlist.cli.leaderboards import NARROW
from shortlist.cli.tables import decimal, interval, table

BESIDE = {"coverage": "cov.", "diversity": "div.", "novelty": "nov.", "age_days": "days", "gini": "Gini"}
"""What is shown beside accuracy: the metric's name before its dot, and its heading."""


WORDS = 18
"""Columns for what is missed, so that the table fits the narrowest terminal."""


def tables(document: Mapping[str, Any]) -> list[Table | str]:
    """What each rule costs and brings and what it is for; nothing where no soft rule changes a list.

    What hard rules cost is then told below the leaderboard, as always.
    """
    told = document.get("prices") or {}
    moving = any(price["kind"] == "soft" and price["moved"] for price in told.values())
    return [prices(document), "", aims_of(document), ""] if moving else []


def prices(document: Mapping[str, Any]) -> Table:
    """Each rule on minus off, in accuracy and beside it."""
    k, told = min(document["protocol"]["k"]), document["prices"]
    first = next(iter(told.values()))["change"]
    beside = {head: metric for name, head in BESIDE.items() if (metric := _named(first, name, k))}
    made = table(f"{document['name']}: each rule on minus off, first {k} places", ("rule", f"NDCG@{k} (95 %)", *beside))
    made.columns[0].justify = "left"
    for name, price in told.items():
        change = price["change"]
        if not price["moved"]:
            made.add_row(escape(name), "changes nothing")
            continue
        cells = [sure(change.get(metric), 1 if metric.startswith("age") else 3) for metric in beside.values()]
        made.add_row(escape(name), bare(interval(change[f"ndcg@{k}"], sign=True)), *cells)
    said = (
        "in brackets: could be chance. cov., div., nov., days: coverage, diversity, novelty, age. A hard rule is off "
        "from recall on, on the same right answers, which are never what it forbids"
    )
    made.caption = escape(textwrap.fill(said, NARROW))
    return made


def aims_of(document: Mapping[str, Any]) -> Table:
    """How far the slate is from what each rule is for, with it off and on."""
    heads = ("rule", "what is missed", "off", "on", "on − off (95 %)", "moves")
    made = table(f"{document['name']}: what each rule is for", heads, heads[:2])
    for name, price in document["prices"].items():
        aim = price["aim"]
        cells = (short(aim["without"]), short(aim["with"]), bare(interval(aim, sign=True)))
        what = textwrap.fill(aim["what"], WORDS)
        made.add_row(escape(name), escape(what), *cells, f"{100 * price['moved']:.0f} %")
    said = "an aim is reached at 0. moves: share of the requests whose list the rule changes"
    made.caption = escape(textwrap.fill(said, NARROW))
    return made


def _named(change: Mapping[str, Any], name: str, k: int) -> str | None:
    """The first metric of that name at ``k`` that has a value."""
    found = (m for m in change if m.partition("@")[0].partition(".")[0] == name and m.endswith(f"@{k}"))
    return next((m for m in found if change[m]["diff"] is not None), None)


def sure(difference: Mapping[str, Any] | None, digits: int = 3) -> str:
    """+.012, or (+.001) where the interval has 0 in it."""
    if not difference or difference["diff"] is None:
        return "–"
    value = bare(decimal(difference["diff"], digits, sign=True))
    low, high = difference.get("low"), difference.get("high")
    told = low is not None and high is not None and (low > 0 or high < 0)
    return value if told else f"({value})"


def short(value: float | None) -> str:
    """Three digits of what is below 1, else two; 0 as it is."""
    if value is None:
        return "–"
    return "0" if value == 0 else bare(decimal(value, 3 if abs(value) < 1 else 2))


def bare(figure: str) -> str:
    """.154 for 0.154."""
    return re.sub(r"(?<!\d)0\.", ".", figure)
