"""How likely a funnel shows what was shown: its slates for the requests of a log of exposures.

A funnel without chance shows an item or does not: 1 or 0. One that explores says so in the column ``propensity`` of its
slates. What it shows then depends on the id of the request, so it is asked ``DRAWS`` times under other ids, and the
share of draws stands for the chance: right on average, so that whatever is linear in it stays unbiased.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from shortlist.data import State
from shortlist.data.exposures import SHOWN_AT
from shortlist.offpolicy.slates import so_far
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, refuse_failures
from shortlist.types import Array, Bool, Candidates, Float64, Int64, Samples

DRAWS = 32
CHANCE = "propensity"
"""Column of a slate: with which chance the item was put there."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a funnel would do with each row [m] of the slates of a log."""

    target: Float64  # [m] chance that it shows the item at this place; where no place is known, on as long a slate
    given: Float64  # [m] that chance given that it showed all rows above; 0 if it never shows those
    value: Float64  # [m] what ``expected`` makes of what it would show there
    draws: int  # how often each request was asked at most


def played(
    pipeline: Pipeline,
    shown: Samples,
    state: State,
    expected: Callable[[Int64, Array], Float64],
    draws: int = DRAWS,
) -> Played:
    """The slates of ``shown``, a request each, as the funnel would have filled them.

    ``expected(row [j], item [j])`` is what the model expects of another item at the place of a row; -1 = none.
    """
    m = len(shown)
    rows, n = shown.candidates, len(shown.requests)
    offsets, place = rows.offsets(n), places(rows)
    length = np.maximum(np.diff(offsets)[rows.request], place)
    here, above, value = np.zeros(m), np.zeros(m), np.zeros(m)
    asked = np.ones(n)
    for first in track(range(0, n, BATCH), "policy"):
        last = min(first + BATCH, n)
        mine = np.arange(offsets[first], offsets[last])
        k = int(length[mine].max(initial=1))
        for draw, slate in enumerate(_drawn(pipeline, shown.take(np.arange(first, last)), state, k, draws)):
            table = _table(slate, last - first, k)
            request = rows.request[mine].astype(np.int64) - first
            same = _same(table, request, rows.item[mine], place[mine], length[mine])
            here[mine] += same
            above[mine] += so_far(request, same.astype(np.float64))
            value[mine] += _valued(table, request, mine, place[mine], length[mine], expected)
            asked[first:last] = draw + 1
    times = asked[rows.request]
    together = above / times  # the chance of the whole list down to the row
    before = np.append(1.0, together[:-1])[:m]
    before[offsets[:-1][offsets[:-1] < offsets[1:]]] = 1
    given = np.divide(together, before, out=np.zeros(m), where=before > 0)
    return Played(here / times, given, value / times, int(asked.max(initial=1)))


def places(rows: Candidates) -> Int64:
    """[m]: the place of each row, from 1; 0 = not known."""
    at = rows[SHOWN_AT]
    return np.where(np.isnan(at), 0, at).astype(np.int64)


def _drawn(pipeline: Pipeline, some: Samples, state: State, k: int, draws: int) -> list[Candidates]:
    """The funnel's slates of ``k``; several where it explores."""
    trace = Trace()
    recalled = pipeline.recalled(some.requests, state, k, trace)
    slates = [pipeline.ranked(recalled, state, k, trace)]
    refuse_failures(trace)
    if not _explores(slates[0]):
        return slates
    ids = some.requests.id
    for draw in range(1, draws):
        other = replace(recalled.requests, id=ids + np.uint64(draw << 40))
        slates.append(pipeline.ranked(replace(recalled, requests=other), state, k, trace))
    return slates


def _explores(slate: Candidates) -> bool:
    """Whether something was left to chance; NaN = it was, but nobody knows how likely."""
    return CHANCE in slate and not bool(np.all(slate[CHANCE] >= 1))


def _table(slate: Candidates, n: int, k: int) -> Int64:
    """[n, k]: the item at each place; -1 = none."""
    table = np.full((n, k), -1)
    table[slate.request, slate.positions()] = slate.item
    return table


def _same(table: Int64, request: Array, item: Array, place: Array, length: Array) -> Bool:
    """[j]: whether the funnel shows each row's item at its place."""
    at = table[request, np.maximum(place, 1) - 1] == item
    anywhere = ((table[request] == item[:, None]) & (np.arange(table.shape[1]) < length[:, None])).any(1)
    return np.where(place > 0, at, anywhere)


def _valued(
    table: Int64, request: Array, rows: Array, place: Array, length: Array, expected: Callable[[Int64, Array], Float64]
) -> Float64:
    """[j]: what is expected of the funnel's item at each row's place; without a place the mean over its slate."""
    found = expected(rows, table[request, np.maximum(place, 1) - 1])
    free = np.flatnonzero(place == 0)
    for j in np.array_split(free, max(1, len(free) // 4096)):
        items = table[request[j]]
        there = np.arange(table.shape[1]) < length[j][:, None]
        each = expected(np.repeat(rows[j], table.shape[1]), items.ravel()).reshape(items.shape)
        found[j] = np.where(there, each, 0).sum(1) / length[j]
    return found
