"""Features, samples and rankers: what the ranked list of the last fifth of [rank, test) is worth.

One set of samples is made, with the columns of more features than the recipe has; what is tried leaves columns out,
makes other rows to learn from, or fits another ranker. The rows that are judged stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shortlist.component import InputError
from shortlist.pipeline import Pipeline, Trace, averaged
from shortlist.recipe import Recipe, Section, parse
from shortlist.registry import names
from shortlist.train import Schedule
from shortlist.train.choice import Choice, Judged
from shortlist.train.rankers import RankerSamples
from shortlist.train.samples import weighted
from shortlist.tuning._climb import Climb, Values
from shortlist.tuning._lists import columns_needed
from shortlist.tuning.measures import Metric
from shortlist.types import Array, Float64, Int64, Samples

MANY, LARGE = 200_000, 4_000
"""Of a log with more events than this, rankers learn from so many requests while they are tuned."""
WEIGHTS = ("half_life", "balance", "positive_weight")
"""Of the samples: what needs no other rows."""


class Rows:
    """The samples of one recipe, made once, and what rankers make of them."""

    def __init__(self, schedule: Schedule, recipe: Recipe, metric: Metric, extras: Sequence[Section] = ()):
        self.features = [*recipe.features, *extras]
        self._large = len(schedule.data.events) > MANY
        self._metric = metric
        self._schedule = replace(schedule, recipe=self._widened(recipe))
        self.state = self._schedule.part("rank").state
        self._pipeline = self._schedule.recipe.pipeline()
        self._schedule.merge(self._pipeline)
        self._made = self._schedule.samples(self._pipeline)
        self._columns = _columns(self._pipeline, self._made, self.state)
        self._samples = recipe.samples
        # (what it is worth, places) by recipe and ranker: a part begins with what the one before it ended with
        self._values: dict[tuple[str, str], tuple[Float64, Int64]] = {}

    @property
    def users(self) -> Array:
        """[n]: who asks."""
        return self._made.questions.requests.user

    @property
    def times(self) -> Array:
        """[n]: when; two sets of samples are judged by the same questions where these are the same."""
        return self._made.questions.requests.time

    @property
    def asked(self) -> str:
        """On what rankers are judged, in words."""
        return f"{len(self.users):,} requests of {len(np.unique(self.users)):,} users, the last fifth before test"

    def makes(self, number: int) -> tuple[str, ...]:
        """The columns of a feature."""
        return self._columns[number]

    def keep(self, recipe: Recipe) -> None:
        """From now on rows are made as the recipe's samples say."""
        self._made, self._samples = self._sampled(recipe), recipe.samples

    def measure(self, recipe: Recipe, name: str | None = None) -> Values:
        """([n],): NDCG@10, or another metric, of a ranker; NaN where nothing can be wrong.

        By default of what would be chosen among all: the best, or the average of those that nothing tells from it.
        """
        wanted = list(recipe.rankers) if name is None else [name]
        made = None
        for ranker in wanted:
            if (recipe.digest, ranker) not in self._values:
                made = made or self._seen(recipe)
                rows = made.scored(made.fit(recipe.ranker(ranker)), self.state)
                self._values[recipe.digest, ranker] = self._judged(made, rows.ranked()), rows.rank_of()
        found = {ranker: self._values[recipe.digest, ranker] for ranker in wanted}
        values = {ranker: value for ranker, (value, _) in found.items()}
        choice = Choice((Judged("the last fifth", values, self.users),))
        alike = choice.alike()
        if len(alike) < 2:
            return (values[choice.best()],)
        score = averaged(found[ranker][1] for ranker in alike)
        return (self._judged(self._made, self._made.served.candidates.with_columns(score=score).ranked()),)

    def served(self, recipe: Recipe, value: Float64) -> Float64:
        """[n]: ``value`` of the best ranker, or what the merge order is worth where that is more and may be served."""
        if recipe.serve == "rank" or recipe.samples.source == "exposures":
            return value
        merged = self._judged(self._made, self._made.served.candidates)
        return merged if np.nanmean(merged) > np.nanmean(value) else value

    def _judged(self, made: RankerSamples, ranked: object) -> Float64:
        return np.where(made.orderable, self._metric(ranked, made.questions), np.nan)  # type: ignore[arg-type]

    def _seen(self, recipe: Recipe) -> RankerSamples:
        """The samples as the recipe would have them: its rows, its columns."""
        made = self._sampled(recipe)
        left = list(recipe.features)
        kept: list[str] = []
        for feature, columns in zip(self.features, self._columns, strict=True):
            if feature in left:
                left.remove(feature)
                kept += columns
        if left:
            raise InputError(f"features: {left[0]['type']} has no columns here")

        def some(samples: Samples) -> Samples:
            return replace(samples, candidates=samples.candidates.select(kept))

        train, valid = some(made.train), some(made.valid)
        served = valid if made.served is made.valid else some(made.served)
        return replace(made, train=train, valid=valid, served=served)

    def _sampled(self, recipe: Recipe) -> RankerSamples:
        spec = recipe.samples
        if spec == self._samples:
            return self._made
        if spec.model_dump(exclude=set(WEIGHTS)) == self._samples.model_dump(exclude=set(WEIGHTS)):
            return replace(self._made, train=weighted(self._made.unweighted, **spec.weights))
        return replace(self._schedule, recipe=self._widened(recipe)).samples(self._pipeline, self._made)

    def _widened(self, recipe: Recipe) -> Recipe:
        """The recipe with the features of these rows, and so few requests that a large log can be tuned on."""
        samples = recipe.samples
        if self._large:
            samples = samples.model_copy(update={"at_most": min(samples.at_most or LARGE, LARGE)})
        return recipe.model_copy(update={"features": self.features, "samples": samples})


