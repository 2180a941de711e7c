"""What the channels that answer with vectors share: a request has vectors too, and an index finds the items."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, PrivateAttr

from shortlist.data import Dataset, State
from shortlist.index import Index
from shortlist.index._probes import SAMPLE, figures
from shortlist.index.auto import Name, named
from shortlist.index.exact import Exact, inner
from shortlist.progress import emit
from shortlist.recall._vocabulary import Vocabulary
from shortlist.types import Array, Candidates, Float32, Int32, Ragged, Requests

BUILT = "index_"
"""How the learned attributes begin that the index built."""


class Vectors(Vocabulary):
    """score(r, i) = max over the heads h of r: p_rh · q_i.

    ``fit`` of a subclass says which items it knows (``_know``) and hands over their vectors (``_keep``); ``vectors``
    says what a request's are. What the log, attributes or a net have to do with either is its own affair.
    """

    sizes: ClassVar[Mapping[str, str]] = {
        "table_": "c f",
        "index_means_": "l f",
        "index_spread_": "l",
        "index_columns_": "g <c",
        "index_starts_": "l+1 <g+1",
        "index_grouped_": "g f",
        "index_books_": "m 256 4",
        "index_codes_": "g m <256",
    }
    floor: ClassVar[float] = -np.inf
    """Only scores above it are rows, and what cannot be scored has it as its score. Without: any finite score is a
    row, and what cannot be scored is NaN."""

    index: Name = "auto"
    """How the best items are found: ``exact`` by all products; ``ivf`` among the items near the request (to fit, the
    extra ``index``); ``ivf_pq`` in less memory and more time; ``auto``: exact up to 50,000 vectors of 64 numbers, then
    ``ivf``, or ``ivf_pq`` where a second copy of the vectors would take more than 1 GiB."""
    index_recall: float = Field(default=0.97, gt=0, le=1)
    """How much of the true best 100 an index that is not exact has to find of requests like those of the log:
    as many lists are looked into as that takes."""
    _measured: dict[str, Any] = PrivateAttr(default_factory=dict)

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, heads, f]: one head for most; several for several interests. A head of zeros asks nothing."""
        raise NotImplementedError

    def _index(self) -> Index:
        return named(self.index, self.index_recall)

    def _keep(self, q: Float32, data: Dataset | None = None) -> None:
        """Learns the item vectors [c, f], in the order of the columns, and how to search them.

        With ``data`` an index that is not exact is set by requests of its users, so what ``vectors`` needs is learned
        before; else by items as if they asked.
        """
        for name in self._built():
            del self.__dict__[f"{BUILT}{name}_"]  # of an earlier fit
        self.table_: Float32 = np.asfortranarray(q, np.float32)
        index, asked = self._index(), cache(lambda: self.table_ if data is None else self._asking(data))
        built = index.build(self.table_, asked)
        self._take(self.table_, index, built)
        self._measured = figures(index, self.table_, built, asked) if "probes" in built else {}
        if self._measured:
            told = ", ".join(f"{name} {value:,.4g}" for name, value in self._measured.items())
            emit("note", message=f"{type(self).__name__}, index of {len(q):,} items: {told}")

    def _take(self, table: Float32, index: Index, built: Mapping[str, Array]) -> None:
        self.table_ = np.asarray(table, np.float32, order=index.order(built))
        for name, array in built.items():
            setattr(self, f"{BUILT}{name}_", array)

    def _asking(self, data: Dataset) -> Float32:
        """[m, f]: vectors as people of the log have them at its end; items', where nobody has any."""
        events, state = data.events, data.state()
        users = np.unique(events.user[events.user >= 0])
        users = users[np.linspace(0, len(users) - 1, min(SAMPLE, len(users))).astype(np.int64)]
        time = np.full(len(users), events.time[-1] if len(events) else 0)
        asked = self._vectors(Requests.of(users, time, state.history(users, time)), state).reshape(
            -1, self.table_.shape[1]
        )
        return asked if asked.any() else self.table_

    def measured(self) -> dict[str, Any]:
        """What the index was found to be worth when it was built; nothing where it is exact, or came from a bundle."""
        return self._measured

    def with_items(self, items: Array, q: Float32) -> Self:
        """A copy that knows further items (codes it did not know) by vectors [m, f], without a fit.

        For a channel that has vectors for items it never met, from their attributes. What else it learned by item
        stays as it is.
        """
        items, first = np.asarray(items, np.int32), len(self.items_)
        if len(np.unique(items)) != len(items) or (self._columns(items) >= 0).any() or (items < 0).any():
            raise ValueError("with_items: expected codes of items that are not known yet, each once")
        if q.shape != (len(items), self.table_.shape[1]):
            raise ValueError(f"with_items: expected [{len(items)}, {self.table_.shape[1]}], got {list(q.shape)}")
        more, index = self.model_copy(), self._index()
        more.items_ = np.concatenate([self.items_, items])
        more.column_ = np.full(max(len(self.column_), items.max(initial=-1) + 1), -1, np.int32)
        more.column_[more.items_] = np.arange(len(more.items_), dtype=np.int32)
        table = np.concatenate([self.table_, np.asarray(q, np.float32)])
        more._take(table, index, index.grow(table, self._built(), first))
        return more

    def _built(self) -> Mapping[str, Array]:
        """The index's own arrays, by its names for them."""
        own = ((name, value) for name, value in vars(self).items() if name.startswith(BUILT) and name.endswith("_"))
        return {name[len(BUILT) : -1]: value for name, value in own}

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
        request, column, score = self._index().search(self.table_, self._built(), vectors, barred, k, self.floor)
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
