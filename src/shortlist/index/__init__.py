"""What searches a table of item vectors: the columns with the largest inner products, exactly or nearly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from shortlist.types import Array, Float32, Int32, Ragged, UInt32

Found = tuple[UInt32, Int32, Float32]
"""Rows found: the request, the column of the table and the score; best first within a request, ties by column."""


Asked = Callable[[], Float32]
"""Gives vectors [m, f] as requests have them; only an index that is not exact calls it."""


class Index(Protocol):
    """How the best of a table are found. It holds its settings alone; the channel keeps and saves what it builds."""

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """Plain arrays of its own, by name, to search item vectors [c, f] by; none where the table is enough.

        What is nearly right is set by ``asked``.
        """
        ...

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """How it wants the table to lie: an item's values beside each other ("C"), or a dimension's ("F")."""
        ...

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """What it built, for a table that has new items from column ``first`` on."""
        ...

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """At most ``k`` columns a request with the largest finite score above ``floor``, those of its row of
        ``forbidden`` ("column", negative = none) left out.

        score(r, i) = max over heads h of p_rh · q_i with p = ``vectors`` [n, heads, f] and q = ``table`` [c, f]. A head
        of zeros asks nothing, and so does a request that has no other. Fewer than ``k`` come back only where there are
        no more.
        """
        ...
