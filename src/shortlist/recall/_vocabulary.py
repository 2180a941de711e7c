"""Which items a channel knows, and what it worked out about a batch of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, ClassVar, TypeVar

import numpy as np
from numba import njit

from shortlist.component import Retriever
from shortlist.types import Array, Int32, Requests

T = TypeVar("T")


class Vocabulary(Retriever):
    """A channel that knows c items: ``items_[j]`` is the item of column j."""

    sizes: ClassVar[Mapping[str, str]] = {"items_": "c <n", "column_": "n <c"}

    def _know(self, items: Array, n_items: int) -> None:
        """Learns the codes [c] of the items it knows, ascending, of ``n_items`` that there are."""
        self.items_: Int32 = np.asarray(items, np.int32)
        self.column_: Int32 = np.full(n_items, -1, np.int32)  # [n_items]
        self.column_[self.items_] = np.arange(len(self.items_), dtype=np.int32)

    def _columns(self, items: Array) -> Int32:
        """[m] columns of item codes, -1 where the model does not know the item."""
        return columns_of(items, self.column_)

    def _named(self, columns: Array) -> Int32:
        """[m] item codes of columns; -1 stays -1."""
        if not len(self.items_):
            return np.full(len(columns), -1, np.int32)
        return np.where(columns >= 0, self.items_[columns], np.int32(-1))

    def _kept(self, make: Callable[..., T], requests: Requests, *more: Any) -> T:
        """``make(requests, *more)``, worked out once: retrieve, score and explain ask it of the same batch in turn."""
        key = id(self), make.__name__
        kept = requests.memo.get(key)
        if kept is not None and kept[0] is self.items_ and (not more or all(map(is_, kept[1], more))):
            return kept[2]  # else fitted anew since
        found = make(requests, *more)
        requests.memo[key] = self.items_, more, found
        return found


@njit(cache=True, nogil=True)
def columns_of(items: Array, column: Array) -> Array:
    """[m]: the ``column`` of each item code, -1 for a code outside it."""
    out = np.empty(len(items), np.int32)
    for m in range(len(items)):
        out[m] = column[items[m]] if 0 <= items[m] < len(column) else -1
    return out
