"""The funnel with its figures in one picture: log, channels, merge, ranker, rules, slate.

A file of its own rather than a part of the page, for readmes: colours for a light and a dark screen, no variables (not
every viewer knows them), a background of its own, and text that is nowhere longer than its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    k = min(document["protocol"]["k"])
    metric = f"ndcg@{k}"
    found: dict[str, Mapping[str, Any]] = {n: v for n, v in stages(document).items() if metric in v}
    channels = {name: found[name] for name in document["channels"] if name in found}
    scale = Scale.over([value[metric][bound] for value in found.values() for bound in ("mean", "low", "high")])
    slate = document["slate"]
    body = HEAD + max(ROW * len(channels), 4 * 44) + 10
    height = body + FOOT

    def figures(x: int, y: float, value: Mapping[str, Any], share: str, kind: str = "") -> str:
        """Chart, NDCG and recall of one list, in the middle of ``y``."""
        marks = grid(scale, slate[metric]["mean"]) + whisker(scale, value[metric], kind)
        return (
            f'<svg x="{x}" y="{y - ROW / 2}" width="{STRIP}" height="{ROW}">{marks}</svg>'
            + _text(x + STRIP + 64, y, decimal(value[metric]["mean"]), f"end {'strong' if kind else ''}")
            + _text(x + STRIP + 114, y, decimal(value[share]["mean"]), "end")
        )

    def panel(place: tuple[int, int], title: str, at: int) -> str:
        """Box, title, and what stands over chart and figures."""
        x, width = place
        return (
            f'<rect class="box" x="{x}" y="12" width="{width}" height="{body - 12}" rx="8"/>'
            + _text(x + 14, 30, title, "strong")
            + f'<svg class="ticks" x="{at}" y="38" width="{STRIP}" height="20">{ticks(scale)}</svg>'
            + _text(at + STRIP + 64, 50, f"NDCG@{k}", "end soft")
            + _text(at + STRIP + 114, 50, "recall", "end soft")
        )

    middle = 12 + (body - 12) / 2
    parts = [
        f'<rect class="box" x="{LOG[0]}" y="12" width="{LOG[1]}" height="{body - 12}" rx="8"/>',
        _text(LOG[0] + LOG[1] / 2, middle - 22, "log", "middle strong"),
        _text(LOG[0] + LOG[1] / 2, middle, f"{document['data']['events']:,}", "middle"),
        _text(LOG[0] + LOG[1] / 2, middle + 18, "events", "middle soft"),
        *(_arrow(x - 18, middle) for x in (CHANNELS[0], STAGES[0])),
    ]
    chart = CHANNELS[0] + 132
    parts.append(panel(CHANNELS, f"recall: {len(channels)} channels, {recipe.get('depth', 200)} rows each", chart))
    for number, (name, value) in enumerate(sorted(channels.items(), key=lambda pair: -pair[1][metric]["mean"])):
        y = HEAD + ROW * (number + 0.5)
        parts += [_text(CHANNELS[0] + 14, y, _short(name, 16)), figures(chart, y, value, "recall@all")]
    chart = STAGES[0] + 140
    parts.append(panel(STAGES, "merge, rank, re-rank", chart))
    rows = _steps(document, recipe, found, k)
    step = (body - 10 - HEAD) / len(rows)
    for number, (name, detail, value, share) in enumerate(rows):
        y = HEAD + step * (number + 0.5)
        kind = "blue" if value is slate else ""
        if kind:
            parts.append(
                f'<rect class="best" x="{STAGES[0] + 1}" y="{y - step / 2}" width="{STAGES[1] - 2}" height="{step}"/>'
            )
        strong = "strong" if kind else ""
        parts += [_text(STAGES[0] + 14, y - 8, name, strong), _text(STAGES[0] + 14, y + 9, _short(detail, 22), "soft")]
        parts.append(figures(chart, y, value, share, kind))
        if number:
            parts.append(_arrow(STAGES[0] + 26, y - step / 2, down=True))
    said = (
        f"{document['name']}: {document['requests']:,} requests of {document['users']:,} people after "
        f"{str(document['protocol']['opens'])[:10]}, {document['protocol']['requests']} protocol.",
        "Lines are 95 % intervals, dashed is the slate. recall: share of all right items among the rows that a stage "
        "hands on.",
    )
    parts += [_text(LOG[0], body + 22 + 18 * line, words_, "soft") for line, words_ in enumerate(said)]
    label = text(" ".join(said))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" aria-label="{label}"><title>{label}</title><style>{_style(colours)}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{height:g}" rx="10"/>{"".join(parts)}</svg>\n'
    )


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
