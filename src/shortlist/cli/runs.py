"""The runs that a command speaks of: folders that fit has filled, or recipes, fitted where they are not yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shortlist.cli import terminal
from shortlist.cli.progress import progress
from shortlist.component import InputError

if TYPE_CHECKING:
    from shortlist.recipe import Recipe


def runs_of(paths: Sequence[Path], data: Path | None, seeds: int = 1) -> list[list[Path]]:
    """The folder of each seed of each recipe or run; what is missing is fitted.

    A recipe's is ``runs/NAME`` and, with the seeds that follow its own, ``runs/NAME/seed-S``.
    """
    from shortlist.bundle import read_manifest
    from shortlist.recipe import parse, read

    recipes = {path: read(path) for path in paths if not path.is_dir()}
    named: dict[str, str] = {}
    for path, recipe in recipes.items():
        if named.setdefault(recipe.name, recipe.digest) != recipe.digest:
            raise InputError(f"{path}: another recipe here is named {recipe.name} too; give each its own name")
        if not recipe.recall:
            raise InputError(f"{path}: has no channels; expected a recipe with [recall]")
    found = []
    for path in paths:
        run = Path("runs") / recipes[path].name if path in recipes else path
        if path in recipes:
            _fit(recipes[path], run, data)
        folders = [run]
        if seeds > 1:
            recipe = recipes[path] if path in recipes else parse(read_manifest(run / "bundle")["recipe"])
            for seed in range(recipe.seed + 1, recipe.seed + seeds):
                folders.append(run / f"seed-{seed}")
                _fit(parse({**recipe.model_dump(mode="json"), "seed": seed}), folders[-1], data)
        found.append(folders)
    return found


def _fit(recipe: Recipe, run: Path, data: Path | None) -> None:
    """Fits the recipe unless the folder is of exactly this one."""
    from shortlist import train
    from shortlist.evaluate.compare import is_run_of

    if is_run_of(run, recipe):
        return
    if (run / "rows.parquet").exists():
        terminal.err.print(f"  note: {run} is not of this recipe; fitting again")
    with progress():
        train.fit(recipe, root=data, out=run)
