"""One experiment, one TOML file: which data, which components with which hyperparameters, what to report.

Sections hold a component's ``type`` (its file's name) and its hyperparameters. An unknown key or a value out of range
is an error at its exact path. There is no inheritance; ``--set a.b=value`` overrides are applied to the parsed tables.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, ValidationError

from shortlist import search
from shortlist.component import InputError, Search, Updates, able, explain
from shortlist.configured import Configured, override
from shortlist.data.spec import DataSpec
from shortlist.durations import Duration
from shortlist.pipeline import Averaged, Pipeline, coarse, members
from shortlist.registry import find, names

Section = dict[str, Any]
NAME = r"[A-Za-z][\w-]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
STAGES = ("asked", "merge", "rank", "slate", "fallback", "prerank")
"""Names that stand for stages in ``evaluation.json`` and ``rows.parquet``."""
POSITIVE = "positive"
"""The label that every sample has: whether the row is a right answer."""
TUNABLE = ("recall", "merge", "rank")
"""Sections that may have a ``search`` table: what ``shortlist tune`` may try instead of what the component declares."""


class Strict(Configured):
    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions and what they are called now: the error for the old one names the new one."""


class SamplesSpec(Strict):
    """How the ranker's training rows are made."""

    source: Literal["funnel", "exposures"] = "funnel"
    """``funnel``: the funnel's own candidates for replayed requests; ``exposures``: what was shown."""
    requests: Literal["replay", "start"] | None = None
    """How the requests learned from are asked, as in ``[evaluate]``; none = as they are there. A replay has more
    requests, so a ranker that is asked at the start of a window may yet learn more from it."""
    window: Duration = Field("1h", validate_default=True)
    """With exposures that have no label: a positive event for the item within this time is a click on it."""
    moments: Annotated[int, Field(ge=0), Search(5, 80, log=True)] = 40
    """At most this many requests a user, evenly spaced over the ranker's window (0 = all); not those of the test."""
    at_most: int | None = Field(None, ge=5)
    """That many requests of the ranker's window in all, drawn at random; none = all of them."""
    negatives: Annotated[int, Field(ge=0), Search(20, 200, log=True)] = 100
    """Rows without a target kept for each request, chosen at random; with exposures, for each click; 0 = all."""
    top_negatives: Annotated[int, Field(ge=0), Search(choices=(0, 5, 10, 20, 50))] = 0
    """Of those, how many are the best of the merge order instead of random (not with exposures)."""
    unseen: int = Field(0, ge=0)
    """Beside those, so many items a request that no channel found and the user has not met, drawn by popularity (their
    events before the window, to the power 3/4) and scored by every channel (not with exposures)."""
    half_life: Annotated[Duration | None, Search(choices=(None, "1d", "7d", "30d", "90d"))] = None
    """A row this much older than the latest weighs half; none = age does not matter."""
    balance: Annotated[bool, Search()] = False
    """Whether every user's rows weigh the same together, so that who asks more does not count more."""
    positive_weight: float = Field(1.0, gt=0)
    """What a positive row weighs beside a negative one."""
    labels: dict[Name, dict[str, StrictBool | float]] = {}
    """More labels beside ``positive``: by name, the events that make it 1 and from which value on:
    ``{ watched = { rating = 1 }, liked = { rating = 4 } }``, ``{ bought = { buy = true } }``."""

    def without_effect(self) -> frozenset[str]:
        """Fields that mean nothing where slates that were shown are learned from."""
        return frozenset({"moments", "top_negatives"} if self.source == "exposures" else ())

    @property
    def weights(self) -> dict[str, Any]:
        """The options of ``samples.weighted``."""
        return {name: getattr(self, name) for name in ("half_life", "balance", "positive_weight")}


