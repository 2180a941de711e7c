"""The commands of experiments: plan one, see how far it is, see what came of it, take its tables elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortlist.cli import overview, tables, terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import dumps, refuse_unwritable, write_parquet, write_text
from shortlist.progress import step

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(no_args_is_help=True, help="Plan, watch and analyse live experiments.")
File = Annotated[Path, typer.Argument(help="The file of experiments, such as experiments.toml.")]
Name = Annotated[str, typer.Argument(help="The experiment's name, or hold_out.")]
StoreOption = Annotated[str | None, typer.Option("--store", help="The service's store: a directory or redis://...")]
Exposures = Annotated[Path | None, typer.Option(help="Or: a Parquet file of exposures (see `export`).")]
Events = Annotated[Path | None, typer.Option(help="And one of events.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(main: typer.Typer) -> None:
    """Registers the commands of this file."""
    main.add_typer(app, name="experiment", rich_help_panel=overview.ANSWER)


@app.command()
def plan(
    file: File,
    name: Name,
    store: StoreOption = None,
    exposures: Exposures = None,
    events: Events = None,
    days: Annotated[int, typer.Option(min=1, help="Days of the log to plan from.")] = 14,
    baseline: Annotated[float | None, typer.Option(help="Without a log: the metric's level ...")] = None,
    deviation: Annotated[float | None, typer.Option(help="... its standard deviation between users ...")] = None,
    daily: Annotated[float | None, typer.Option(help="... and new users a day.")] = None,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Chance of a false alarm.")] = 0.05,
    power: Annotated[float, typer.Option(min=0.5, max=0.999, help="Chance to find the planned effect.")] = 0.8,
    as_json: AsJson = False,
) -> None:
    """How many users and days it takes to find the effect."""
    from shortlist.experiment import assign
    from shortlist.experiment.analyse import experiment
    from shortlist.experiment.design import read
    from shortlist.experiment.outlook import outlook, told

    design = read(file)
    one = experiment(design, name)
    numbers = {"--baseline": baseline, "--deviation": deviation, "--daily": daily}
    given = {option: value for option, value in numbers.items() if value is not None}
    if given:
        if len(given) < 3 or store or exposures:
            raise InputError(f"give {', '.join(numbers)} together, or a log; found {', '.join(given)}")
        assert baseline is not None and deviation is not None and daily is not None  # noqa: PT018
        share = (one.span[1] - one.span[0]) * (1 - design.hold_out)
        weights = list(assign.weights(design, name).values())
        seen = [daily * share * day for day in range(1, 8)]
        document = told(one.main, baseline, deviation**2, one.effect, weights, seen, alpha, power)
    else:
        shown, happened = _logs(store, exposures, events)
        with progress(), step("plan"):
            document = outlook(design, name, shown, happened, days, alpha, power)
    document = {"experiment": name, **document}
    _print(document, as_json, tables_of_plan)


@app.command()
def status(
    file: File,
    store: StoreOption = None,
    exposures: Exposures = None,
    as_json: AsJson = False,
) -> None:
    """What runs, on whom, and whether the arms hold the users they should."""
    from shortlist.experiment.design import read
    from shortlist.experiment.standing import standing

    design = read(file)
    shown = _logs(store, exposures, None, events_too=False)[0] if store or exposures else None
    _print({"experiments": standing(design, shown)}, as_json, tables_of_status)


@app.command()
def analyse(
    file: File,
    name: Name,
    store: StoreOption = None,
    exposures: Exposures = None,
    events: Events = None,
    users: Annotated[Path | None, typer.Option(help="A table with a column user and those of its slices.")] = None,
    until: Annotated[str | None, typer.Option(help="Leave out what came later; ISO 8601.")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Draw users anew so often, as a second opinion.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None,
    as_json: AsJson = False,
) -> None:
    """What each arm did, and what of it is more than chance."""
    from shortlist import report
    from shortlist.answer import batch
    from shortlist.experiment.analyse import analyse as run
    from shortlist.experiment.design import read

    refuse_unwritable(html)
    design = read(file)
    end = None if until is None else batch.moment(until, "--until")
    shown, happened = _logs(store, exposures, events)
    people = None if users is None else _table(users)
    with progress(), step("analyse"):
        document = run(design, name, shown, happened, people, end, bootstrap)
    if html:
        write_text(html, report.experiment(document))
    _print(document, as_json, tables_of_analysis)


@app.command()
def export(
    store: Annotated[str, typer.Argument(help="The service's store: a directory or redis://...")],
    out: Annotated[Path, typer.Option(help="Folder for exposures.parquet and events.parquet.")] = Path("."),
) -> None:
    """Write what was answered and what happened as Parquet files."""
    out.mkdir(parents=True, exist_ok=True)
    shown, happened = _logs(store, None, None)
    for what, frame in (("exposures", shown), ("events", happened)):
        write_parquet(frame, out / f"{what}.parquet")
        terminal.out.print(f"{len(frame):,} rows in {out / what}.parquet")


def _logs(
    store: str | None, exposures: Path | None, events: Path | None, events_too: bool = True
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Exposures and events, of a store or of files; raises ``InputError`` saying what is missing."""
    import polars as pl

    from shortlist.experiment.outcomes import EVENTS, EXPOSURES, checked

    if (store is None) == (exposures is None):
        raise InputError("give either --store DIRECTORY or --exposures FILE.parquet" + " (and --events)" * events_too)
    if exposures is not None:
        shown = checked(_table(exposures), EXPOSURES, str(exposures), ("request_id", "user", "time", "arms"))
        if events is None:
            if events_too:
                raise InputError("--exposures FILE needs --events FILE")
            return shown, pl.DataFrame(schema=EVENTS)
        return shown, checked(_table(events), EVENTS, str(events), ("user", "item", "event", "time"))
    if events is not None:
        raise InputError("--events FILE goes with --exposures FILE; a store has its own")
    try:
        from shortlist.serve import exports
        from shortlist.serve.store import open_store
    except ModuleNotFoundError as error:
        raise InputError(f"a store needs the package {error.name!r}: pip install 'shortlist[serve]'") from error
    assert store is not None
    if "://" not in store and not (Path(store) / "data.mdb").exists():
        raise InputError(f"--store {store}: no store; expected the directory that `shortlist serve --store` was given")
    opened = open_store(store)
    try:
        with progress():
            return exports.exposures(opened), exports.events(opened) if events_too else pl.DataFrame(schema=EVENTS)
    finally:
        opened.close()


