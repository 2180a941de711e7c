"""One search with Optuna: settings are proposed, measured and compared, the recipe's own before all others.

Source: Bergstra, Bardenet, Bengio and Kégl (2011), Algorithms for Hyper-Parameter Optimization (the tree-structured
Parzen estimator); Akiba et al. (2019), Optuna: A Next-generation Hyperparameter Optimization Framework.
"""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.durations import microseconds
from shortlist.progress import emit, listening, step
from shortlist.search import Dimension, Space
from shortlist.types import Float64

Params = dict[str, Any]
Measure = Callable[[Params], Float64]
"""Hyperparameters that differ from the recipe's own, as a recipe writes them -> one value [n] for each question."""
IDLE = 30
"""After so many settings in a row that were tried before, there are no others worth waiting for."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends: after so many settings beside the recipe's own, or at a moment (``time.monotonic``)."""

    trials: int | None = 50
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and what it came to."""

    params: Params
    value: float | None  # None = refused
    seconds: float
    refusal: str | None = None


@dataclass(slots=True)
class Study:
    """What a search found; trial 0 is the recipe's own setting."""

    trials: list[Trial]
    own: Float64  # [n]
    chosen: Float64  # [n]
    best: int = 0  # of equals the one that changes least, and then the first
    stopped: bool = False  # by hand
    repeats: int = field(default=0, repr=False)


def study(
    space: Space,
    measure: Measure,
    current: Params,
    budget: Budget,
    seed: int,
    title: str,
    known: Sequence[Trial] = (),
) -> Study:
    """Measures the recipe's own setting (``current``: its values of the space), then what a seeded TPE proposes.

    ``known`` are settings that were tried before: the search learns from them and proposes others.
    A setting refused with ``InputError``, or too large for the memory, counts as a trial and is pruned. Ctrl-C ends the
    search and keeps what was found so far. Raises ``InputError`` if the recipe's own setting is refused or Optuna is
    missing.
    """
    with step(title, total=None if budget.trials is None else budget.trials + 1):
        return _Run(space, measure, current, budget, title).run(seed, known)


class _Run:
    def __init__(self, space: Space, measure: Measure, current: Params, budget: Budget, title: str):
        self._space, self._measure, self._current = space, measure, current
        self._budget, self._title = budget, title
        self._known: dict[str, float | None] = {}

    def run(self, seed: int, known: Sequence[Trial]) -> Study:
        optuna = library()
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            first, own = self._try({}, self._current)
            if first.refusal is not None:
                raise InputError(first.refusal)
            found = Study([first], own, own)
            self._tell(found)
            startup = 10 if self._budget.trials is None else max(3, min(10, self._budget.trials // 3))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = optuna.samplers.TPESampler(
                    seed=seed + len(known), multivariate=True, n_startup_trials=startup
                )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            drawn = {name: _distribution(optuna, dimension) for name, dimension in self._space.items()}
            for trial in known:
                self._known[_json(trial.params)] = trial.value
            for params, value in [*((t.params, t.value) for t in known), (self._current, first.value)]:
                self._learn(optuna, study, drawn, params, value)
            try:
                while self._more(found):
                    with interruptible():
                        self._next(optuna, study, drawn, found)
            except KeyboardInterrupt:
                found.stopped = True
            return found
        finally:
            optuna.logging.set_verbosity(verbosity)

    def _learn(self, optuna: Any, study: Any, drawn: Mapping[str, Any], params: Params, value: float | None) -> None:
        """A setting measured before, as one the search proposed."""
        with suppress(ValueError, TypeError):  # it may lie outside of what is to be tried
            there = {name: _drawn(dimension, params.get(name)) for name, dimension in self._space.items()}
            state = optuna.trial.TrialState.PRUNED if value is None else optuna.trial.TrialState.COMPLETE
            study.add_trial(optuna.trial.create_trial(params=there, distributions=drawn, value=value, state=state))

    def _more(self, found: Study) -> bool:
        enough = self._budget.trials is not None and len(found.trials) > self._budget.trials
        return not (enough or found.repeats >= IDLE or time.monotonic() >= self._budget.until)

    def _next(self, optuna: Any, study: Any, drawn: Mapping[str, Any], found: Study) -> None:
        asked = study.ask(drawn)
        params = {name: _written(dimension, asked.params[name]) for name, dimension in self._space.items()}
        key = _json(params)
        repeated = key in self._known
        found.repeats = found.repeats + 1 if repeated else 0
        if not repeated:
            trial, values = self._try(params, params)
            found.trials.append(trial)
            if trial.value is not None and self._rank(trial) > self._rank(found.trials[found.best]):
                found.best, found.chosen = len(found.trials) - 1, values
            self._tell(found)
        value = self._known[key]
        if value is None:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(asked, value)

    def _rank(self, trial: Trial) -> tuple[float, int]:
        """By value, and of equals by how little is changed."""
        assert trial.value is not None
        return trial.value, -sum(value != self._current[key] for key, value in trial.params.items())

    def _try(self, params: Params, key: Params) -> tuple[Trial, Float64]:
        began = time.monotonic()
        values, value, refusal = np.empty(0), None, None
        try:
            with listening(lambda name, fields: None):  # a bar for every fit of a hundred would say nothing
                values = self._measure(params)
            if not np.isfinite(values).any():
                raise InputError(f"{self._title}: no request of the window has a right answer to measure by")
            value = float(np.nanmean(values))
        except InputError as error:
            refusal = str(error)
        except MemoryError as error:
            refusal = f"{self._title}: out of memory" + (f": {error}" if str(error) else "")
        self._known[_json(key)] = value
        return Trial(params, value, round(time.monotonic() - began, 3), refusal), values

    def _tell(self, found: Study) -> None:
        own, best = found.trials[0].value, found.trials[found.best].value
        total = None if self._budget.trials is None else self._budget.trials + 1
        note = f"best {best:.4f}, own {own:.4f}"
        emit("advance", title=self._title, done=len(found.trials), total=total, note=note)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C inside a compiled kernel comes out as a ``SystemError``; here it is what it was."""
    try:
        yield
    except SystemError as error:
        cause: BaseException | None = error
        while isinstance(cause, SystemError):  # each layer of the kernel's way out wraps it once more
            cause = cause.__cause__
        if isinstance(cause, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def library() -> Any:
    """Optuna; raises ``InputError`` where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError(f"tuning needs the package {error.name!r}: pip install 'shortlist[tune]'") from error
    return optuna


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.choices:
        return optuna.distributions.CategoricalDistribution([_json(choice) for choice in dimension.choices])
    if dimension.kind == "whole":
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), dimension.log)
    return optuna.distributions.FloatDistribution(float(dimension.low), float(dimension.high), dimension.log)


def _written(dimension: Dimension, drawn: Any) -> Any:
    if dimension.choices:
        return next(choice for choice in dimension.choices if _json(choice) == drawn)
    return dimension.written(drawn)


def _drawn(dimension: Dimension, value: Any) -> Any:
    """The inverse of ``_written``."""
    if dimension.choices:
        return _json(value)
    return microseconds(value) if dimension.kind == "duration" else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
