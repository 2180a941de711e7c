"""The whole recipe, part by part in the order of the funnel, within a stretch of time.

    channels, merge             on [tune, rank): merged lists of channels as of ``tune``
    features, samples, rank     on [rank, test): the ranked list of its last fifth

Every part has a share of the time that is left, by what it was seen to be worth. One that gains nothing stops early and
leaves its time to those after it; when all are through, those that gained begin again. What channels and merge gained
must also show where it was not chosen, in the ranked lists of [rank, test), else the later half of it is taken back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from shortlist.component import InputError
from shortlist.metrics.interval import gain
from shortlist.progress import emit, step
from shortlist.recipe import Recipe, Section, parse
from shortlist.train import Schedule
from shortlist.tuning._climb import Climb, Values
from shortlist.tuning._lists import Lists, tune_channels, tune_merge
from shortlist.tuning._plan import Keys, at
from shortlist.tuning._record import LISTS, SECTIONS, Record, Tables, digest
from shortlist.tuning._rows import Rows, extras, tune_features, tune_samples
from shortlist.tuning._study import interruptible
from shortlist.tuning.measures import Metric, Objective
from shortlist.types import Array, Float64

SHARES = {"channels": 0.35, "merge": 0.1, "features": 0.15, "samples": 0.1, "rank": 0.3}
"""Of the time. A channel that is missing costs most, and each takes a fit to try; rankers take one too and have most
settings; merges and samples are few, and features need no rows of their own."""
Work = Callable[[Climb], None]


@dataclass(slots=True)
class Passes:
    """A recipe as it is tuned: ``tables`` are what it is now, whatever ends the work."""

    tables: Tables
    confirmed: Tables  # the same with channels and merge as they were last seen to rank no worse
    record: Record
    seed: int
    end: float = math.inf  # ``time.monotonic``
    trials: int | None = None
    steps: list[Tables] = field(default_factory=list)  # after each change of channels and merge not yet confirmed

    def funnel(self, schedule: Schedule, metric: Metric) -> None:
        """Raises ``InputError`` where there is nothing to tune on; Ctrl-C ends it and loses nothing."""
        parts = _parts(parse(self.tables), schedule)
        ranked = "rank" in parts

        def through(todo: Sequence[str]) -> list[str]:
            before = digest(self.tables, LISTS)
            gained = self._lists(schedule, metric, todo, ranked)
            after = self._rows(schedule, metric, todo) if ranked and self._time() else []
            return after if digest(self.tables, LISTS) == before else gained + after

        self._passes(parts, through)

    def table(self, objectives: Callable[[Recipe, Keys], Objective], paths: Sequence[Keys]) -> None:
        """The rankers of a plain table, one after the other with an equal share of the time."""
        parts = {".".join(path): path for path in paths}

        def through(todo: Sequence[str]) -> list[str]:
            gained = []
            for number, part in enumerate(todo):
                objective = objectives(parse(self.tables), path := parts[part])
                own = partial(_of_section, objective, path)
                climb = self._climb(part, own, objective.users, ("rank",), 1 / (len(todo) - number))
                gained += [part] if self._done(climb, _rounds(path), [objective.metric], objective.asked) else []
            return gained

        self._passes(list(parts), through)

    def _passes(self, parts: Sequence[str], through: Callable[[Sequence[str]], list[str]]) -> None:
        """All parts once, and then those that gained, as long as there is time and some do."""
        todo = self.record.left = list(parts)
        try:
            with interruptible():
                while todo:
                    gained = through(todo)
                    todo = [part for part in todo if part in gained] if self.trials is None and self._time() else []
        except KeyboardInterrupt:
            self.record.stopped = True

    def _lists(self, schedule: Schedule, metric: Metric, todo: Sequence[str], ranked: bool) -> list[str]:
        """Channels and merge; those that gained."""
        work = {"channels": tune_channels, "merge": tune_merge}
        mine, gained = [part for part in todo if part in work], []
        if not mine:
            return []
        past = schedule.until(schedule.cuts.merge_closes)
        lists = Lists(replace(past, recipe=parse(self.tables)), self.seed, metric, ranked)
        for part in mine:
            climb = self._climb(part, lists.measure, lists.users, LISTS, self._share(part, todo))
            metrics = lists.metrics(parse(self.tables))
            gained += [part] if self._done(climb, partial(work[part], lists=lists), metrics, lists.asked) else []
        return gained

    def _rows(self, schedule: Schedule, metric: Metric, todo: Sequence[str]) -> list[str]:
        """What channels and merge gained is checked; then features, samples and rankers, and those that gained."""
        mine, gained = [part for part in todo if part not in ("channels", "merge")], []
        past, recipe = schedule.until(schedule.cuts.test), parse(self.tables)
        changed = digest(self.tables, LISTS) != digest(self.confirmed, LISTS)
        if not mine and not changed:
            return []
        wide = extras(replace(past, recipe=recipe), recipe) if "features" in mine else []
        trail = [self._unchanged(), *(self.steps or [self.tables])] if changed else [self.tables]
        before = _served(Rows(past, parse(trail[0]), metric), parse(trail[0])) if changed else None
        while True:
            self.tables = trail[-1]
            rows = _made(past, parse(self.tables), metric, wide)
            if before is None or len(trail) == 1 or self._check(rows, before, metric, len(trail) - 1):
                break
            trail = trail[: (len(trail) + 1) // 2] if self._time() else trail[:1]
        self._confirm()
        for part in mine:
            share = self._share(part, todo)
            if part == "rank":
                gained += [part] if self._rankers(rows, metric, share) else []
                continue
            work = partial({"features": tune_features, "samples": tune_samples}[part], rows=rows)
            climb = self._climb(part, rows.measure, rows.users, SECTIONS, share)
            gained += [part] if self._done(climb, work, [str(metric)], rows.asked) else []
        return gained

    def _rankers(self, rows: Rows, metric: Metric, share: float) -> bool:
        """Every ranker by what it is worth itself."""
        recipe = parse(self.tables)
        alone, names, gained = recipe.rankers is not recipe.rank, list(recipe.rankers), False
        for number, name in enumerate(names):
            path: Keys = ("rank",) if alone else ("rank", name)
            measure = partial(rows.measure, name=name)
            climb = self._climb(".".join(path), measure, rows.users, SECTIONS, share / (len(names) - number))
            gained |= self._done(climb, _rounds(path), [str(metric)], rows.asked)
        return gained

    def _check(self, rows: Rows, before: tuple[Float64, Array], metric: Metric, steps: int) -> bool:
        """Whether channels and merge after so many changes rank no worse than before, where they were not chosen."""
        value, times = _served(rows, parse(self.tables))
        old, asked = before
        mean, error = gain(value, old, rows.users) if np.array_equal(times, asked) else (0.0, math.inf)
        told = {"part": "check", "metric": str(metric), "asked": rows.asked, "gain": mean, "error": error}
        means = {"before": float(np.nanmean(old)), "after": float(np.nanmean(value))}
        kept = [f"{steps} changes of channels and merge"] if mean >= 0 else []
        self.record.parts.append({**told, **means, "beside": {}, "tried": 1, "kept": kept})
        if not kept:
            emit(
                "warning",
                message=f"channels and merge: {steps} changes are taken back, {metric} {mean:+.4f} when ranked",
            )
        return bool(kept)

    def _confirm(self) -> None:
        self.confirmed, self.record.confirmed = self.tables, digest(self.tables, LISTS)
        self.steps = []

    def _unchanged(self) -> Tables:
        """The recipe with the channels and the merge last confirmed."""
        there = {key: self.confirmed[key] for key in LISTS if key in self.confirmed}
        return {**{key: value for key, value in self.tables.items() if key not in LISTS}, **there}

    def _climb(
        self, part: str, measure: Callable[[Recipe], Values], users: Array, sections: Sequence[str], share: float
    ) -> Climb:
        now = time.monotonic()
        until = now + (self.end - now) * share
        return Climb(part, self.tables, measure, users, sections, self.record, until, self.seed, self.trials)

    def _done(self, climb: Climb, work: Work, metrics: Sequence[str], asked: str) -> bool:
        """Does the work and keeps what it found; whether it gained."""
        began = time.monotonic()
        try:
            with step(f"tune {climb.part}"):
                climb.begin()
                work(climb)
        finally:
            self.tables = climb.tables
            self.steps += climb.steps if climb.sections == LISTS else []
            if climb.values:
                seconds = round(time.monotonic() - began, 1)
                self.record.parts.append({**climb.told(metrics, asked), "seconds": seconds})
        self.record.left = [part for part in self.record.left if part not in (climb.part, climb.part.partition(".")[0])]
        return bool(climb.kept)

    def _share(self, part: str, todo: Sequence[str]) -> float:
        """Of the time that is left, what a part may have beside those that come after it."""
        return SHARES[part] / sum(SHARES[one] for one in todo[list(todo).index(part) :])

    def _time(self) -> bool:
        return time.monotonic() < self.end


def _parts(recipe: Recipe, schedule: Schedule) -> list[str]:
    """What the recipe has that there is a window for."""
    cuts = schedule.cuts
    ranked = bool(recipe.rankers) and cuts.rank is not None
    if not ranked:
        cuts.needed("tune", "channels and the merge are tuned on [tune, rank)")
    elif cuts.tune is None:
        emit("warning", message="data.split has no tune: channels and merge are left as they are")
    lists = [] if cuts.tune is None else ["channels", "merge"]
    return [*lists, *(["features", "samples", "rank"] if ranked else [])]


def _made(schedule: Schedule, recipe: Recipe, metric: Metric, wide: Sequence[Section]) -> Rows:
    """The rows of a recipe with more features than it has, where those take what they are given."""
    try:
        return Rows(schedule, recipe, metric, wide)
    except InputError:
        if not wide:
            raise
        return Rows(schedule, recipe, metric)


def _served(rows: Rows, recipe: Recipe) -> tuple[Float64, Array]:
    """([n], [n]): what the served order is worth, and when each question was asked."""
    return rows.served(recipe, rows.measure(recipe)[0]), rows.times


def _rounds(path: Keys) -> Work:
    return lambda climb: climb.rounds([path])


def _of_section(objective: Objective, path: Keys, recipe: Recipe) -> Values:
    return (objective.measure({key: value for key, value in at(recipe, path).items() if key != "search"}),)
