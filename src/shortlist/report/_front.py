"""The page of a front: accuracy against diversity along one setting of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report import _words as words
from shortlist.report._draw import Scale, decimal, interval, section, table, text


def body(document: Mapping[str, Any]) -> str:
    """Header, the picture where there is a diversity, every value's figures."""
    k, setting = document["k"], text(document["setting"])
    heading = (
        f'<header><p class="kicker">Shortlist · one setting of a rule, the same questions</p><h1>{setting}</h1>'
        f'<p class="verdict">{text(document["name"])}: {document["requests"]:,} requests of {document["users"]:,} '
        "people were answered with each value; recall, features and ranking are the same, only the rule changes.</p>"
        "</header>"
    )
    return heading + _picture(document) + _figures(document, k)


def _picture(document: Mapping[str, Any]) -> str:
    accuracy, diversity = document["accuracy"], document["diversity"]
    told = [p for p in document["points"] if diversity and p["metrics"][diversity]["mean"] is not None]
    told = [p for p in told if p["metrics"][accuracy]["mean"] is not None]
    if not told:
        return ""
    across = Scale.over([p["metrics"][diversity]["mean"] for p in told], zero=False)
    up = Scale.over([p["metrics"][accuracy][bound] for p in told for bound in ("mean", "low", "high")], zero=False)
    marks = ""
    for value in across.ticks():
        marks += f'<line class="grid" x1="{across.at(value)}%" x2="{across.at(value)}%" y1="0" y2="92%"/>'
        marks += f'<text x="{across.at(value)}%" y="99%" text-anchor="middle">{value:g}</text>'
    for value in up.ticks():
        marks += f'<line class="grid" x1="0" x2="100%" y1="{_y(up, value)}%" y2="{_y(up, value)}%"/>'
        marks += f'<text x="0" y="{_y(up, value) - 0.8}%">{value:g}</text>'
    for point in told:
        x, found = across.at(point["metrics"][diversity]["mean"]), point["metrics"][accuracy]
        kind = "blue" if point.get("front") else "grey"
        line = ""
        if found["low"] is not None:
            low, high = _y(up, found["low"]), _y(up, found["high"])
            line = f'<line class="whisker" x1="{x}%" x2="{x}%" y1="{low}%" y2="{high}%"/>'
        size = 8 if point["value"] == document["declared"] else 5
        y = _y(up, found["mean"])
        said = f"{point['value']}: {words.named(accuracy)} {decimal(found['mean'])}"
        marks += f'<g class="{kind}"><title>{text(said)}</title>{line}<circle cx="{x}%" cy="{y}%" r="{size}"/></g>'
        marks += f'<text x="{x}%" dx="9" y="{y}%" dy="-7">{text(point["value"])}</text>'
    label = f"{words.named(accuracy)} against {diversity}"
    drawn = (
        f'<svg class="front" role="img" aria-label="{text(label)}" width="100%" height="420">'
        f"<title>{text(label)}</title>{marks}</svg>"
    )
    lead = (
        f"To the right lists are more varied ({text(_said(diversity))}), upwards they are more accurate "
        f"({words.named(accuracy)}, with 95 % intervals). Blue: no other value is better in both. The large dot is "
        "what the recipe declares. A value chosen by this very window flatters: choose by what is wanted, not the peak."
    )
    return section("The front", lead, drawn)


def _figures(document: Mapping[str, Any], k: int) -> str:
    accuracy, diversity = document["accuracy"], document["diversity"]
    shown = [m for m in (diversity, f"coverage@{k}", f"novelty@{k}", f"age_days@{k}", f"gini@{k}") if m]
    rows = [
        [
            text(point["value"]) + (" (declared)" if point["value"] == document["declared"] else ""),
            interval(point["metrics"][accuracy]),
            interval(point["change"].get(accuracy), sign=True),
            *(_one(point["metrics"].get(m)) for m in shown),
            decimal(point["missed"]),
        ]
        for point in document["points"]
    ]
    head = ["", words.named(accuracy), "minus declared", *(text(_said(m)) for m in shown), "missed"]
    lead = (
        "Differences are paired, request by request; brackets are 95 % intervals from drawing people anew. Missed: "
        f"{text(document['aim'])}."
    )
    return section("All values", lead, table(head, rows))


def _one(value: Any) -> str:
    return interval(value) if isinstance(value, dict) else decimal(value)


def _said(metric: str) -> str:
    return metric.partition("@")[0].replace("_", " ").replace(".", " of ")


def _y(scale: Scale, value: float) -> float:
    """Percent from the top; the lowest 8 % are the axis's."""
    return round(92 - 0.92 * scale.at(value), 2)
