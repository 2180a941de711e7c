"""Personal rank on the bipartite graph of users and items, three ways.

r = (1 - α) r0 + α Mᵀ r: a walker starts at r0, steps along an edge with probability α (M: each vertex's edge weights
divided by their sum), else starts anew; r says where he is found. Vertices are the users 0 .. n-1 and the items
n .. n+c-1; restarts and ranks are columns [n + c, b].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit
from scipy.linalg import cho_factor, cho_solve

from shortlist.index.heap import offer
from shortlist.types import Array, Float64, Int32, Int64

BLOCK = 1024
"""Rows of a Gram matrix made at once."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Users and items as vertices, what users took as edges."""

    weight: sp.csr_matrix  # float64 [n + c, n + c], symmetric
    degree: Float64  # [n + c] summed weight of a vertex's edges; 1 where it has none
    users: int  # n

    @staticmethod
    def of(x: sp.csr_matrix) -> Graph:
        """From the log as a matrix [n, c] of positive weights."""
        weight = sp.csr_matrix(sp.block_array([[None, x], [x.T, None]], dtype=np.float64))
        degree = np.asarray(weight.sum(axis=1)).ravel()
        return Graph(weight, np.where(degree > 0, degree, 1.0), x.shape[0])

    def restarts(self, vertices: Array) -> Float64:
        """[n + c, b]: a column for each vertex, all of it there."""
        r0 = np.zeros((len(self.degree), len(vertices)))
        r0[vertices, np.arange(len(vertices))] = 1
        return r0


def iterate(graph: Graph, r0: Float64, alpha: float, tolerance: float) -> Float64:
    """r <- (1 - α) r0 + α Mᵀ r until no column's summed absolute error can exceed ``tolerance``.

    A step shrinks the error by α, so it is at most α / (1 - α) times the last change.
    """
    step = graph.weight @ sp.diags_array(alpha / graph.degree)  # α Mᵀ: the weights are symmetric
    start = (1 - alpha) * r0
    r = r0
    while True:
        r, before = start + step @ r, r
        if np.abs(r - before).sum(axis=0).max(initial=0) * alpha <= tolerance * (1 - alpha):
            return r


class Solver:
    """(E - α Mᵀ) r = (1 - α) r0 by one factorisation, for any number of columns.

    With W the weights and D the degrees, r = D y turns it into a symmetric positive definite system. No edge joins two
    vertices of one side, so the larger side (o) is eliminated exactly and only the smaller one (k) is factored:

        (D_k - α² W_ko D_o^-1 W_ok) y_k = (1 - α) (r0_k + α W_ko D_o^-1 r0_o),    r_k = D_k y_k
        r_o = (1 - α) r0_o + α W_ok y_k
    """

    def __init__(self, graph: Graph, alpha: float) -> None:
        n, vertices = graph.users, len(graph.degree)
        sides = slice(0, n), slice(n, vertices)
        self.alpha = alpha
        self.kept, self.other = sides if n < vertices - n else sides[::-1]
        self.across = graph.weight[self.kept, self.other]  # W_ko
        self.degree, self.other_degree = graph.degree[self.kept], graph.degree[self.other]
        m = len(self.degree)
        system = np.zeros((m, m), order="F")
        spread = sp.csc_matrix((self.across @ sp.diags_array(alpha**2 / self.other_degree)).T)
        for at in range(0, m, BLOCK):
            system[:, at : at + BLOCK] = -(self.across @ spread[:, at : at + BLOCK]).toarray()
        system[np.diag_indices(m)] += self.degree
        self.factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)

    @staticmethod
    def size(graph: Graph) -> float:
        """Bytes it takes: the factored matrix and the block being made."""
        m = min(graph.users, len(graph.degree) - graph.users)
        return 8.0 * m * (m + 2 * min(m, BLOCK))

    def ranks(self, r0: Float64) -> Float64:
        """[n + c, b] of the restarts."""
        kept, other = (1 - self.alpha) * r0[self.kept], (1 - self.alpha) * r0[self.other]
        right = kept + self.alpha * (self.across @ (other / self.other_degree[:, None]))
        y = cho_solve(self.factor, right, overwrite_b=True, check_finite=False)
        r = np.empty_like(r0)
        r[self.kept] = self.degree[:, None] * y
        r[self.other] = other + self.alpha * (self.across.T @ y)
        return r


class Edges(NamedTuple):
    """A graph in plain arrays, as the kernels want it."""

    offsets: Int64  # [v + 1]
    neighbours: Int32
    weights: Float64
    degree: Float64  # [v]


class Room(NamedTuple):
    """What one push works in, all zero before and after but for the lists."""

    rank: Array  # [v]
    left: Array  # [v]
    queued: Array  # [v]
    queue: Array  # [v]
    seen: Array  # [v]


