"""What the channels with item vectors share: a request is the direction of its history's vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from numba import njit

from shortlist.component import Search
from shortlist.data import Dataset, State
from shortlist.recall._collaborative import Collaborative
from shortlist.recall._vectors import Vectors
from shortlist.types import Array, Candidates, Float32, Int32, Requests


class Embeddings(Vectors, Collaborative):
    """score(r, i) = p_r · q_i,  p_r = sum_j w_rj v_j divided by its length,  v_j of length 1

    q = v, so that the score is a cosine, or what tells an item as a neighbour (its context). A subclass hands both to
    ``_learned``; the rest, users never seen before included, is answered from the request's history.
    """

    sizes: ClassVar[Mapping[str, str]] = {"vectors_": "c f"}
    floor: ClassVar[float] = 0.0  # vectors at right angles: what has nothing to do with the history, or less

    answer: Annotated[Literal["context", "vector"], Search(choices=("context", "vector"))] = "context"
    """What the history's vector is compared with: the vector an item is told by as a neighbour (what goes with this
    history), or its own (what resembles it; the only one under hierarchical softmax)."""

    def _learned(self, vectors: Array, contexts: Array | None, data: Dataset | None = None) -> None:
        """Keeps v [c, f], each divided by its length, and q: ``contexts`` [c, f] where there are any and ``answer``
        asks for them, else v; q_i = 0: i is never found."""
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors_: Float32 = np.ascontiguousarray(vectors / np.maximum(norms, 1e-12), np.float32)
        compared = self.vectors_ if contexts is None or self.answer == "vector" else contexts
        self._keep(compared, data)

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, 1, f], 0 for an empty history."""
        return _direction(*self._kept(self._taken, requests), self.vectors_)[:, None]

    def _alike(self) -> Float32:
        return self.vectors_

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item j of the history with the largest w_j v_j · q_i above 0; -1 where there is none."""
        taken, wanted = self._kept(self._taken, requests), self._columns(candidates.item)
        return self._named(largest(*taken, self.vectors_, self.table_.T, candidates.request, wanted))


@njit(cache=True, nogil=True)
def _direction(offsets: Array, columns: Array, weights: Array, vectors: Array) -> Array:
    """[n, f]: sum_j w_rj v_j divided by its length, 0 for an empty history or terms that cancel out."""
    n, f = len(offsets) - 1, vectors.shape[1]
    out = np.zeros((n, f), np.float32)
    for r in range(n):
        for e in range(offsets[r], offsets[r + 1]):
            for d in range(f):
                out[r, d] += weights[e] * vectors[columns[e], d]
        square = np.float32(0)
        for d in range(f):
            square += out[r, d] * out[r, d]
        if square > 0:
            scale = np.float32(1) / np.sqrt(square)
            for d in range(f):
                out[r, d] *= scale
    return out


@njit(cache=True, nogil=True)
def largest(
    offsets: Array, columns: Array, weights: Array, vectors: Array, table: Array, request: Array, wanted: Array
) -> Array:
    """[m]: the column of the request with the largest w_j v_j · q above 0, q of the column ``wanted``; or -1."""
    out = np.full(len(wanted), -1, np.int32)
    for m in range(len(wanted)):
        most = np.float32(0)
        if wanted[m] < 0:
            continue
        for e in range(offsets[request[m]], offsets[request[m] + 1]):
            term = np.float32(0)
            for d in range(len(table)):
                term += vectors[columns[e], d] * table[d, wanted[m]]
            if weights[e] * term > most:
                most = weights[e] * term
                out[m] = columns[e]
    return out
