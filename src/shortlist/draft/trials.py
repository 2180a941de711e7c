"""Channels tried on [tune, rank), the window that is kept for choosing: what each finds, and which are worth having.

A channel's own list is measured first as it comes, then with other half-lives where it is among the best. A setting
other than the default is taken only where its gain can be told from chance. Channels are then taken one by one, each
the one that does most for the merged order, as long as one does anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.draft.nature import Nature
from shortlist.metrics.interval import gain
from shortlist.progress import emit
from shortlist.recipe import Recipe
from shortlist.tuning import channels
from shortlist.tuning.measures import Metric, Window
from shortlist.types import Candidates, Float64

ORDER, WIDE = Metric("ndcg", 10), Metric("recall", 200)
POPULAR = ("6h", "1d", "3d", "7d", "30d", "90d", "none")
"""Half-lives of what is popular."""
AGES, STEPS, LASTS = ("1h", "1d", "7d", "30d"), (1, 3, 10), (5,)
"""Half-lives of a history, by time and by step, and how much of it."""
ADJUSTED = 3
"""So many families, the best and association, are tried with other settings."""
MOST = 8
"""Channels a draft has at most: each is fitted three times."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A channel with its settings, and what it was worth."""

    type: str
    settings: Mapping[str, Any]
    order: Float64  # [n] NDCG@10 of its own list
    wide: Float64  # [n] recall@200
    found: Candidates  # the rows of all questions

    @property
    def section(self) -> dict[str, Any]:
        """Its section of a recipe."""
        return {"type": self.type, **self.settings}


@dataclass(slots=True)
class Trials:
    """Those of one log. Nothing is tried after ``until`` (``time.process_time``: a busy machine drafts the same)."""

    recipe: Recipe
    window: Window
    nature: Nature
    until: float
    made: list[Trial] = field(default_factory=list)

    def tried(self, kind: str, **settings: Any) -> Trial | None:
        """One channel measured; None where it refuses this log or these settings."""
        try:
            found = channels.found(self.recipe, kind, {"type": kind, **settings}, self.window)
        except (InputError, MemoryError):
            return None
        order, wide = (metric(found, self.window.questions) for metric in (ORDER, WIDE))
        trial = Trial(kind, settings, order, wide, found)
        self.made.append(trial)
        emit("advance", title="channels tried", done=len(self.made), total=None)
        return trial

    def popular(self) -> list[Trial]:
        """What everybody takes: the half-life with the best order, and the one that finds most."""
        found = [t for t in (self.tried("popular", half_life=age) for age in self._within(POPULAR)) if t]
        best = max(found, key=lambda t: t.order.mean())
        widest = max(found, key=lambda t: t.wide.mean())
        return [best] if widest is best else [best, widest]

    def families(self) -> list[Trial]:
        """One trial a family, with the settings that suit the log."""
        kinds = ["repeat"] if self.nature.repeats > 0 else []
        kinds += channels.families(self.nature.items, self.nature.events)
        found = {kind: trial for kind in kinds if self._time() and (trial := self.tried(kind))}
        if "repeat" in found:
            found["repeat"] = self._better(found["repeat"], [{"half_life": age} for age in ("7d", "90d", "none")])
        own = sorted((k for k in found if k != "repeat"), key=lambda k: -found[k].order.mean())
        for kind in dict.fromkeys([*own[:ADJUSTED], *(["association"] if "association" in found else [])]):
            found[kind] = self._adjusted(found[kind])
        return list(found.values())

    def _adjusted(self, trial: Trial) -> Trial:
        """With the half-life, the fading by step or the end of the history that is surely better, if one is."""
        ways: list[dict[str, Any]] = [{"half_life": age} for age in self._within(AGES)]
        ways += [{"fade": float(step)} for step in STEPS] + [{"last": last} for last in LASTS]
        best = self._better(trial, ways)
        ways = (
            [{**best.settings, "signal": "all"}] if len(self.window.known.behaviours.names) > 1 or self._rated else []
        )
        return self._better(best, ways)

    @property
    def _rated(self) -> bool:
        """Whether some events are not positive."""
        return bool(np.any(self.window.known.events.weight <= 0))

    def _better(self, trial: Trial, ways: Sequence[Mapping[str, Any]]) -> Trial:
        """The best of other settings, where it gains more than a standard error over ``trial``; else ``trial``."""
        others = [t for way in ways if self._time() and (t := self.tried(trial.type, **way))]
        best = max(others, key=lambda t: t.order.mean(), default=trial)
        mean, error = gain(best.order, trial.order, self.window.questions.requests.user)
        return best if mean > error else trial

    def _within(self, ages: Sequence[str]) -> list[str]:
        """The half-lives that the log is long enough for."""
        days = {"h": 1 / 24, "d": 1.0}
        return [a for a in ages if a == "none" or float(a[:-1]) * days[a[-1]] <= max(self.nature.days / 2, 1 / 24)]

    def _time(self) -> bool:
        return time.process_time() < self.until

    def chosen(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those worth having, the most useful first.

        First those that raise the NDCG@10 of the merged order, then those that raise the share of right answers found.
        """
        kept: list[Trial] = []
        order, share = np.zeros(len(self.window.questions)), 0.0
        while len(kept) < MOST:
            rest = [t for t in trials if t not in kept]
            merged = {id(t): self._merged([*kept, t]) for t in rest}
            best = max(rest, key=lambda t: merged[id(t)][0].mean(), default=None)
            if best is None:
                break
            if merged[id(best)][0].mean() < order.mean() + 1e-4:  # no order gets better: what is found may
                best = max(rest, key=lambda t: merged[id(t)][1])
                if merged[id(best)][1] < share + 0.01:
                    break
            order, share = merged[id(best)]
            kept.append(best)
        return kept

    def _merged(self, trials: Sequence[Trial]) -> tuple[Float64, float]:
        """([n] NDCG@10 of equal weights by rank, share of the right answers among all rows)."""
        named = {f"{t.type}.{n}": t.found for n, t in enumerate(trials)}
        questions = self.window.questions
        fused = self.recipe.component("merge", "merge", {"type": "reciprocal_rank", "learn": "none", "k": 1000})
        rows = fused.fit(named, questions.targets).merge(named, len(questions))
        return ORDER(rows, questions), float(np.nanmean(Metric("recall", 1000)(rows, questions)))

    def merge(self, trials: Mapping[str, Trial]) -> tuple[dict[str, Any], Float64]:
        """The section of the merge that orders the later half of the questions best, and its NDCG@10 there."""
        questions = self.window.questions
        middle = len(questions) // 2
        halves = np.arange(len(questions)) < middle
        parts = [
            (
                questions.take(np.flatnonzero(half)),
                {name: channels.shifted(t.found.take(half[t.found.request]), -start) for name, t in trials.items()},
            )
            for half, start in ((halves, 0), (~halves, middle))
        ]
        (early, learned), (late, judged) = parts
        best: tuple[dict[str, Any], Float64] | None = None
        for section in (
            {"type": "reciprocal_rank"},
            {"type": "weighted"},
            {"type": "weighted", "scale": "z"},
            {"type": "reciprocal_rank", "c0": 10.0},
        ):
            made = self.recipe.component("merge", "merge", section).fit(learned, early.targets)
            value = ORDER(made.merge(judged, len(late)), late)
            if best is None or value.mean() > best[1].mean():
                best = section, value
        assert best is not None
        return best
