"""Commands about what recipes are made of: components, templates, drafts and data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist import registry
from shortlist.cli import overview, tables, terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import dumps, write_text
from shortlist.progress import step

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OWN = "tables"
"""The source of a user's own files: a recipe names them, so there is nothing to fetch."""

data_app = typer.Typer(no_args_is_help=True, help="Named public data sets: list, get, show.")


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this file."""
    app.command(rich_help_panel=overview.BEGIN)(init)
    app.add_typer(data_app, name="data", rich_help_panel=overview.BEGIN)
    app.command("list", rich_help_panel=overview.BEGIN)(list_components)
    app.command(rich_help_panel=overview.BEGIN)(new)


def list_components(
    kind: Annotated[str | None, typer.Argument(help="recall, merge, features, rank, rules or metrics.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what recipes may name."""
    from shortlist import metrics

    kinds = [kind] if kind else [*registry.KINDS, "metrics"]
    listed: dict[str, list[dict[str, Any]]] = {}
    for each in kinds:
        if each not in registry.KINDS and each != "metrics":
            raise InputError(f"list {each}: expected one of {', '.join([*registry.KINDS, 'metrics'])}")
        entries = metrics.entries() if each == "metrics" else [registry.entry(each, n) for n in registry.names(each)]
        listed[each] = [
            {"name": e.name, "summary": e.summary, "reference": e.reference, "available": e.available} for e in entries
        ]
    if as_json:
        sys.stdout.write(dumps(listed[kind] if kind else listed))
        return
    for each, entries_ in listed.items():
        terminal.out.print(tables.components(each, entries_))


def new(
    kind: Annotated[str, typer.Argument(help="recall, merge, features, rank or rules.")],
    name: Annotated[str, typer.Argument(help="File name, such as my_channel.")],
    into: Annotated[Path | None, typer.Option("--dir", help="Folder to write to; default the package's own.")] = None,
) -> None:
    """Write a new component that works as it stands."""
    from shortlist.cli.scaffold import write

    terminal.out.print(f"wrote {write(kind, name, into)}")


def init(
    events: Annotated[Path, typer.Argument(help="The log: csv, gz, parquet; or with --label a plain table.")],
    items: Annotated[Path | None, typer.Option(help="The catalogue.")] = None,
    users: Annotated[Path | None, typer.Option(help="The user table.")] = None,
    label: Annotated[str | None, typer.Option(help="A plain table for rankers: the column that is learned.")] = None,
    test: Annotated[Path | None, typer.Option(help="With --label: a file of the rows to test on.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the recipe here instead of printing it.")] = None,
    requests: Annotated[str, typer.Option(help="How it will be asked: replay, or start (all at once).")] = "replay",
    trials: Annotated[bool, typer.Option(help="Try channels on the log (15 to 60 s), before its test window.")] = True,
) -> None:
    """Draft a recipe: look at the columns, try channels on the log."""
    from shortlist.draft import draft
    from shortlist.draft.rows import draft_rows

    if out is not None and out.exists():
        raise InputError(f"{out}: exists; choose another --out")
    if label is not None and (items or users):
        raise InputError("--label: a plain table has no catalogue or users beside it; leave out --items, --users")
    if label is None and test is not None:
        raise InputError("--test: the rows to test on of a plain table; say which column is learned (--label)")
    with progress():
        if label is None:
            text = draft(events, items, users, requests=requests, trials=trials)
        else:
            text = draft_rows(events, label, test)
    if out is None:
        sys.stdout.write(text)
        return
    write_text(out, text)
    terminal.out.print(f"wrote {out}; next: shortlist fit {out}")


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """The data sets that pip brings."""
    from shortlist.data.sources import source_names, summary

    found = [{"name": name, "summary": summary(name)} for name in source_names() if name != OWN]
    if as_json:
        sys.stdout.write(dumps(found))
    else:
        for line in found:
            terminal.out.print(f"{line['name']:20} {line['summary']}")


@data_app.command("get")
def data_get(name: Annotated[str, typer.Argument(help="As in shortlist data list.")]) -> None:
    """Fetch a data set into the cache."""
    _load(name)
    terminal.out.print(f"{name} is in the cache")


@data_app.command("show")
def data_show(name: Annotated[str, typer.Argument(help="As in shortlist data list.")]) -> None:
    """Look at the first rows of each table of a data set."""
    loaded = _load(name)
    for table in ("events", "items", "users", "train", "test"):
        frame = getattr(loaded, table, None)
        if frame is not None:
            terminal.out.print(f"{table}: {len(frame):,} rows")
            terminal.out.print(str(frame.head(5)))


def _load(name: str) -> Any:
    """The tables of a named data set."""
    from shortlist.data.sources import source
    from shortlist.data.spec import DataSpec

    if name == OWN:
        raise InputError(f"data {name}: is for your own files; shortlist init EVENTS drafts a recipe from them")
    load = source(name)
    with progress(), step(f"data set {name}"):
        return load(DataSpec(source=name), None)