class EvaluateSpec(Strict):
    """What the test window is asked."""

    renamed: ClassVar[Mapping[str, str]] = {"depth": "ahead"}

    requests: Literal["replay", "start", "last", "random"] = "replay"
    """``replay``: before moments of the users' own log; ``start``: once a known user when the window opens; ``last``:
    once a user, for the last positive event, without a ``split``; ``random``: once a user, for the events that
    ``split = { random = 0.1 }`` holds out, and needs no saying there. The last two are not time-true."""
    refit: bool = True
    """With ``last`` and ``random``: whether channels are fitted again with the validation events before they are
    asked; papers mostly leave them as they were."""
    k: list[Annotated[int, Field(ge=1, le=1000)]] = Field([10, 50], min_length=1)
    """Cut-offs of the metrics; lists are asked for with as many rows as the largest."""
    moments: int = Field(10, ge=1)
    """At most this many requests a user."""
    ahead: int = Field(20, ge=1)
    """Targets lie among this many next events."""
    horizon: Duration = Field("7d", validate_default=True)
    """Targets lie within this time of the moment asked about."""
    min_gap: Duration | Literal["session"] | None = None
    """A moment is asked only if the user was silent so long before it; "session": only if it opens one."""
    young: Duration = Field("30d", validate_default=True)
    """An item that came less than this long ago counts as young."""
    at_most: int | None = Field(None, ge=1)
    """That many requests of the test window, drawn at random; none = all. A log of millions is not replayed whole."""

    @property
    def once(self) -> bool:
        """Whether everybody is asked at one moment."""
        return self.requests != "replay"

    @property
    def held_out(self) -> bool:
        """Whether the right answers are events held out without regard to time."""
        return self.requests in ("last", "random")