def _table(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a Parquet or .csv table: {error}") from error


def _print(document: dict[str, Any], as_json: bool, drawn: Any) -> None:
    if as_json:
        sys.stdout.write(dumps(document))
        return
    for shown in drawn(document):
        terminal.out.print(shown)


def tables_of_plan(document: dict[str, Any]) -> list[Any]:
    """Users and days, and what could be found after so many weeks."""
    decimal = tables.decimal
    said = [
        f"{document['metric']} is {decimal(document['baseline'], 4)}, between users it varies by "
        f"{decimal(document['deviation'], 4)}",
        f"to find {document['effect']:+.1%} with a power of {document['power']:.0%}: {document['users']:,} users, "
        f"{_days(document['days'])}",
        f"if you look every day and go by the always-valid interval, at most: {document['peeking']['users']:,} users, "
        f"{_days(document['peeking']['days'])}",
    ]
    shown = tables.table("what could be found", ("after", "users", "effect"), ("after",))
    for line in document["detectable"]:
        found = f"{line['effect']:+.1%}" if line["effect"] != float("inf") else "–"
        shown.add_row(f"{line['weeks']} weeks", f"{line['users']:,}", found)
    ratio = document["sample_ratio"]
    split = f"{ratio['true']:.1%} of users in an arm that should have {ratio['expected']:.1%}"
    told = f"{split} are noticed with {ratio['users']:,} users"
    return [*said, "", shown, told]


def _days(days: float) -> str:
    return "which never come" if days == float("inf") else f"{days:,.0f} days"


def tables_of_status(document: dict[str, Any]) -> list[Any]:
    """One row an arm."""
    heads = ("experiment", "layer", "span", "from", "until", "share", "arm", "expected", "users", "split")
    shown = tables.table("experiments", heads, (*heads[:5], "arm"))
    for name, one in document["experiments"].items():
        for number, (arm, line) in enumerate(one["arms"].items()):
            p = one["sample_ratio"]
            split = "–" if p is None or p != p else ("MISMATCH" if p < 0.001 else "as expected")
            span = f"{one['span'][0]:g}–{one['span'][1]:g}"
            moments = [(moment or "–")[:16].replace("T", " ") for moment in (one["start"], one["stop"])]
            first = [name, one["layer"], span, *moments, f"{one['share']:.0%}"]
            users = "–" if line["users"] is None else f"{line['users']:,}"
            head = first if not number else [""] * 6
            shown.add_row(*head, arm, f"{line['expected']:.0%}", users, "" if number else split)
    return [shown]


def tables_of_analysis(document: dict[str, Any]) -> list[Any]:
    """Users, then each metric of each arm beside the first one's, then what to make of it."""
    if "interleaved" in document:
        told = f"{document['clicked_users']:,} of {document['users']:,} users clicked: {document['clicks']}"
        middle = f"preference {document['preference']:+.3f} ({document['low']:+.3f}, {document['high']:+.3f})"
        return [told, f"{middle}, p {document['p']:.4f}: {document['verdict']}"]
    control = document["arms"][0]["arm"]
    users = ", ".join(f"{arm['arm']} {arm['users']:,}" for arm in document["arms"])
    lines = [f"{document['experiment']}: {document['days']:g} days until {document['until'][:16]}, users: {users}"]
    if document["sample_ratio"]["mismatch"]:
        p = document["sample_ratio"]["p"]
        lines.append(f"SAMPLE RATIO MISMATCH (p = {p:.2g}): the arms lose users unequally; believe no figure below")
    heads = ("metric", "arm", control, "its own", "lift", "95 %", "p", "Holm", "")
    shown = tables.table(f"beside {control}; decided by: {document['decided_by']}", heads, ("metric", "arm", ""))
    shown.caption = "* decides; (g) guardrail; p: " + ("fixed sample" if document["ended"] else "always-valid")
    for line in document["metrics"]:
        mark = " *" if line["metric"] == document["main"] else " (g)" if line["guardrail"] else ""
        for one in line["comparisons"]:
            sure = one if document["ended"] else one["always"]
            shown.add_row(
                line["metric"] + mark, one["arm"], _figure(one["control"]), _figure(one["treatment"]),
                _percent(one["lift"]), f"{_percent(one['lift_low'])} {_percent(one['lift_high'])}",
                tables.decimal(sure["p"]), tables.decimal(sure["p_holm"]), one["verdict"],
            )  # fmt: skip
    for arm, one in document["coverage"].items():
        lines.append(f"coverage: {arm} {one['treatment']:.0f} items, {control} {one['control']:.0f}, of as many rows")
    return [lines[0], *lines[1:], "", shown]


def _figure(value: float) -> str:
    """Four digits that count."""
    return "–" if value != value else f"{value:.4g}"


def _percent(value: float) -> str:
    return "–" if value != value else f"{value:+.1%}"
