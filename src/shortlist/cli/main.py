"""The command line. Exit codes: 0 done; 2 the input is wrong (one line says what); 1 a bug."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

import shortlist
from shortlist.cli import threads  # noqa: F401 - before numpy is loaded

# isort: split
from shortlist.cli import (
    again,
    features,
    front,
    leaderboards,
    off_policy,
    overview,
    parts,
    price,
    simulate,
    tables,
    terminal,
    tune,
)
from shortlist.cli import experiments as trials
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import dumps, refuse_unwritable, write_parquet, write_text
from shortlist.progress import step

if TYPE_CHECKING:
    from shortlist.bundle import Bundle

app = typer.Typer(
    cls=overview.Overview,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
parts.add_to(app)
tune.add_to(app)
features.add_to(app)
trials.add_to(app)
simulate.add_to(app)

RecipePath = Annotated[Path, typer.Argument(help="A recipe, such as recipes/movielens-100k.toml.")]
BundlePath = Annotated[Path, typer.Argument(help="A bundle directory, such as runs/NAME/bundle.")]
Root = Annotated[Path | None, typer.Option("--data", help="Relative paths in the recipe start here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The entry point: turns wrong input into one line and exit code 2."""
    try:
        app()
    except InputError as error:
        terminal.fail(str(error))
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        terminal.fail(f"{error.filename}: {error.strerror}")  # a path that cannot be read or written
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.out.print(f"shortlist {shortlist.__version__}")
        raise typer.Exit


