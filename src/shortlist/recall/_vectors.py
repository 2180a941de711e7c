"""What the channels with item vectors share: a request is the sum of its history's vectors, compared by cosine."""

from __future__ import annotations

import numpy as np

from shortlist.recall._collaborative import Query
from shortlist.recall._factors import Factors
from shortlist.types import Array, Float32


class Vectors(Factors):
    """score(r, i) = cos(sum_j w_rj q_j, q_i) with unit item vectors q: projection of the history (G = I, a = 0, b = w).

    A subclass learns item vectors and hands them to ``_learned``; the rest, users never seen before included, is
    answered from the request's history.
    """

    def _learned(self, items: Array, gram: Array | None = None) -> None:
        """Stores item vectors [c, f], each divided by its length; a vector of 0 stays, and its item is never found."""
        norms = np.linalg.norm(items, axis=1, keepdims=True)
        super()._learned(items / np.maximum(norms, 1e-12), np.eye(items.shape[1]) if gram is None else gram)

    def _evidence(self, profile: Query) -> tuple[Float32, Float32]:
        return np.zeros_like(profile[2]), profile[2]

    def _fold_in(self, profile: Query) -> Float32:
        """[n, f]: the direction of each history, 0 for an empty one."""
        vectors = super()._fold_in(profile)
        norms = np.sqrt(np.einsum("nf,nf->n", vectors, vectors))[:, None]
        return (vectors / np.maximum(norms, 1e-12)).astype(np.float32, copy=False)
