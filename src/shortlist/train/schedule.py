"""What a funnel learns when: the cuts of a log, and the step that is taken at each of them.

channels@tune  -> merge weights learned on [tune, rank)
channels@rank  -> ranker samples from [rank, test); the last fifth by time stops and calibrates, the last two choose
channels@test  -> measured on the test window: this is what the bundle holds

Where events are held out without regard to time (``data.held``) the three parts are told logs of their own, and all
cuts are the moment behind their end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from shortlist.component import InputError, Ranker
from shortlist.data import Dataset, State, held
from shortlist.data.spec import SplitSpec, microseconds
from shortlist.durations import text
from shortlist.memory import give_back
from shortlist.pipeline import Pipeline, joined
from shortlist.progress import emit, step
from shortlist.recipe import Recipe
from shortlist.train.choice import Choice
from shortlist.train.merge import fit_merge
from shortlist.train.rankers import RankerSamples, fit_rankers, samples_for_rankers
from shortlist.types import Array

TITLES: dict[held.Part, str] = {
    "tune": "merge: channels at tune, weights on [tune, rank)",
    "rank": "rank: channels at rank, samples from [rank, test)",
    "test": "channels at test",
}
"""What each step is called, and what it is called where events are held out without regard to time."""
TITLES_HELD: dict[held.Part, str] = {
    "tune": "merge: channels without validation, weights on its third",
    "rank": "rank: channels without validation, samples from two thirds of it",
    "test": "channels for the test",
}
PILE = 0.01
"""A cut is warned of where more than this share of all events, or of all users, stands at its very moment."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Moments in microseconds; ``tune`` and ``rank`` may be missing."""

    tune: int | None
    rank: int | None
    test: int

    @staticmethod
    def of(data: Dataset, recipe: Recipe) -> Cuts:
        """From the recipe's fractions or dates; of several windows, those of the first."""
        if recipe.evaluate.held_out:
            at_end = held.moment(data)
            return Cuts(at_end, at_end, at_end)
        split = recipe.data.split
        if split is None:
            raise InputError("data.split: missing; expected { tune = 0.7, rank = 0.8, test = 0.9 } or dates")
        if split.rolling is not None:
            return Cuts.rolling(data, split)[0]

        def at(cut: Any) -> int | None:
            return None if cut is None else data.cut(cut if isinstance(cut, float) else microseconds(cut))

        test = at(split.test)
        assert test is not None
        first, last = int(data.events.time[0]), int(data.events.time[-1])
        if not first < test <= last:
            log = f"the log runs from {data.when(first)} to {data.when(last)}"
            raise InputError(f"data.split.test: {data.when(test)} leaves no events before it or none after it; {log}")
        return Cuts(at(split.tune), at(split.rank), test)

    @staticmethod
    def rolling(data: Dataset, split: SplitSpec) -> list[Cuts]:
        """One for each of the last ``split.rolling`` windows of the log, in order of time."""
        assert split.rolling is not None
        assert split.window is not None
        first, end = int(data.events.time[0]), int(data.events.time[-1]) + 1
        found = []
        for left in range(split.rolling, 0, -1):
            test = end - left * split.window
            before = data.until(test)
            if len(before.events) < 3:
                raise InputError(
                    f"data.split.rolling: {split.rolling} windows of {text(split.window)} begin at {data.when(test)}, "
                    f"and nothing is left to learn from; the log runs from {data.when(first)} to {data.when(end - 1)}"
                )
            tune, rank = split.before
            found.append(Cuts(before.cut(tune), before.cut(rank), test))
        return found

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
class Part:
    """Some of the questions: what is asked for lies in ``opens <= time < closes``, what may be learned before that."""

    data: Dataset
    state: State
    opens: int
    closes: int

    @property
    def known(self) -> Dataset:
        """What may be learned."""
        return self.data.until(self.opens)


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
        """That of the recipe's test window, of several the first; raises ``InputError`` where the recipe has none.

        What is chosen before the first of several windows has seen none of them.
        """
        return Schedule.all(recipe, data)[0]

    @staticmethod
    def all(recipe: Recipe, data: Dataset) -> list[Schedule]:
        """One for each test window, in order of time; each ends with its window. They keep their seconds together."""
        split, seconds = recipe.data.split, dict[str, float]()
        if split is None or split.rolling is None or recipe.evaluate.held_out:
            cuts = Cuts.of(data, recipe)
            if split is not None and recipe.evaluate.requests == "last":
                emit("warning", message='data.split is not used: evaluate.requests = "last" needs none')
            warn_of_piles(data, cuts, recipe)
            return [Schedule(recipe, data, data.state(), cuts, seconds)]
        found = []
        for cuts in Cuts.rolling(data, split):
            log = data.until(cuts.test + (split.window or 0))
            warn_of_piles(log, cuts, recipe)
            found.append(Schedule(recipe, log, log.state(), cuts, seconds))
        return found

    def until(self, t: int) -> Schedule:
        """The same on a log that ends before ``t``: nothing later can be read."""
        past = self.data.until(t)
        return replace(self, data=past, state=past.state())

    def part(self, name: held.Part) -> Part:
        """The questions of [tune, rank), of [rank, test) or of the test window.

        Where events are held out, those of the merge and ``tune``, of rankers, or of the test. Raises ``InputError``
        where the recipe has no such cut.
        """
        recipe, cuts = self.recipe, self.cuts
        if recipe.evaluate.held_out:
            log = held.seen_from(self.data, self.roles, name, bool(recipe.rankers), recipe.seed)
            return Part(log, log.state(), cuts.test, cuts.test + 1)
        if name == "test":
            return Part(self.data, self.state, cuts.test, self.data.fitted_until + 1)
        why = {"tune": "channels and the merge are tuned on [tune, rank)", "rank": "rankers learn from [rank, test)"}
        opens = cuts.needed(name, why[name])
        return Part(self.data, self.state, opens, cuts.merge_closes if name == "tune" else cuts.test)

    @property
    def roles(self) -> Array:
        """[m]: which events are held out, and for what, where that is not told by their time."""
        split = self.recipe.data.split
        if split is None or split.random is None:
            return held.last(self.data.events)
        return held.share(self.data.events, split.random, self.recipe.seed)

    def merge(self, pipeline: Pipeline) -> None:
        """Channels as of ``tune``; what they find for the questions of [tune, rank) teaches the merge."""
        if self.cuts.tune is None:
            return
        with self.timed(self._title("tune")):
            part = self.part("tune")
            pipeline.fit_recall(part.known)
            fit_merge(pipeline, self.recipe, part.data, part.state, part.opens, part.closes)

    def samples(self, pipeline: Pipeline, like: RankerSamples | None = None) -> RankerSamples:
        """Channels and features as of ``rank``: their rows for the questions of [rank, test), the last fifth apart.

        ``like``: samples that this pipeline made, of which all stays but the rows learned from.
        """
        part = self.part("rank")
        with self.timed(self._title("rank")):
            return samples_for_rankers(pipeline, self.recipe, part.data, part.state, part.opens, part.closes, like)

    def rankers(self, pipeline: Pipeline) -> tuple[dict[str, Ranker], Choice, str | None]:
        """The recipe's rankers fitted on those samples, what is said of each, and which is served.

        That becomes the pipeline's. Without ``rank`` there is none, and the merge order is shown.
        """
        if not self.recipe.rankers:
            return {}, Choice(()), None
        if self.cuts.rank is None:
            emit("warning", message="data.split has no rank: no ranker is trained, the merge order is shown")
            pipeline.prerank = None  # nor is it: both learn from the same rows
            return {}, Choice(()), None
        with self.timed(self._title("rank")):
            part = self.part("rank")
            fitted, choice = fit_rankers(pipeline, self.recipe, part.data, part.state, part.opens, part.closes)
        chosen = choice.served(self.recipe.serve)
        pipeline.ranker = None if chosen is None else joined(chosen, fitted)
        if chosen is None:
            pipeline.prerank = None  # it is there to spare the ranker's features
        return fitted, choice, chosen

    def refit(self, pipeline: Pipeline) -> None:
        """Channels, features and rules as of ``test``: what is measured and published.

        Where the recipe says so, they stay as they were before the events held out for validation.
        """
        with self.timed(self._title("test")):
            pipeline.fit(self.part("test" if self.recipe.evaluate.refit else "rank").known)

    def final(self, pipeline: Pipeline) -> None:
        """The same as of the end of the log, for serving: nothing is left to measure it on."""
        with self.timed("final: channels at the end of the log"):
            pipeline.fit(self.data)

    def _title(self, name: held.Part) -> str:
        return (TITLES_HELD if self.recipe.evaluate.held_out else TITLES)[name]

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """A step whose duration is kept."""
        began = time.perf_counter()
        with step(title):
            yield
            give_back()
        self.seconds[title] = self.seconds.get(title, 0.0) + time.perf_counter() - began


