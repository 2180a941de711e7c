"""What a merge learns from: what every channel found for the questions of a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shortlist.component import refuse_unsound
from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import emit, track
from shortlist.questions import BATCH, answerable, questions_of, refuse_failures, warn_of_few
from shortlist.recipe import Recipe
from shortlist.types import Candidates

MERGE_QUESTIONS = 5_000
"""Questions a merge learns from at most."""


def fit_merge(pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int) -> None:
    """Merge weights or quotas from what the channels found for the questions of [opens, closes), or 5,000 of them."""
    asked = questions_of(data, state, recipe.evaluate, opens, closes, at_most=4 * MERGE_QUESTIONS, seed=recipe.seed)
    questions = drawn(answerable(asked, pipeline, state), MERGE_QUESTIONS, recipe.seed)
    if not len(questions):
        emit("warning", message=f"no request with a right answer from {data.when(opens)} on: the merge stays unlearned")
        return
    warn_of_few(questions, "the merge learns from")
    pipeline.merge.fit(found_by_channel(pipeline, questions, state), questions.targets)
    refuse_unsound("merge", pipeline.merge)


def found_by_channel(pipeline: Pipeline, questions: Questions, state: State) -> dict[str, Candidates]:
    """What each channel finds for all the questions, by its name; requests are numbered as the questions are."""
    found: dict[str, list[Candidates]] = {name: [] for name in pipeline.recall}
    for number, batch in enumerate(track(questions.batches(BATCH), "merge samples")):
        trace = Trace()
        pipeline.found(batch.requests, state, trace)
        refuse_failures(trace)
        for name, parts in found.items():
            rows = trace.stages[f"recall.{name}"]
            parts.append(replace(rows, request=(rows.request + np.uint32(number * BATCH)).astype(np.uint32)))
    return {name: Candidates.concat(parts) for name, parts in found.items()}


def drawn(questions: Questions, at_most: int, seed: int) -> Questions:
    """The questions, or ``at_most`` of them at random, in their order."""
    if len(questions) <= at_most:
        return questions
    return questions.take(np.sort(np.random.default_rng(seed).choice(len(questions), at_most, replace=False)))
