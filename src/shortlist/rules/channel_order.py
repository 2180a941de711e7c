"""Rows in the order of the channels that found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import State
from shortlist.rules._moved import score_of
from shortlist.rules._reason import each
from shortlist.rules._share import share_of
from shortlist.types import Array, Candidates, Float32, Requests


class ChannelOrder(Rule):
    """Orders rows by (channel, rank in it): one channel's rows after the other's, or each in turn.

    ``channels`` names them in order; several in one list are one kind, whose rank is the best of theirs. A row belongs
    to the first that found it. With ``turns`` each in turn gives its best row that is not placed yet. Rows that none of
    them found follow in the order they have, the fallback's last. The scores of the request are dealt out again, the
    highest to the first row, so that later rules see this order as what the rows are worth. What it holds to: no row
    comes or goes, no score is new, and scores fall with the place. Missed: the share of rows that stand behind one that
    this order has after them.

    Source: Shortlist's own definition.
    """

    example: ClassVar[Mapping[str, Any]] = {"channels": ["cf", "hot"]}

    channels: Annotated[list[str | Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
    """Names of channels, or lists of names that count as one: ``["cf", ["hot", "fresh"]]``."""
    across: Literal["blocks", "turns"] = "blocks"
    """Whether all rows of a channel come before those of the next, or the channels take turns."""
    within: Literal["rank", "place"] = "rank"
    """Order inside a channel: its own ranks, or the places that rows have in the list."""

    def needed(self) -> Sequence[str]:
        """The ranks of all channels named."""
        return [f"{name}.rank" for group in self._groups() for name in group]

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows in the new order."""
        score = score_of(candidates)
        order, group = _ordered(
            candidates.offsets(len(requests)),
            score,
            self._ranks(candidates),
            self.across == "turns",
            self.within == "place",
        )
        rows = candidates.with_columns(score=score).take(order).with_columns(score=_dealt(candidates, score, order))
        return each(rows, group[order] + 1, ["", *(f"by channel {' or '.join(names)}" for names in self._groups())])

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Array:
        """[n]: share of each slate that stands behind a row which belongs after it; NaN of an empty one."""
        offsets, score = slate.offsets(len(requests)), score_of(slate)
        turns, place = self.across == "turns", self.within == "place"
        order, _ = _ordered(offsets, score, self._ranks(slate), turns, place)
        belongs = np.empty(len(order), np.int64)
        belongs[order] = np.arange(len(order))
        overtaken = belongs < np.maximum.accumulate(belongs) if len(belongs) else np.zeros(0, bool)
        return share_of(overtaken, slate, len(requests))

    def _groups(self) -> list[list[str]]:
        return [[group] if isinstance(group, str) else group for group in self.channels]

    def _ranks(self, candidates: Candidates) -> Float32:
        """[groups, m]: the best rank of each group's channels; infinite where they were silent."""
        out = np.full((len(self.channels), len(candidates)), np.inf, np.float32)
        for row, names in zip(out, self._groups(), strict=True):
            for name in names:
                if f"{name}.rank" in candidates:
                    np.fmin(row, candidates[f"{name}.rank"], out=row)
        return out


def _dealt(candidates: Candidates, score: Float32, order: Array) -> Float32:
    """[m]: the scores of each request, falling, over the rows that have one, in the new order."""
    scored = np.isfinite(score)
    out = score[order]
    falling = np.lexsort((-score[scored], candidates.request[scored]))
    out[scored[order]] = score[scored][falling]
    return out


@njit(cache=True)
def _ordered(offsets: Array, score: Array, ranks: Array, turns: bool, by_place: bool) -> tuple[Array, Array]:
    """[m], [m]: row numbers in the new order, and the group of each row as it was placed; -1 = none."""
    groups, m = ranks.shape
    order, group = np.arange(m), np.full(m, -1)
    for r in range(len(offsets) - 1):
        low, high = offsets[r], offsets[r + 1]
        if low == high:
            continue
        mine = np.empty((groups, high - low), np.int64)
        for g in range(groups):
            mine[g] = np.arange(high - low) if by_place else np.argsort(ranks[g, low:high], kind="mergesort")
        at, out = np.zeros(groups, np.int64), low
        while True:
            before = out
            for g in range(groups):
                while at[g] < high - low:
                    row = low + mine[g, at[g]]
                    at[g] += 1
                    if group[row] < 0 and np.isfinite(ranks[g, row]) and np.isfinite(score[row]):
                        group[row], order[out] = g, row
                        out += 1
                        if turns:
                            break
            if out == before:
                break
        for ranked in (True, False):
            for row in range(low, high):
                if group[row] < 0 and np.isfinite(score[row]) == ranked:
                    order[out] = row
                    out += 1
    return order, group
