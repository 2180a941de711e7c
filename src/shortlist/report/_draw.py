"""Pictures of numbers: strips of SVG in percent, so that they fit any width while text stays text."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def text(value: Any) -> str:
    """Anything, safe inside an element or an attribute."""
    return html.escape(str(value), quote=True)


def decimal(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """0.154, or +0.036 where a sign matters; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    written = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if sign and float(written) == 0:
        return f"±{written[1:]}"
    return written.replace("-", "−")


def percent(part: float | None, whole: float = 1.0) -> str:
    """54 %, with a decimal where it is small."""
    if part is None or not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.1f} %" if 0 < share < 9.95 else f"{share:.0f} %"


def interval(value: dict[str, float | None] | None, sign: bool = False) -> str:
    """A mean (or a difference) with its bounds."""
    if not value:
        return "–"
    middle = value.get("mean", value.get("diff"))
    bounds = f"[{decimal(value.get('low'), sign=sign)}, {decimal(value.get('high'), sign=sign)}]"
    return f"<b>{decimal(middle, sign=sign)}</b> <small>{bounds}</small>"


@dataclass(frozen=True, slots=True)
class Scale:
    """Values laid out from left to right."""

    low: float
    high: float

    @staticmethod
    def over(values: Sequence[float | None], *, zero: bool = True) -> Scale:
        """Wide enough for all values, with a little air; ``zero`` keeps 0 inside."""
        known = [v for v in values if v is not None and math.isfinite(v)] or [0.0, 1.0]
        low, high = min(known), max(known)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high - low < 1e-4:
            low, high = low - 0.01, high + 0.01
        air = 0.04 * (high - low)
        return Scale(low if low == 0 else low - air, high if high == 0 else high + air)

    def at(self, value: float) -> float:
        """Percent of the width."""
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 2)

    def ticks(self) -> list[float]:
        """Three to six round numbers."""
        rough = (self.high - self.low) / 6
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [round(n * step, 10) for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def strip(scale: Scale, marks: str, label: str, ref: float | None = None) -> str:
    """One row of a chart: grid lines, an optional line of reference, marks."""
    drawn = grid(scale, ref) + marks
    return f'<svg class="strip" role="img" aria-label="{text(label)}"><title>{text(label)}</title>{drawn}</svg>'


def grid(scale: Scale, ref: float | None = None) -> str:
    """The lines behind the marks."""
    lines = [("grid", tick) for tick in scale.ticks()] + ([] if ref is None else [("ref", ref)])
    return "".join(f'<line class="{c}" x1="{scale.at(v)}%" x2="{scale.at(v)}%" y1="0" y2="100%"/>' for c, v in lines)


def whisker(scale: Scale, value: dict[str, float | None], kind: str = "") -> str:
    """A dot at the mean, a line over its interval."""
    middle, low, high = value.get("mean", value.get("diff")), value.get("low"), value.get("high")
    if middle is None:
        return ""
    line = ""
    if low is not None and high is not None:
        a, b = scale.at(low), scale.at(high)
        line = f'<line class="whisker" x1="{a}%" x2="{b}%" y1="50%" y2="50%"/>'
        line += "".join(f'<line class="whisker" x1="{x}%" x2="{x}%" y1="32%" y2="68%"/>' for x in (a, b))
    return f'<g class="{kind}">{line}<circle cx="{scale.at(middle)}%" cy="50%" r="5"/></g>'


def bar(scale: Scale, value: float | None, kind: str = "") -> str:
    """A bar from 0."""
    if value is None:
        return ""
    start, end = sorted((scale.at(0), scale.at(value)))
    return f'<rect class="bar {kind}" x="{start}%" y="22%" width="{round(end - start, 2)}%" height="56%" rx="3"/>'


def axis(scale: Scale, sign: bool = False, digits: int | None = None) -> str:
    """The row of tick labels over a chart."""
    return row("", f'<svg class="strip ticks" aria-hidden="true">{ticks(scale, sign, digits)}</svg>', "", "axis")


def ticks(scale: Scale, sign: bool = False, digits: int | None = None) -> str:
    """The labels of the grid lines."""
    ticks = scale.ticks()
    if digits is None:
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = ""
    for tick in ticks:
        place = scale.at(tick)
        anchor = "start" if place < 4 else "end" if place > 96 else "middle"
        said = decimal(tick, digits, sign) if tick else "0"
        labels += f'<text x="{place}%" y="80%" text-anchor="{anchor}">{said}</text>'
    return labels


def row(name: str, picture: str, figure: str, kind: str = "") -> str:
    """Name, picture and figure; on a phone the picture goes below."""
    return (
        f'<div class="row {kind}"><span class="name">{name}</span>{picture}<span class="figure">{figure}</span></div>'
    )


def level(name: str, figure: str, share: float, kind: str, core: float = 0.0) -> str:
    """A storey of the funnel: a centred bar ``share`` of the width wide, with a darker core."""
    drawn = _centred(share, kind) + (_centred(core, "core") if core else "")
    return (
        f'<div class="level {kind}"><svg aria-hidden="true">{drawn}</svg>'
        f'<span class="name">{name}</span><span class="figure">{figure}</span></div>'
    )


def narrowing(above: float, below: float, said: str) -> str:
    """The sloping sides between two storeys."""
    a, b = 50 * above, 50 * below
    points = f"{50 - a:.2f},0 {50 + a:.2f},0 {50 + b:.2f},10 {50 - b:.2f},10"
    return (
        '<div class="narrowing"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{points}"/></svg><span>{said}</span></div>'
    )


def _centred(share: float, kind: str) -> str:
    width = max(0.3, 100 * min(share, 1.0))
    return f'<rect class="{kind}" x="{50 - width / 2:.2f}%" y="0" width="{width:.2f}%" height="100%" rx="3"/>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls sideways where it must; cells are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr><th>{cells[0]}</th>{''.join(f'<td>{c}</td>' for c in cells[1:])}</tr>" for cells in rows)
    return f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def section(title: str, lead: str, *parts: str, anchor: str = "") -> str:
    """A heading, a sentence for a reader who was not there, and the picture."""
    body = "".join(parts)
    return f'<section id="{anchor}"><h2>{title}</h2><p class="lead">{lead}</p>{body}</section>' if body else ""


def page(title: str, style: str, body: str) -> str:
    """A whole document that needs nothing but itself."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{text(title)}</title>'
        f"<style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )
