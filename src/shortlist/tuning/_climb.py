"""A part of the funnel changed step by step; a step is kept where the validation says that it gains.

It gains where the mean rises by more than the standard error of the difference, users being what is drawn, and nothing
that is measured beside it falls by as much. The best of m that are worth nothing still looks like sqrt(2 ln m) errors,
which bounds what is to be expected of the largest of m normal draws: so much more must it be after m tries in vain.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.metrics.interval import gain
from shortlist.progress import emit, listening
from shortlist.recipe import Recipe, parse
from shortlist.tuning._plan import Keys, current, space
from shortlist.tuning._record import Record, Tables, Try, digest
from shortlist.tuning._study import Budget, study
from shortlist.types import Array, Float64

Values = tuple[Float64, ...]
"""[n] for each metric, the one that counts most first."""
SLICE = 4
"""Settings of a section that are tried before it is the next one's turn."""
PATIENCE = 3
"""After so many turns without a gain a section is left."""


@dataclass(slots=True)
class Climb:
    """The recipe's tables as they are now, and what they are worth to one part of the funnel."""

    part: str
    tables: Tables
    measure: Callable[[Recipe], Values]
    users: Array  # [n] whom each value belongs to
    sections: Sequence[str]  # what the measure depends on
    record: Record
    until: float = np.inf  # ``time.monotonic``: nothing is begun after it
    seed: int = 0
    trials: int | None = None  # settings of each section, all calls together
    before: Values = ()
    values: Values = ()
    kept: list[str] = field(default_factory=list)
    steps: list[Tables] = field(default_factory=list)  # after each that was kept
    tried: int = 0

    def begin(self) -> None:
        """Measures the recipe as it is; raises ``InputError`` where that cannot be done."""
        self.before = self.values = self.measure(parse(self.tables))
        if not np.isfinite(self.values[0]).any():
            raise InputError(f"{self.part}: no request has a right answer to measure by")

    def time(self) -> bool:
        """Whether there is time for another try."""
        return time.monotonic() < self.until

    def attempt(self, what: str, tables: Tables) -> bool:
        """One change; whether it was kept. What was tried before is not tried again."""
        if not self.time() or self.record.has(digest(tables, self.sections)):
            return False
        began, values, refusal = time.monotonic(), None, None
        try:
            with listening(lambda name, fields: None):
                values = self.measure(parse(tables))
        except InputError as error:
            refusal = str(error)
        except MemoryError:
            refusal = "out of memory"
        tried = self.record.in_vain(self.part, None) + 1
        return self._judged(what, tables, values, time.monotonic() - began, refusal, tried)

    def search(self, path: Keys, most: int = SLICE) -> bool:
        """Some settings of a section, proposed by Optuna; whether the best of them was kept."""
        where, recipe = ".".join(path), parse(self.tables)
        tried, known = space(recipe, path), self.record.settings(".".join(path))
        seen: dict[str, Values] = {}

        def measure(params: Mapping[str, Any]) -> Float64:
            if not params:
                return self.values[0]
            found = seen[json.dumps(params, sort_keys=True)] = self.measure(parse(self._with(path, params)))
            return found[0]

        own = current(recipe, path, tried)
        made = study(tried, measure, own, Budget(most, self.until), self.seed, f"settings of {where}", known)
        gained, among = False, self.record.in_vain(self.part, where) + len(made.trials) - 1
        for number, trial in enumerate(made.trials[1:], 1):
            best = number == made.best
            changed = {key: value for key, value in trial.params.items() if value != own[key]}
            words = (f"no {key}" if value is None else f"{key} = {json.dumps(value)}" for key, value in changed.items())
            what = f"{where}: {', '.join(words)}"
            values = seen.get(json.dumps(trial.params, sort_keys=True))
            gained |= self._judged(
                what,
                self._with(path, changed),
                values,
                trial.seconds,
                trial.refusal,
                among,
                (where, trial.params),
                best,
            )
        if made.stopped:
            raise KeyboardInterrupt
        return gained

    def rounds(self, paths: Sequence[Keys]) -> None:
        """Searches the sections in turn; those that gain go on, those that do not are left."""
        fruitless = {path: 0 for path in paths if space(parse(self.tables), path)}
        while fruitless and self.time():
            for path in list(fruitless):
                done = len(self.record.settings(".".join(path)))
                most = SLICE if self.trials is None else min(SLICE, self.trials - done)
                if most > 0 and self.time():
                    fruitless[path] = 0 if self.search(path, most) else fruitless[path] + 1
                if fruitless[path] >= PATIENCE or len(self.record.settings(".".join(path))) == done:
                    del fruitless[path]

    def told(self, metrics: Sequence[str], asked: str) -> dict[str, Any]:
        """What the part came to."""
        mean, error = gain(self.values[0], self.before[0], self.users)
        return {
            "part": self.part,
            "metric": metrics[0],
            "asked": asked,
            "before": float(np.nanmean(self.before[0])),
            "after": float(np.nanmean(self.values[0])),
            "gain": mean,
            "error": error,
            "beside": {
                name: [float(np.nanmean(old)), float(np.nanmean(new))]
                for name, old, new in zip(metrics[1:], self.before[1:], self.values[1:], strict=True)
            },
            "tried": self.tried,
            "kept": self.kept,
        }

    def _judged(
        self,
        what: str,
        tables: Tables,
        values: Values | None,
        seconds: float,
        refusal: str | None,
        among: int,
        searched: tuple[str, dict[str, Any]] | None = None,
        best: bool = True,
    ) -> bool:
        rise: float | None = None
        error: float | None = None
        better, value = False, None
        if values is not None and refusal is None:
            rise, error = gain(values[0], self.values[0], self.users)
            value = float(np.nanmean(values[0]))
            better = best and surely_better(values, self.values, self.users, among)
        section, params = searched or (None, None)
        key = digest(tables, self.sections)
        if better:
            assert values is not None
            self.tables, self.values = tables, values
            self.kept.append(what)
            self.steps.append(tables)
        self.tried += 1
        note = f"{np.nanmean(self.values[0]):.4f}, {np.nanmean(self.before[0]):.4f} before"
        emit("advance", title=f"tune {self.part}", done=self.tried, total=None, note=note)
        made = Try(self.part, what, key, value, rise, error, better, round(seconds, 3), refusal, section, params)
        self.record.add(made, self.tables)
        return better

    def _with(self, path: Keys, params: Mapping[str, Any]) -> Tables:
        """The tables with other values in one section; None takes a key out."""
        tables = copy.deepcopy(self.tables)
        if path[0] not in tables:  # a section that was left out
            tables[path[0]] = dict(parse(tables).merge) if path == ("merge",) else {}
        section = tables
        for key in path:
            section = section[key]
        for name, value in params.items():
            if value is None:
                section.pop(name, None)
            else:
                section[name] = value
        return tables


def surely_better(new: Values, old: Values, users: Array, among: int = 1) -> bool:
    """Whether the first metric rises by more than chance, as the best ``among`` so many, and no other falls by more."""
    errors = max(1.0, math.sqrt(2 * math.log(max(among, 1))))
    (rise, error), *others = (gain(one, other, users) for one, other in zip(new, old, strict=True))
    return rise > errors * error and not any(mean < -error for mean, error in others)
