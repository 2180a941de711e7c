"""Learns a weight for each channel by coordinate ascent on the quality of the merge order.

NDCG and recall are steps in the weights, so there is no gradient; one weight at a time is tried over a grid of
multiples of itself and the best is kept, until a round brings nothing (Metzler and Croft 2007, Linear feature-based
models for information retrieval).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from shortlist.merge._join import join
from shortlist.types import Array, Candidates, Float32, Float64, Int64, Ragged

STEPS = np.array([0, 0.1, 0.25, 0.5, 0.8, 0.9, 1.1, 1.25, 2, 4, 10])
ROUNDS = 8
Terms = Callable[[Float32, Float32, Int64], Float32]
"""(score [C, u], rank [C, u], offsets [n + 1]) -> what each channel's weight is multiplied with [C, u]."""
FLOOR = 1e-6
"""No weight is zero, so that rows which only a worthless channel found still have an order among themselves."""


class Task(NamedTuple):
    """What the quality of an order needs: the rows of n requests and which of them are right."""

    offsets: Int64  # [n + 1] rows of each request
    item: Array  # [u]
    terms: Float32  # [C, u] what each channel's weight is multiplied with; 0 = silent
    hit_offsets: Int64  # [n + 1] found targets of each request
    hits: Int64  # [h] their rows
    targets: Int64  # [n] how many targets each request has, found or not

    def quality(self, weights: Float64, measure: str, at: int) -> float:
        """Mean NDCG@at or recall@at of the order by falling sum of weights * terms."""
        rest = np.zeros(self.terms.shape[1], np.float64)
        for weight, term in zip(weights, self.terms, strict=True):
            rest += weight * term
        return _quality(self, rest, np.zeros(len(rest), np.float32), 0.0, measure == "ndcg", at)

    def pruned(self, at: int) -> Task:
        """The same without rows that no positive weights bring among the first ``at``.

        A row is out if ``at`` others are nowhere behind it and somewhere ahead; of long lists, few rows are left.
        """
        total = self.terms.sum(axis=0)  # who is better in one and worse in none has the larger sum
        order = np.lexsort((-total, np.repeat(np.arange(len(self.targets)), np.diff(self.offsets))))
        keep = _contenders(self.offsets, np.ascontiguousarray(self.terms.T), order, at)
        number = np.cumsum(keep) - 1
        found = keep[self.hits]
        return Task(
            np.concatenate([[0], np.cumsum(keep)])[self.offsets],
            self.item[keep],
            np.ascontiguousarray(self.terms[:, keep]),
            np.concatenate([[0], np.cumsum(found)])[self.hit_offsets],
            number[self.hits[found]],
            self.targets,
        )

    def ascend(self, start: Float64, measure: str, at: int) -> tuple[Float64, float]:
        """Weights summing to 1 and their quality, no worse than those of ``start``."""
        weights = start / start.sum()
        value = self.quality(weights, measure, at)
        for _ in range(ROUNDS):
            before = value
            total = weights @ self.terms
            for c in range(len(weights)):
                rest = total - weights[c] * self.terms[c]
                scale = max(weights[c], 0.1 / len(weights))  # a weight near zero can still come back
                for trial in scale * STEPS:
                    if trial <= 0 and weights.sum() - weights[c] <= 0:
                        continue
                    reached = _quality(self, rest, self.terms[c], float(trial), measure == "ndcg", at)
                    if reached > value + 1e-7:
                        value, weights[c] = reached, trial
                total = rest + weights[c] * self.terms[c]
            weights = weights / weights.sum()
            if value <= before:
                break
        return weights, value


def task(
    found: Mapping[str, Candidates],
    targets: Ragged,
    terms: Terms,
    sample: int,
    seed: int,
) -> Task:
    """The learning task of at most ``sample`` of the requests."""
    found, targets = drawn(found, targets, sample, seed)
    joined = join(found, len(targets))
    rows, hit_offsets = hits(joined.offsets, joined.item, targets)
    made = np.nan_to_num(terms(joined.score, joined.rank, joined.offsets))
    return Task(joined.offsets, joined.item, made, hit_offsets, rows, targets.lengths)


