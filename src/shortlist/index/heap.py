"""Kernel: the best k of many scores, as a heap with the worst of them at its root."""

from __future__ import annotations

from numba import njit

from shortlist.types import Array


@njit(cache=True, nogil=True, inline="always")
def _worse(score_a: float, column_a: int, score_b: float, column_b: int) -> bool:
    """Whether a stands behind b: a lower score, or an equal one and a higher column."""
    return score_a < score_b or (score_a == score_b and column_a > column_b)


@njit(cache=True, nogil=True)
def _sift(scores: Array, columns: Array, root: int, size: int) -> None:
    """Restores the heap (worst entry at 0) after its entry ``root`` was replaced."""
    score, column = scores[root], columns[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and _worse(scores[child + 1], columns[child + 1], scores[child], columns[child]):
            child += 1
        if not _worse(scores[child], columns[child], score, column):
            break
        scores[root], columns[root] = scores[child], columns[child]
        root = child
    scores[root], columns[root] = score, column


@njit(cache=True, nogil=True, inline="always")
def offer(scores: Array, columns: Array, size: int, k: int, score: float, column: int) -> int:
    """Puts an entry into the heap of the best ``k`` so far; returns its new size."""
    if size < k:
        at = size
        while at > 0:
            parent = (at - 1) >> 1
            if not _worse(score, column, scores[parent], columns[parent]):
                break
            scores[at], columns[at] = scores[parent], columns[parent]
            at = parent
        scores[at], columns[at] = score, column
        return size + 1
    if k > 0 and _worse(scores[0], columns[0], score, column):
        scores[0], columns[0] = score, column
        _sift(scores, columns, 0, k)
    return size


@njit(cache=True, nogil=True)
def drain(scores: Array, columns: Array, size: int) -> None:
    """Turns the heap into a list, best first."""
    for end in range(size - 1, 0, -1):
        scores[0], scores[end] = scores[end], scores[0]
        columns[0], columns[end] = columns[end], columns[0]
        _sift(scores, columns, 0, end)
