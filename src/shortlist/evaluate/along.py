"""The front of accuracy against diversity along one setting of a soft rule, on the same requests.

Recall, features and ranking are done once a batch; for each value only that rule and those after it are applied again.
The rule alone is fitted anew for each value, on the log before the window; nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from shortlist.component import InputError, Rule, explain
from shortlist.data import Dataset
from shortlist.documents import jsonable
from shortlist.evaluate._aims import missed, told_of
from shortlist.evaluate._beyond import Catalogue, mean
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_intervals
from shortlist.pipeline import Pipeline
from shortlist.progress import track
from shortlist.questions import BATCH, answerable, questions_of, refuse_failures
from shortlist.recipe import EvaluateSpec
from shortlist.types import Candidates, Float64

POINTS = 10
"""So many values, or one more where that makes rounder ones."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one soft rule and the values it is to have."""

    rule: str
    path: tuple[str, ...]  # the field, and the key within it where it is a table
    values: tuple[Any, ...]

    @staticmethod
    def parse(written: str, pipeline: Pipeline) -> Setting:
        """From ``rules.mmr.trade_off=0.1..1`` or ``rules.scatter.most.genres=1,2,4``; raises ``InputError``."""
        key, equals, values = written.partition("=")
        expected = "expected rules.NAME.SETTING=LOW..HIGH or =VALUE,VALUE, such as rules.mmr.trade_off=0.1..1"
        if not equals or not key.startswith("rules."):
            raise InputError(f"--along {written}: {expected}")
        inner = key.removeprefix("rules.")
        named = sorted((name for name in pipeline.rules if inner.startswith(f"{name}.")), key=len)
        if not named:
            known = ", ".join(pipeline.rules) or "none"
            raise InputError(f"--along {key}: no such rule, or no setting of one; the recipe has {known}")
        name = named[-1]
        rule = pipeline.rules[name]
        if not isinstance(rule, Rule):
            raise InputError(
                f"--along {key}: {name} speaks before recall, so nothing is left as it was; a soft rule is"
            )
        path = tuple(inner.removeprefix(f"{name}.").split("."))
        found = Setting(name, path, _values(values, f"--along {written}", Setting(name, path, ())._whole(rule)))
        for value in found.values:
            found.of(rule, value)
        return found

    @property
    def name(self) -> str:
        """As it is written in a recipe's path."""
        return ".".join(("rules", self.rule, *self.path))

    def declared(self, rule: Rule) -> Any:
        """The value that the recipe gives it; None where a table lacks the key."""
        found: Any = rule.config()
        for part in self.path:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _whole(self, rule: Rule) -> bool:
        """Whether only whole numbers do: 1.5 is refused for what it is, not for being out of bounds."""
        try:
            self.of(rule, 1.5)
        except InputError as error:
            return "integer" in str(error)
        return False

    def of(self, rule: Rule, value: Any) -> Rule:
        """The rule with the value, unfitted; raises ``InputError`` where it may not have it."""
        config = rule.config()
        table = config
        for part in self.path[:-1]:
            if not isinstance(table.get(part), dict):
                raise InputError(f"{self.name}: no such setting; known are {', '.join(type(rule).model_fields)}")
            table = table[part]
        table[self.path[-1]] = value
        try:
            return type(rule).from_config(config)
        except ValidationError as error:
            raise InputError(explain(error, f"rules.{self.rule}", type(rule))) from error