def as_asked(recipe: Recipe, data: Dataset, same: bool, where: str) -> Dataset:
    """The log in which a bundle's test is asked again; ``same``: whether the bundle was fitted on this very data.

    Raises ``InputError`` naming ``where`` if the bundle's events were held out by other than their time and are not
    these: some of them it has learned.
    """
    if not recipe.evaluate.held_out:
        return data
    if not same:
        raise InputError(
            f"{where}: the data is not what this bundle was fitted on, and of other data nobody can say which events "
            "were held out from it; fit again"
        )
    return Schedule.of(recipe, data).part("test").data


def warn_of_piles(data: Dataset, cuts: Cuts, recipe: Recipe) -> None:
    """Says where a cut falls on a moment at which more than ``PILE`` of the events or of the users stand.

    All of them count as after the cut, so less may be known before it than was meant; and so many events at one moment
    were mostly not done then, but written down then.
    """
    if recipe.evaluate.held_out:
        return
    events = data.events
    users = len(np.unique(events.user))
    for name, at in asdict(cuts).items():
        if at is None:
            continue
        there = events.between(at, at + 1)
        who = len(np.unique(there.user))
        if len(there) < 2 or (len(there) <= PILE * len(events) and who <= PILE * users):
            continue
        shares = f"({100 * len(there) / len(events):.0f} %) of {who:,} users ({100 * who / users:.0f} %)"
        emit("warning", message=f"data.split.{name} falls on a pile of equal times: {len(there):,} events {shares}")
