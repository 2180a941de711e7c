"""The experiments of a running service: the file is watched, and each answer is dealt its arms.

The file is read again, in a thread, when it changes: its bundles are opened, its funnels made and tried, and only then
does it take the place of the one before. A file that cannot stand changes nothing; ``/readyz`` says why. A fault of an
arm costs the arm and not the answer: the answer is everybody's then, and says that it is in no arm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.experiment.assign import told, weights
from shortlist.experiment.design import INTERLEAVED, Arm, Design, read
from shortlist.pipeline import Pipeline
from shortlist.serve.changed import changed, try_changed
from shortlist.serve.live import Live
from shortlist.serve.store import Unavailable
from shortlist.serve.view import View

log = logging.getLogger("shortlist.serve")
PAUSE = 1.0
"""Seconds between two looks at the file."""
KEY = "experiments "
"""Begins the names under which ``Live`` holds the bundles of arms."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """Who answers: a view and a pipeline over its components."""

    view: View
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Dealt:
    """What one answer is dealt: its arms by experiment, and one funnel, or two to interleave under the arms' names."""

    arms: dict[str, str]
    funnels: Mapping[str | None, Funnel]


@dataclass
class _Plan:
    design: Design
    made: dict[tuple[tuple[str, str], ...], Funnel] = field(default_factory=dict)


class Arms:
    """Deals arms as the file at ``path`` says."""

    def __init__(self, path: Path, live: Live):
        """Raises ``InputError`` if the file cannot stand beside what is served."""
        self.path = path
        self.failed: str | None = None
        """Why the file as it is now is not heeded, or an arm cost an answer its arms."""
        self._live = live
        self._closed = threading.Event()
        self._stamp = self._stamped()
        self._plan = self._read()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def design(self) -> Design:
        """The file as it is heeded."""
        return self._plan.design

    def deal(self, user: str | None, now: int) -> Dealt:
        """The arms of one answer and who makes it; raises ``InputError`` if one of the arms cannot answer."""
        plan = self._plan
        arms = told(plan.design, user, now)
        mixed = [name for name in arms if name in plan.design.experiments and plan.design.experiments[name].interleave]
        if not mixed:
            return Dealt(arms, {None: self._funnel(plan, arms)})
        name = mixed[0]  # the file is refused where two could meet
        both: dict[str | None, Funnel] = {
            arm: self._funnel(plan, {**arms, name: arm}) for arm in plan.design.experiments[name].arms
        }
        return Dealt({**arms, name: INTERLEAVED}, both)

    def told(self, now: int) -> dict[str, dict[str, Any]]:
        """Each experiment in words: its layer, share and arms, and how much of its span is in it now."""
        return {
            name: {
                **one.model_dump(mode="json", include={"layer", "span", "start", "stop", "main"}),
                "share": one.share_at(now),
                "arms": dict(weights(self.design, name)),
            }
            for name, one in self.design.experiments.items()
        }

    def fault(self, error: Exception) -> None:
        """An arm did not answer: said once in the log, and in ``/readyz``."""
        line = f"{self.path}: an arm did not answer: {type(error).__name__}: {error}"
        if self.failed != line:
            log.warning(line)
        self.failed = line

    def close(self) -> None:
        """Looks no more."""
        self._closed.set()

    def _funnel(self, plan: _Plan, arms: Mapping[str, str]) -> Funnel:
        chosen = tuple((name, arm) for name, arm in arms.items() if name in plan.design.experiments)
        bundle = next((what.bundle for _, what in _named(plan.design, chosen) if what.bundle), None)
        view = self._live.view(None if bundle is None else KEY + bundle)
        known = plan.made.get(chosen)
        if known is None or known.view is not view:  # another version was turned to meanwhile
            known = plan.made[chosen] = Funnel(view, _changed(view, plan.design, chosen))
        return known

    def _read(self) -> _Plan:
        """The file, its bundles open and every arm tried by itself."""
        design, live = read(self.path), self._live
        self._check(design)
        wanted = {KEY + arm.bundle for one in design.experiments.values() for arm in one.arms.values() if arm.bundle}
        for key in sorted(wanted - live.held.keys()):
            live.activate(key.removeprefix(KEY), key)
        for held in [name for name in live.held if name is not None and name.startswith(KEY)]:
            if held not in wanted:
                live.release(held)
        return _Plan(design)

    def _check(self, design: Design) -> None:
        """Raises ``InputError`` where an arm cannot answer, by itself or together with those of other layers."""
        live, own = self._live, self._live.held[None].bundle.path.name
        versions = {line["bundle"] for line in live.bundles()}
        views: dict[str, View] = {}  # views of its own: those that answer belong to the thread that answers
        for name, one in design.experiments.items():
            others = [(n, arm) for n, e in design.experiments.items() if e.layer != one.layer for arm in e.arms]
            for arm, what in one.arms.items():
                bundle = what.bundle or own
                if bundle not in versions:
                    there = ", ".join(sorted(versions))
                    where = f"{self.path}: experiments.{name}.arms.{arm}.bundle"
                    raise InputError(f"{where}: {bundle!r} is not in {live.folder}, which has {there}")
                if not what.touched:
                    continue
                if bundle not in views:
                    views[bundle] = View(open_bundle(live.folder / bundle))
                try:
                    try_changed(views[bundle], {f"experiments.{name}.arms.{arm}": what})
                    for other in others if what.bundle else ():
                        _changed(views[bundle], design, ((name, arm), other))
                except InputError as error:
                    raise InputError(f"{self.path}: {error}") from error

    def _stamped(self) -> tuple[int, int, int] | None:
        """Changes when the file does; None while there is none."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _watch(self) -> None:
        while not self._closed.wait(PAUSE):
            stamp = self._stamped()
            if stamp == self._stamp:
                continue
            try:
                fresh = self._read()
            except Unavailable as error:
                self.failed = f"{error}; the experiments go on as they were until the store is back"
                continue
            except Exception as error:  # whatever it is, the file before goes on
                self.failed = f"{error}; the experiments go on as they were"
                log.warning(self.failed)
            else:
                self._plan, self.failed = fresh, None
                log.info("%s: read again, %d experiments", self.path, len(fresh.design.experiments))
            self._stamp = stamp


Chosen = tuple[tuple[str, str], ...]


def _named(design: Design, chosen: Chosen) -> list[tuple[str, Arm]]:
    """Each arm, by the path of its table."""
    return [(f"experiments.{name}.arms.{arm}", design.experiments[name].arms[arm]) for name, arm in chosen]


def _changed(view: View, design: Design, chosen: Chosen) -> Pipeline:
    pipeline = view.bundle.pipeline
    for where, arm in _named(design, chosen):
        pipeline = changed(pipeline, arm, where)
    return pipeline


__all__ = ["Arms", "Dealt", "Funnel"]