def along(
    pipeline: Pipeline,
    data: Dataset,
    spec: EvaluateSpec,
    setting: Setting,
    opens: int,
    closes: int | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """The window ``opens <= time < closes`` asked with every value of the setting.

    ``{"setting", "declared", "k", "requests", "users", "accuracy", "diversity", "aim", "points": [{"value", "front",
    "metrics": {METRIC: {"mean", "low", "high"} or a number}, "missed": mean, "change": {METRIC: {"diff", "low",
    "high", "p"}}}]}``: ``change`` is against the setting as declared; on the ``front`` is what no other value beats in
    both ``accuracy`` (NDCG) and ``diversity`` (by the rule's own attribute, else the first) at the smallest cut-off.
    """
    rule, state, k, deepest = pipeline.rules[setting.rule], data.state(), min(spec.k), max(spec.k)
    assert isinstance(rule, Rule)
    asked = questions_of(data, state, spec, opens, closes, at_most=spec.at_most, seed=seed)
    questions = answerable(asked, pipeline, state)
    known = data.until(opens)
    rules = [setting.of(rule, value).fit(known) for value in setting.values]
    lists: list[list[Candidates]] = [[Candidates.empty()] for _ in (rule, *rules)]  # as declared, then each value
    aims: list[list[Float64]] = [[np.empty(0)] for _ in rules]
    for first in track(range(0, len(questions), BATCH), f"along {setting.name}"):
        batch = questions.take(np.arange(first, min(first + BATCH, len(questions))))
        slate, trace = pipeline.recommend(batch.requests, state, deepest)
        refuse_failures(trace)
        shown = [slate, *(pipeline.revised(trace, setting.rule, one, state, deepest) for one in rules)]
        for kept, rows in zip(lists, (rows.head(k) for rows in shown), strict=True):
            kept.append(Candidates((rows.request + first).astype(np.uint32), rows.item))
        for told, rows in zip(aims, shown[1:], strict=True):  # by the rule as declared, so that points can be compared
            told.append(missed(rule, batch.requests, rows.head(k), state, k))
    beside = Catalogue.of(questions.requests, pipeline, data, opens, spec.young)
    judged = [Slates.of(Candidates.concat(parts), questions.targets, k) for parts in lists]
    each = [accuracy.per_request(slates, [k]) | beside.each(slates, k) for slates in judged]
    users, metrics = questions.requests.user, list(each[0])
    base, *values = [np.stack([told[m] for m in metrics], axis=1) for told in each]
    diversity = _diversity(rule, metrics, k)
    table = []
    for value, matrix, slates, missing in zip(setting.values, values, judged[1:], aims, strict=True):
        means = {m: asdict(i) for m, i in zip(metrics, mean_intervals(matrix, users, seed), strict=True)}
        changes = zip(metrics, paired_intervals(matrix, base, users, seed), strict=True) if len(users) else ()
        whole = {"metrics": means | beside.whole(slates, k), "missed": mean(np.concatenate(missing))}
        table.append({"value": value, **whole})
        table[-1]["change"] = {m: asdict(i) for m, i in changes}
    _mark(table, f"ndcg@{k}", diversity)
    asked_of = {"requests": len(users), "users": len(np.unique(users)), "accuracy": f"ndcg@{k}", "diversity": diversity}
    head = {"setting": setting.name, "declared": setting.declared(rule), "k": k, **asked_of, "aim": told_of(rule)}
    document: dict[str, Any] = jsonable({**head, "points": table})
    return document


def _mark(table: Sequence[dict[str, Any]], accuracy: str, diversity: str | None) -> None:
    """``front``: whether no other point is at least as good in both and better in one."""
    if diversity is None:
        return
    at = [tuple(point["metrics"][m]["mean"] for m in (accuracy, diversity)) for point in table]
    for point, (a, d) in zip(table, at, strict=True):
        beaten = any(x >= a and y >= d and (x > a or y > d) for x, y in at)
        point["front"] = bool(np.isfinite(a) and np.isfinite(d)) and not beaten


def _diversity(rule: Rule, metrics: Sequence[str], k: int) -> str | None:
    """By the attribute that the rule is about, else the first there is, else by vectors."""
    by = rule.config().get("by") or []
    own = [f"diversity.{name}@{k}" for name in ([by] if isinstance(by, str) else by)]
    known = [m for m in metrics if m.startswith("diversity.")] + [m for m in metrics if m.startswith("vector_")]
    return next((m for m in [*own, *known] if m in known), None)


def _values(written: str, where: str, whole: bool) -> tuple[Any, ...]:
    """0.1..1 as ten numbers, 1..5 as whole ones where only these do, and what stands between commas."""
    low, dots, high = written.partition("..")
    if not dots:
        values = tuple(_value(part.strip()) for part in written.split(","))
        if "" in values:
            raise InputError(f"{where}: expected values between the commas, found {written!r}")
        return tuple(dict.fromkeys(values))
    ends = [_value(low), _value(high)]
    if not all(isinstance(end, int | float) and np.isfinite(end) for end in ends) or not ends[0] < ends[1]:
        raise InputError(f"{where}: expected two numbers, the smaller first, found {written!r}")
    span = ends[1] - ends[0]
    steps = min((POINTS - 1, POINTS), key=lambda n: len(f"{span / n:.6g}".strip("0.")))
    points = [round(ends[0] + span * n / steps, 10) for n in range(steps + 1)]
    return tuple(dict.fromkeys(round(point) for point in points)) if whole else tuple(points)


def _value(written: str) -> Any:
    for kind in (int, float):
        try:
            return kind(written)
        except ValueError:
            continue
    return written
