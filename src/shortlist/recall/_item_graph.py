"""Who follows whom: users' sequences, cut into sessions, as one weighted graph of items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from shortlist.recall._walks import walk
from shortlist.types import Array, Float64, Int32, Int64


def item_graph(
    user: Array,
    column: Array,
    time: Array,
    c: int,
    *,
    gap: int | None = None,
    strength: Array | None = None,
    directed: bool = True,
) -> sp.csr_matrix:
    """CSR float32 [c, c], columns ascending: w_ji = how often item i came right after item j in a session.

    Events [m] are in the order of time; a user's sequence is cut where two events lie more than ``gap`` microseconds
    apart. With ``strength`` [m] a step counts the geometric mean of its two events' strengths instead of 1. An item
    after itself is no edge. Not ``directed``: w + wᵀ.

    Source: Wang, Huang, Zhao, Zhang, Zhao, Lee (2018), Billion-scale Commodity Embedding for E-commerce Recommendation
    in Alibaba.
    """
    order = np.argsort(user, kind="stable")
    user, column = user[order], column[order]
    steps = (user[1:] == user[:-1]) & (column[1:] != column[:-1])
    if gap is not None:
        steps &= np.diff(time[order]) <= gap
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

    A step goes by the edges' weights, or evenly. ``p``, ``q``: see ``_walks.walk``. A walk ends early at a node that no
    edge leaves.
    """
    nodes = np.flatnonzero(np.diff(graph.indptr)).astype(np.int32)
    starts = np.concatenate([rng.permutation(nodes) for _ in range(each)])
    seed = int(rng.integers(2**62))
    return walk(*_steps(graph, weighted), starts, length, float(p), float(q), seed)


def _steps(graph: sp.csr_matrix, weighted: bool) -> tuple[Int64, Int32, Float64]:
    """The graph as the kernel takes it: indptr, indices and the running sum of weights within each row."""
    indptr = graph.indptr.astype(np.int64)
    weights = graph.data.astype(np.float64) if weighted else np.ones(graph.nnz)
    before = np.concatenate([[0.0], np.cumsum(weights)])
    return indptr, graph.indices.astype(np.int32), before[1:] - np.repeat(before[indptr[:-1]], np.diff(indptr))
