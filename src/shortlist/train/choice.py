"""Which order is served: the best ranker's, or the merge's where no ranker is surely better.

All are judged by NDCG@10 of the same rows, those of the last fifth of the rankers' window. Of rankers the one with the
highest mean is taken, surely better than the others or not. Against the merge order it must be surely better: by more
than the standard error of the difference, users being what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shortlist.metrics.interval import gain
from shortlist.progress import emit
from shortlist.types import Array, Float64

MERGE = "merge"
"""What the merge order is called beside the rankers."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the last fifth says of every ranker and of the merge order."""

    values: Mapping[str, Float64]  # by name [n]: NDCG@10, NaN where a request has no order to get wrong
    users: Array  # [n]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each; NaN where nothing could be ordered."""
        return {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in self.values.items()}

    def served(self, serve: str) -> str | None:
        """The ranker to be served under ``Recipe.serve``, None for the merge order; why ``best`` takes that is told.

        Where the merge order is not among them (rows that were shown, not found) the best ranker is.
        """
        if serve not in ("best", "rank"):
            return None if serve == MERGE else serve
        means, chosen = self.means, self.best()
        if serve == "rank" or MERGE not in means or np.isnan(means[chosen]) or self._surely(chosen, MERGE):
            return chosen
        users = len(np.unique(self.users[np.isfinite(self.values[MERGE])]))
        told = "no better than" if means[chosen] <= means[MERGE] else "too close to tell from"
        message = (
            f"rank: NDCG@10 {means[chosen]:.4f} of {chosen} on the last fifth ({users} users) is {told} the merge "
            f"order's {means[MERGE]:.4f}: the merge order is served"
        )
        emit("warning", message=message)
        return None

    def best(self) -> str:
        """The ranker with the highest mean, the first of the recipe of equals, or where nothing could be ordered."""
        rankers = {name: value for name, value in self.means.items() if name != MERGE}
        return max(rankers, key=lambda name: np.nan_to_num(rankers[name], nan=-1.0))

    def _surely(self, one: str, other: str) -> bool:
        """Whether one is better than another by more than the standard error of the difference."""
        if one == other:
            return False
        mean, error = gain(self.values[one], self.values[other], self.users)
        return mean > error
