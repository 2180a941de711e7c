"""What the channels with item factors share: the asker's vector is folded in from the request's history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from shortlist.data import Dataset, State
from shortlist.recall._collaborative import Collaborative
from shortlist.recall._kernels.least_squares import fold_in, largest
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._vectors import Vectors
from shortlist.types import Array, Candidates, Float32, Int32, Requests

TOLERANCE = 1e-10
"""Squared residual, relative to the start, at which a folded-in vector is exact enough for float32."""


class Factors(Vectors, Collaborative):
    """score(r, i) = p_r · q_i with p_r the solution of (G + sum_j a_rj q_j q_jᵀ) p_r = sum_j b_rj q_j.

    A subclass hands q and G to ``_learned`` and says a and b in ``_evidence``.
    """

    sizes: ClassVar[Mapping[str, str]] = {"gram_": "f f"}
    floor: ClassVar[float] = 0.0  # what the model says of an item not taken: down there nothing speaks for one

    def _learned(self, items: Array, gram: Array, data: Dataset) -> None:
        """Keeps the item factors [c, f] and G [f, f]; an index is set by histories of ``data``."""
        self.gram_: Float32 = np.ascontiguousarray(gram, np.float32)
        self._keep(items, data)

    def _evidence(self, taken: Sparse) -> tuple[Float32, Float32]:
        """a and b of each entry of the histories."""
        raise NotImplementedError

    def _fold_in(self, taken: Sparse) -> Float32:
        """[n, f]: p of each history, 0 for an empty one."""
        a, b = self._evidence(taken)
        system = taken.offsets, taken.columns, a, b, self.table_.T, self.gram_
        return fold_in(*system, 2 * len(self.gram_), TOLERANCE)

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, 1, f]."""
        return self._fold_in(self._kept(self._taken, requests))[:, None]

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item j of the history with the largest b_j q_i · A^-1 q_j, which sum to the score; -1 for none."""
        taken = self._kept(self._taken, requests)
        a, b = self._evidence(taken)
        system = taken.offsets, taken.columns, a, b, self.table_.T, self.gram_
        asked = candidates.request, self._columns(candidates.item)
        return self._named(largest(*system, *asked, 2 * len(self.gram_), TOLERANCE))
