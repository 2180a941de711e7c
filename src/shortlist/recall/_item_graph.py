"""Who follows whom: users' sequences, cut into sessions, as one weighted graph of items, and vectors from its walks."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall._embeddings import Embeddings
from shortlist.recall._kernels.walks import Graph, alias_rows, walk
from shortlist.recall._memory import need
from shortlist.recall._word2vec import Word2Vec, embed
from shortlist.types import Array, Int32, Int64

TOKEN, WALK = 28, 40
"""Bytes of each item of a walk (itself, its weight and what is counted by), and of each walk (offsets and orders)."""


class Walked(Embeddings, Word2Vec):
    """word2vec whose sentences are random walks over the items; a subclass says how the walks turn."""

    gap: Duration | None = None
    """A pause longer than this ends a session, and with it the steps; none = sessions are those of ``[data.sessions]``,
    and without them all a user did is one."""
    directed: Annotated[bool, Search(choices=(False, True))] = True
    """Whether walks go from an item only to those that followed it, or also to those that came before it."""
    edges: Annotated[Literal["count", "strength"], Search(choices=("count", "strength"))] = "count"
    """What a step of a session adds to its edge: 1, or the geometric mean of its two events' strengths; fading with age
    (``log_half_life``) either way."""
    steps: Annotated[Literal["weighted", "uniform"], Search(choices=("weighted", "uniform"))] = "weighted"
    """Whether a walk chooses among a node's edges by their weights, or all alike."""
    walks: Annotated[int, Field(ge=1), Search(5, 100, log=True)] = 20
    """Walks from each item; the time to fit grows with it."""
    length: Annotated[int, Field(ge=2), Search(5, 80, log=True)] = 20
    """The items of a walk; it ends earlier at an item that nothing followed."""
    popularity: Annotated[float, Field(ge=-2, le=2), Search(-0.5, 1)] = 0.2
    """The power of an item's visits it is drawn by as a negative; the less, the more an answer goes by popularity."""
    epochs: Annotated[int, Field(ge=1), Search(1, 5)] = 1
    """Passes over the walks; as many more walks do the same and better."""
    rate: Annotated[float, Field(gt=0, le=1), Search(0.01, 0.1, log=True)] = 0.05
    """The first step size."""

    def _graph(self, data: Dataset) -> sp.csr_matrix:
        """Learns the vocabulary; [c, c] the graph of the log's sessions."""
        self._vocabulary(data)
        rows, events = self._rows(data), data.events
        worth = self._faded(data, events.time[rows])
        if self.edges == "strength":
            worth = worth * self._strength(events.weight[rows], events.event[rows])
        log = events.user[rows], self.column_[events.item[rows]], events.time[rows], len(self.items_)
        session = self._sessions(data, rows, self.gap)
        return item_graph(*log, gap=self.gap, session=session, strength=worth, directed=self.directed)

    def _learn(self, data: Dataset, p: float = 1.0, q: float = 1.0) -> None:
        """Keeps the items' vectors and contexts; those of items without an edge are 0."""
        tokens, offsets = self._walks(data, p, q)
        vectors, contexts = embed(tokens, offsets, np.ones(len(tokens), np.float32), len(self.items_), self)
        self._learned(vectors, contexts, data)

    def _walks(self, data: Dataset, p: float = 1.0, q: float = 1.0) -> tuple[Int32, Int64]:
        """Learns the vocabulary; the walks, end to end, and where each begins."""
        graph, rng = self._graph(data), np.random.default_rng(self.seed)
        n = self.walks * int(np.count_nonzero(np.diff(graph.indptr)))
        what = f"{type(self).__name__.lower()}: {n:,} walks of {self.length} items"
        need(what, n * (TOKEN * self.length + WALK), "lower walks or length")
        return walks(graph, self.walks, self.length, weighted=self.steps == "weighted", p=p, q=q, rng=rng)


def item_graph(
    user: Array,
    column: Array,
    time: Array,
    c: int,
    *,
    gap: int | None = None,
    session: Array | None = None,
    strength: Array | None = None,
    directed: bool = True,
) -> sp.csr_matrix:
    """CSR float32 [c, c], columns ascending: w_ji = how often item i came right after item j in a session.

    Events [m] are in the order of time; a user's sequence is cut where two events lie more than ``gap`` microseconds
    apart or are of two sessions. With ``strength`` [m] a step counts the geometric mean of its two events' strengths
    instead of 1. An item after itself is no edge. Not ``directed``: w + wᵀ.

    Source: Wang, Huang, Zhao, Zhang, Zhao, Lee (2018), Billion-scale Commodity Embedding for E-commerce Recommendation
    in Alibaba.
    """
    order = np.argsort(user, kind="stable")
    user, column = user[order], column[order]
    steps = (user[1:] == user[:-1]) & (column[1:] != column[:-1])
    if gap is not None:
        steps &= np.diff(time[order]) <= gap
    if session is not None:
        steps &= np.diff(session[order]) == 0
    if strength is None:
        weight = np.ones(np.count_nonzero(steps), np.float32)
    else:
        strength = strength[order]
        weight = np.sqrt(strength[1:][steps] * strength[:-1][steps]).astype(np.float32)
    graph = sp.csr_matrix((weight, (column[:-1][steps], column[1:][steps])), shape=(c, c))
    graph = graph if directed else (graph + graph.T).tocsr()
    graph.sort_indices()
    return graph


def walks(
    graph: sp.csr_matrix,
    each: int,
    length: int,
    *,
    weighted: bool = True,
    p: float = 1.0,
    q: float = 1.0,
    rng: np.random.Generator,
) -> tuple[Int32, Int64]:
    """(tokens, offsets): ``each`` walks of ``length`` nodes from every node that an edge leaves, in random order.

    A step goes by the edges' weights, or evenly. ``p``, ``q``: see ``_kernels.walks.walk``. A walk ends early at a node
    that no edge leaves.
    """
    nodes = np.flatnonzero(np.diff(graph.indptr)).astype(np.int32)
    starts = np.concatenate([rng.permutation(nodes) for _ in range(each)])
    indptr = graph.indptr.astype(np.int64)
    weights = graph.data.astype(np.float64) if weighted else np.ones(graph.nnz)
    edges = Graph(indptr, graph.indices.astype(np.int32, copy=False), weights, *alias_rows(indptr, weights))
    return walk(edges, starts, length, float(p), float(q), int(rng.integers(2**62)))
