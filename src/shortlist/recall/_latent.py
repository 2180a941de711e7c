"""What the channels with vectors share: a request has a vector too, and an item's score is their product."""

from __future__ import annotations

import numpy as np

from shortlist.recall._collaborative import Collaborative, Query
from shortlist.types import Array, Candidates, Float32, Requests


class Latent(Collaborative):
    """score(r, i) = p_r · q_i.

    A subclass learns ``table_`` (q transposed, [f, c]) and says in ``_fold_in`` what vector p a history has.
    """

    def _fold_in(self, taken: Query) -> Float32:
        """[n, f]: the vector of each history, 0 for an empty one."""
        raise NotImplementedError

    def _query(self, requests: Requests) -> Query:
        taken = self._kept(self._taken, requests)
        vectors, f = self._fold_in(taken), len(self.table_)
        known = taken[0][1:] > taken[0][:-1]
        offsets = np.zeros(len(known) + 1, np.int64)
        np.cumsum(known * f, out=offsets[1:])
        return offsets, np.arange(offsets[-1], dtype=np.int32) % max(f, 1), vectors[known].ravel()

    def _unit(self) -> Float32:
        """[f, c]: the item vectors that are alike where items are alike, each of length 1."""
        norms = np.linalg.norm(self.table_, axis=0)
        return self.table_ / np.maximum(norms, 1e-12).astype(np.float32)

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` items whose vectors have the largest positive cosine to each item's; unknown items have none."""
        items = np.asarray(items, np.int32)
        columns = self._columns(items)
        known, unit = columns >= 0, self._unit()
        offsets = np.concatenate([[0], np.cumsum(known * len(unit))]).astype(np.int64)
        rows = np.tile(np.arange(len(unit), dtype=np.int32), int(known.sum()))
        query = offsets, rows, np.ascontiguousarray(unit[:, columns[known]].T).ravel()
        return self._best(unit, query, np.arange(len(items) + 1), items, k)