class Recipe(Strict):
    """See the module. Component sections are checked against their components as soon as the recipe is read."""

    renamed: ClassVar[Mapping[str, str]] = {"search": "cross_validation"}

    name: str = Field(pattern=r"^\w[\w.-]*$")
    """Names the run: ``fit`` writes to ``runs/NAME``."""
    seed: int = Field(0, ge=0)
    """Seed of every component that draws at random and does not set its own."""
    threads: int = Field(1, ge=1)
    """Threads of components that can use several; more than one is not reproducible to the last bit."""
    depth: int = Field(200, ge=1)
    """Rows asked of each recall channel."""
    keep: int = Field(100, ge=1)
    """Rows a pre-ranker hands to the ranker."""
    data: DataSpec
    """Which log, how it is cut, what counts as right."""
    recall: dict[Name, Section] = {}
    """Channels: ``[recall.NAME]`` with a ``type``; none = rankers side by side on a plain table."""
    fallback: Section | None = None
    """A channel whose rows stand behind the ranked ones, unranked, so that no slate is short."""
    merge: Section = {"type": "reciprocal_rank"}
    """How the channels' rows become one row per item."""
    prerank: Section | None = None
    """A cheap ranker that hands only its best ``keep`` rows on. ``reads``: the features it is given, ``["channel"]``
    where none are named; the others are worked out for its best rows alone. ``teacher``: ``labels``, or ``rank`` to
    learn the order of the recipe's ranker. ``channel = "NAME"`` alone instead of a ``type``: that channel's score."""
    features: list[Section] = []
    """Columns for the ranker: ``[[features]]`` with a ``type``, one after the other."""
    samples: SamplesSpec = SamplesSpec()
    """How the ranker's training rows are made."""
    rank: Section = {}
    """``[rank]`` with a ``type``; or several as ``[rank.NAME]``: the best is served, or the average of those alike."""
    serve: str = "best"
    """Whose order is served: ``best`` = the best ranker's, or the average of those alike, where it is surely better
    than the merge's on the last two fifths of [rank, test), else the merge's; ``rank`` = the same, better or not;
    ``merge`` = the merge's; ``a`` = that ranker's; ``a+b`` = by the mean of the places that both give."""
    rules: list[Section] = []
    """What the slate must keep to: ``[[rules]]`` with a ``type``, in the order they are applied."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """What the test window is asked."""
    cross_validation: Section = {}
    """Cross-validation of rankers on a plain table."""

    @property
    def learned(self) -> EvaluateSpec:
        """How the requests are asked that rankers learn from."""
        return self.evaluate.model_copy(update={"requests": self.samples.requests or self.evaluate.requests})

    @property
    def digest(self) -> str:
        """SHA-256 of the whole experiment."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def rankers(self) -> dict[str, Section]:
        """``[rank]`` with a type is one ranker of that name; ``[rank.NAME]`` tables are several side by side."""
        return {self.rank["type"]: self.rank} if isinstance(self.rank.get("type"), str) else self.rank

    def component(self, kind: str, path: str, section: Section) -> Any:
        """The unfitted component of a section, seed and threads filled in."""
        if not isinstance(section, Mapping) or not isinstance(section.get("type"), str):
            raise InputError(f"{path}: expected a table with a type, one of {', '.join(names(kind))}")
        try:
            cls = find(kind, section["type"])
        except InputError as error:
            raise InputError(f"{path}.type: {error}") from error
        tunable = path.partition(".")[0] in TUNABLE
        own = {"type", *(("search",) if tunable else ()), *(coarse.OWN if path == "prerank" else ())}
        common: dict[str, Any] = {"seed": self.seed, "threads": self.threads}
        common |= {"channels": list(self.recall)} if kind == "features" else {}
        config = {name: value for name, value in common.items() if name in cls.model_fields}
        config |= {key: value for key, value in section.items() if key not in own}
        try:
            made = cls.from_config(config)
        except ValidationError as error:
            raise InputError(explain(error, path, cls)) from error
        if tunable and "search" in section:
            search.check(cls, config, section["search"], f"{path}.search")
        return made

    def pipeline(self) -> Pipeline:
        """The funnel this recipe describes, unfitted and without its ranker (see ``ranker``)."""
        rules: dict[str, Any] = {}
        for number, section in enumerate(self.rules):
            rule = self.component("rules", f"rules.{number}", section)
            name = section["type"].rpartition(":")[2]
            rules[name if name not in rules else f"{name}.{number}"] = rule
        recall = {name: self.component("recall", f"recall.{name}", s) for name, s in self.recall.items()}
        return Pipeline(
            recall=recall,
            merge=self.component("merge", "merge", self.merge),
            fallback=self.component("recall", "fallback", self.fallback) if self.fallback else None,
            prerank=self._prerank(recall),
            cheap=coarse.read_by(self.prerank, self.features) if self.prerank else frozenset(),
            features=[self.component("features", f"features.{n}", s) for n, s in enumerate(self.features)],
            rules=rules,
            depth=self.depth,
            keep=self.keep,
        )

    def _prerank(self, recall: Mapping[str, Any]) -> Any:
        """The pre-ranker, unfitted; none where the recipe has none."""
        if not self.prerank or "channel" in self.prerank:
            return coarse.by_channel(self.prerank, recall) if self.prerank else None
        made = self.component("rank", "prerank", self.prerank)
        coarse.is_taught(self.prerank, made)
        return made

    def ranker(self, name: str) -> Any:
        """One of the rankers, or several as one (``a+b``), unfitted."""
        if len(names := members(name)) > 1:
            return Averaged(rankers={one: self.ranker(one) for one in names})
        path = "rank" if self.rankers is not self.rank else f"rank.{name}"
        return self.component("rank", path, self.rankers[name])