def learn_weights(
    found: Mapping[str, Candidates],
    targets: Ragged,
    terms: Terms,
    measure: str,
    at: int,
    sample: int,
    seed: int,
) -> Float64:
    """[C]: the weights of the channels in the order of their names, with mean 1.

    Climbs from equal weights and from the best channel alone and keeps the better summit; so on the requests learned
    from, neither of them is better.
    """
    count = len(found)
    learning = task(found, targets, terms, sample, seed)
    if not count or not len(learning.hits):
        return np.ones(count)
    learning = learning.pruned(at)
    alone = np.eye(count)
    best = alone[int(np.argmax([learning.quality(row, measure, at) for row in alone]))]
    summits = [learning.ascend(start, measure, at) for start in (np.ones(count), best)]
    weights, _ = max(summits, key=lambda summit: summit[1])
    return np.maximum(weights * count, FLOOR)


def drawn(
    found: Mapping[str, Candidates], targets: Ragged, sample: int, seed: int
) -> tuple[Mapping[str, Candidates], Ragged]:
    """The rows and targets of at most ``sample`` of the requests, drawn at random and renumbered from 0."""
    n = len(targets)
    if n <= sample:
        return found, targets
    requests = np.sort(np.random.default_rng(seed).choice(n, sample, replace=False))
    number = np.full(n, -1, np.int64)
    number[requests] = np.arange(len(requests))
    some: dict[str, Any] = {}
    for name, rows in found.items():
        kept = rows.take(number[rows.request] >= 0)
        some[name] = replace(kept, request=number[kept.request].astype(np.uint32))
    return some, targets.take(requests)


@njit(cache=True)
def _hits(offsets: Array, item: Array, target_offsets: Array, target: Array) -> tuple[Array, Array]:
    n = len(offsets) - 1
    rows = np.empty(len(target), np.int64)
    ends = np.zeros(n + 1, np.int64)
    h = 0
    for r in range(n):
        for t in range(target_offsets[r], target_offsets[r + 1]):
            for row in range(offsets[r], offsets[r + 1]):
                if item[row] == target[t]:
                    rows[h] = row
                    h += 1
                    break
        ends[r + 1] = h
    return rows[:h], ends


def hits(offsets: Int64, item: Array, targets: Ragged) -> tuple[Int64, Int64]:
    """Rows [h] that are targets, and where each request's begin [n + 1]."""
    return _hits(offsets, item, targets.offsets, targets["item"])


@njit(cache=True)
def _contenders(offsets: Array, terms: Array, order: Array, at: int) -> Array:
    """[u]: rows with fewer than ``at`` rows of their request that are as good in all channels and better in one.

    ``terms`` [u, C]; ``order`` [u]: the rows of each request by falling sum.
    """
    keep = np.ones(len(terms), np.bool_)
    for r in range(len(offsets) - 1):
        for a in range(offsets[r], offsets[r + 1]):
            ahead = 0
            for b in range(offsets[r], a):
                better = False
                for c in range(terms.shape[1]):
                    own, other = terms[order[a], c], terms[order[b], c]
                    if other < own:
                        better = False
                        break
                    better = better or other > own
                ahead += better
                if ahead == at:
                    keep[order[a]] = False
                    break
    return keep


@njit(cache=True)
def _quality(task: Task, rest: Array, term: Array, weight: float, ndcg: bool, at: int) -> float:
    """Mean quality when row i scores rest[i] + weight * term[i]; only the places of the right rows are counted out."""
    offsets, item, hit_offsets, hits, targets = task.offsets, task.item, task.hit_offsets, task.hits, task.targets
    n = len(offsets) - 1
    sum_, asked = 0.0, 0
    longest = 0
    for r in range(n):
        longest = max(longest, offsets[r + 1] - offsets[r])
    score = np.empty(longest, np.float32)
    for r in range(n):
        if targets[r] == 0:
            continue
        asked += 1
        if hit_offsets[r] == hit_offsets[r + 1]:
            continue
        low, high = offsets[r], offsets[r + 1]
        for row in range(low, high):
            score[row - low] = rest[row] + weight * term[row]
        gain = 0.0
        for h in range(hit_offsets[r], hit_offsets[r + 1]):
            own, ahead = score[hits[h] - low], 0
            for row in range(low, high):
                other = score[row - low]
                if other > own or (other == own and item[row] < item[hits[h]]):
                    ahead += 1
                    if ahead >= at:
                        break
            if ahead < at:
                gain += 1 / np.log2(ahead + 2.0) if ndcg else 1.0
        ideal = 0.0
        if ndcg:
            for place in range(min(targets[r], at)):
                ideal += 1 / np.log2(place + 2.0)
        else:
            ideal = targets[r]
        sum_ += gain / ideal
    return sum_ / asked if asked else 0.0
