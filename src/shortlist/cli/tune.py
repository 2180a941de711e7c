"""The command that chooses hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli import leaderboards, overview, terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError
from shortlist.documents import refuse_unwritable, write_text


def add_to(app: typer.Typer) -> None:
    """Registers the command of this file."""
    app.command(rich_help_panel=overview.IMPROVE)(tune)


def tune(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/movielens-100k.toml.")],
    data: Annotated[Path | None, typer.Option("--data", help="Relative paths in the recipe start here.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Tune this channel; may be repeated.")] = None,
    ranker: Annotated[list[str] | None, typer.Option(help="Tune this ranker; may be repeated.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Tune the merge.")] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Settings to try for each; default 50.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Time for everything together.")] = None,
    metric: Annotated[str | None, typer.Option(help="What to maximise: ndcg@10, recall@50 ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search; default the recipe's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Recipe to write; default RECIPE-tuned.toml beside it.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write every trial here.")] = None,
) -> None:
    """Search hyperparameters before the test window, write a recipe.

    Without --channel, --ranker or --merge: every channel in turn, or every ranker of a recipe without channels.

    Ctrl-C ends the search and keeps the best so far.
    """
    from shortlist import tuning
    from shortlist.recipe import read

    read_recipe = read(recipe)
    target = out or recipe.with_name(f"{recipe.stem}-tuned.toml")
    if out is None and target.exists():
        raise InputError(f"{target}: exists; give --out {target} to replace it, or another name")
    refuse_unwritable(target, as_json)
    asked = tuning.Asked(
        tuple(channel or ()), tuple(ranker or ()), merge=merge, trials=trials, minutes=minutes, metric=metric, seed=seed
    )
    name = read_recipe.name if target == recipe else f"{read_recipe.name.removesuffix('-tuned')}-tuned"
    with progress():
        tuned = tuning.tune(read_recipe, recipe.read_text(encoding="utf-8"), asked, root=data, name=name)
    write_text(target, tuned.text)
    if as_json is not None:
        write_text(as_json, json.dumps(tuned.document, indent=1, ensure_ascii=False) + "\n")
    for section in tuned.document["sections"]:
        terminal.out.print(leaderboards.tuned(section))
    if tuned.document["left"]:
        terminal.out.print(f"stopped before {', '.join(tuned.document['left'])}")
    terminal.out.print(f"wrote {target}; a gain is measured where it was chosen and flatters, later events decide:")
    terminal.out.print(f"shortlist compare {recipe} {target}" if read_recipe.recall else f"shortlist fit {target}")
