"""What boosts and sinks share: they change the score, in spreads of the request's scores, and the row's place with it.

Scores are logits for one ranker, probabilities for another and sums of reciprocal ranks for a merge. The *spread* of a
request is the standard deviation of the scores of its ranked rows as they were before any rule (column ``ranked``,
which the pipeline keeps; without it, as they come). So a rule that lifts by half a spread does the same to all of them,
``a s + b`` in place of ``s`` (a > 0) gives the same order, and amounts of several rules add up, in whatever order they
stand. Where all scores are equal there is no spread, and any amount decides.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.rules._fallback import fallback_of
from shortlist.rules._reason import because
from shortlist.types import Array, Bool, Candidates, Float32


def score_of(candidates: Candidates) -> Float32:
    """[m]: the score; NaN for the fallback's rows; one that falls evenly with the place where there is none."""
    if "score" not in candidates:
        return np.where(fallback_of(candidates), np.nan, -candidates.positions()).astype(np.float32)
    score = candidates["score"].astype(np.float32, copy=False)
    return np.where(candidates["fallback"], np.float32(np.nan), score) if "fallback" in candidates else score


def ranked_of(candidates: Candidates, score: Float32) -> Float32:
    """[m]: ``score`` as it was before any rule."""
    return candidates.columns["ranked"].astype(np.float32, copy=False) if "ranked" in candidates else score


def move(candidates: Candidates, n: int, where: Bool, amount: Array | float, text: str) -> Candidates:
    """The rows of ``n`` requests, those in ``where`` [m] moved by ``amount`` spreads ([m] or one for all), and why.

    A row goes where it would stand if the scores lay in the order of the list. So the order of rows that are not moved
    stays as it is, also where an earlier rule has placed them against their scores. Rows without a score, such as the
    fallback's, have none to change and stay where they are.
    """
    score = score_of(candidates)
    where = where & np.isfinite(score)
    if where.any():
        change = np.where(where, amount, 0.0)
        order, score = moved(candidates.offsets(n), score, ranked_of(candidates, score), change)
        candidates, where = candidates.with_columns(score=score).take(order), where[order]
    return because(candidates, where, text)


@njit(cache=True)
def spread_of(score: Array) -> float:
    """Standard deviation of the finite scores; where they are all equal, 1 or their size if that is more."""
    n, total, least, most = 0, 0.0, np.inf, -np.inf
    for s in score:
        if np.isfinite(s):
            n += 1
            total += s
            least, most = min(least, s), max(most, s)
    if not most > least:
        return max(1.0, abs(most)) if n else 1.0
    mean, square = total / n, 0.0
    for s in score:
        if np.isfinite(s):
            square += (s - mean) ** 2
    return np.sqrt(square / n)


@njit(cache=True)
def dealt(score: Array) -> Array:
    """[m]: the scores in the order of the list; a row without one stands with the next that has one."""
    out = np.full(len(score), -np.inf)
    falls, before = True, np.inf
    for s in score:
        if np.isfinite(s):
            falls &= s <= before
            before = s
    own = score[np.isfinite(score)]
    falling = own if falls else np.sort(own)[::-1]
    at, value = len(falling), -np.inf
    for i in range(len(score) - 1, -1, -1):
        if np.isfinite(score[i]):
            at -= 1
            value = falling[at]
        out[i] = value
    return out


@njit(cache=True)
def moved(offsets: Array, score: Array, ranked: Array, change: Array) -> tuple[Array, Array]:
    """[m], [m]: row numbers in the new order, and the new score of each row where it stands now."""
    order, out = np.arange(len(score)), score.copy()
    for r in range(len(offsets) - 1):
        low, high = offsets[r], offsets[r + 1]
        if not (change[low:high] != 0).any():
            continue
        spread, key = spread_of(ranked[low:high]), dealt(score[low:high])
        for i in range(high - low):
            if np.isfinite(score[low + i]):
                key[i] += change[low + i] * spread
                out[low + i] = score[low + i] + change[low + i] * spread
        order[low:high] = low + np.argsort(-key, kind="mergesort")  # stable
    return order, out
