"""Parts of a recipe that are named, each searched by itself: a channel by its own list, a merge, a ranker."""

from __future__ import annotations

import math
import pathlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shortlist.documents import jsonable
from shortlist.metrics.interval import paired_interval
from shortlist.recipe import Recipe
from shortlist.tuning import _study
from shortlist.tuning._plan import Asked, Part, Section, at, objectives, part, sections
from shortlist.tuning._rewrite import Path
from shortlist.tuning._study import Budget
from shortlist.tuning.measures import Objective
from shortlist.types import Float64

TRIALS = 50
"""Settings tried for a section where neither a number nor a time is given."""


def named(recipe: Recipe, asked: Asked, root: pathlib.Path | None, seed: int) -> tuple[dict[str, Any], dict[Path, Any]]:
    """(what was tried, what to change): one section after the other, each finds those before it as they were tuned."""
    todo, objective = sections(recipe, asked), objectives(recipe, asked, root, seed)
    end = math.inf if asked.seconds is None else time.monotonic() + asked.seconds
    trials = TRIALS if asked.trials is None and asked.seconds is None else asked.trials
    changes: dict[Path, Any] = {}
    found: list[dict[str, Any]] = []
    for number, path in enumerate(todo):
        section = at(recipe, path)
        budget = Budget(trials, time.monotonic() + (end - time.monotonic()) / (len(todo) - number))
        try:
            with _study.interruptible():
                tried = part(recipe, path, asked.formula and path[0] == "rank")
                told, chosen = _one(recipe, path, tried, objective(recipe, path), budget, seed)
        except KeyboardInterrupt:
            if not found:
                raise  # nothing was measured yet
            break
        recipe = _replaced(recipe, path, _changed(section, chosen))
        changes |= {(*path, key): value for key, value in chosen.items()}
        if not recipe.recall and "search" in section:
            changes[(*path, "search")] = None  # or fit would search again
        found.append(told)
        if told["stopped"]:
            break
    left = [".".join(path) for path in todo[len(found) :]]
    return {"name": recipe.name, "seed": seed, "sections": found, "left": left}, changes


def _one(
    recipe: Recipe, path: tuple[str, ...], part: Part, objective: Objective, budget: Budget, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what to tell, what to change) of one section."""
    section, where = at(recipe, path), ".".join(path)

    def measure(params: Mapping[str, Any]) -> Float64:
        return objective.measure(_changed(section, part.changed(params)))

    result = _study.study(part.space, measure, part.own, budget, seed, f"tune {where}")
    first, best = result.trials[0], result.trials[result.best]
    different = {key: value for key, value in best.params.items() if value != part.own[key]}
    chosen = {key: value for key, value in part.changed(different).items() if value != section.get(key)}
    figures = {
        "section": where,
        "type": section["type"],
        "metric": objective.metric,
        "asked": objective.asked,
        "before": first.value,
        "after": best.value,
        "gain": asdict(paired_interval(result.chosen, result.own, objective.users, seed)),
        "best": result.best,
        "refused": sum(trial.refusal is not None for trial in result.trials),
        "stopped": result.stopped,
    }
    # hyperparameters are not rounded as figures are: a penalty of 1e-7 is no 0
    trials = [{**jsonable(asdict(trial)), "params": trial.params} for trial in result.trials]
    told = {**jsonable(figures), "current": part.own, "changes": chosen, "trials": trials}
    return told, chosen


def _changed(section: Section, params: Mapping[str, Any]) -> Section:
    """The section with other values; None takes a key out. Nothing is left to search."""
    return {key: value for key, value in {**section, **params}.items() if value is not None and key != "search"}


def _replaced(recipe: Recipe, path: tuple[str, ...], section: Section) -> Recipe:
    whole = section if len(path) == 1 else {**getattr(recipe, path[0]), path[1]: section}
    return recipe.model_copy(update={path[0]: whole})
