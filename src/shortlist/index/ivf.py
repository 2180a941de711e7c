"""Inverted lists: of all items, those near a request are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from shortlist.index import Asked, Found
from shortlist.index._lists import Lists, among, by_dimension, foremost, joined, learned, promise
from shortlist.index._probes import looked_into, probes
from shortlist.index.exact import Exact, bar_of
from shortlist.index.heap import drain, offer
from shortlist.types import Array, Float32, Ragged


@dataclass(frozen=True, slots=True)
class IVF:
    """The best columns of the lists that promise most to a request.

    faiss puts the vectors into lists (k-means); which lists a request looks into is told from

        max over heads h of  p_h · m_l + |p_h| s_l sqrt(2 ln n_l)

    with m_l the mean of the n_l vectors of list l and s_l their deviation along a dimension: what the best of so many
    may score. It is the bound that serves vectors of unequal length; where all have length 1 it does no harm. How many
    lists are looked into is the least that finds ``recall`` of the true best 100 for the vectors ``build`` is given.
    Who asks for more than 100 items has so many times more lists looked into; where fewer than ``k`` are found, four
    times as many, at last all.

    The search is a compiled loop of our own, not faiss's: it adds the terms of a product in the order ``Exact`` does,
    so that both give an item the same bits, and so do a batch and a single request; it leaves out what is forbidden
    while it looks, instead of asking for more and hoping; and what a bundle holds are plain arrays, whose lengths are
    checked when it is opened, while a saved index of faiss is a file that its C++ reader trusts. So a service needs no
    faiss.

    Source: Sivic, Zisserman (2003), Video Google (inverted lists); Douze et al. (2024), The Faiss Library.
    """

    recall: float = 0.97

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """The lists, their vectors by dimension, and how many to look into; nothing for a table without numbers."""
        if not np.isfinite(table).all(axis=1).any() or not table.size:
            return {}
        table = np.ascontiguousarray(table)
        lists = learned(table, 'index = "ivf"')
        grouped = by_dimension(table, lists.columns).T
        built = {**lists._asdict(), "means": np.asfortranarray(lists.means), "grouped": grouped}
        return built | {"probes": probes(self, table, built, asked, self.recall)}

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """By item: the lists have their own copy by dimension, and the table is read a row at a time."""
        return "C" if built else "F"

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """New items, each in the list whose mean is nearest; means and the number looked into stay."""
        if not built:
            return {}
        lists = Lists(*(built[name] for name in Lists._fields))
        grown, place, new, _ = joined(table, lists, first)
        grouped = np.concatenate([built["grouped"], table[new]])[place]
        return {**built, **grown._asdict(), "grouped": np.asfortranarray(grouped)}

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """The best ``k`` columns above ``floor`` of the lists looked into; see ``Index``."""
        if not built:
            return Exact().search(table, built, vectors, forbidden, k, floor)
        grouped, means = (np.ascontiguousarray(built[name].T) for name in ("grouped", "means"))
        lists = means, built["spread"], built["starts"], built["columns"], looked_into(built, k)
        return _search(grouped, *lists, vectors, forbidden.offsets, forbidden["column"], k, floor)


@njit(cache=True, nogil=True)
def _search(
    grouped: Array, means: Array, spread: Array, starts: Array, columns: Array, probes: int,
    vectors: Array, offsets: Array, forbidden: Array, k: int, floor: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """``IVF.search`` of grouped [f, g] and means [f, l]."""
    n, heads, f = vectors.shape
    lists, c = len(spread), len(columns)
    k = min(k, c)
    request, column, score = np.empty(n * k, np.uint32), np.empty(n * k, np.int32), np.empty(n * k, np.float32)
    widest = 1
    for j in range(lists):
        widest = max(widest, starts[j + 1] - starts[j])
    best, own = np.empty(widest, np.float32), np.empty(max(widest, lists), np.float32)
    promised, nearest, near = np.empty(lists, np.float32), np.empty(lists, np.float32), np.empty(lists, np.int32)
    least, bins = np.nextafter(np.float32(floor), np.float32(np.inf)), np.empty(256, np.int64)
    m = 0
    for r in range(n if k > 0 else 0):
        live = promise(means, spread, vectors[r], own[:lists], promised)
        barred = np.sort(forbidden[offsets[r] : offsets[r + 1]])
        kept, kept_column = score[m : m + k], column[m : m + k]
        size, bar, looked, wanted = 0, least, 0, min(probes * live, lists)
        while looked < wanted:
            foremost(promised, wanted, nearest, near)
            for j in near[looked:wanted]:
                start = max(starts[j], 0)
                width = min(starts[j + 1], c) - start
                if width <= 0:
                    continue
                best[:width] = -np.inf
                for h in range(heads):
                    if not vectors[r, h].any():
                        continue
                    own[:width] = 0
                    for d in range(f):
                        p, q = vectors[r, h, d], grouped[d, start : start + width]
                        for i in range(width):
                            own[i] += p * q[i]
                    for i in range(width):
                        if own[i] > best[i]:
                            best[i] = own[i]
                if size == 0 and width > 2 * (k + len(barred)):  # so many reach the bar that k of them are allowed
                    bar = bar_of(best[:width], k + len(barred), bar, bins)
                for i in range(width):
                    if bar <= best[i] < np.inf and not among(columns[start + i], barred):
                        size = offer(kept, kept_column, size, k, best[i], columns[start + i])
                        if size == k:
                            bar = max(bar, kept[0])
            looked = wanted
            if size < k:
                wanted = min(4 * wanted, lists)
        drain(kept, kept_column, size)
        request[m : m + size] = r
        m += size
    return request[:m], column[:m], score[:m]
