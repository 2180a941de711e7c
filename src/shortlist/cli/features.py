"""The command that looks at a recipe's feature columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from shortlist.cli import overview, tables, terminal
from shortlist.cli.progress import progress
from shortlist.documents import dumps, refuse_unwritable, write_text

KINDS = {"number": "num", "category": "cat", "list": "list"}
CURVED = 0.02
"""By how much a number's AUC by its values must exceed that of the number itself to be shown instead."""


def add_to(app: typer.Typer) -> None:
    """Registers the command of this file."""
    app.command(rich_help_panel=overview.IMPROVE)(features)


def features(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/movielens-100k.toml.")],
    data: Annotated[Path | None, typer.Option("--data", help="Relative paths in the recipe start here.")] = None,
    set: Annotated[list[str] | None, typer.Option("--set", help="Override: samples.negatives=50.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None,
    importance: Annotated[
        bool, typer.Option("--importance", help="Fit the rankers; what do they lose without each column?")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Times each column is shuffled.")] = 3,
    top: Annotated[int, typer.Option(min=0, help="Columns shown here; 0 = all. JSON and page have all.")] = 40,
) -> None:
    """Profile every feature column: gaps, drift, worth alone, leaks."""
    from shortlist.columns import report
    from shortlist.recipe import read
    from shortlist.report import _features as page

    refuse_unwritable(as_json, html)
    with progress():
        document = report.run(read(recipe, set or ()), root=data, importance=importance, repeats=repeats)
    if as_json:
        write_text(as_json, dumps(document))
    if html:
        write_text(html, page.page(document))
    terminal.out.print(_table(document, top))
    if any(column["warnings"] for column in document["columns"]):
        terminal.out.print(_warned(document["columns"]))
    for ranker, found in document.get("importance", {}).get("rankers", {}).items():
        terminal.out.print(_lost(ranker, found, document["importance"], top))


def _table(document: Mapping[str, Any], top: int) -> Any:
    """One line a column, those that tell most alone first."""
    rows, funnel = document["rows"], document["funnel"]
    title = f"{document['name']}: {len(document['columns'])} columns of {rows['train']:,} rows" + (
        f" of {rows['requests']:,} requests" if funnel else ""
    )
    heads = ["", "kind", "missing", "drift", "info", "AUC", *(["later", "GAUC"] if funnel else [])]
    table = tables.table(title, heads, ("kind",))
    table.columns[0].justify = "left"
    for column in document["columns"][: top or None]:
        curved = column["auc_by_value"] is not None and column["auc_by_value"] > (column["auc"] or 0.0) + CURVED
        sign = "~" if curved else {"up": "↑", "down": "↓"}.get(column["direction"], "")
        cells = [
            escape(column["name"]),
            KINDS[column["type"]],
            f"{100 * column['missing']:.0f} %",
            tables.decimal(column["drift"]["psi"]),
            f"{100 * (column['information'] or 0.0):.1f} %",
            sign + tables.decimal(column["auc_by_value"] if curved else column["auc"]),
            *([tables.decimal(column["auc_later"]), tables.decimal(column["gauc"])] if funnel else []),
        ]
        table.add_row(*cells, style="bold red" if column["suspect"] else "")
    hidden = len(document["columns"]) - table.row_count
    table.caption = (
        "drift: population stability index of the later part; info: share of the label's entropy explained beyond "
        "chance; AUC: rising ↑, falling ↓, or by its values' mean labels, out of fold ~"
    ) + (f"; {hidden} more: --top 0" if hidden else "")
    return table


def _warned(columns: Sequence[Mapping[str, Any]]) -> Any:
    """The columns with warnings."""
    table = tables.table("what to look at", ("column", "warning"), ("column", "warning"))
    for column in sorted(columns, key=lambda column: not column["suspect"]):
        if column["warnings"]:
            style = "bold red" if column["suspect"] else ""
            table.add_row(escape(column["name"]), escape("; ".join(column["warnings"])), style=style)
    return table


def _lost(ranker: str, found: Mapping[str, Any], asked: Mapping[str, Any], top: int) -> Any:
    """What a ranker loses without a column, the largest loss first."""
    figures = found["figures"]
    said = ", ".join(f"{name} {tables.decimal(value, 4)}" for name, value in figures.items())
    title = f"ranker {ranker}: {said} on {asked['rows']:,} rows; lost when shuffled ({asked['repeats']} times)"
    table = tables.table(title, ["", *(f"{name} lost" for name in figures)])
    first = found["by"]
    for kind in ("families", "columns"):
        drops = sorted(found[kind].items(), key=lambda pair: -(pair[1][first]["drop"] or 0.0))
        for name, drop in drops[: top or None]:
            label = f"all of {name}" if kind == "families" else name
            table.add_row(escape(label), *(_spread(drop[measure]) for measure in figures))
        table.add_section()
    return table


def _spread(drop: Mapping[str, float | None]) -> str:
    said = tables.decimal(drop["drop"], 4, sign=True)
    return said if drop["deviation"] is None else f"{said} ± {tables.decimal(drop['deviation'], 4)}"
