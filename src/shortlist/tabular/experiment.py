"""A recipe without recall channels: rankers side by side on a plain table.

    [data]              source = "adult", or a table of your own: [data.rows]
    [cross_validation]  folds, seeds, trials, workers
    [rank.NAME]         type = "gbdt", hyperparameters
    [rank.NAME.search]  hyperparameter = [values to try]

Hyperparameters are chosen by cross-validation on the training rows; the test rows are scored once, at the end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from shortlist.component import InputError, Ranker, explain
from shortlist.configured import Configured
from shortlist.data.raw import PlainTable, dropped
from shortlist.documents import dumps, jsonable, write_parquet, write_text
from shortlist.progress import emit, step
from shortlist.recipe import Recipe
from shortlist.tabular import folds
from shortlist.tabular.samples import levels_of, read_table, samples_of
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
FEW = 10
"""Rows of the rarer label that a fold needs for its AUC to say anything."""


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
    """Tunes, fits and measures every ranker of the recipe; writes ``evaluation.json`` into ``out`` and returns it.

    Beside it are left ``rankers/NAME``: the model files (ONNX, LightGBM) of each, fitted with the first seed,
    ``rankers/columns.json``, which says what stands for what in them, and the rows not taken, if there are any.
    """
    spec = CrossValidationSpec.of(recipe)
    if not recipe.rankers:
        raise InputError("recall, rank: the recipe names neither channels nor rankers, so there is nothing to fit")
    entrants = [Entrant.of(recipe, name, spec) for name in recipe.rankers]
    table = read_table(recipe, root)
    train, test = samples_of(table)
    emit("data", train=len(train), test=len(test), columns=len(table.kinds), dropped=dropped(table.rejected))
    labels = next(iter(train.labels.values()))
    rare = int(min((labels == 1).sum(), (labels == 0).sum()))
    if rare < FEW * spec.folds:
        told = f"only {rare:,} of {len(train):,} rows have the rarer label"
        emit("warning", message=f"{told}: in {spec.folds} folds the figures say little, and none where a fold has none")
    lists = [name for name, kind in table.kinds.items() if kind == "list"]
    for entrant in entrants if lists else ():
        if not getattr(entrant.make({}), "lists", False):
            emit("warning", message=f"rank.{entrant.name}: learns from no lists, so not from {', '.join(lists)}")
    fitted = {entrant.name: compete(entrant, train, test, spec) for entrant in entrants}
    document: dict[str, Any] = jsonable(
        {
            "name": recipe.name,
            "seed": recipe.seed,
            "protocol": {"folds": spec.folds, "seeds": spec.seeds, "train": len(train), "test": len(test)},
            "data": {
                "source": recipe.data.source,
                "fingerprint": table.fingerprint,
                "kinds": table.kinds,
                "left_out": table.left_out,
                "dropped": dropped(table.rejected),
            },
            "rankers": {name: found for name, (found, _) in fitted.items()},
        }
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "evaluation.json", dumps(document))
        _write(out, table, {name: ranker for name, (_, ranker) in fitted.items()})
    return document


def _write(out: Path, table: PlainTable, rankers: Mapping[str, Ranker]) -> None:
    """The rankers' own files, what their columns are, and the rows not taken."""
    shutil.rmtree(out / "rankers", ignore_errors=True)
    for name, ranker in rankers.items():
        (out / "rankers" / name).mkdir(parents=True)
        for file, content in ranker.files().items():
            (out / "rankers" / name / file).write_bytes(content)
    codes = levels_of(table)
    columns: dict[str, dict[str, Any]] = {name: {"kind": kind} for name, kind in table.kinds.items()}
    for name, names in codes.items():
        columns[name]["codes"] = names
    write_text(out / "rankers" / "columns.json", dumps(columns))
    (out / "rejected.parquet").unlink(missing_ok=True)
    if len(table.rejected):
        write_parquet(table.rejected, out / "rejected.parquet")


def compete(
    entrant: Entrant, train: Samples, test: Samples, spec: CrossValidationSpec
) -> tuple[dict[str, Any], Ranker]:
    """One ranker's row: its cross-validation, what was chosen, and the test AUC with each seed; and it itself.

    Where rows have groups, how well each group is in order besides, with the first seed. What is called AUC is what
    ``folds.measured`` says.
    """
    recipe, began = entrant.recipe, time.perf_counter()
    with step(f"{entrant.name}: cross-validate {len(entrant.points)} settings"):
        trials = folds.cross_validate(entrant.make, train, entrant.points, spec.folds, recipe.seed, spec.workers)
    best = folds.best(trials)
    with step(f"{entrant.name}: fit and test"):
        first = entrant.make(best.params, spec.seeds[0]).fit(train)
        values = [folds.measured(first, test)]
        for seed in spec.seeds[1:]:
            if "seed" not in type(first).model_fields:
                values.append(values[0])  # draws nothing at random
            else:
                values.append(folds.measured(entrant.make(best.params, seed).fit(train), test))
        order = folds.ordered(first, test) if len(test.requests) < len(test) else {}
    reference = REFERENCE.get(recipe.data.source, {}).get(str(entrant.section["type"]), {})
    row = {
        "type": entrant.section["type"],
        "cv_auc": best.mean,
        "test_auc": float(np.mean(values)),
        "test_auc_deviation": float(np.std(values)),
        "seeds": [{"seed": seed, "test_auc": value} for seed, value in zip(spec.seeds, values, strict=True)],
        "chosen": best.params,
        "search": [{"params": t.params, "cv_auc": t.mean, "folds": list(t.folds)} for t in trials],
        "reference": reference,
        **{f"test_{name}": value for name, value in order.items()},
        "seconds": round(time.perf_counter() - began, 2),
    }
    return row, first
