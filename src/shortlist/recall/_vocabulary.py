"""Which items a channel knows, and what it worked out about a batch of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

from shortlist.component import Retriever
from shortlist.types import Array, Int32, Requests

T = TypeVar("T")


class Vocabulary(Retriever):
    """A channel that knows c items: ``items_[j]`` is the item of column j."""

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
        return np.append(self.items_, np.int32(-1))[columns]

    def _kept(self, make: Callable[..., T], requests: Requests, *more: Any) -> T:
        """``make(requests, *more)``, worked out once: retrieve, score and explain ask it of the same batch in turn."""
        key, given = (id(self), make.__name__), (self.items_, *more)
        kept = requests.memo.get(key)
        if kept is None or any(a is not b for a, b in zip(kept[0], given, strict=True)):  # fitted anew since
            kept = requests.memo[key] = (given, make(requests, *more))
        return kept[1]


@njit(cache=True, nogil=True)
def columns_of(items: Array, column: Array) -> Array:
    """[m]: the ``column`` of each item code, -1 for a code outside it."""
    out = np.empty(len(items), np.int32)
    for m in range(len(items)):
        out[m] = column[items[m]] if 0 <= items[m] < len(column) else -1
    return out
