"""Two rankings in one slate: a quick answer to which of them people would rather have.

Each round a coin says who picks first; each ranking then adds its best item that is not yet there, until the slate is
full. A click counts for the ranking that added the item, or rather, as both may have added it there, for how much
likelier one of them was to: the mean over other throws of the coins under which the same item came to stand at the same
place. That changes no expectation, since people see items and places and not who added them, and takes off the noise of
items that both would have shown. Everybody compares both at once, so what differs between people drops out, and far
fewer users decide than in an A/B test. It says which is better and not by how much of anything.

Source: Radlinski, Kurup and Joachims (2008), How does clickthrough data reflect retrieval quality?, CIKM; Chapelle,
Joachims, Radlinski and Yue (2012), Large-scale validation and analysis of interleaved search evaluation, TOIS 30;
Hofmann, Whiteson and de Rijke (2011), A probabilistic method for inferring preferences from clicks, CIKM.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from scipy.special import stdtr, stdtrit

from shortlist.experiment.effect import estimate
from shortlist.experiment.moments import moments
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


def credited(a: Sequence[Item], b: Sequence[Item], n: int, coins: Array) -> tuple[list[tuple[int, int]], list[float]]:
    """The draft by ``coins[0]``, and for each of its places the credit of a click: from -1 (all a's) to 1 (all b's).

    ``coins`` [throws, n] are 0 or 1, all drawn alike. A credit is the mean over the throws that put the same item at
    the same place.
    """
    lists = (a, b)
    drafts = [drafted(a, b, n, throw.tolist()) for throw in np.asarray(coins)]
    sums: dict[tuple[int, Item], list[int]] = {}
    for picks in drafts:
        for place, (team, row) in enumerate(picks):
            sums.setdefault((place, lists[team][row]), []).append(2 * team - 1)
    found = [sums[place, lists[team][row]] for place, (team, row) in enumerate(drafts[0])]
    return drafts[0], [sum(signs) / len(signs) for signs in found]


def preference(credit: Array, clicks: Array, level: float = 0.95) -> dict[str, float]:
    """Which ranking the users prefer, by each user's clicks [n] and the sum of their credits [n].

    ``preference`` is Σ credit / Σ clicks over users, between -1 (all for a) and 1, the user being the unit: variance
    by the delta method (see ``effect``), ``low``, ``high`` and the two-sided ``p`` Student's. ``users`` are those who
    clicked; with fewer than two there is no opinion.
    """
    credit, clicks = np.asarray(credit, np.float64), np.asarray(clicks, np.float64)
    clicked = clicks > 0
    n = int(clicked.sum())
    told = estimate(moments(credit[clicked], clicks[clicked])[0])
    error = np.sqrt(told.variance)
    reach = float(stdtrit(n - 1, (1 + level) / 2) * error) if n > 1 else float("nan")
    p = float(2 * stdtr(n - 1, -abs(told.value) / error)) if error > 0 else float("nan")
    return {"users": n, "preference": told.value, "low": told.value - reach, "high": told.value + reach, "p": p}


__all__ = ["credited", "drafted", "preference"]
