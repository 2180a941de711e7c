"""Which sections are tuned, and on what each is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shortlist import search, train
from shortlist.component import Blends, InputError, able
from shortlist.progress import step
from shortlist.recipe import Recipe
from shortlist.tabular.experiment import CrossValidationSpec
from shortlist.tabular.samples import read_table, samples_of
from shortlist.tuning import measures
from shortlist.tuning.measures import Metric, Objective

WIDER = 3.0
"""A formula's numbers are tried from 0 to so many times what they are, or to 1."""
Section = dict[str, Any]
Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to tune and for how long."""

    channels: Sequence[str] = ()
    rankers: Sequence[str] = ()
    merge: bool = False
    formula: bool = False  # of rankers only the numbers of their formulas
    trials: int | None = None  # of each section; None = 50, or as many as fit into ``seconds``
    seconds: float | None = None  # for everything together
    metric: str | None = None
    seed: int | None = None

    @property
    def whole(self) -> bool:
        """Whether no part is named, so that the whole recipe is tuned."""
        return not (self.channels or self.rankers or self.merge or self.formula)


def sections(recipe: Recipe, asked: Asked) -> list[Keys]:
    """Paths of the sections that are named, in the order of the funnel; without a name, of all rankers.

    Those named must have something to tune.
    """
    for name in asked.channels:
        if name not in recipe.recall:
            raise InputError(f"--channel {name}: not in the recipe; there are {', '.join(recipe.recall) or 'none'}")
    alone = recipe.rankers is not recipe.rank
    for name in asked.rankers:
        if name not in recipe.rankers and not (alone and name == "rank"):
            there = ", ".join(recipe.rankers) or "none"
            also = " (or rank, as its section is called)" if alone else ""
            raise InputError(f"--ranker {name}: not in the recipe; there are {there}{also}")
    if asked.merge and not recipe.recall:
        raise InputError("--merge: the recipe has no channels to merge")
    paths: list[Keys] = [("recall", name) for name in recipe.recall if name in asked.channels]
    paths += [("merge",)] if asked.merge else []
    everyone = asked.whole or (asked.formula and not asked.rankers)
    wanted = list(recipe.rankers) if everyone else asked.rankers
    paths += [("rank",) if alone else ("rank", name) for name in dict.fromkeys(wanted)][: 1 if alone else None]
    kept = []
    for path in paths:
        formula = asked.formula and path[0] == "rank"
        if part(recipe, path, formula).space:
            kept.append(path)
        elif formula and asked.rankers:
            raise InputError(f"{'.'.join(path)}: no formula with numbers to tune; see blend in docs/recipes.md")
        elif path[0] != "rank" or not everyone:
            where, kind = ".".join(path), at(recipe, path)["type"]
            raise InputError(f"{where}: {kind} declares nothing to tune; name fields in [{where}.search]")
    if asked.formula and not any(path[0] == "rank" for path in kept):
        raise InputError("--formula: no ranker with several labels that are named; see blend in docs/recipes.md")
    if not kept:
        raise InputError("nothing to tune: no section declares bounds or has a search table")
    return kept


@dataclass(frozen=True, slots=True)
class Part:
    """What is searched of a section."""

    space: search.Space
    own: dict[str, Any]  # what the section has now, by the names of the space
    changed: Callable[[Mapping[str, Any]], Section]  # values by these names -> keys of the section


def part(recipe: Recipe, path: Keys, formula: bool = False) -> Part:
    """The hyperparameters of the section at a path, or the numbers of a ranker's formula alone."""
    if not formula:
        found = space(recipe, path)
        return Part(found, current(recipe, path, found), dict)
    blends = able(configured(recipe, path), Blends)
    numbers = {} if blends is None else {f"number {at}": value for at, value in enumerate(blends.numbers(), 1)}
    between = {name: search.Dimension(0.0, max(1.0, WIDER * value)) for name, value in numbers.items()}

    def changed(params: Mapping[str, Any]) -> Section:
        return {"blend": blends.formula([params.get(name, value) for name, value in numbers.items()])} if params else {}

    return Part(between, numbers, changed)


def space(recipe: Recipe, path: Keys) -> search.Space:
    """What is searched for the section at a path: what it names, or what its component declares that has an effect.

    Raises ``InputError`` where the section is wrong.
    """
    made = configured(recipe, path)
    named = {} if path == ("samples",) else at(recipe, path).get("search", {})
    found = search.space(type(made), named, f"{'.'.join(path)}.search")
    return (
        found if named else {name: dimension for name, dimension in found.items() if name not in made.without_effect()}
    )


def current(recipe: Recipe, path: Keys, tried: search.Space) -> dict[str, Any]:
    """The values that the section has now of what is searched."""
    return {key: value for key, value in configured(recipe, path).model_dump(mode="json").items() if key in tried}


def configured(recipe: Recipe, path: Keys) -> Any:
    """The unfitted component of a section, or how the samples are made."""
    return recipe.samples if path == ("samples",) else recipe.component(path[0], ".".join(path), at(recipe, path))


def objectives(recipe: Recipe, asked: Asked, root: Path | None, seed: int) -> Callable[[Recipe, Keys], Objective]:
    """(recipe so far, path) -> how that section is measured; data and windows are made once."""
    if not recipe.recall:
        if asked.metric not in (None, "auc"):
            raise InputError(f"--metric {asked.metric}: rankers on a plain table are chosen by auc")
        spec = CrossValidationSpec.of(recipe)
        samples, _ = samples_of(read_table(recipe, root))
        return lambda now, path: measures.table(now, path[-1], samples, spec, seed)
    given = None if asked.metric is None else Metric.of(asked.metric)  # a typo is told before the log is read
    data, _ = train.load(recipe, root)
    schedule = train.Schedule.of(recipe, data)
    ranked = bool(recipe.rankers) and schedule.cuts.rank is not None
    wide = Metric("recall", recipe.depth) if ranked else Metric("ndcg", min(10, recipe.depth))
    made = _Made(schedule, seed)

    def objective(now: Recipe, path: Keys) -> Objective:
        if path[0] == "recall":
            return measures.channel(now, path[1], made.window(now), given or wide)
        if path[0] == "merge":
            early, late = measures.windows(replace(schedule, recipe=now), seed, 2)
            return measures.merge(now, early, late, given or Metric("ndcg", 10))
        return made.rankers(now, given or Metric("ndcg", 10))[next(iter(now.rankers)) if len(path) == 1 else path[1]]

    return objective


class _Made:
    """What several sections are measured on, made when the first asks for it."""

    def __init__(self, schedule: train.Schedule, seed: int):
        self._schedule, self._seed = schedule, seed
        self._window: measures.Window | None = None
        self._rankers: dict[str, Objective] | None = None

    def window(self, recipe: Recipe) -> measures.Window:
        if self._window is None:
            with step("questions of [tune, rank)"):
                (self._window,) = measures.windows(replace(self._schedule, recipe=recipe), self._seed)
        return self._window

    def rankers(self, recipe: Recipe, metric: Metric) -> dict[str, Objective]:
        if self._rankers is None:  # rankers come last: nothing before them changes any more
            self._rankers = measures.rankers(replace(self._schedule, recipe=recipe), metric)
        return self._rankers


def at(recipe: Recipe, path: Keys) -> Section:
    """The section of a recipe at a path."""
    section: Section = getattr(recipe, path[0])
    return section if len(path) == 1 else section[path[1]]
