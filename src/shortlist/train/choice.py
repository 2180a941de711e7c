"""Which order is served: the best ranker's, that of several averaged, or the merge's where none is surely better.

All are judged by NDCG@10 of the same rows, in one window or two: the last fifth of the rankers' window, and the fourth
by rankers that learned on three (``fourth``). A mean is over all requests of both, and so is a gain; its standard error
draws users, who are the same in either window. The ranker with the highest mean is best; where others are within a
standard error of it, nothing tells them apart, and the mean of their places is taken: tried on windows that did not say
who is alike, it is ahead of the best mean (``bench/funnel/CHOICE.md``). It is served where it gains more than a
standard error over the merge order. No clock is asked: it would choose differently on every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import ndcg
from shortlist.metrics.interval import gain
from shortlist.pipeline import AND, averaged, members
from shortlist.progress import emit
from shortlist.types import Array, Bool, Candidates, Float64, Int32, Ragged

MERGE = "merge"
"""What the merge order is called beside the rankers."""


@dataclass(frozen=True, slots=True)
class Places:
    """In which places rankers put the rows of a window, and what is right there."""

    rows: Candidates  # requests and items alone
    targets: Ragged  # [n] rows of items
    orderable: Bool  # [n]
    of: Mapping[str, Int32]  # by ranker [m], from 1

    def averaged(self, names: Sequence[str]) -> Float64:
        """[n]: NDCG@10 of the rows by the mean of the places that several rankers give them."""
        score = averaged(self.of[name] for name in names)
        return worth(self.rows.with_columns(score=score), self.targets, self.orderable)


def worth(rows: Candidates, targets: Ragged, orderable: Bool) -> Float64:
    """[n]: NDCG@10 of rows by ``score``; NaN where there is no order to get wrong."""
    return np.where(orderable, ndcg(Slates.of(rows.select(["score"]).ranked(), targets, 10), 10), np.nan)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one window says of every ranker and of the merge order."""

    window: str  # in words
    values: Mapping[str, Float64]  # by name [n]: NDCG@10, NaN where a request has no order to get wrong
    users: Array  # [n]
    places: Places | None = None  # without them no average is judged

    @property
    def means(self) -> dict[str, float]:
        """The mean of each; NaN where nothing could be ordered."""
        return {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in self.values.items()}

    @property
    def counts(self) -> tuple[int, int]:
        """(requests, users) that say something."""
        told = np.any([np.isfinite(value) for value in self.values.values()], axis=0)
        return int(told.sum()), len(np.unique(self.users[told]))

    def told(self, name: str) -> str:
        """What a ranker gains over the merge order, and who was asked."""
        mean, error = gain(self.values[name], self.values[MERGE], self.users)
        requests, users = self.counts
        return f"{_signed(mean)} ± {error:.4f} on {self.window} ({requests:,} requests of {users:,} users)"

    def document(self) -> dict[str, Any]:
        """The means, and of each ranker what it gains over the merge order with the standard error."""
        requests, users = self.counts
        told = {"window": self.window, "requests": requests, "users": users, "ndcg@10": self.means}
        if MERGE not in self.values:
            return told
        gains = {name: gain(v, self.values[MERGE], self.users) for name, v in self.values.items() if name != MERGE}
        return {**told, "gain": {name: {"mean": mean, "error": error} for name, (mean, error) in gains.items()}}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the windows say of every ranker and of the merge order, the last fifth first."""

    windows: tuple[Judged, ...]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each on the last fifth; none where nothing was fitted."""
        return self.windows[0].means if self.windows else {}

    @property
    def users(self) -> Array:
        """[all requests]: who asks, window after window; who asks in several is one and the same."""
        return np.concatenate([window.users for window in self.windows])

    def joined(self, serve: str) -> Choice:
        """The same, with the average of those rankers that ``serve`` names, or else that cannot be told apart."""
        names = self.alike() if serve in ("best", "rank") else members(serve)
        places = [window.places for window in self.windows]
        if len(names) < 2 or any(one is None for one in places):
            return self
        values = [one.averaged(names) for one in places if one is not None]
        pairs = zip(self.windows, values, strict=True)
        return Choice(tuple(replace(one, values={**one.values, AND.join(names): value}) for one, value in pairs))

    def alike(self) -> list[str]:
        """The rankers within a standard error of the best, and it; none where nothing could be ordered."""
        best = self.best()
        gains = {name: self._gain(best, name) for name in self.windows[0].values if name != MERGE}
        return [name for name, (mean, error) in gains.items() if mean <= error]

    def document(self) -> list[dict[str, Any]]:
        """Every window's."""
        return [window.document() for window in self.windows]

    def served(self, serve: str) -> str | None:
        """The ranker to be served under ``Recipe.serve``, None for the merge order; why ``best`` takes that is told.

        Where the merge order is not among them (rows that were shown, not found) the best ranker is.
        """
        if serve not in ("best", "rank"):
            return None if serve == MERGE else serve
        best = self.best()
        if serve == "rank" or MERGE not in self.windows[0].values or np.isnan(self._mean(best)):
            return best
        mean, error = self._gain(best, MERGE)
        if mean > error:
            return best
        told = "is no better than the merge order" if mean <= 0 else "is too close to tell from the merge order"
        said = [window.told(best) for window in self.windows]
        together = f"; together {_signed(mean)} ± {error:.4f}" if len(said) > 1 else ""
        message = f"rank: NDCG@10 of {best} {told}: {', '.join(said)}{together}: the merge order is served"
        emit("warning", message=message)
        return None

    def best(self) -> str:
        """The average where rankers were joined; else the highest mean, the first of equals or where all is NaN."""
        means = {name: self._mean(name) for name in self.windows[0].values if name != MERGE}
        return max(means, key=lambda name: (AND in name, np.nan_to_num(means[name], nan=-1.0)))

    def _gain(self, one: str, other: str) -> tuple[float, float]:
        return gain(self._pooled(one), self._pooled(other), self.users)

    def _pooled(self, name: str) -> Float64:
        return np.concatenate([window.values[name] for window in self.windows])

    def _mean(self, name: str) -> float:
        values = self._pooled(name)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"
