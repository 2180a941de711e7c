"""Lists of vectors that lie near each other: how they are learned, and which of them a request should look into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from shortlist.index.heap import drain, offer
from shortlist.types import Array, Float32, InputError, Int32, Int64

LISTS = 2.0
"""Lists a root of the number of items. A million vectors in clusters of 200 are searched four times as fast by 2,000
lists as by 1,000; als and item2vec of 53,000 items take a quarter longer by twice as many."""
ROUNDS, POINTS = 8, 40
"""Rounds of k-means, and how many items a list it looks at."""


class Lists(NamedTuple):
    """Items in lists: list l holds the items ``columns[starts[l] : starts[l + 1]]``."""

    means: Float32
    """[l, f]: of the items' vectors."""
    spread: Float32
    """[l]: how much beyond its mean a list's best is expected, in the direction of any vector of length 1."""
    starts: Int64
    """[l + 1]."""
    columns: Int32
    """[g]: the columns of the table that can be found, those of a list beside each other and ascending."""


def library(wanted: str) -> Any:
    """faiss; raises ``InputError`` where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(f"{wanted} needs the package faiss-cpu: pip install 'shortlist[index]'") from error
    return faiss


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """As all that is fitted, unless somebody asks for more: and sums do not depend on how many cores there are."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def learned(table: Float32, wanted: str, seed: int = 0) -> Lists:
    """The lists of item vectors [c, f], of which there is one at least; what is not finite is in none.

    k-means by Euclidean distance, on vectors as they are: long ones come to lie in lists of their own, which is what
    the largest inner products are looked for in.
    """
    faiss = library(wanted)
    usable = np.flatnonzero(np.isfinite(table).all(axis=1)).astype(np.int32)
    rows = np.ascontiguousarray(table if len(usable) == len(table) else table[usable], np.float32)
    n = max(1, min(len(rows), round(LISTS * len(rows) ** 0.5)))
    with one_thread(faiss):
        settings = {"niter": ROUNDS, "max_points_per_centroid": POINTS, "min_points_per_centroid": 1, "seed": seed}
        means = faiss.Kmeans(rows.shape[1], n, **settings)
        means.train(rows)
        own = means.index.search(rows, 1)[1][:, 0]
    starts = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=n))]).astype(np.int64)
    return Lists(*_described(rows, own, n), starts, usable[np.argsort(own, kind="stable")])


def joined(table: Float32, lists: Lists, first: int) -> tuple[Lists, Int64, Int32, Int64]:
    """``lists`` with the items from column ``first`` on, each in the list whose mean is nearest.

    Returns the lists, of each of their entries the place among the old ones with the new ones behind them, and of the
    new ones the columns and the lists. Means and spread stay as they were learned.
    """
    new = (first + np.flatnonzero(np.isfinite(table[first:]).all(axis=1))).astype(np.int32)
    half, nearest = (lists.means.astype(np.float64) ** 2).sum(axis=1) / 2, np.empty(len(new), np.int64)
    for start in range(0, len(new), 4096):
        part = slice(start, start + 4096)
        nearest[part] = (half - table[new[part]] @ lists.means.T).argmin(axis=1)
    own = np.concatenate([np.repeat(np.arange(len(half)), np.diff(lists.starts)), nearest])
    place = np.argsort(own, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=len(half)))]).astype(np.int64)
    grown = lists._replace(starts=starts, columns=np.concatenate([lists.columns, new])[place])
    return grown, place, new, nearest


@njit(cache=True, nogil=True)
def _described(rows: Array, own: Array, n: int) -> tuple[Array, Array]:
    """Means and spread: s sqrt(2 ln m), the largest of m draws of a normal, s its deviation along one dimension."""
    f = rows.shape[1]
    means, square, size = np.zeros((n, f)), np.zeros(n), np.zeros(n)
    for i in range(len(rows)):
        size[own[i]] += 1
        for d in range(f):
            means[own[i], d] += rows[i, d]
    for j in range(n):
        means[j] /= max(size[j], 1.0)
    for i in range(len(rows)):
        for d in range(f):
            square[own[i]] += (rows[i, d] - means[own[i], d]) ** 2
    size = np.maximum(size, 1.0)
    return means.astype(np.float32), np.sqrt(square / size / max(f, 1) * 2 * np.log(size)).astype(np.float32)


@njit(cache=True, nogil=True)
def promise(means: Array, spread: Array, heads: Array, own: Array, out: Array) -> int:
    """Fills ``out`` [l] with what the best of each list may score, max_h p_h · mean + |p_h| spread; how many heads
    of ``heads`` [heads, f] ask. ``means`` [f, l]; ``own`` [l] is room to work in."""
    live = 0
    out[:] = -np.inf
    for h in range(len(heads)):
        if not heads[h].any():
            continue
        live += 1
        own[:] = 0
        square = np.float32(0)
        for d in range(len(means)):
            p, q = heads[h, d], means[d]
            square += p * p
            for j in range(len(own)):
                own[j] += p * q[j]
        length = np.sqrt(square)
        for j in range(len(own)):
            own[j] += length * spread[j]
            if own[j] > out[j]:
                out[j] = own[j]
    return live


@njit(cache=True, nogil=True)
def foremost(promised: Array, n: int, scores: Array, columns: Array) -> None:
    """Fills the first ``n`` of ``columns`` with the lists that promise most, best first; a longer row begins alike."""
    size = 0
    for j in range(len(promised)):
        size = offer(scores, columns, size, n, promised[j], j)
    drain(scores, columns, size)


@njit(cache=True, nogil=True)
def among(column: int, ascending: Array) -> bool:
    """Whether ``column`` is one of ``ascending``."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) >> 1
        if ascending[middle] < column:
            low = middle + 1
        else:
            high = middle
    return low < len(ascending) and ascending[low] == column


@njit(cache=True, nogil=True)
def by_dimension(table: Array, columns: Array) -> Array:
    """[f, g]: the vectors of ``columns``, a dimension's values beside each other."""
    out = np.empty((table.shape[1], len(columns)), np.float32)
    for start in range(0, len(columns), 64):
        end = min(start + 64, len(columns))
        for d in range(table.shape[1]):
            for j in range(start, end):
                out[d, j] = table[columns[j], d]
    return out


__all__ = ["Lists", "among", "by_dimension", "foremost", "joined", "learned", "library", "one_thread", "promise"]