def extras(schedule: Schedule, recipe: Recipe) -> list[Section]:
    """Features that the recipe has not, as they come, which the log has something for."""
    known, there = schedule.part("rank").known, {section["type"] for section in recipe.features}
    found: list[Section] = []
    for kind in names("features"):
        if kind in there:
            continue
        try:
            recipe.component("features", f"features.{kind}", {"type": kind}).fit(known)
        except InputError:
            continue
        found.append({"type": kind})
    return found


def tune_features(climb: Climb, rows: Rows) -> None:
    """Features that the recipe has not are added, then each is left out."""
    recipe = parse(climb.tables)
    own = len(recipe.features)
    for extra in rows.features[own:]:
        features = [*climb.tables.get("features", []), extra]
        climb.attempt(f"features: {extra['type']} added", {**climb.tables, "features": features})
    needed = columns_needed(recipe)
    cheap = recipe.pipeline().cheap
    for number, section in enumerate(rows.features[:own]):
        there = climb.tables.get("features", [])
        if number in cheap or needed & set(rows.makes(number)) or len(there) < 2:
            continue
        left = list(there)
        left.remove(section)
        climb.attempt(f"features: {section['type']} left out", {**climb.tables, "features": left})


def tune_samples(climb: Climb, rows: Rows) -> None:
    """How many rows are learned from and how they are weighed."""
    climb.rounds([("samples",)])
    rows.keep(parse(climb.tables))


def _columns(pipeline: Pipeline, made: RankerSamples, state: object) -> list[tuple[str, ...]]:
    """The columns of each feature that are in the samples."""
    requests = made.questions.requests.take(np.arange(min(4, len(made.questions))))
    trace = Trace()
    asked, rows = pipeline.found(requests, state, trace)  # type: ignore[arg-type]
    rows = pipeline.scored(asked, rows, state, trace)  # type: ignore[arg-type]
    found = []
    for feature in pipeline.features:
        columns = feature.compute(asked, rows, state)  # type: ignore[arg-type]
        rows = rows.with_columns(**columns)
        found.append(tuple(name for name in columns if name in made.valid.candidates.columns))
    return found
