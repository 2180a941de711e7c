"""Channels and merge: what the merged list of [tune, rank) is worth, learned on one half of its questions and judged on
the other, both ways round. A channel is fitted once for every setting of its own, whatever stands beside it.
"""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from shortlist.recipe import STAGES, Recipe, parse
from shortlist.registry import names
from shortlist.train import Schedule
from shortlist.tuning import channels, measures
from shortlist.tuning._climb import Climb, Values
from shortlist.tuning.measures import Metric
from shortlist.types import Candidates

HELD = 16
"""Channels whose rows are held, each with its settings; 2,000 questions have about five megabytes of them."""


class Lists:
    """Both halves of [tune, rank), and what channels found there."""

    def __init__(self, schedule: Schedule, seed: int, metric: Metric, ranked: bool):
        halves = measures.windows(schedule, seed, 2)
        known = channels.latest(halves[0].known)
        self._halves = [replace(half, known=known) for half in halves]
        self._metric, self._ranked = metric, ranked
        self._found: OrderedDict[str, list[Candidates]] = OrderedDict()
        self.users = np.concatenate([half.questions.requests.user for half in halves])
        self.asked = f"{len(self.users):,} requests of {len(np.unique(self.users)):,} users before rank"
        self.items, self.events = len(np.unique(known.events.item)), len(known.events)

    def metrics(self, recipe: Recipe) -> list[str]:
        """What ``measure`` gives; where a ranker follows also the share of the right answers that it is handed."""
        return [str(self._metric), *([f"recall@{recipe.merge.get('k', 300)}"] if self._ranked else [])]

    def measure(self, recipe: Recipe) -> Values:
        """[n] each, questions of the first half before those of the second."""
        found: list[dict[str, Candidates]] = [{}, {}]
        for name, section in recipe.recall.items():
            for half, rows in zip(found, self._rows(recipe, name, section), strict=True):
                half[name] = rows
        metrics = [self._metric, *([Metric("recall", int(recipe.merge.get("k", 300)))] if self._ranked else [])]
        values: list[Values] = []
        for judged, learned in ((0, 1), (1, 0)):
            merge = recipe.component("merge", "merge", recipe.merge)
            merge.fit(found[learned], self._halves[learned].questions.targets)
            questions = self._halves[judged].questions
            rows = merge.merge(found[judged], len(questions))
            values.append(tuple(metric(rows, questions) for metric in metrics))
        return tuple(np.concatenate(parts) for parts in zip(*values, strict=True))

    def _rows(self, recipe: Recipe, name: str, section: Mapping[str, Any]) -> list[Candidates]:
        key = json.dumps(section, sort_keys=True, default=str)
        if key not in self._found:
            channel = recipe.component("recall", f"recall.{name}", dict(section)).fit(self._halves[0].known)
            self._found[key] = [channels.answered(channel, recipe.depth, half) for half in self._halves]
            while len(self._found) > max(HELD, len(recipe.recall) + 2):
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]


def tune_channels(climb: Climb, lists: Lists) -> None:
    """Channels of other types are added, then each is left out, then the settings of those that stay are searched."""
    recipe = parse(climb.tables)
    there = {section["type"] for section in recipe.recall.values()}
    kinds = ["popular", "fresh", *([] if _seen(recipe) else ["repeat"])]
    for kind in [*kinds, *channels.families(lists.items, lists.events)]:
        name = kind if kind not in {*climb.tables["recall"], *STAGES} else f"{kind}_2"
        if kind not in there:
            added = {**climb.tables["recall"], name: {"type": kind}}
            climb.attempt(f"recall.{name} added", {**climb.tables, "recall": added})
    needed = columns_needed(recipe)
    for name in list(climb.tables["recall"]):
        if len(climb.tables["recall"]) > 1 and not any(column.startswith(f"{name}.") for column in needed):
            left = {key: section for key, section in climb.tables["recall"].items() if key != name}
            climb.attempt(f"recall.{name} left out", {**climb.tables, "recall": left})
    climb.rounds([("recall", name) for name in climb.tables["recall"]])


def tune_merge(climb: Climb, lists: Lists) -> None:
    """Other types of merge as they come, then the settings of the one that is kept."""
    own = parse(climb.tables).merge
    for kind in names("merge"):
        if kind != own["type"]:
            kept = {key: value for key, value in own.items() if key in ("k", "seed", "sample")}
            climb.attempt(f"merge: type = {kind}", {**copy.deepcopy(climb.tables), "merge": {"type": kind, **kept}})
    climb.rounds([("merge",)])


def columns_needed(recipe: Recipe) -> set[str]:
    """Columns that rules ask for: what makes them must stay."""
    return {column for rule in recipe.pipeline().rules.values() for column in getattr(rule, "needs", ())}


def _seen(recipe: Recipe) -> bool:
    """Whether what a user had is not shown again."""
    return any(section["type"] == "seen" for section in recipe.rules)
