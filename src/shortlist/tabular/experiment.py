"""A recipe without recall channels: rankers side by side on a plain table.

    [data]              source = "adult"
    [cross_validation]  folds, seeds, trials, workers
    [rank.NAME]         type = "gbdt", hyperparameters
    [rank.NAME.search]  hyperparameter = [values to try]

Hyperparameters are chosen by cross-validation on the training rows; the test rows are scored once, at the end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from shortlist.component import InputError, Ranker, explain
from shortlist.configured import Configured
from shortlist.documents import dumps, jsonable, write_text
from shortlist.progress import emit, step
from shortlist.recipe import Recipe
from shortlist.tabular import folds
from shortlist.tabular.samples import read_table, samples_of
from shortlist.types import Samples

REFERENCE = {
    "adult": {
        "logistic": {"cv_auc": 0.89908, "test_auc": 0.89734},
        "gbdt": {"cv_auc": 0.91179, "test_auc": 0.91114},
        "gbdt_lr": {"cv_auc": 0.91605, "test_auc": 0.91254},
        "wide_deep": {"test_auc": 0.90888},
    }
}
"""By source and type of ranker: the figures in REQUIREMENTS that each ranker should beat."""


class CrossValidationSpec(Configured):
    """The ``[cross_validation]`` section."""

    folds: int = Field(default=5, ge=2)
    """Parts the training rows are cut into."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """The chosen ranker is fitted once with each; the mean is reported."""
    trials: int | None = Field(default=None, ge=1)
    """At most this many points of each grid, at random; absent = all."""
    workers: int = Field(default=2, ge=1)
    """Fits that run side by side; the result does not depend on it."""

    @staticmethod
    def of(recipe: Recipe) -> CrossValidationSpec:
        """The recipe's; raises ``InputError`` at the path of what is wrong."""
        try:
            return CrossValidationSpec.model_validate(recipe.cross_validation)
        except ValidationError as error:
            raise InputError(explain(error, "cross_validation", CrossValidationSpec)) from error


@dataclass(frozen=True, slots=True)
class Entrant:
    """One ``[rank.NAME]`` table, checked: every point of its grid makes a ranker."""

    recipe: Recipe
    name: str
    section: Mapping[str, Any]
    points: list[folds.Params]

    @staticmethod
    def of(recipe: Recipe, name: str, spec: CrossValidationSpec) -> Entrant:
        """Raises ``InputError`` at the path of the wrong key."""
        path = "rank" if recipe.rankers is not recipe.rank else f"rank.{name}"
        section = dict(recipe.rankers[name])
        search = section.pop("search", {})
        if not isinstance(search, Mapping):
            raise InputError(f"{path}.search: expected a table of lists of values to try, found {search!r}")
        points = folds.thinned(folds.grid(search, f"{path}.search"), spec.trials, recipe.seed)
        entrant = Entrant(recipe, name, section, points)
        for point in points:
            recipe.component("rank", path, {**section, **point})
        return entrant

    def make(self, params: folds.Params, seed: int | None = None) -> Ranker:
        """The unfitted ranker at a point of the grid."""
        ranker: Ranker = self.recipe.component("rank", f"rank.{self.name}", {**self.section, **params})
        if seed is not None and "seed" in type(ranker).model_fields:
            ranker = type(ranker).from_config({**ranker.config(), "seed": seed})
        return ranker


def run(recipe: Recipe, *, root: Path | None = None, out: Path | None = None) -> dict[str, Any]:
    """Tunes, fits and measures every ranker of the recipe; writes ``evaluation.json`` into ``out`` and returns it."""
    spec = CrossValidationSpec.of(recipe)
    if not recipe.rankers:
        raise InputError("recall, rank: the recipe names neither channels nor rankers, so there is nothing to fit")
    entrants = [Entrant.of(recipe, name, spec) for name in recipe.rankers]
    table = read_table(recipe, root)
    train, test = samples_of(table)
    emit("data", train=len(train), test=len(test), columns=len(table.kinds))
    document: dict[str, Any] = jsonable(
        {
            "name": recipe.name,
            "seed": recipe.seed,
            "protocol": {"folds": spec.folds, "seeds": spec.seeds, "train": len(train), "test": len(test)},
            "data": {"source": recipe.data.source, "fingerprint": table.fingerprint},
            "rankers": {entrant.name: compete(entrant, train, test, spec) for entrant in entrants},
        }
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "evaluation.json", dumps(document))
    return document


def compete(entrant: Entrant, train: Samples, test: Samples, spec: CrossValidationSpec) -> dict[str, Any]:
    """One ranker's row: its cross-validation, what was chosen, and the test AUC with each seed."""
    recipe, began = entrant.recipe, time.perf_counter()
    with step(f"{entrant.name}: cross-validate {len(entrant.points)} settings"):
        trials = folds.cross_validate(entrant.make, train, entrant.points, spec.folds, recipe.seed, spec.workers)
    best = folds.best(trials)
    with step(f"{entrant.name}: fit and test"):
        values: list[float] = []
        for seed in spec.seeds:
            if values and "seed" not in type(entrant.make({})).model_fields:
                values.append(values[0])  # draws nothing at random
            else:
                values.append(folds.measured(entrant.make(best.params, seed).fit(train), test))
    reference = REFERENCE.get(recipe.data.source, {}).get(str(entrant.section["type"]), {})
    return {
        "type": entrant.section["type"],
        "cv_auc": best.mean,
        "test_auc": float(np.mean(values)),
        "test_auc_deviation": float(np.std(values)),
        "seeds": [{"seed": seed, "test_auc": value} for seed, value in zip(spec.seeds, values, strict=True)],
        "chosen": best.params,
        "search": [{"params": t.params, "cv_auc": t.mean, "folds": list(t.folds)} for t in trials],
        "reference": reference,
        "seconds": round(time.perf_counter() - began, 2),
    }