@app.callback()
def shown_first(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Shortlist: from a catalogue of millions to the ten that matter."""


def _open(path: Path, *, trust: bool = False) -> Bundle:
    """The bundle; reading a large one shows."""
    from shortlist.bundle import open_bundle

    with progress(), step("open bundle"):
        return open_bundle(path, trust=trust)


@app.command(rich_help_panel=overview.MEASURE)
def fit(
    recipe: RecipePath,
    data: Root = None,
    out: Annotated[Path | None, typer.Option(help="Where to leave the results; default runs/NAME.")] = None,
    set: Annotated[list[str] | None, typer.Option("--set", help="Override: recall.cf.neighbours=200.")] = None,
    final: Annotated[bool, typer.Option("--final", help="Refit channels at the end of the log, for serving.")] = False,
) -> None:
    """Fit the funnel, evaluate it on later events and publish a bundle."""
    from shortlist import report, train
    from shortlist.recipe import read
    from shortlist.tabular import experiment

    read_recipe = read(recipe, set or ())
    out = out or Path("runs") / read_recipe.name
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: expected a folder, found a file")
    with progress():
        if not read_recipe.recall:
            document = experiment.run(read_recipe, root=data, out=out)
            terminal.out.print(leaderboards.rankers(document))
            return
        fitted = train.fit(read_recipe, root=data, out=out, final=final, overrides=set or ())
        report.write(fitted.evaluation, out / "report.html")
    example = _example(out / "bundle")
    document = fitted.evaluation.document
    over = [leaderboards.windows(document), ""] if "windows" in document else []
    terminal.out.print(leaderboards.leaderboard(document), "", *over, *price.tables(document), *example)
    gib = document["peak_memory_bytes"] / 2**30
    terminal.out.print(f"fitted and evaluated in {document['fit_seconds']:.0f} s, peak memory {gib:.2f} GiB")
    terminal.out.print(f"left in {out}: bundle, report.html, evaluation.json, rows.parquet (the lists)")
    terminal.out.print(f"serve it:  shortlist serve {out / 'bundle'} --clock log")


def _example(path: Path) -> list[Any]:
    """A slate with reasons: that of the user of the last event that has one, or nothing."""
    import numpy as np

    from shortlist import answer

    opened = _open(path, trust=True)  # made here just now
    users = opened.data.events.user[opened.data.events.user >= 0]
    if not len(users):
        return []
    state, user = opened.data.state(), int(users[-1])
    requests = answer.requests_of(state, np.array([user]), max(state.last, opened.pipeline.fitted_until or 0))
    found = answer.recommend(opened.pipeline, state, requests, 10)
    told = answer.tell(found, opened.pipeline, opened.data)
    return [tables.slate(opened.data.user_ids.ids[user], told[0], whole=False)]


@app.command(rich_help_panel=overview.MEASURE)
def evaluate(
    bundle: BundlePath,
    data: Root = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write evaluation.json here.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Write the lists (rows.parquet) here.")] = None,
) -> None:
    """Evaluate a bundle again on the events after it was fitted."""
    from shortlist.evaluate import evaluate as run

    refuse_unwritable(as_json, rows)
    opened = _open(bundle)
    with progress():
        log = again.log_of(opened, bundle, data)
        evaluation = run(
            opened.pipeline, log, opened.recipe.evaluate, opened.manifest["cuts"]["test"], seed=opened.recipe.seed
        )
    document = {"name": opened.recipe.name, "bundle": opened.hash[:12], **evaluation.document}
    if as_json:
        write_text(as_json, dumps(document))
    if rows:
        write_parquet(evaluation.rows, rows)
    terminal.out.print(leaderboards.leaderboard(document), "", *price.tables(document))


@app.command(rich_help_panel=overview.MEASURE)
def compare(
    recipes: Annotated[list[Path], typer.Argument(help="Recipes (fitted where runs/NAME is not theirs) or runs.")],
    data: Root = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the comparison here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fit each with so many seeds, from its own on.")] = 1,
    along: Annotated[
        str | None, typer.Option(help="One run along a rule's setting: rules.mmr.trade_off=0.1..1.")
    ] = None,
) -> None:
    """Pair experiments request by request: the first is the baseline.

    With --along draw the front of accuracy against diversity of a single run; nothing is fitted again.
    """
    from shortlist import report
    from shortlist.cli.runs import runs_of
    from shortlist.evaluate import compare as comparison

    refuse_unwritable(as_json, html)
    runs = runs_of(recipes, data, seeds)
    if along is not None:
        front.show([folders[0] for folders in runs], along, data, as_json, html)
        return
    document = comparison.compare(runs)
    if as_json:
        write_text(as_json, dumps(document))
    if html:
        write_text(html, report.comparison(document))
    terminal.out.print(*leaderboards.comparison(document))


off_policy.add_to(app)


@app.command(rich_help_panel=overview.ANSWER)
def recommend(
    bundle: BundlePath,
    user: Annotated[str | None, typer.Option(help="One user's id.")] = None,
    users: Annotated[Path | None, typer.Option(help="A file of ids: one a line, or a table with column user.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file for --users.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="Items a user.")] = 10,
    time: Annotated[str | None, typer.Option(help="Now, as ISO 8601; default the end of the bundle's log.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recommend to one user, or to a file of users."""
    import numpy as np

    from shortlist import answer
    from shortlist.answer import batch
    from shortlist.data import ids

    if (user is None) == (users is None):
        raise InputError("give either --user ID or --users FILE")
    if users is not None and out is None:
        raise InputError("--users FILE needs --out FILE.parquet")
    refuse_unwritable(out)
    many = ids.read(users, "user") if users is not None else []
    opened = _open(bundle)
    state = opened.data.state()
    now = batch.moment(time) if time else max(state.last, opened.pipeline.fitted_until or 0)
    if user is not None:
        requests = answer.requests_of(state, np.array([answer.user_code(opened.data, user)]), now)
        with progress(), step("recommend"):
            found = answer.recommend(opened.pipeline, state, requests, n)
        told = answer.tell(found, opened.pipeline, opened.data, explain)[0]
        if as_json:
            sys.stdout.write(json.dumps({"user": user, "bundle": opened.hash[:12], "items": told}) + "\n")
        else:
            terminal.out.print(tables.slate(user, told))
        return
    assert users is not None
    assert out is not None
    with progress():
        many = batch.known_users(many, opened, users)
        frame = batch.score(opened, state, many, now, n, explain)
    write_parquet(frame, out)
    terminal.out.print(f"{frame['user'].n_unique():,} users, {len(frame):,} rows in {out}")


@app.command(rich_help_panel=overview.ANSWER)
def similar(
    bundle: BundlePath,
    item: Annotated[str, typer.Option(help="An item's id.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Items most like one, by each channel that compares items."""
    from shortlist import answer

    opened = _open(bundle)
    found = answer.similar(opened.pipeline, opened.data, answer.item_code(opened.data, item), n)
    if as_json:
        sys.stdout.write(json.dumps({"item": item, "channels": found}) + "\n")
    else:
        terminal.out.print(tables.neighbours(item, found))


@app.command(rich_help_panel=overview.ANSWER)
def topics(
    bundle: BundlePath,
    user: Annotated[str | None, typer.Option(help="The items nearest to this user instead.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many items of each.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Topics that lfm found: the items that load most on each factor."""
    from shortlist import answer

    opened = _open(bundle)
    if user is not None:
        near = answer.top_like(opened.pipeline, opened.data, answer.user_code(opened.data, user), n)
        told: Any = {"user": user, "channels": near}
        shown = tables.neighbours(user, near)
    else:
        found = answer.topics(opened.pipeline, opened.data, n)
        told = {"topics": found}
        rows = {f"{name} {f}": items for name, lists in found.items() for f, items in enumerate(lists)}
        shown = tables.neighbours("topics", rows)
    if not (told["topics"] if user is None else told["channels"]):
        raise InputError(f"{bundle}: no channel of it has topics; lfm has")
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        shown.title = "topics" if user is None else f"nearest to user {user}"
        terminal.out.print(shown)


@app.command(rich_help_panel=overview.ANSWER)
def serve(
    bundle: BundlePath,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    store: Annotated[
        str, typer.Option(help="Where live events are kept: a directory or redis://...")
    ] = "./shortlist-store",
    clock: Annotated[str, typer.Option(help="wall, or log: the data's last moment plus uptime.")] = "wall",
    record_shown: Annotated[
        bool, typer.Option("--record-shown", help="Keep every item of an answer as shown.")
    ] = False,
    experiments: Annotated[Path | None, typer.Option(help="experiments.toml; heeded when it changes.")] = None,
) -> None:
    """Serve recommendations over HTTP, with live events."""
    try:
        from shortlist.serve.app import run
    except ModuleNotFoundError as error:
        raise InputError(f"serving needs the package {error.name!r}: pip install 'shortlist[serve]'") from error
    if clock not in ("wall", "log"):
        raise InputError(f"--clock {clock}: expected wall or log")
    kind = cast(Literal["wall", "log"], clock)
    run(bundle, host, port, workers, store, kind, record_shown, experiments)


@app.command(rich_help_panel=overview.MEASURE)
def report(
    bundle: BundlePath, out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html")
) -> None:
    """Write a run's page again from its evaluation.json."""
    from shortlist import report as pages

    near = (bundle / "evaluation.json", bundle.parent / "evaluation.json", bundle.parent.parent / "evaluation.json")
    file = next((place for place in near if place.is_file()), near[1])
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{file}: not found; expected beside the bundle, where fit leaves it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: truncated or not JSON: {error}") from error
    if "slate" not in document:
        raise InputError(f"{file}: not the evaluation of a funnel, so there is no page to draw")
    write_text(out, pages.page(document))
    terminal.out.print(f"wrote {out}")


if __name__ == "__main__":
    main()
