"""The page of a recipe's feature columns, from the document of ``shortlist features`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from shortlist.documents import jsonable
from shortlist.report import _draw
from shortlist.report._draw import Scale, axis, bar, decimal, percent, row, section, strip, table, text, whisker

Record = Mapping[str, Any]
SHOWN = 40
"""Columns drawn; all of them stand in the table."""
MOVED = 0.1
"""Stability index from which a column is drawn among those that moved."""


def page(document: Record) -> str:
    """The whole page."""
    document = jsonable(document)
    name, columns = str(document["name"]), document["columns"]
    rankers = document.get("importance", {}).get("rankers", {})
    style = resources.files("shortlist.report").joinpath("page.css").read_text(encoding="utf-8")
    header = (
        f'<header><p class="kicker">Shortlist · feature columns</p><h1>{text(name)}</h1>'
        f'<p class="verdict">{_verdict(document)}</p>{_cards(document)}</header>'
    )
    parts = (
        header,
        _warnings(columns, document["leak_rule"]),
        _alone(document),
        *(_lost(ranker, found, document) for ranker, found in rankers.items()),
        _moved(columns),
        _all(document),
        _how(document),
        "<footer>Every figure here is in the JSON that the same command writes with --json.</footer>",
    )
    return _draw.page(f"{name}: features", style, "".join(parts))


def _measure(document: Record) -> str:
    return "gauc" if document["funnel"] else "auc_by_value"


def _verdict(document: Record) -> str:
    columns, measure = document["columns"], _measure(document)
    suspects = [column["name"] for column in columns if column["suspect"]]
    said = f"{len(columns)} columns were looked at. "
    if columns:
        best = max(columns, key=lambda column: column[measure] or 0.0)
        where = "within requests" if document["funnel"] else "over all rows"
        said += f"The one that orders rows best by itself is <b>{text(best['name'])}</b>, AUC "
        said += f"<b>{decimal(best[measure])}</b> {where}. "
    if suspects:
        return said + f'<b class="bad">{len(suspects)} may know the label</b>: {text(", ".join(suspects))}.'
    return said + "No column looks as if it knew the label."


def _cards(document: Record) -> str:
    columns, rows = document["columns"], document["rows"]
    idle = sum(any(w in ("constant", "always missing") for w in column["warnings"]) for column in columns)
    shown = [
        (f"{rows['train']:,}", f"rows learned from, of {rows['requests']:,} requests"),
        (percent(rows["positives"], rows["train"]), "of them are positive"),
        (str(idle), "columns that are constant or always missing"),
        (str(sum("same_as" in column for column in columns)), "columns that say the same as another"),
    ]
    return f'<ul class="cards">{"".join(f"<li><b>{figure}</b><span>{said}</span></li>" for figure, said in shown)}</ul>'


def _warnings(columns: Sequence[Record], rule: str) -> str:
    rows = [[text(c["name"]), text("; ".join(c["warnings"]))] for c in columns if c["warnings"]]
    if not rows:
        return section(
            "What to look at", f"Nothing. {text(rule)}", "<p>No column has a warning.</p>", anchor="warnings"
        )
    rows.sort(key=lambda cells: "may know" not in cells[1])
    return section("What to look at", text(rule), table(["column", "warning"], rows), anchor="warnings")


def _alone(document: Record) -> str:
    """What each column is worth without any model."""
    measure = _measure(document)
    ranked = sorted(document["columns"], key=lambda c: -(c[measure] or 0.0))[:SHOWN]
    if not ranked:
        return ""
    scale = Scale.over([100 * ((c[measure] or 0.5) - 0.5) for c in ranked])
    drawn = [axis(scale)]
    for column in ranked:
        value = 100 * ((column[measure] or 0.5) - 0.5)
        picture = strip(scale, bar(scale, value, "strong"), f"{column['name']}: {decimal(column[measure])}")
        figure = f"<b>{decimal(column[measure])}</b> <small>{percent(column['information'])} of the label</small>"
        drawn.append(row(_name(column["name"]), picture, figure))
    kind = "within a request, averaged over requests," if document["funnel"] else "over all rows, by its values’ means,"
    lead = (
        f"AUC {kind} above .5 in hundredths, of each column by itself. The small figure is the share of the label’s "
        "entropy that its values explain beyond chance. "
    )
    if len(document["columns"]) > len(ranked):
        lead += f"The best {len(ranked)} of {len(document['columns'])} are drawn."
    return section("What a column tells alone", lead, *drawn, anchor="alone")


def _lost(ranker: str, found: Record, document: Record) -> str:
    """Drops with their spread over the repeats: families first, then columns."""
    figures, asked = found["figures"], document["importance"]
    first = found["by"]
    drawn = []
    for title, kind in (("Whole families", "families"), ("Single columns", "columns")):
        drops = sorted(found[kind].items(), key=lambda pair: -(pair[1][first]["drop"] or 0.0))[:SHOWN]
        values = [_spread(drop[first]) for _, drop in drops]
        if not drops:
            continue
        scale = Scale.over([v[bound] for v in values for bound in ("diff", "low", "high")])
        drawn.append(f"<h3>{title}</h3>" + axis(scale, sign=True))
        for (name, drop), value in zip(drops, values, strict=True):
            others = ", ".join(f"{m} {decimal(drop[m]['drop'], 4, sign=True)}" for m in figures if m != first)
            figure = f"<b>{decimal(value['diff'], 4, sign=True)}</b> <small>{others}</small>"
            kind_ = "good" if (value["low"] or 0.0) > 0 else ""
            picture = strip(scale, whisker(scale, value, kind_), f"{name}: {decimal(value['diff'], 4)}", 0.0)
            drawn.append(row(_name(name), picture, figure))
    whole = ", ".join(f"{text(name)} {decimal(value, 4)}" for name, value in figures.items())
    lead = (
        f"{whole} on {asked['rows']:,} validation rows; what is lost of {text(first)} when a column’s values are "
        f"shuffled over all rows, {asked['repeats']} times, with two standard deviations of these times. Columns that "
        "say the same stand in for each other, so look at families too."
    )
    return section(f"What ranker {text(ranker)} loses", lead, *drawn, anchor=f"importance-{text(ranker)}")


def _spread(drop: Record) -> dict[str, float | None]:
    middle, wide = drop["drop"], 2 * (drop["deviation"] or 0.0)
    if middle is None:  # the figure says nothing of these rows, as AUC where all are of one class
        return {"diff": None, "low": None, "high": None}
    return {"diff": middle, "low": middle - wide, "high": middle + wide}


def _moved(columns: Sequence[Record]) -> str:
    moved = [c for c in columns if (c["drift"]["psi"] or 0.0) >= MOVED]
    lead = (
        "Population stability index between the rows learned from and the later ones: below .1 is stable, above .25 a "
        "shift. A column that moves is not useless, but what was learned from it grows old. What describes the person "
        "moves already because other people ask."
    )
    if not moved:
        return section("What moves with time", lead, "<p>No column reaches .1.</p>", anchor="drift")
    moved.sort(key=lambda c: -c["drift"]["psi"])
    scale = Scale.over([c["drift"]["psi"] for c in moved[:SHOWN]])
    drawn = [axis(scale)]
    for column in moved[:SHOWN]:
        drift = column["drift"]
        picture = strip(scale, bar(scale, drift["psi"], "strong"), f"{column['name']}: {decimal(drift['psi'])}", 0.25)
        missing = f", missing {decimal(100 * drift['missing'], 1, sign=True)} points" if drift["missing"] else ""
        figure = f"<b>{decimal(drift['psi'], 2)}</b> <small>KS {decimal(drift['ks'], 2)}{missing}</small>"
        drawn.append(row(_name(column["name"]), picture, figure))
    return section("What moves with time", lead, *drawn, anchor="drift")


def _all(document: Record) -> str:
    head = ["", "type", "missing", "values", "median", "5 % to 95 %", "drift", "info", "AUC", "by value", "later"]
    rows = []
    for column in document["columns"]:
        at = column.get("quantiles") or {}
        between = f"{_short(at['p5'])} to {_short(at['p95'])}" if at else "–"
        sign = {"up": "↑", "down": "↓"}.get(column["direction"], "")
        figures = [decimal(column["drift"]["psi"], 2), percent(column["information"]), sign + decimal(column["auc"])]
        described = [column["type"], percent(column["missing"]), f"{column['distinct']:,}", _short(at.get("median"))]
        later = [decimal(column["auc_by_value"]), decimal(column["auc_later"])]
        rows.append([text(column["name"]), *described, between, *figures, *later, decimal(column["gauc"])])
    lead = "Arrows say which way a number points. “By value” is the AUC of the values’ mean labels, taken out of fold."
    return section("Every column", lead, table([*head, "GAUC"], rows), anchor="all")


def _name(column: str) -> str:
    """A column's name, which may break after its dots."""
    return text(column).replace(".", ".<wbr>")


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _how(document: Record) -> str:
    window, rows = document.get("window"), document["rows"]
    if window:
        later = f"; from {text(window['later'][:16])} on they are the later part" if window.get("later") else ""
        rows_are = (
            "the items shown on slates" if window["source"] == "exposures" else "the funnel’s candidates for questions"
        )
        zone = " (UTC)" if "T" in window["opens"] else ""
        span = f"from {text(window['opens'][:16])} to {text(window['closes'][:16])}{zone}{later}"
        before = "without them" if window.get("label") else "before the first of them"
        if window.get("label"):
            span = f"whose right answers are the events held out for validation ({text(window['label'])})"
        said = f"Rows are {rows_are} {span}. Channels and features were fitted {before}."
    else:
        said = "Rows are the training rows; drift is measured against the test rows, whose labels were not looked at."
    counted = f"{rows['train']:,} rows were learned from, {rows['later']:,} are the later part."
    return section("How it was measured", "", f"<p>{said}</p><p>{counted}</p>").replace('<p class="lead"></p>', "")
