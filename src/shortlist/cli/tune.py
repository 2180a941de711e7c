"""The command that chooses hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shortlist.cli import leaderboards, overview, terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import refuse_unwritable, write_text
from shortlist.durations import microseconds

if TYPE_CHECKING:
    from shortlist.tuning import Tuned

BUDGET = "10m"
"""Time for a whole recipe, where neither a time nor a number of settings is given."""


def add_to(app: typer.Typer) -> None:
    """Registers the command of this file."""
    app.command(rich_help_panel=overview.IMPROVE)(tune)


def tune(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/movielens-100k.toml.")],
    data: Annotated[Path | None, typer.Option("--data", help="Relative paths in the recipe start here.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything: 10m, 1h; default 10m.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Tune only this channel; may be repeated.")] = None,
    ranker: Annotated[list[str] | None, typer.Option(help="Tune only this ranker; may be repeated.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Tune only the merge.")] = False,
    formula: Annotated[bool, typer.Option("--formula", help="Of rankers, tune only the numbers in blend.")] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Settings to try for each; default by --budget.")] = None,
    metric: Annotated[str | None, typer.Option(help="What to maximise: ndcg@10, recall@50 ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search; default the recipe's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Recipe to write; default RECIPE-tuned.toml beside it.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write every trial here.")] = None,
    minutes: Annotated[float | None, typer.Option(hidden=True, help="What --budget was called before.")] = None,
) -> None:
    """Tune a whole recipe before the test window, write the best.

    Channels, merge, features, samples and rankers in turn; a change stays where it gains more than chance.

    With --channel, --ranker, --merge or --formula only these, 50 settings each.

    Ctrl-C keeps the best so far. What was tried is in OUT.json; the same command goes on from there.
    """
    from shortlist import tuning
    from shortlist.recipe import read

    if minutes is not None:
        raise InputError(f"--minutes {minutes:g}: is called --budget now: --budget {minutes:g}m")
    seconds = None if budget is None else _seconds(budget)
    read_recipe, text = read(recipe), recipe.read_text(encoding="utf-8")
    target = out or recipe.with_name(f"{recipe.stem}-tuned.toml")
    refuse_unwritable(target, as_json)
    names = tuple(channel or ()), tuple(ranker or ())
    asked = tuning.Asked(*names, merge=merge, formula=formula, trials=trials, seconds=seconds, metric=metric, seed=seed)
    if asked.whole and trials is None and budget is None:
        asked = tuning.Asked(seconds=_seconds(BUDGET), metric=metric, seed=seed)
    record = target.with_suffix(".json")
    earlier = None
    if asked.whole and record.exists():
        earlier = _earlier(record, target, text)
    if out is None and earlier is None and target.exists():
        raise InputError(f"{target}: exists; give --out {target} to replace it, or another name")
    if earlier is not None:
        tried = len(earlier.document["tried"])
        terminal.err.print(f"goes on from {record}: {tried:,} tried before", markup=False)
    name = read_recipe.name if target == recipe else f"{read_recipe.name.removesuffix('-tuned')}-tuned"

    def keep(tuned: Tuned) -> None:
        write_text(target, tuned.text)
        if asked.whole:
            write_text(record, _json(tuned))

    with progress():
        tuned = tuning.tune(read_recipe, text, asked, root=data, name=name, earlier=earlier, keep=keep)
    keep(tuned)
    if as_json is not None:
        write_text(as_json, _json(tuned))
    if asked.whole:
        terminal.out.print(leaderboards.parts(tuned.document))
    else:
        for section in tuned.document["sections"]:
            terminal.out.print(leaderboards.tuned(section))
    if tuned.document["left"]:
        terminal.out.print(f"stopped before {', '.join(tuned.document['left'])}")
    if asked.whole:
        terminal.out.print(f"all that was tried is in {record}; the same command goes on from there")
    terminal.out.print(f"wrote {target}; a gain is measured where it was chosen and flatters, later events decide:")
    terminal.out.print(f"shortlist compare {recipe} {target}" if read_recipe.recall else f"shortlist fit {target}")


def _seconds(budget: str) -> float:
    """Raises ``InputError`` where it is no length of time."""
    try:
        found = float(microseconds(budget)) / 1e6
    except ValueError as error:
        raise InputError(f"--budget {budget}: expected a length of time such as 10m or 1h") from error
    if found <= 0:
        raise InputError(f"--budget {budget}: expected more than no time")
    return found


def _earlier(record: Path, target: Path, source: str) -> Tuned | None:
    """What the same command left, if nobody has changed the recipe since; raises ``InputError`` on another file."""
    from shortlist.tuning import Tuned

    try:
        document = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        document = None
    if not isinstance(document, dict) or "tried" not in document:
        raise InputError(f"{record}: is not what tune has tried, and would be replaced; give --out another name")
    if not target.exists():
        return None
    found = Tuned(document, target.read_text(encoding="utf-8"))
    return found if found.goes_on(source) else None


def _json(tuned: Tuned) -> str:
    return json.dumps(tuned.document, indent=1, ensure_ascii=False) + "\n"
