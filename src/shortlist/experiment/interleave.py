"""Two rankings in one slate: a quick answer to which of them people would rather have.

Each round a coin says who picks first; each ranking then adds its best item that is not yet there, until the slate is
full. A click counts for the ranking that added the item. Everybody compares both at once, so what differs between
people drops out, and far fewer users decide than in an A/B test. It says which is better and not by how much of
anything.

Source: Radlinski, Kurup and Joachims (2008), How does clickthrough data reflect retrieval quality?, CIKM; Chapelle,
Joachims, Radlinski and Yue (2012), Large-scale validation and analysis of interleaved search evaluation, TOIS 30.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from scipy.special import stdtr, stdtrit

from shortlist.types import Array

Item = TypeVar("Item", bound=Hashable)


def drafted(a: Sequence[Item], b: Sequence[Item], n: int, coins: Sequence[int] | Array) -> list[tuple[int, int]]:
    """At most ``n`` picks in order, as (which ranking: 0 or 1, its row).

    ``coins[r]`` (0 or 1) is who picks first in round r; there are as many as ``n``. An item of both is picked once, by
    whoever comes to it first. Once a ranking has no more, the other goes on alone.
    """
    lists, places, taken = (a, b), [0, 0], set()
    picks: list[tuple[int, int]] = []
    for first in coins:
        for team in (int(first), 1 - int(first)):
            ranking = lists[team]
            while places[team] < len(ranking) and ranking[places[team]] in taken:
                places[team] += 1
            if places[team] < len(ranking) and len(picks) < n:
                taken.add(ranking[places[team]])
                picks.append((team, places[team]))
        if len(picks) >= n:
            break
    return picks


def preference(clicks_a: Array, clicks_b: Array, level: float = 0.95) -> dict[str, float]:
    """Which ranking the users prefer, by the clicks [n] of each user on the items of either.

    ``preference`` is the mean over users with any click of (b - a) / (a + b), between -1 (all for a) and 1; ``low``,
    ``high`` and the two-sided ``p`` are Student's, the user being the unit.
    """
    a, b = np.asarray(clicks_a, np.float64), np.asarray(clicks_b, np.float64)
    clicked = a + b > 0
    score = (b[clicked] - a[clicked]) / (a[clicked] + b[clicked])
    n = len(score)
    if n < 2:
        return {
            "users": n,
            "preference": float(score.mean()) if n else np.nan,
            "low": np.nan,
            "high": np.nan,
            "p": np.nan,
        }
    mean, error = float(score.mean()), float(score.std(ddof=1) / np.sqrt(n))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    p = float(2 * stdtr(n - 1, -abs(mean) / error)) if error else float(mean == 0)
    return {"users": n, "preference": mean, "low": mean - reach, "high": mean + reach, "p": p}


__all__ = ["drafted", "preference"]
