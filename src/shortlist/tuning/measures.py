"""What a setting is worth, for each thing that can be tuned: one value for each question, higher is better.

Nothing here can read an event at or after the cut it must not know: the log ends there before anything is built.

    a channel    fitted at tune, its own list for the questions of [tune, rank)
    the merge    channels at tune; learns from the first half of those questions, ordered lists for the second half
    a ranker     channels at rank; learns from [rank, test) but for its last fifth, which is ranked
    a ranker on a plain table    cross-validated AUC over the training rows
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from shortlist.component import Blends, InputError, able
from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.pipeline import Pipeline
from shortlist.questions import BATCH, answerable, questions_of
from shortlist.recipe import Recipe
from shortlist.tabular import folds
from shortlist.tabular.experiment import CrossValidationSpec
from shortlist.train import Schedule
from shortlist.train.merge import drawn, found_by_channel
from shortlist.types import Array, Candidates, Float64, Samples

QUESTIONS = 2_000
"""Questions a channel or the merge is asked at most."""


@dataclass(frozen=True, slots=True)
class Metric:
    """An accuracy metric at a cut-off, such as recall@200."""

    name: str
    k: int

    @staticmethod
    def of(text: str) -> Metric:
        """Raises ``InputError`` on a metric that does not exist."""
        known = [name for name, _ in accuracy.AT_K]
        match = re.fullmatch(r"(\w+)@([1-9]\d{0,4})", text)
        if match is None or match[1] not in known:
            raise InputError(f"--metric {text}: expected NAME@K such as ndcg@10, NAME one of {', '.join(known)}")
        return Metric(match[1], int(match[2]))

    def __call__(self, rows: Candidates, questions: Questions) -> Float64:
        """[n]: its value for every question."""
        return dict(accuracy.AT_K)[self.name](Slates.of(rows, questions.targets, self.k), self.k)

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"


@dataclass(frozen=True, slots=True)
class Objective:
    """How the settings of one section are measured."""

    metric: str
    users: Array  # [n] whom each value belongs to: they are resampled for the interval
    measure: Callable[[Mapping[str, Any]], Float64]  # of a whole section
    asked: str  # on what, in words


@dataclass(frozen=True, slots=True)
class Window:
    """[tune, rank) or half of it: who asks, and the log they may know."""

    known: Dataset
    state: State
    questions: Questions  # with the hard rules' items excluded


def windows(schedule: Schedule, seed: int, parts: int = 1) -> list[Window]:
    """The tune window, whole or in ``parts`` by time, with at most 2,000 questions each.

    Targets of one part end where the next begins. Where all ask at one moment the parts are different people.
    """
    window = schedule.until(schedule.cuts.merge_closes).part("tune")  # from here on, nobody can look further
    known, state, opens, closes = window.known, window.state, window.opens, window.closes
    spec, pipeline = schedule.recipe.evaluate, schedule.recipe.pipeline()
    for rule in pipeline.rules.values():
        rule.fit(known)
    several = 4 * QUESTIONS  # drawn before histories are looked up: some have no right answer left

    def asking(low: int, high: int, many: int = 1) -> Questions:
        return questions_of(window.data, state, spec, low, high, at_most=several * many, seed=seed)

    if parts == 1:
        asked = [asking(opens, closes)]
    elif spec.once:
        whole = asking(opens, closes, parts)
        part = np.random.default_rng(seed).permutation(len(whole)) % parts
        asked = [whole.take(np.flatnonzero(part == number)) for number in range(parts)]
    else:
        whole = asking(opens, closes, parts)
        at = [int(whole.requests.time[len(whole) * n // parts]) + 1 for n in range(1, parts)] if len(whole) else []
        bounds = [opens, *at, closes]
        asked = [asking(low, high) for low, high in pairwise(bounds)]
    return [Window(known, state, _prepared(questions, pipeline, state, seed)) for questions in asked]


def _prepared(questions: Questions, pipeline: Pipeline, state: State, seed: int) -> Questions:
    questions = drawn(answerable(questions, pipeline, state), QUESTIONS, seed)
    if not len(questions):
        raise InputError(
            "no request with a right answer in [tune, rank) or held out for tuning, so there is nothing to tune on"
        )
    return replace(questions, requests=pipeline.forbid(questions.requests, state))


def channel(recipe: Recipe, name: str, window: Window, metric: Metric) -> Objective:
    """The channel alone, fitted at the tune cut."""
    if metric.k > recipe.depth:
        raise InputError(f"--metric {metric}: channels are asked for {recipe.depth} rows (depth); choose at most that")

    def measure(section: Mapping[str, Any]) -> Float64:
        made = recipe.component("recall", f"recall.{name}", dict(section)).fit(window.known)
        values = []
        for batch in window.questions.batches(BATCH):  # new batches: what another setting noted in them is not ours
            values.append(metric(made.retrieve(batch.requests, window.state, recipe.depth), batch))
        return np.concatenate(values)

    return Objective(str(metric), window.questions.requests.user, measure, _words(window.questions))


def merge(recipe: Recipe, early: Window, late: Window, metric: Metric) -> Objective:
    """The merge order of the later half, under what was learned on the earlier half."""
    pipeline = recipe.pipeline()
    pipeline.fit_recall(early.known)
    learned, judged = (found_by_channel(pipeline, window.questions, window.state) for window in (early, late))
    questions = late.questions

    def measure(section: Mapping[str, Any]) -> Float64:
        made = recipe.component("merge", "merge", dict(section)).fit(learned, early.questions.targets)
        return metric(made.merge(judged, len(questions)), questions)

    return Objective(str(metric), questions.requests.user, measure, _words(questions))


def rankers(schedule: Schedule, metric: Metric) -> dict[str, Objective]:
    """Every ranker of a funnel: the same candidates and columns for all settings, made as ``fit`` makes them.

    Settings that differ in nothing but the formula of a ranker's outputs share one fit.
    """
    schedule = schedule.until(schedule.cuts.test)
    recipe, state, pipeline = schedule.recipe, schedule.part("rank").state, schedule.recipe.pipeline()
    schedule.merge(pipeline)
    made = schedule.samples(pipeline)
    questions = made.questions

    def objective(name: str) -> Objective:
        last: tuple[Any, Candidates] | None = None

        def measure(section: Mapping[str, Any]) -> Float64:
            nonlocal last
            ranker = recipe.component("rank", _rank(recipe, name), dict(section))
            blends, rest = able(ranker, Blends), {key: value for key, value in section.items() if key != "blend"}
            if blends is None:
                return metric(made.scored(made.fit(ranker), state).ranked(), questions)
            if last is None or last[0] != rest:
                scored = made.scored(made.fit(ranker), state)
                last = rest, scored.select(blends.outputs())
            outputs = {name: last[1][name] for name in last[1].columns}
            return metric(last[1].with_columns(**blends.blended(outputs)).ranked(), questions)

        return Objective(str(metric), questions.requests.user, measure, _words(questions))

    return {name: objective(name) for name in recipe.rankers}


def table(recipe: Recipe, name: str, samples: Samples, spec: CrossValidationSpec, seed: int) -> Objective:
    """A ranker on a plain table: the AUC on each fold it was not trained on."""

    def measure(section: Mapping[str, Any]) -> Float64:
        def make(params: folds.Params) -> Any:
            return recipe.component("rank", _rank(recipe, name), dict(section))

        (trial,) = folds.cross_validate(make, samples, [{}], spec.folds, seed, spec.workers)
        return np.array(trial.folds)

    asked = f"{len(samples):,} training rows, {spec.folds}-fold cross-validation"
    return Objective("auc", np.arange(spec.folds), measure, asked)


def _rank(recipe: Recipe, name: str) -> str:
    """Where a ranker's section stands."""
    return "rank" if recipe.rankers is not recipe.rank else f"rank.{name}"


def _words(questions: Questions) -> str:
    users = len(np.unique(questions.requests.user))
    return f"{len(questions):,} requests of {users:,} users"
