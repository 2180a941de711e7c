"""What the channels with item factors share: the asker's vector is folded in from the request's history."""

from __future__ import annotations

import numpy as np

from shortlist.recall._collaborative import Query
from shortlist.recall._kernels.least_squares import fold_in, largest
from shortlist.recall._latent import Latent
from shortlist.types import Array, Candidates, Float32, Int32, Requests

TOLERANCE = 1e-10
"""Squared residual, relative to the start, at which a folded-in vector is exact enough for float32."""


class Factors(Latent):
    """score(r, i) = p_r · q_i with p_r the solution of (G + sum_j a_rj q_j q_jᵀ) p_r = sum_j b_rj q_j.

    A subclass learns ``table_`` (q transposed, [f, c]) and ``gram_`` (G [f, f]) and says a and b in ``_evidence``.
    """

    def _learned(self, items: Array, gram: Array) -> None:
        """Stores item factors [c, f] and G."""
        self.table_ = np.ascontiguousarray(items.T, np.float32)
        self.gram_: Float32 = np.ascontiguousarray(gram, np.float32)

    def _evidence(self, taken: Query) -> tuple[Float32, Float32]:
        """a and b of each entry of the histories."""
        raise NotImplementedError

    def _fold_in(self, taken: Query) -> Float32:
        """[n, f]: the vector of each history, 0 for an empty one."""
        offsets, columns, _ = taken
        a, b = self._evidence(taken)
        return fold_in(offsets, columns, a, b, self.table_, self.gram_, 2 * len(self.gram_), TOLERANCE)

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item j of the history with the largest b_j q_i · A^-1 q_j, which sum to the score; -1 for none."""
        offsets, columns, _ = taken = self._kept(self._taken, requests)
        a, b = self._evidence(taken)
        asked = candidates.request, self._columns(candidates.item)
        best = largest(offsets, columns, a, b, self.table_, self.gram_, *asked, 2 * len(self.gram_), TOLERANCE)
        return np.where(best >= 0, self.items_[best], -1).astype(np.int32) if len(self.items_) else best
