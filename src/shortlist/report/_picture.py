"""The funnel with its figures in one picture: log, channels, merge, ranker, rules, slate.

A file of its own rather than a part of the page, for readmes: colours for a light and a dark screen, no variables (not
every viewer knows them), a background of its own, and text that is nowhere longer than its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shortlist.report._draw import Scale, decimal, grid, interval, text, ticks, whisker
from shortlist.report._sections import Document, stages

WIDTH, HEAD, FOOT, ROW = 972, 62, 58, 27
STRIP = 130
"""Width of a chart in both panels: what lies at the same place is the same figure."""
LOG, CHANNELS, STAGES = (12, 112), (148, 388), (560, 400)
"""Left edge and width of the three boxes."""
RULES = """
.paper{fill:var(--paper)}.box{fill:var(--wash);stroke:var(--line)}.best{fill:var(--pale)}.arrow{fill:var(--grey)}
text{fill:var(--ink);font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.strong{font-weight:650}.soft{fill:var(--soft);font-size:11px}.ticks text{fill:var(--soft);font-size:10px}
.grid{stroke:var(--line)}.ref{stroke:var(--soft);stroke-dasharray:3 3}.whisker{stroke:var(--grey);stroke-width:2}
circle{fill:var(--grey)}.blue circle{fill:var(--blue)}.blue .whisker{stroke:var(--blue)}
"""


def svg(document: Document, recipe: Mapping[str, Any], colours: str) -> str:
    """The picture; ``recipe`` says how many rows each stage hands on."""
    asked = document["protocol"]
    k = min(asked["k"])
    metric = f"ndcg@{k}"
    found: dict[str, Mapping[str, Any]] = {n: v for n, v in stages(document).items() if metric in v}
    channels = {name: found[name] for name in document["channels"] if name in found}
    scale = Scale.over([value[metric][bound] for value in found.values() for bound in ("mean", "low", "high")])
    body = HEAD + max(ROW * len(channels), 4 * 44) + 10
    chart = _Chart(scale, k, document["slate"][metric]["mean"], body)
    said = (
        f"{document['name']}: {document['requests']:,} requests of {document['users']:,} people"
        f"{', ' + asked['label'] if asked.get('label') else ' after ' + str(asked['opens']).partition('T')[0]}, "
        f"{asked['requests']} protocol.",
        "Lines are 95 % intervals, dashed is the slate. recall: share of all right items among the rows that a stage "
        "hands on.",
    )
    drawn = (
        chart.box(LOG),
        *_log(document, body),
        *(_arrow(x - 18, 6 + body / 2) for x in (CHANNELS[0], STAGES[0])),
        chart.panel(CHANNELS, f"recall: {len(channels)} channels, {recipe.get('depth', 200)} rows each", 132),
        *_channels(chart, channels),
        chart.panel(STAGES, "merge, rank, re-rank", 140),
        *_stages(chart, _steps(document, recipe, found, k)),
        *(_text(LOG[0], body + 22 + 18 * number, line, "soft") for number, line in enumerate(said)),
    )
    label, height = text(" ".join(said)), body + FOOT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{label}"><title>{label}</title><style>{_style(colours)}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="10"/>{"".join(drawn)}</svg>\n'
    )


@dataclass(frozen=True, slots=True)
class _Chart:
    """What both panels share: the scale, the cut-off, the slate's mean, where the boxes end."""

    scale: Scale
    k: int
    slate: float
    body: int

    def box(self, place: tuple[int, int]) -> str:
        """The background of a panel."""
        return f'<rect class="box" x="{place[0]}" y="12" width="{place[1]}" height="{self.body - 12}" rx="8"/>'

    def panel(self, place: tuple[int, int], title: str, at: int) -> str:
        """Box, title, and what stands over chart and figures; the chart begins ``at`` pixels from the left edge."""
        x = place[0] + at
        return (
            self.box(place)
            + _text(place[0] + 14, 30, title, "strong")
            + f'<svg class="ticks" x="{x}" y="38" width="{STRIP}" height="20">{ticks(self.scale)}</svg>'
            + _text(x + STRIP + 64, 50, f"NDCG@{self.k}", "end soft")
            + _text(x + STRIP + 114, 50, "recall", "end soft")
        )

    def figures(self, x: int, y: float, value: Mapping[str, Any], share: str, kind: str = "") -> str:
        """Chart, NDCG and recall of one list, centred on the height ``y``."""
        ndcg = value[f"ndcg@{self.k}"]
        marks = grid(self.scale, self.slate) + whisker(self.scale, ndcg, kind)
        return (
            f'<svg x="{x}" y="{y - ROW / 2:g}" width="{STRIP}" height="{ROW}">{marks}</svg>'
            + _text(x + STRIP + 64, y, decimal(ndcg["mean"]), f"end {'strong' if kind else ''}")
            + _text(x + STRIP + 114, y, decimal(value[share]["mean"]), "end")
        )


def _log(document: Document, body: int) -> Iterator[str]:
    middle = LOG[0] + LOG[1] / 2
    lines = (("log", "middle strong"), (f"{document['data']['events']:,}", "middle"), ("events", "middle soft"))
    for number, (said, kind) in enumerate(lines):
        yield _text(middle, body / 2 - 14 + 20 * number, said, kind)


def _channels(chart: _Chart, channels: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A row a channel, the best first."""
    order = sorted(channels, key=lambda name: -channels[name][f"ndcg@{chart.k}"]["mean"])
    for number, name in enumerate(order):
        y = HEAD + ROW * (number + 0.5)
        yield _text(CHANNELS[0] + 14, y, _short(name, 16))
        yield chart.figures(CHANNELS[0] + 132, y, channels[name], "recall@all")


def _stages(chart: _Chart, steps: Sequence[tuple[str, str, Mapping[str, Any], str]]) -> Iterator[str]:
    """A row a stage, with arrows between; the last is the slate."""
    x, height = STAGES[0], (chart.body - 10 - HEAD) / len(steps)
    for number, (name, detail, value, share) in enumerate(steps):
        y, last = HEAD + height * (number + 0.5), number == len(steps) - 1
        if last:
            box = f'x="{x + 1}" y="{y - height / 2:g}" width="{STAGES[1] - 2}" height="{height:g}"'
            yield f'<rect class="best" {box}/>'
        yield _text(x + 14, y - 8, name, "strong" if last else "")
        yield _text(x + 14, y + 9, _short(detail, 22), "soft")
        yield chart.figures(x + 140, y, value, share, "blue" if last else "")
        if number:
            yield _arrow(x + 26, y - height / 2, down=True)


def _steps(
    document: Document, recipe: Mapping[str, Any], found: Mapping[str, Any], k: int
) -> list[tuple[str, str, Mapping[str, Any], str]]:
    """(name, what it is or hands on, figures, which recall) of merge, ranker, rules and slate."""
    rows: list[tuple[str, str, Mapping[str, Any], str]] = []
    kept = f"{recipe.get('merge', {}).get('k', 300)} rows at most"
    if "merge" in found:
        rows.append(("merge", kept, found["merge"], "all"))
    if "rank" in found:
        rows.append(("rank", str(document.get("ranker") or ""), found["rank"], "all"))
    rules = [name for name in found if name.startswith("rules.")]
    if rules:
        names = [rule["type"] for rule in recipe.get("rules", ())] or [name.split(".", 1)[1] for name in rules]
        rows.append(("rules", ", ".join(names), found[rules[-1]], "all"))
    rows.append((f"slate, first {k}", _plain(found["slate"][f"ndcg@{k}"]), found["slate"], str(k)))
    return [(name, detail, value, f"recall@{share}") for name, detail, value, share in rows]


def _text(x: float, y: float, said: str, kind: str = "") -> str:
    """Text centred on the height ``y``; ``kind`` may begin with the anchor (middle, end)."""
    anchor, _, rest = kind.partition(" ") if kind.startswith(("middle", "end")) else ("start", "", kind)
    shown = f' class="{rest.strip()}"' if rest.strip() else ""
    return f'<text x="{x:g}" y="{y + 4.5:g}" text-anchor="{anchor}"{shown}>{text(said)}</text>'


def _arrow(x: float, y: float, down: bool = False) -> str:
    shape = f"M{x - 5:g} {y - 3:g}h10l-5 6z" if down else f"M{x:g} {y - 7:g}l12 7l-12 7z"
    return f'<path class="arrow" d="{shape}"/>'


def _short(said: str, most: int) -> str:
    return said if len(said) <= most else said[: most - 1] + "…"


def _plain(value: Mapping[str, Any]) -> str:
    return re.sub(r"<[^>]*>", "", interval(dict(value)))


def _style(colours: str) -> str:
    """The rules with light colours, and again with dark ones for a dark screen."""
    light, dark = (dict(re.findall(r"(--\w+):(#\w+)", line)) for line in colours.splitlines()[:2])

    def coloured(values: Mapping[str, str]) -> str:
        return re.sub(r"var\((--\w+)\)", lambda found: values[found[1]], RULES)

    return f"{coloured(light)}@media (prefers-color-scheme:dark){{{coloured(dark)}}}"
