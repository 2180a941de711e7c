"""From a recipe to a published bundle and its evaluation.

channels@tune  -> merge weights learned on [tune, rank)
channels@rank  -> ranker samples from [rank, test); the last fifth by time stops, chooses and calibrates
channels@test  -> measured on the test window: this is what the bundle holds
fit --final    -> channels refitted at the end of the log, for serving, and the manifest says so
"""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from shortlist import bundle as bundles
from shortlist.component import InputError, Ranker
from shortlist.data import Dataset, State
from shortlist.data.build import dataset
from shortlist.data.raw import Raw
from shortlist.data.sources import source
from shortlist.data.spec import microseconds
from shortlist.documents import dumps, jsonable, write_parquet, write_text
from shortlist.evaluate import Evaluation, evaluate
from shortlist.pipeline import Pipeline, Trace, stamp
from shortlist.progress import emit, step, track
from shortlist.questions import BATCH, answerable, questions_of, refuse_failures
from shortlist.recipe import Recipe
from shortlist.train.rankers import fit_rankers
from shortlist.types import Candidates

MERGE_QUESTIONS = 5_000
"""Questions a merge learns from at most."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Moments in microseconds; ``tune`` and ``rank`` may be missing."""

    tune: int | None
    rank: int | None
    test: int

    @staticmethod
    def of(data: Dataset, recipe: Recipe) -> Cuts:
        """From the recipe's fractions or dates."""
        split = recipe.data.split
        if split is None:
            raise InputError("data.split: missing; expected { tune = 0.7, rank = 0.8, test = 0.9 } or dates")

        def at(cut: Any) -> int | None:
            return None if cut is None else data.cut(cut if isinstance(cut, float) else microseconds(cut))

        test = at(split.test)
        assert test is not None
        first, last = int(data.events.time[0]), int(data.events.time[-1])
        if not first < test <= last:
            log = f"the log runs from {stamp(first)} to {stamp(last)}"
            raise InputError(f"data.split.test: {stamp(test)} leaves no events before it or none after it; {log}")
        return Cuts(at(split.tune), at(split.rank), test)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What ``fit`` leaves behind."""

    out: Path
    evaluation: Evaluation
    manifest: dict[str, Any]


def load(recipe: Recipe, root: Path | None = None) -> tuple[Dataset, Raw]:
    """The recipe's log as a coded dataset, and the tables it came from."""
    with step("read data"):
        raw = source(recipe.data.source)(recipe.data, root)
        if not isinstance(raw, Raw):
            raise InputError(
                f"data.source: {recipe.data.source} is a plain table without users and items; leave out [recall] to "
                "compare rankers on it"
            )
        data = dataset(raw, recipe.data)
    emit("data", events=len(data.events), users=data.n_users, items=data.n_items, dropped=raw.dropped())
    return data, raw


def fit(
    recipe: Recipe, *, root: Path | None = None, out: Path, final: bool = False, overrides: Sequence[str] = ()
) -> Fitted:
    """Fits, evaluates on the test window and publishes: ``out`` gets bundle, evaluation.json, rows.parquet.

    ``overrides`` are the ``--set`` options the recipe was read with, for the manifest.
    """
    began = time.perf_counter()
    data, raw = load(recipe, root)
    cuts = Cuts.of(data, recipe)
    state = data.state()
    seconds: dict[str, float] = {}
    timed = partial(_timed, seconds)

    pipeline = recipe.pipeline()
    if cuts.tune is not None:
        with timed("merge: channels at tune, weights on [tune, rank)"):
            pipeline.fit_recall(data.until(cuts.tune))
            fit_merge(pipeline, recipe, data, state, cuts.tune, cuts.test if cuts.rank is None else cuts.rank)
    rankers: dict[str, Ranker] = {}
    chosen: str | None = None
    choice: dict[str, float] = {}
    if recipe.rankers and cuts.rank is not None:
        with timed("rank: channels at rank, samples from [rank, test)"):
            rankers, choice = fit_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test)
            chosen = max(choice, key=choice.__getitem__)
            pipeline.ranker = rankers[chosen]
    elif recipe.rankers:
        emit("warning", message="data.split has no rank: no ranker is trained, the merge order is shown")
    with timed("channels at test"):
        pipeline.fit(data.until(cuts.test))
    with timed("evaluate"):
        evaluation = evaluate(pipeline, data, recipe.evaluate, cuts.test, rankers=rankers, seed=recipe.seed)
    if final:
        with timed("final: channels at the end of the log"):
            pipeline.fit(data)
    out.mkdir(parents=True, exist_ok=True)
    provenance = jsonable(
        {
            "validation": choice,
            "data": {"fingerprint": raw.fingerprint, "events": len(data.events), "dropped": raw.dropped()},
            "versions": versions(),
        }
    )
    with timed("publish"):
        notes = {
            **provenance,
            "final": final,
            "overrides": list(overrides),
            "cuts": {"tune": cuts.tune, "rank": cuts.rank, "test": cuts.test},
            "seconds": {title: round(spent, 3) for title, spent in seconds.items()},
            "peak_memory_bytes": peak_memory(),
        }
        known = data if final else data.until(cuts.test)
        target = bundles.save(out / "bundle", pipeline, recipe, known, chosen, notes)
    document = {
        "name": recipe.name,
        "bundle": target.name,
        "ranker": chosen,
        **provenance,
        "fit_seconds": round(time.perf_counter() - began, 2),
        "fit_steps": {title: round(spent, 3) for title, spent in seconds.items()},
        "peak_memory_bytes": peak_memory(),
        **evaluation.document,
    }
    write_text(out / "evaluation.json", dumps(document))
    write_parquet(evaluation.rows, out / "rows.parquet")
    (out / "rejected.parquet").unlink(missing_ok=True)
    if len(raw.rejected):
        write_parquet(raw.rejected, out / "rejected.parquet")
    return Fitted(out, Evaluation(document, evaluation.rows), bundles.read_manifest(target))


def fit_merge(pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int) -> None:
    """Merge weights or quotas from what the channels found for the questions of [opens, closes), or 5,000 of them."""
    asked = questions_of(data, state, recipe.evaluate, opens, closes, at_most=4 * MERGE_QUESTIONS, seed=recipe.seed)
    questions = answerable(asked, pipeline, state)
    if len(questions) > MERGE_QUESTIONS:
        drawn = np.random.default_rng(recipe.seed).choice(len(questions), MERGE_QUESTIONS, replace=False)
        questions = questions.take(np.sort(drawn))
    if not len(questions):
        emit("warning", message=f"no request with a right answer from {stamp(opens)} on: the merge stays unlearned")
        return
    found: dict[str, list[Candidates]] = {name: [] for name in pipeline.recall}
    first = 0
    for batch in track(questions.batches(BATCH), "merge samples"):
        trace = Trace()
        pipeline.found(batch.requests, state, trace)
        refuse_failures(trace)
        for name, parts in found.items():
            rows = trace.stages[f"recall.{name}"]
            parts.append(replace(rows, request=(rows.request + np.uint32(first)).astype(np.uint32)))
        first += len(batch)
    pipeline.merge.fit({name: Candidates.concat(parts) for name, parts in found.items()}, questions.targets)


def versions() -> dict[str, str]:
    """What the figures were made with."""
    packages = ("shortlist", "numpy", "scipy", "polars", "numba", "lightgbm", "pydantic")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def _timed(seconds: dict[str, float], title: str) -> Iterator[None]:
    """A step whose duration is kept."""
    began = time.perf_counter()
    with step(title):
        yield
    seconds[title] = time.perf_counter() - began