def edges(graph: Graph) -> Edges:
    """The graph in plain arrays."""
    w = graph.weight
    return Edges(w.indptr.astype(np.int64), w.indices.astype(np.int32), w.data, graph.degree)


def push(graph: Graph, vertices: Array, alpha: float, tolerance: float) -> Float64:
    """[n + c, b]: the rank restarted at each vertex s, from below: 0 <= r_v - push_v <= tolerance d_v / d_s."""
    return _push_all(edges(graph), np.asarray(vertices, np.int64), alpha, tolerance).T


@njit(cache=True, nogil=True)
def _room(v: int) -> Room:
    return Room(np.zeros(v), np.zeros(v), np.zeros(v, np.bool_), np.empty(v, np.int32), np.empty(v, np.int32))


@njit(cache=True, nogil=True)
def _push_all(graph: Edges, vertices: Array, alpha: float, tolerance: float) -> Array:
    v = len(graph.degree)
    out, room = np.empty((len(vertices), v)), _room(v)
    rank, left, seen = room.rank, room.left, room.seen
    for b in range(len(vertices)):
        count = _push(graph, vertices[b], alpha, tolerance, room)
        out[b] = rank
        for t in range(count):
            rank[seen[t]] = 0
            left[seen[t]] = 0
    return out


@njit(cache=True, nogil=True)
def push_table(
    graph: Edges,
    users: int,
    alpha: float,
    tolerance: float,
    score: Array,
    column: Array,
    size: Array,
    first: int,
    end: int,
) -> None:
    """Fills the heaps (score [c, 1 + k], column [c, 1 + k], size [c]) of the items first <= j < end: r(j)_j and the
    ``k`` largest other entries of the rank restarted at j."""
    room, k = _room(len(graph.degree)), score.shape[1] - 1
    rank, left, seen = room.rank, room.left, room.seen
    for j in range(first, end):
        count = _push(graph, users + j, alpha, tolerance, room)
        own = np.float32(rank[users + j])
        for t in range(count):
            i = seen[t] - users
            if i >= 0 and i != j:
                size[j] = offer(score[j], column[j], size[j], k, np.float32(rank[seen[t]]), i)  # type: ignore[arg-type]
            rank[seen[t]] = 0
            left[seen[t]] = 0
        if own > 0:
            size[j] = offer(score[j], column[j], size[j], k + 1, own, j)  # type: ignore[arg-type]


@njit(cache=True, nogil=True)
def _push(graph: Edges, start: int, alpha: float, tolerance: float, room: Room) -> int:
    """Ranks from one vertex into ``room.rank``; lists the vertices touched in ``seen`` and returns how many.

    ``left`` is the walkers not yet followed: r = rank + sum_v left_v r(v). A vertex with more than tolerance x degree /
    degree of the start keeps its share 1 - α of them and passes on the rest, until there is none; at the end all keep
    theirs.
    """
    indptr, indices, data, degree = graph
    rank, left, queued, queue, seen = room
    v = len(degree)
    bound = tolerance / degree[start]
    seen[0] = queue[0] = start
    count, head, waiting = 1, 0, 1
    left[start] = 1
    queued[start] = True
    while waiting > 0:
        at = queue[head]
        head = head + 1 if head + 1 < v else 0
        waiting -= 1
        queued[at] = False
        share = left[at]
        left[at] = 0
        rank[at] += (1 - alpha) * share
        passed = alpha * share / degree[at]
        for p in range(indptr[at], indptr[at + 1]):
            to = indices[p]
            before = left[to]
            if before == 0 and rank[to] == 0:
                seen[count] = to
                count += 1
            after = before + passed * data[p]
            left[to] = after
            if after > bound * degree[to] and not queued[to]:
                queued[to] = True
                tail = head + waiting
                queue[tail if tail < v else tail - v] = to
                waiting += 1
    for t in range(count):
        rank[seen[t]] += (1 - alpha) * left[seen[t]]
    return count


@njit(cache=True, nogil=True)
def keep_rows(rows: Array, first: int, score: Array, column: Array, size: Array) -> None:
    """Fills the heaps of the items j from ``first`` on, as ``push_table`` does, from the ranks ``rows`` [b, c] > 0."""
    k = score.shape[1] - 1
    for b in range(len(rows)):
        j = first + b
        for i in range(rows.shape[1]):
            r = np.float32(rows[b, i])
            if r > 0 and i != j and (size[j] < k or r >= score[j, 0]):
                size[j] = offer(score[j], column[j], size[j], k, r, i)  # type: ignore[arg-type]
        if rows[b, j] > 0:
            size[j] = offer(score[j], column[j], size[j], k + 1, np.float32(rows[b, j]), j)  # type: ignore[arg-type]