def read(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads and checks a recipe; raises ``InputError`` naming the file and the path of the wrong key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such recipe file") from error
    except OSError as error:
        raise InputError(f"{path}: expected a recipe file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    for one in overrides:
        override(tables, one)
    try:
        return parse(tables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse(tables: Mapping[str, Any]) -> Recipe:
    """A checked recipe from parsed tables."""
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        raise InputError(explain(error, "", Recipe)) from error
    _refuse_idle(recipe)
    if recipe.recall:
        recipe = _asked_at_random(recipe)
        _check_asked(recipe)
    recipe.pipeline()
    if recipe.recall:
        for name in recipe.rankers:
            _check_ranker(recipe, name)
        if recipe.serve not in ("best", "rank", "merge") and set(members(recipe.serve)) - set(recipe.rankers):
            raise InputError(f"serve: expected best, rank, merge or rankers' names joined by +, found {recipe.serve!r}")
    return recipe


def _check_ranker(recipe: Recipe, name: str) -> None:
    """The labels that a ranker learns must be those of the samples, and what a service learns what a fit would."""
    ranker, there = recipe.ranker(name), [POSITIVE, *recipe.samples.labels]
    path = "rank" if recipe.rankers is not recipe.rank else f"rank.{name}"
    for key, labels in (("label", [getattr(ranker, "label", None)]), ("labels", getattr(ranker, "labels", []))):
        if missing := [label for label in labels if label and label not in there]:
            raise InputError(f"{path}.{key}: [samples.labels] has no {missing[0]!r}; there are {', '.join(there)}")
    spec, told = recipe.samples, getattr(recipe.data.exposures, "columns", None) or ()
    other = spec.source != "exposures" or spec.negatives or spec.half_life or spec.balance or "label" in told
    if other and (learner := able(ranker, Updates)) and learner.pace():
        raise InputError(
            f"{path}.every: a service learns from every row as it was shown, and sees in the events what came of it: "
            'give [samples] source = "exposures", negatives = 0, no half_life and no balance, and exposures no label'
        )


def _asked_at_random(recipe: Recipe) -> Recipe:
    """The recipe; where its split is random, asked so: that need not be said twice."""
    split, asked = recipe.data.split, recipe.evaluate
    if split is None or split.random is None or "requests" in asked.model_fields_set:
        return recipe
    return recipe.model_copy(update={"evaluate": asked.model_copy(update={"requests": "random"})})


def _check_asked(recipe: Recipe) -> None:
    """How the log is split and how it is asked must fit together."""
    split, asked, samples = recipe.data.split, recipe.evaluate, recipe.samples
    random = split is not None and split.random is not None
    if random != (asked.requests == "random"):
        raise InputError(
            f'evaluate.requests: "{asked.requests}" does not ask for events at random; leave it out'
            if random
            else 'evaluate.requests: "random" needs data.split = { random = 0.1 }'
        )
    if samples.requests is not None and samples.source == "exposures":
        raise InputError('samples.requests: does nothing with source = "exposures": slates are asked when shown')
    if not asked.held_out:
        if not asked.refit:
            raise InputError('evaluate.refit: false only with requests = "last" or "random": a cut by time refits')
        if asked.min_gap == "session" and recipe.data.sessions is None:
            raise InputError('evaluate.min_gap: "session" needs [data.sessions], as in gap = "30m"')
        return
    if samples.requests is not None:
        raise InputError(f'samples.requests: with "{asked.requests}" rankers learn from what is held out; leave it out')
    if samples.source == "exposures":
        raise InputError('samples.source: "exposures" needs a split by time')


def _refuse_idle(recipe: Recipe) -> None:
    """A section that would do nothing is a misunderstanding, and a channel named like a stage an ambiguity."""
    for path, sections in (("recall", recipe.recall), ("rank", recipe.rankers)):
        for name in sections:
            if name in STAGES and path == "recall":
                raise InputError(f"recall.{name}: the name of a stage; give the channel another")
            if not re.fullmatch(NAME, name.rpartition(":")[2]):
                raise InputError(f"{path}.{name}: expected a name of letters, digits, _ and -, beginning with a letter")
    if POSITIVE in recipe.samples.labels:
        raise InputError(f"samples.labels.{POSITIVE}: the name of the label that data.positive makes; choose another")
    given = recipe.model_fields_set
    if recipe.recall:
        if recipe.data.rows:
            raise InputError("recall: channels need a log ([data.events]), and [data.rows] is a plain table")
        if recipe.cross_validation:
            raise InputError("cross_validation: tunes rankers on a plain table only; this recipe has channels")
        if recipe.prerank and not recipe.rank:
            raise InputError("prerank: hands its best rows to a ranker, and the recipe has none ([rank])")
        return
    for idle in ("fallback", "merge", "prerank", "features", "samples", "serve", "rules", "evaluate", "depth", "keep"):
        if idle in given:
            raise InputError(f"{idle}: does nothing without channels ([recall.NAME])")


__all__ = ["EvaluateSpec", "Recipe", "SamplesSpec", "override", "parse", "read"]
