"""A recipe's feature columns, looked at: what they are like, and what its rankers would lose without each.

In a funnel the columns are those of the ranker's samples: channels and features fitted at ``rank``, questions of
[rank, test), the last fifth kept apart. On a plain table they are the training rows; of the test rows only the columns
are looked at, for drift, and never the label. Nothing here has seen the test window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.columns.importance import Measures, permutation_importance
from shortlist.columns.measures import LEAK_RULE, Parts, described
from shortlist.component import InputError, Ranker
from shortlist.data.held import NOT_TIME_TRUE
from shortlist.documents import jsonable
from shortlist.metrics.ranking import auc
from shortlist.progress import step
from shortlist.recipe import POSITIVE, Recipe
from shortlist.tabular.experiment import CrossValidationSpec, Entrant
from shortlist.tabular.samples import read_table, samples_of
from shortlist.train import Schedule, load
from shortlist.train.rankers import RankerSamples, sampled_alike
from shortlist.types import Float64, Samples

ROWS = 100_000
"""At most about so many rows of each part are looked at: whole requests, drawn at random."""
IMPORTANCE_ROWS = 20_000
"""At most about so many rows of the last fifth are scored again and again."""


def run(recipe: Recipe, *, root: Path | None = None, importance: bool = False, repeats: int = 3) -> dict[str, Any]:
    """The document of ``shortlist features``; with ``importance``, the recipe's rankers are fitted for it."""
    if importance and not recipe.rankers:
        raise InputError("rank: missing; importance is what a ranker loses without a column")
    if recipe.recall:
        return jsonable(_funnel(recipe, root, repeats if importance else 0))
    return jsonable(_plain_table(recipe, root, repeats if importance else 0))


def _funnel(recipe: Recipe, root: Path | None, repeats: int) -> dict[str, Any]:
    if not recipe.features:
        raise InputError("features: the recipe has none, so there is no column to look at")
    data, _ = load(recipe, root)
    schedule, pipeline = Schedule.of(recipe, data), recipe.pipeline()
    schedule.cuts.needed("rank", "the columns looked at are those of the ranker's samples")
    schedule.merge(pipeline)  # as fit does: what the merge learns decides which rows there are
    made = schedule.samples(pipeline)
    train, late = (_some(part, ROWS, recipe.seed) for part in (made.train, sampled_alike(made.valid, recipe)))
    document = _document(recipe, Parts(train, late, POSITIVE))
    document["window"] = {
        "opens": data.when(schedule.cuts.rank or 0),
        "closes": data.when(schedule.cuts.test),
        "source": recipe.samples.source,
    }
    if recipe.evaluate.held_out:
        document["window"]["label"] = NOT_TIME_TRUE
    if not recipe.learned.once:  # where all ask at once, the later part is a fifth of the people
        document["window"]["later"] = data.when(int(made.questions.requests.time[0]))
    if repeats:
        kept = _requests(made.served, IMPORTANCE_ROWS, recipe.seed)
        check = replace(made, served=made.served.take(kept), questions=made.questions.take(kept))
        rankers: dict[str, Ranker] = {}
        for name in recipe.rankers:
            with step(f"fit ranker {name}"):
                rankers[name] = made.fit(recipe.ranker(name))
        document |= _importance(rankers, check.served, _funnel_measures(check), repeats, recipe.seed)
    return document


def _plain_table(recipe: Recipe, root: Path | None, repeats: int) -> dict[str, Any]:
    entrants = [Entrant.of(recipe, name, CrossValidationSpec()) for name in (recipe.rankers if repeats else ())]
    table = read_table(recipe, root)
    train, test = samples_of(table)
    document = _document(recipe, Parts(train, test, table.label, judged=False))
    if repeats:
        mixed = np.random.default_rng(recipe.seed).permutation(len(train.requests))
        fifth = len(mixed) * 4 // 5
        first, rest = train.take(np.sort(mixed[:fifth])), train.take(np.sort(mixed[fifth:]))
        rankers = {}
        for entrant in entrants:
            with step(f"fit ranker {entrant.name}"):
                rankers[entrant.name] = entrant.make({}).fit(first)
        rest = _some(rest, IMPORTANCE_ROWS, recipe.seed)
        labels = rest.labels[table.label]
        document |= _importance(
            rankers, rest, lambda scored: {"auc": auc(labels, scored["score"])}, repeats, recipe.seed
        )
    return document


def _document(recipe: Recipe, parts: Parts) -> dict[str, Any]:
    labels = parts.train.labels[parts.label]
    columns = described(parts, recipe.seed)
    return {
        "name": recipe.name,
        "label": parts.label,
        "funnel": parts.grouped,
        "rows": {
            "train": len(parts.train),
            "later": len(parts.later),
            "requests": len(parts.train.requests),
            "positives": int(np.nansum(labels)),
        },
        "leak_rule": LEAK_RULE,
        "columns": columns,
    }


def _importance(
    rankers: Mapping[str, Ranker], samples: Samples, measures: Measures, repeats: int, seed: int
) -> dict[str, Any]:
    """``importance``: {ranker: {"figures", "by" (the first that matters), "columns", "families"}}."""
    names = [name for name, column in samples.candidates.columns.items() if column.dtype.kind in "fiub"]
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.split(".")[0], []).append(name)
    found = {}
    for ranker, fitted in rankers.items():
        with step(f"importance for {ranker}"):
            each = {name: [name] for name in names}
            figures, columns = permutation_importance(fitted, samples, each, measures, repeats=repeats, seed=seed)
            _, whole = permutation_importance(fitted, samples, families, measures, repeats=repeats, seed=seed)
        several = {name: drop for name, drop in whole.items() if len(families[name]) > 1}
        # where no slate has two rows there is no order to lose: then the next figure says what matters
        telling = [m for m in figures if any(drop[m]["drop"] for drop in columns.values()) and np.isfinite(figures[m])]
        found[ranker] = {
            "figures": figures,
            "by": (telling or list(figures))[0],
            "columns": columns,
            "families": several,
        }
    return {"importance": {"repeats": repeats, "rows": len(samples), "rankers": found}}


def _funnel_measures(check: RankerSamples) -> Measures:
    labels = check.served.labels[POSITIVE]
    return lambda scored: {"ndcg@10": _mean(check.ndcg(scored)), "auc": auc(labels, scored["score"])}


def _mean(values: Float64) -> float:
    told = values[np.isfinite(values)]
    return float(told.mean()) if len(told) else float("nan")


def _some(samples: Samples, rows: int, seed: int) -> Samples:
    """Whole requests drawn at random, with about ``rows`` rows, if there are more."""
    return samples if len(samples) <= rows else samples.take(_requests(samples, rows, seed))


def _requests(samples: Samples, rows: int, seed: int) -> Any:
    n = len(samples.requests)
    share = max(1, min(n, round(n * rows / max(len(samples), 1))))
    return np.sort(np.random.default_rng(seed).choice(n, share, replace=False))
