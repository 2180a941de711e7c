"""What a funnel learns when: the cuts of a log, and the step that is taken at each of them.

channels@tune  -> merge weights learned on [tune, rank)
channels@rank  -> ranker samples from [rank, test); the last fifth by time stops, chooses and calibrates
channels@test  -> measured on the test window: this is what the bundle holds
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from shortlist.component import InputError, Ranker
from shortlist.data import Dataset, State
from shortlist.data.spec import microseconds
from shortlist.pipeline import Pipeline
from shortlist.progress import emit, step
from shortlist.recipe import Recipe
from shortlist.train.merge import fit_merge
from shortlist.train.rankers import RankerSamples, fit_rankers, samples_for_rankers


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
            log = f"the log runs from {data.when(first)} to {data.when(last)}"
            raise InputError(f"data.split.test: {data.when(test)} leaves no events before it or none after it; {log}")
        return Cuts(at(split.tune), at(split.rank), test)

    def needed(self, name: Literal["tune", "rank"], why: str) -> int:
        """The cut of that name; raises ``InputError`` with ``why`` where the recipe has none."""
        cut: int | None = getattr(self, name)
        if cut is None:
            raise InputError(f"data.split.{name}: missing; {why}")
        return cut

    @property
    def merge_closes(self) -> int:
        """Where the window ends that opens at ``tune``: at ``rank``, and where nothing is ranked at ``test``."""
        return self.test if self.rank is None else self.rank


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps that take a recipe's unfitted pipeline through a log, to be called in the order they stand here."""

    recipe: Recipe
    data: Dataset
    state: State
    cuts: Cuts
    seconds: dict[str, float] = field(default_factory=dict)  # what each step took, by title

    @staticmethod
    def of(recipe: Recipe, data: Dataset) -> Schedule:
        """That of the whole log; raises ``InputError`` where the recipe does not cut it."""
        return Schedule(recipe, data, data.state(), Cuts.of(data, recipe))

    def until(self, t: int) -> Schedule:
        """The same on a log that ends before ``t``: nothing later can be read."""
        past = self.data.until(t)
        return replace(self, data=past, state=past.state())

    def merge(self, pipeline: Pipeline) -> None:
        """Channels as of ``tune``; what they find for the questions of [tune, rank) teaches the merge."""
        if self.cuts.tune is None:
            return
        with self.timed("merge: channels at tune, weights on [tune, rank)"):
            pipeline.fit_recall(self.data.until(self.cuts.tune))
            fit_merge(pipeline, self.recipe, self.data, self.state, self.cuts.tune, self.cuts.merge_closes)

    def samples(self, pipeline: Pipeline) -> RankerSamples:
        """Channels and features as of ``rank``: their rows for the questions of [rank, test), the last fifth apart."""
        opens = self.cuts.needed("rank", "rankers learn from [rank, test)")
        with self.timed("rank: channels at rank, samples from [rank, test)"):
            return samples_for_rankers(pipeline, self.recipe, self.data, self.state, opens, self.cuts.test)

    def rankers(self, pipeline: Pipeline) -> tuple[dict[str, Ranker], dict[str, float], str | None]:
        """The recipe's rankers fitted on those samples, the NDCG@10 of each on the last fifth, and which is best.

        The best becomes the pipeline's. Without ``rank`` there is none, and the merge order is shown.
        """
        if not self.recipe.rankers:
            return {}, {}, None
        if self.cuts.rank is None:
            emit("warning", message="data.split has no rank: no ranker is trained, the merge order is shown")
            pipeline.prerank = None  # nor is it: both learn from the same rows
            return {}, {}, None
        with self.timed("rank: channels at rank, samples from [rank, test)"):
            fitted, choice = fit_rankers(pipeline, self.recipe, self.data, self.state, self.cuts.rank, self.cuts.test)
        chosen = choice.served(self.recipe.serve)
        pipeline.ranker = None if chosen is None else fitted[chosen]
        if chosen is None:
            pipeline.prerank = None  # it is there to spare the ranker's features
        return fitted, choice.means, chosen

    def refit(self, pipeline: Pipeline) -> None:
        """Channels, features and rules as of ``test``: what is measured and published."""
        with self.timed("channels at test"):
            pipeline.fit(self.data.until(self.cuts.test))

    def final(self, pipeline: Pipeline) -> None:
        """The same as of the end of the log, for serving: nothing is left to measure it on."""
        with self.timed("final: channels at the end of the log"):
            pipeline.fit(self.data)

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """A step whose duration is kept."""
        began = time.perf_counter()
        with step(title):
            yield
        self.seconds[title] = time.perf_counter() - began
