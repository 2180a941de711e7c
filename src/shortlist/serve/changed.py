"""The funnel of an arm: a bundle's pipeline with soft rules, merge or ranker changed; all else is shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from shortlist.component import Component, InputError, Rule, explain
from shortlist.experiment.design import Arm
from shortlist.pipeline import Pipeline
from shortlist.serve.trial import try_out
from shortlist.serve.view import View
from shortlist.types import Candidates, Ragged

C = TypeVar("C", bound=Component)
OFF = "off"
"""``rules.mmr.off = true`` leaves a rule out."""


def changed(pipeline: Pipeline, arm: Arm, where: str) -> Pipeline:
    """The pipeline as ``arm`` says; raises ``InputError`` at ``where`` (``experiments.NAME.arms.ARM``).

    What was learned stays: a changed hyperparameter that only matters while fitting does nothing.
    """
    rules = dict(pipeline.rules)
    for name, hyperparameters in arm.rules.items():
        rule = rules.get(name)
        if not isinstance(rule, Rule):
            soft = ", ".join(name for name, rule in rules.items() if isinstance(rule, Rule)) or "none"
            raise InputError(f"{where}.rules.{name}: no such soft rule in the bundle; there are {soft}")
        if hyperparameters.get(OFF) is True:
            del rules[name]
        else:
            rules[name] = _with(rule, hyperparameters, f"{where}.rules.{name}")
    fresh = replace(pipeline, rules=rules)
    if arm.merge:
        fresh.merge = _with(pipeline.merge, arm.merge, f"{where}.merge")
        if {"weights", "quotas"} & set(arm.merge):  # given, so there is nothing to learn them from
            none = {name: Candidates.empty() for name in pipeline.recall}
            try:
                fresh.merge.fit(none, Ragged.of(np.empty(0, np.int64), 0, item=np.empty(0, np.int32)))
            except InputError as error:
                raise InputError(f"{where}.{error}") from error
    if arm.ranker == "merge":
        fresh.ranker, fresh.prerank, fresh.cheap = None, None, frozenset()
    return fresh


def try_changed(view: View, arms: Mapping[str, Arm]) -> None:
    """Answers as ``arms`` (by their paths) say, for people all over the log; raises ``InputError`` if that fails.

    Changed rules look at the catalogue as they do when they are fitted, so that a wrong attribute is found.
    """
    pipeline = view.bundle.pipeline
    for where, arm in arms.items():
        pipeline = changed(pipeline, arm, where)
        for name in arm.rules.keys() & pipeline.rules.keys():
            rule = pipeline.rules[name]
            try:
                type(rule).from_config(rule.config()).fit(view.data)
            except InputError as error:
                raise InputError(f"{where}.{error}") from error
    try_out(view, view.last, pipeline)


def _with(part: C, hyperparameters: Mapping[str, Any], where: str) -> C:
    """The component with some hyperparameters changed, and what it has learned."""
    try:
        fresh = type(part).from_config({**part.config(), **hyperparameters})
    except ValidationError as error:
        raise InputError(explain(error, where, type(part))) from error
    learned = {name: value for name, value in part.__dict__.items() if name not in type(part).model_fields}
    fresh.__dict__.update(learned)
    return fresh


__all__ = ["changed", "try_changed"]
