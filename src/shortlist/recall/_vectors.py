"""What the channels that answer with vectors share: a request has vectors too, and an index finds the items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from shortlist.data import State
from shortlist.index import Index
from shortlist.index.exact import Exact, inner
from shortlist.recall._vocabulary import Vocabulary
from shortlist.types import Array, Candidates, Float32, Int32, Ragged, Requests

BUILT = "index_"
"""How the learned attributes begin that the index built."""


class Vectors(Vocabulary):
    """score(r, i) = max over the heads h of r: p_rh · q_i.

    ``fit`` of a subclass says which items it knows (``_know``) and hands over their vectors (``_keep``); ``vectors``
    says what a request's are. What the log, attributes or a net have to do with either is its own affair.
    """

    sizes: ClassVar[Mapping[str, str]] = {"table_": "c f"}
    floor: ClassVar[float] = -np.inf
    """Only scores above it are rows, and what cannot be scored has it as its score. Without: any finite score is a
    row, and what cannot be scored is NaN."""
    index: ClassVar[Index] = Exact()
    """How the best items are found."""

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, heads, f]: one head for most; several for several interests. A head of zeros asks nothing."""
        raise NotImplementedError

    def _keep(self, q: Float32) -> None:
        """Learns the item vectors [c, f], in the order of the columns."""
        self.table_: Float32 = np.asfortranarray(q, np.float32)
        for name, array in self.index.build(self.table_).items():
            setattr(self, f"{BUILT}{name}_", array)

    def _built(self) -> Mapping[str, Array]:
        """The index's own arrays, by its names for them."""
        return {name[len(BUILT) : -1]: value for name, value in vars(self).items() if name.startswith(BUILT)}

    def _asked(self, requests: Requests, state: State) -> Float32:
        return self._kept(self._vectors, requests, state)

    def _vectors(self, requests: Requests, state: State) -> Float32:
        p = np.ascontiguousarray(self.vectors(requests, state), np.float32)
        n, f = len(requests), self.table_.shape[1]
        if p.ndim != 3 or p.shape[::2] != (n, f):
            raise ValueError(f"{type(self).__name__}.vectors: expected [{n}, heads, {f}], got {list(p.shape)}")
        return p

    def _best(self, vectors: Float32, exclude: Ragged, k: int) -> Candidates:
        """The best ``k`` items for given vectors [n, heads, f], but for those of ``exclude``."""
        barred = Ragged(exclude.offsets, {"column": self._columns(exclude["item"])})
        request, column, score = self.index.search(self.table_, self._built(), vectors, barred, k, self.floor)
        return Candidates(request, self.items_[column], {"score": score})

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items; a request whose vectors are all zero gets none."""
        return self._best(self._asked(requests, state), requests.exclude, k)

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; ``floor`` or NaN for unknown items and requests without rows."""
        column = self._columns(candidates.item)
        score = inner(self.table_, self._asked(requests, state), candidates.request, column)
        score[~np.isfinite(score)] = self.floor if np.isfinite(self.floor) else np.nan
        return score

    def _alike(self) -> Float32:
        """[c, f]: vectors of length 1 that are near where items are alike."""
        norms = np.linalg.norm(self.table_, axis=1, keepdims=True)
        return self.table_ / np.maximum(norms, 1e-12).astype(np.float32)

    def item_vectors(self) -> tuple[Int32, Float32]:
        """(items [c], their vectors of length 1 [c, f])."""
        return self.items_, self._alike()

    def similar(self, items: Array, k: int) -> Candidates:
        """The ``k`` other items with the largest cosine above ``floor`` to each item; unknown items have none."""
        items = np.asarray(items, np.int32)
        columns, unit = self._columns(items), self._alike()
        known = columns >= 0
        asked = np.zeros((len(items), 1, unit.shape[1]), np.float32)
        asked[known, 0] = unit[columns[known]]
        itself = Ragged(np.arange(len(items) + 1), {"column": columns})
        request, column, score = Exact().search(unit, {}, asked, itself, k, self.floor)
        return Candidates(request, self.items_[column], {"score": score})
