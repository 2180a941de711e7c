"""From a recipe to a published bundle and its evaluation.

channels@tune  -> merge weights learned on [tune, rank)
channels@rank  -> ranker samples from [rank, test); the last fifth by time stops, chooses and calibrates
channels@test  -> measured on the test window: this is what the bundle holds
fit --final    -> channels refitted at the end of the log, for serving, and the manifest says so
"""

from __future__ import annotations

import itertools
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
from shortlist.data.protocol import Questions, replay
from shortlist.data.raw import Raw
from shortlist.data.sources import source
from shortlist.data.spec import microseconds
from shortlist.documents import dumps, plain, write_parquet, write_text
from shortlist.evaluate import Evaluation, answerable, ask, evaluate
from shortlist.exposures import clicked, drawn, exposed, scored
from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import ndcg
from shortlist.pipeline import Pipeline, Trace, stamp
from shortlist.progress import emit, step, track
from shortlist.recipe import Recipe
from shortlist.samples import BATCH, LABEL, from_funnel, refuse_failures, thinned, weighted
from shortlist.types import Candidates, Samples

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
        fit_at(pipeline, data, cuts.test)
    with timed("evaluate"):
        evaluation = evaluate(pipeline, data, recipe.evaluate, cuts.test, rankers=rankers, seed=recipe.seed)
    if final:
        with timed("final: channels at the end of the log"):
            fit_at(pipeline, data, None)
    out.mkdir(parents=True, exist_ok=True)
    provenance = plain(
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


def fit_at(pipeline: Pipeline, data: Dataset, cut: int | None) -> None:
    """Channels, rules and features fitted on the log before ``cut`` (to its end when None)."""
    known = data if cut is None else data.until(cut)
    pipeline.fit_recall(known)
    pipeline.fit_features(known)


def fit_merge(pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int) -> None:
    """Merge weights or quotas from what the channels found for the questions of [opens, closes), or 5,000 of them."""
    asked = ask(data, state, recipe.evaluate, opens, closes, at_most=4 * MERGE_QUESTIONS, seed=recipe.seed)
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
        pipeline.candidates(batch.requests, state, trace)
        refuse_failures(trace)
        for name, parts in found.items():
            rows = trace.stages[f"recall.{name}"]
            parts.append(replace(rows, request=(rows.request + np.uint32(first)).astype(np.uint32)))
        first += len(batch)
    pipeline.merge.fit({name: Candidates.concat(parts) for name, parts in found.items()}, questions.targets)


@dataclass(frozen=True, slots=True)
class RankerSamples:
    """What every ranker of a recipe learns from, and the later part that stops, chooses and calibrates them."""

    train: Samples
    unweighted: Samples  # the same, every row counting 1
    valid: Samples  # every row of the last fifth
    questions: Questions  # of ``valid``, with all their targets, found by a channel or not

    def ndcg(self, ranker: Ranker, state: State) -> float:
        """Mean NDCG@10 of a fitted ranker on the last fifth."""
        rows = self.valid.candidates
        return self.ndcg_of(rows.with_columns(**ranker.score(self.valid.requests, rows, state)))

    def ndcg_of(self, scored: Candidates) -> float:
        """Mean NDCG@10 of the last fifth's rows ordered by their ``score``."""
        return float(np.nanmean(ndcg(Slates.of(scored.ranked(), self.questions.targets, 10), 10)))


def samples_for_rankers(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> RankerSamples:
    """The rows of [opens, closes), with channels and features (and the pre-ranker) fitted at ``opens``.

    They are the funnel's candidates, or what was shown, as ``recipe.samples`` says. The last fifth of the window's
    questions by time is kept for early stopping and for choices; targets of the earlier part end where it begins.
    """
    fit_at(pipeline, data, opens)
    spec = recipe.samples
    if spec.source == "exposures":
        sampled, whole, valid = _exposed(pipeline, recipe, data, state, opens, closes)
    else:
        sampled, whole, valid = _replayed(pipeline, recipe, data, state, opens, closes)
    if pipeline.prerank is not None:
        coarse, pipeline.prerank = pipeline.prerank, None
        pipeline.prerank = coarse.fit(weighted(sampled(), **spec.weights), whole())
    samples, check = sampled(), whole()
    emit("samples", rows=len(samples), positives=int(np.nansum(samples.labels[LABEL])), requests=len(samples.requests))
    return RankerSamples(weighted(samples, **spec.weights), samples, check, valid)


Making = Callable[[], Samples]


def _exposed(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> tuple[Making, Making, Questions]:
    """What makes the rows learned from, what makes the last fifth's, and the last fifth's slates."""
    spec, rng = recipe.samples, np.random.default_rng(recipe.seed)
    moments = exposed(data, state, opens, closes, spec.window).requests.time
    middle = int(moments[len(moments) * 4 // 5]) + 1 if len(moments) else closes
    parts = [exposed(data, state, *window, spec.window) for window in ((opens, middle), (middle, closes))]
    for number, (part, share) in enumerate(zip(parts, (4, 1), strict=True)):
        if spec.at_most is not None and len(part.requests) > spec.at_most * share // 5:
            drawn_ = rng.choice(len(part.requests), spec.at_most * share // 5, replace=False)
            parts[number] = part.take(np.sort(drawn_))
    for part, label in itertools.product(parts, (0, 1)):
        if not (part.labels[LABEL] == label).any():
            which = ("rows without a click", "clicks")[label]
            raise InputError(f"data.exposures: no {which} in four fifths or the last fifth of [rank, test)")
    train, valid = parts
    return (
        lambda: drawn(scored(pipeline, train, state, "ranker samples"), spec.negatives, recipe.seed),
        lambda: scored(pipeline, valid, state, "validation samples"),
        clicked(valid),
    )


def _replayed(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> tuple[Making, Making, Questions]:
    """What makes the rows learned from, what makes the last fifth's, and the last fifth's questions."""
    everything = _training_questions(pipeline, recipe, data, state, opens, closes)
    if len(everything) < 5:
        raise InputError(f"data.split: {len(everything)} requests with targets in [rank, test), expected at least 5")
    fifth = len(everything) * 4 // 5
    if recipe.evaluate.requests == "start":  # all are asked at one moment: a fifth of the people is kept instead
        drawn = np.random.default_rng(recipe.seed).permutation(len(everything))
        train, valid = everything.take(np.sort(drawn[:fifth])), everything.take(np.sort(drawn[fifth:]))
    else:
        middle = int(everything.requests.time[fifth]) + 1
        train = _training_questions(pipeline, recipe, data, state, opens, middle)
        valid = _training_questions(pipeline, recipe, data, state, middle, closes)
    if not len(train) or not len(valid):
        raise InputError(
            "data.split: the requests in [rank, test) stand at too few distinct times to keep the last fifth apart; "
            "widen the window"
        )
    spec, rows = recipe.samples, partial(from_funnel, pipeline, state=state, seed=recipe.seed)
    sampled = partial(rows, train, negatives=spec.negatives or None, top_negatives=spec.top_negatives)
    return (
        lambda: sampled(title="ranker samples"),
        lambda: rows(valid, title="validation samples"),
        valid,
    )


def sampled_alike(valid: Samples, recipe: Recipe) -> Samples:
    """The last fifth's rows with negatives left out as from the rows learned from."""
    spec = recipe.samples
    if spec.source == "exposures":
        return drawn(valid, spec.negatives, recipe.seed)
    return thinned(valid, spec.negatives, spec.top_negatives, recipe.seed) if spec.negatives else valid


def fit_rankers(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> tuple[dict[str, Ranker], dict[str, float]]:
    """Every ranker of the recipe, fitted on the funnel's rows in [opens, closes), and its NDCG@10 on the last fifth.

    A ranker that can ``refit`` then learns again from the whole window, as long as the last fifth said: what is
    nearest to the requests to come should not be left out.
    """
    made = samples_for_rankers(pipeline, recipe, data, state, opens, closes)
    rankers: dict[str, Ranker] = {}
    choice: dict[str, float] = {}
    for name in recipe.rankers:
        with step(f"fit ranker {name}"):
            rankers[name] = recipe.ranker(name).fit(made.train, made.valid)
        choice[name] = made.ndcg(rankers[name], state)
        emit("ranker", name=name, ndcg=choice[name])
    whole = weighted(Samples.concat([made.unweighted, sampled_alike(made.valid, recipe)]), **recipe.samples.weights)
    for name, ranker in rankers.items():
        if hasattr(ranker, "refit"):
            with step(f"refit ranker {name} on the whole window"):
                ranker.refit(whole)
    return rankers, choice


def _training_questions(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> Questions:
    spec, at_most = recipe.evaluate, recipe.samples.at_most
    if spec.requests == "start":
        questions = ask(data, state, spec, opens, closes, at_most=at_most, seed=recipe.seed)
    else:
        questions = replay(
            data,
            state,
            opens,
            closes,
            moments=recipe.samples.moments or None,
            depth=spec.depth,
            horizon=spec.horizon,
            min_gap=spec.min_gap or 0,
            at_most=at_most,
            seed=recipe.seed,
        )
    return answerable(questions, pipeline, state)


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
