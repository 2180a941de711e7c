"""The index that suits a table: every product while they are few, lists above, codes where memory is short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

from shortlist.index import Asked, Found, Index
from shortlist.index._probes import looked_at
from shortlist.index.exact import Exact
from shortlist.index.ivf import IVF
from shortlist.index.ivf_pq import IVFPQ
from shortlist.progress import emit
from shortlist.types import Array, Float32, Ragged

FEW = 50_000 * 64
"""Numbers in a table (items × length of their vectors) up to which every product is computed."""
SPARE = 2**30
"""Bytes that a second copy of the vectors may take."""

Name = Literal["auto", "exact", "ivf", "ivf_pq"]


@dataclass(frozen=True, slots=True)
class Auto:
    """``Exact`` up to 50,000 vectors of 64 numbers (or as much work of another shape), ``IVF`` above.

    Lists win a request's time from a few thousand items on, but what there is to win below this size is less than half
    a millisecond, for which nothing exact is given away. It stays with ``Exact`` where half of the products would
    have to be computed all the same, as among vectors without any clusters; takes ``IVFPQ`` where the copy that ``IVF``
    keeps would be more than 1 GiB; and says so, once, where faiss is missing.
    """

    recall: float = 0.97

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """What the chosen index builds."""
        if table.size <= FEW:
            return {}
        if find_spec("faiss") is None:
            _say_missing()
            return {}
        chosen: Index = (IVF if 4 * table.size <= SPARE else IVFPQ)(self.recall)
        built = chosen.build(table, asked)
        return {} if not built or 2 * looked_at(built, asked) > len(table) else built

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """That of the chosen index."""
        return _chosen(built).order(built)

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """What the chosen index makes of new items; it stays chosen."""
        return _chosen(built).grow(table, built, first)

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """By the chosen index; see ``Index``."""
        return _chosen(built).search(table, built, vectors, forbidden, k, floor)


def named(name: Name, recall: float) -> Index:
    """The index a recipe calls ``name``; ``recall`` is what one that is not exact has to find."""
    kinds: dict[str, Index] = {"exact": Exact(), "ivf": IVF(recall), "ivf_pq": IVFPQ(recall), "auto": Auto(recall)}
    return kinds[name]


def _chosen(built: Mapping[str, Array]) -> Index:
    """The index whose arrays these are."""
    return IVFPQ() if "codes" in built else IVF() if built else Exact()


@cache
def _say_missing() -> None:
    """Once a process, not at every fit of every channel."""
    emit(
        "warning",
        message=f"index: a table of more than {FEW:,} numbers is searched through in full, since faiss-cpu is not "
        "installed: pip install 'shortlist[index]'",
    )


__all__ = ["Auto", "Name", "named"]
