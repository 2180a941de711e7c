"""What rules and pre-ranking cost and bring: the slate with them minus the slate without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report import _words as words
from shortlist.report._draw import Scale, axis, decimal, interval, percent, row, section, strip, table, text, whisker
from shortlist.report._sections import Document

BESIDE = (
    *(
        "empty",
        "coverage",
        "diversity",
        "vector_diversity",
        "miscalibration",
        "novelty",
        "popularity_lift",
        "tail_share",
    ),
    *("age_days", "younger", "gini"),
)
"""What is told beside accuracy, in this order."""


def prices(document: Document) -> str:
    """A picture of what each rule costs in NDCG, and a table of what it brings."""
    told, k = document.get("prices") or {}, min(document["protocol"]["k"])
    metric = f"ndcg@{k}"
    priced = {
        name: price for name, price in told.items() if (price["change"].get(metric) or {}).get("diff") is not None
    }
    if not priced:
        return ""
    costs = {name: price["change"][metric] for name, price in priced.items()}
    scale = Scale.over([value[bound] for value in costs.values() for bound in ("diff", "low", "high")])
    drawn = [axis(scale, sign=True)]
    for name, value in costs.items():
        picture = strip(scale, whisker(scale, value, words.judged(value)), f"{name}: {decimal(value['diff'])}", 0.0)
        moved = f"<small>moves {percent(priced[name]['moved'])}</small>"
        drawn.append(row(f"{text(name)} {moved}", picture, interval(value, sign=True)))
    measured = [m for kind in BESIDE for m in next(iter(priced.values()))["change"] if _of(m, kind, k)]
    head = ["", *(text(m.split("@")[0].replace("_", " ").replace(".", " of ")) for m in measured)]
    rows = [[text(name), *(_cell(price["change"].get(m)) for m in measured)] for name, price in priced.items()]
    aims = [
        [text(name), text(aim["what"]), *(decimal(aim[side]) for side in ("without", "with")), interval(aim, sign=True)]
        for name, aim in ((name, price["aim"]) for name, price in priced.items())
    ]
    reached = table(["", "what is missed: 0 = reached", "without it", "with it", "difference"], aims)
    lead = (
        "Every rule was switched off in turn, the others as they are, and the same questions asked: the slate with the "
        f"rule minus the slate without it, first {k} places. A soft rule was only applied again; a hard one was off "
        "from recall on, on the same right answers, never what it forbids. A rule is bought for its aim; this "
        "is what it costs."
    )
    beside = f"<h3>Beside accuracy</h3>{table(head, rows)}<h3>The rules’ own aims</h3>{reached}"
    return section("The price of each rule", lead, *drawn, beside, anchor="prices")


def prerank(document: Document) -> str:
    """What pre-ranking loses and what it saves."""
    told, k = document.get("prerank") or {}, min(document["protocol"]["k"])
    if not told:
        return ""
    change, off, n = told["change"], told["off"], document["requests"]
    rows = [
        [words.named(m), decimal(off[m]), decimal(off[m] + change[m]["diff"]), _cell(change[m])]
        for m in change
        if m.endswith(f"@{k}")
    ]
    few, every = (told["rows"][side] for side in ("with", "without"))
    short, long = (1000 * told["seconds"][side] / n for side in ("with", "without"))
    rows.append(["rows ranked a request", f"{every:,.0f}", f"{few:,.0f}", percent(few, every)])
    rows.append(["features and rankers, ms a request", f"{long:.1f}", f"{short:.1f}", percent(short, long)])
    lead = (
        "The same questions were ranked once more without the pre-ranker: every row that recall found, with every "
        "feature, by the same ranker."
    )
    body = table(["", "all rows ranked", "with pre-ranking", "difference, or share"], rows)
    return section("What pre-ranking loses and saves", lead, body, anchor="prerank")


def _of(metric: str, kind: str, k: int) -> bool:
    return metric.partition("@")[0].partition(".")[0] == kind and metric.endswith(f"@{k}")


def _cell(difference: Mapping[str, Any] | None) -> str:
    """A difference with its bounds; grey where it could be chance."""
    if not difference or difference.get("diff") is None:
        return "–"
    drawn = interval(dict(difference), sign=True)
    return drawn if words.judged(difference) != "grey" else f'<span class="grey">{drawn}</span>'
