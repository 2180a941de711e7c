"""The command that lets simulated people live with a recommender."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist.cli import overview, tables, terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import dumps, refuse_unwritable, write_parquet, write_text

app = typer.Typer(no_args_is_help=True, help="Let simulated people live with a recommender.")
Users = Annotated[int, typer.Option(min=1, help="How many people.")]
Items = Annotated[int, typer.Option(min=2, help="How many items.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything drawn.")]
Days = Annotated[int, typer.Option(min=1, help="Days to play.")]
Before = Annotated[int, typer.Option(min=1, help="Days of the log before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(main: typer.Typer) -> None:
    """Registers the commands of this file."""
    main.add_typer(app, name="simulate", rich_help_panel=overview.IMPROVE)


def _population(users: int, items: int, days: int, seed: int) -> Any:
    from shortlist.testing.population import Population

    return Population(users=users, items=items, days=days, seed=seed)


@app.command()
def log(
    out: Annotated[Path, typer.Argument(help="Folder for events.csv, items.csv and a recipe.")],
    users: Users = 300,
    items: Items = 200,
    before: Before = 30,
    days: Annotated[int, typer.Option(min=0, help="Days to be played later: items go on being born.")] = 30,
    seed: Seed = 0,
) -> None:
    """Write what people did before there was a recommender, and a recipe."""
    import json

    from shortlist.testing.closed_loop import recipe, write_log

    with progress():
        told = write_log(_population(users, items, before + days, seed), out, before)
    write_text(out / "recipe.toml", "".join(_toml(recipe("taste", out), json.dumps)))
    terminal.out.print(f"{len(told):,} events in {out / 'events.csv'}, the items in {out / 'items.csv'}")
    terminal.out.print(f"fit it:  shortlist fit {out / 'recipe.toml'}")


@app.command()
def service(
    url: Annotated[str, typer.Argument(help="A running service over such a log, as http://127.0.0.1:8000.")],
    users: Users = 300,
    items: Items = 200,
    before: Before = 30,
    days: Days = 14,
    n: Annotated[int, typer.Option("-n", min=1, max=500, help="Items a slate.")] = 10,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Parquet file for every row shown, with its true chance.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let the people of a log ask a running service, click and buy.

    With the options that the log was written with, the same people go on where it ended. The service's clock is its
    own.
    """
    from shortlist.testing.play import Service, play, truth

    refuse_unwritable(out)
    people = _population(users, items, before + 30, seed)
    with progress():
        people.log(before)
        rows = play(people, Service(url), days, n)
    if out is not None:
        write_parquet(rows, out)
    told = truth(rows).to_dicts()
    if as_json:
        sys.stdout.write(dumps({"rows": len(rows), "truth": told}))
        return
    shown = tables.table("in truth", ("arms", "users", "rows", "click rate", "position"), ("arms",))
    for line in told:
        cells = (f"{line['users']:,}", f"{line['shown']:,}", tables.decimal(line["ctr"], 4))
        shown.add_row(line["arms"] or "none", *cells, tables.decimal(line["position"], 2))
    terminal.out.print(shown)


@app.command()
def loop(
    out: Annotated[Path, typer.Argument(help="An empty folder for log, bundles, store and results.")],
    users: Users = 600,
    items: Items = 200,
    before: Before = 30,
    days: Days = 14,
    seed: Seed = 0,
    html: Annotated[Path | None, typer.Option(help="Write the experiment's page here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Two bundles, one better by construction: service, people, analysis."""
    from shortlist import report

    try:
        from shortlist.testing.closed_loop import closed_loop
    except ModuleNotFoundError as error:
        raise InputError(f"serving needs the package {error.name!r}: pip install 'shortlist[serve]'") from error
    refuse_unwritable(html)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: expected an empty folder, or none")
    with progress():
        document = closed_loop(_population(users, items, before + days, seed), out, days, before)
    if html is not None:
        write_text(html, report.experiment(document["analysis"]))
    if as_json:
        sys.stdout.write(dumps(document))
        return
    from shortlist.cli.experiments import tables_of_analysis

    for shown in tables_of_analysis(document["analysis"]):
        terminal.out.print(shown)
    lift, position = document["lift"], document["position"]
    terminal.out.print(
        f"\nin truth the lift is {lift['true']:+.1%}, found {lift['found']:+.1%} "
        f"({lift['low']:+.1%}, {lift['high']:+.1%}); clicks move by {position['true']:+.2f} places, found "
        f"{position['found']:+.2f}"
    )
    for line, holds in document["agrees"].items():
        terminal.out.print(f"{'yes' if holds else 'NO ':3}  {line}")


def _toml(table: dict[str, Any], said: Any, path: str = "") -> list[str]:
    """A nested table as TOML: values first, then its tables."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"\n[{path}]\n"] if path and (plain or not table) else []
    for key, value in plain.items():
        if isinstance(value, list):
            inner = ", ".join("{ " + ", ".join(f"{k} = {said(v)}" for k, v in one.items()) + " }" for one in value)
            lines.append(f"{key} = [{inner}]\n")
        else:
            lines.append(f"{key} = {said(value)}\n")
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _toml(value, said, f"{path}.{key}".lstrip("."))
    return lines
