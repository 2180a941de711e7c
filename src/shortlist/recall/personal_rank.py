"""Personal rank: where a walker who keeps coming back to this user's items is found."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.progress import track
from shortlist.recall._kernels import random_walk
from shortlist.recall._kernels.neighbours import as_csr, fill, no_heaps
from shortlist.recall._kernels.random_walk import Graph, Solver
from shortlist.recall._linear import ItemToItem
from shortlist.recall._memory import need
from shortlist.types import Array, Candidates, Float64, Int64

CELLS = 4_000_000
"""Numbers of one block of ranks."""


class PersonalRank(ItemToItem):
    """Random walk with restart on the graph of users and items (personalised PageRank).

    r = (1 - α) r0 + α Mᵀ r, M the edge weights (strengths) over their sum at each vertex; r(j) restarts at item j.
    score(u, i) = sum_j w(u, j) r(j)_i over r(j)_j and the ``neighbours`` largest other entries of each r(j)

    The asker is a vertex with the request's history as its edges: as r is linear in the restart, its rank of item i is
    α / sum_j w(u, j) times that score, exactly if all entries are kept, for people outside the log as for those in it.
    ``method`` says how r(j) is found: all three agree within ``tolerance``. Raises ``InputError`` when ``solve`` would
    not fit into memory.

    Source: Haveliwala (2002), Topic-Sensitive PageRank; Jeh, Widom (2003), Scaling Personalized Web Search; Andersen,
    Chung, Lang (2006), Local Graph Partitioning using PageRank Vectors.
    """

    alpha: Annotated[float, Field(ge=0.01, le=0.99), Search(0.1, 0.95)] = 0.5
    """α: the probability of walking on; larger reaches farther and favours what everybody took."""
    method: Literal["push", "solve", "iteration"] = "push"
    """push: approximate, for graphs of any size; solve: exact, memory grows with the square of the smaller side;
    iteration: the definition step by step, slow."""
    tolerance: float = Field(default=1e-3, gt=0)
    """push: error of r(j)_i at most this times degree(i) / degree(j); iteration: summed absolute error of each r(j)."""
    neighbours: Annotated[int, Field(ge=1), Search(20, 1000, log=True)] = 200
    """How many of the largest entries are kept of each r(j), beside that of j itself."""
    threads: int = Field(default=1, ge=1)
    """Threads of push; the result does not depend on it."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the largest entries of the rank restarted at every item."""
        x = self._matrix(data)
        x = x[np.diff(x.indptr) > 0]
        c = x.shape[1]
        graph, heaps = Graph.of(x), no_heaps(c, max(min(self.neighbours, c - 1), 0) + 1)
        if self.method == "push":
            kernel = partial(random_walk.push_table, random_walk.edges(graph), graph.users)
            fill(partial(kernel, self.alpha, self.tolerance), heaps, self.threads)
        else:
            for items, ranks in self._blocks(graph, np.arange(x.shape[0], x.shape[0] + c), "personal rank of items"):
                random_walk.keep_rows(ranks[:, x.shape[0] :], items[0], *heaps)
        self.table_ = as_csr(*heaps)
        return self

    def user_rank(self, data: Dataset, users: Array, k: int) -> Candidates:
        """The ``k`` items of the highest rank restarted at each user's own vertex of the log, what he took left out.

        The textbook's answer, on the graph itself and by ``method``, with ``request`` = row number in ``users``. Users
        without edges have no rows. Nothing fitted is used or changed.
        """
        plain = type(self).from_config(self.config())
        x = plain._matrix(data)
        users = np.asarray(users)
        asked = np.flatnonzero((users >= 0) & (users < x.shape[0]))
        asked = asked[np.diff(x.indptr)[users[asked]] > 0]
        parts = [Candidates(np.empty(0, np.uint32), np.empty(0, np.int32), {"score": np.empty(0, np.float32)})]
        for rows, ranks in self._blocks(Graph.of(x), users[asked], "personal rank of users"):
            score = ranks[:, x.shape[0] :]
            request, taken = x[users[asked[rows]]].nonzero()
            score[request, taken] = 0
            best = np.argsort(-score, axis=1, kind="stable")[:, :k]
            request = np.repeat(asked[rows], best.shape[1]).astype(np.uint32)
            score = np.take_along_axis(score, best, 1).ravel().astype(np.float32)
            parts.append(Candidates(request, plain.items_[best.ravel()], {"score": score}).take(score > 0))
        return Candidates.concat(parts)

    def _blocks(self, graph: Graph, vertices: Array, title: str) -> Iterator[tuple[Int64, Float64]]:
        """(row numbers in ``vertices``, their ranks [b, n + c]), block by block."""
        width = len(graph.degree)
        if self.method == "solve":
            smaller = min(graph.users, width - graph.users)
            what = f"personal_rank: {smaller:,} {'users' if smaller == graph.users else 'items'}"
            need(what, Solver.size(graph), 'use method = "push"')
            solver = Solver(graph, self.alpha)
        size = max(1, min(512, CELLS // max(width, 1)))
        for at in track(range(0, len(vertices), size), title):
            rows = np.arange(at, min(at + size, len(vertices)))
            if self.method == "push":
                yield rows, random_walk.push(graph, vertices[rows], self.alpha, self.tolerance).T
                continue
            r0 = graph.restarts(vertices[rows])
            if self.method == "solve":
                yield rows, solver.ranks(r0).T
            else:
                yield rows, random_walk.iterate(graph, r0, self.alpha, self.tolerance).T
