"""Inverted lists of short codes: a sixteenth of the memory, what looks best looked up in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from shortlist.index import Asked, Found
from shortlist.index._lists import Lists, among, foremost, joined, learned, library, one_thread, promise
from shortlist.index._probes import looked_into, probes
from shortlist.index.exact import Exact
from shortlist.index.heap import drain, offer
from shortlist.types import Array, Float32, Ragged

LENGTH, LEVELS = 4, 256
"""Dimensions that share a byte, and what a byte may say."""
POINTS, ROUNDS = 16_384, 10
"""Items the codes are learned from, and rounds of k-means."""
AGAIN, ATLEAST = 8, 400
"""Items looked up in the table for each that is asked for, and how many at least."""


@dataclass(frozen=True, slots=True)
class IVFPQ:
    """``IVF`` with a byte in place of four numbers: p · q_i ≈ p · m_l + sum_s p_s · book_s[code_is].

    What is left of a vector beyond the mean of its list is cut into pieces of 4 dimensions, and each piece is the
    nearest of 256 that faiss has learned (k-means). Of the lists looked into, the ``8 k`` best by that sum (400 at
    least) are looked up in the table, so scores and their order are those of ``Exact``; only what is found may differ.
    The table itself stays: rows are scored by it. So this saves the second copy that ``IVF`` keeps by lists, and costs
    it speed.

    Source: Jégou, Douze, Schmid (2011), Product Quantization for Nearest Neighbor Search.
    """

    recall: float = 0.97

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """The lists, their codes and what these stand for; nothing for a table without numbers."""
        if not np.isfinite(table).all(axis=1).any() or not table.size:
            return {}
        table = np.ascontiguousarray(table)
        lists = learned(table, 'index = "ivf_pq"')
        books, codes = _coded(table, lists)
        built = {**lists._asdict(), "means": np.asfortranarray(lists.means), "books": books, "codes": codes}
        return built | {"probes": probes(self, table, built, asked, self.recall)}

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """By item: what looks best is looked up a row at a time."""
        return "C" if built else "F"

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """New items, each in the list whose mean is nearest; means and the number looked into stay."""
        if not built:
            return {}
        lists = Lists(*(built[name] for name in Lists._fields))
        grown, place, new, own = joined(table, lists, first)
        codes = _nearest(_rest(table, lists, new, own, len(built["books"])), built["books"])
        codes = np.concatenate([built["codes"], codes])[place]
        return {**built, **grown._asdict(), "codes": np.asfortranarray(codes)}

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """The best ``k`` columns above ``floor`` of what looks best in the lists looked into; see ``Index``."""
        if not built:
            return Exact().search(table, built, vectors, forbidden, k, floor)
        means, codes = (np.ascontiguousarray(built[name].T) for name in ("means", "codes"))
        lists = means, built["spread"], built["starts"], built["columns"], codes, built["books"]
        asked = looked_into(built, k), vectors, forbidden.offsets, forbidden["column"], k, floor
        return _search(table, *lists, *asked)


def _rest(table: Float32, lists: Lists, columns: Array, own: Array, pieces: int) -> Float32:
    """[m, 4 s]: what is left of the vectors of ``columns`` beyond the means of their lists ``own``; 0 beyond f."""
    out = np.zeros((len(columns), LENGTH * pieces), np.float32)
    out[:, : table.shape[1]] = table[columns] - lists.means[own]
    return out


def _coded(table: Float32, lists: Lists) -> tuple[Float32, Array]:
    """Books [s, 256, 4] and codes [g, s] of the items in the order of the lists."""
    faiss = library('index = "ivf_pq"')
    g, pieces = len(lists.columns), -(-table.shape[1] // LENGTH)
    own = np.repeat(np.arange(len(lists.spread)), np.diff(lists.starts))
    quantiser = faiss.ProductQuantizer(LENGTH * pieces, pieces, 8)
    quantiser.cp.niter, quantiser.cp.min_points_per_centroid = ROUNDS, 1
    at = np.linspace(0, g - 1, min(g, POINTS)).astype(np.int64)
    shown = _rest(table, lists, lists.columns[at], own[at], pieces)
    codes = np.empty((g, pieces), np.uint8, order="F")
    with one_thread(faiss):
        quantiser.train(np.resize(shown, (max(len(shown), LEVELS), shown.shape[1])))
        for start in range(0, g, POINTS):
            part = slice(start, start + POINTS)
            codes[part] = quantiser.compute_codes(_rest(table, lists, lists.columns[part], own[part], pieces))
    return faiss.vector_to_array(quantiser.centroids).reshape(pieces, LEVELS, LENGTH).copy(), codes


def _nearest(rest: Float32, books: Float32) -> Array:
    """[m, s]: the codes of what is left of vectors [m, 4 s]; faiss is not needed for a few new ones."""
    codes = np.empty((len(rest), len(books)), np.uint8)
    for s, book in enumerate(books):
        piece = rest[:, LENGTH * s : LENGTH * (s + 1)]
        codes[:, s] = ((piece[:, None] - book) ** 2).sum(axis=2).argmin(axis=1)
    return codes


@njit(cache=True, nogil=True)
def _search(
    table: Array, means: Array, spread: Array, starts: Array, columns: Array, codes: Array, books: Array, probes: int,
    vectors: Array, offsets: Array, forbidden: Array, k: int, floor: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """``IVFPQ.search`` of means [f, l] and codes [s, g]."""
    n, heads, f = vectors.shape
    lists, c, pieces = len(spread), len(columns), len(codes)
    k = min(k, c)
    request, column, score = np.empty(n * k, np.uint32), np.empty(n * k, np.int32), np.empty(n * k, np.float32)
    widest = 1
    for j in range(lists):
        widest = max(widest, starts[j + 1] - starts[j])
    best, own = np.empty(widest, np.float32), np.empty(max(widest, lists), np.float32)
    promised, nearest, near = np.empty(lists, np.float32), np.empty(lists, np.float32), np.empty(lists, np.int32)
    said = np.empty((heads, pieces, books.shape[1]), np.float32)  # p_s · book_s of each code
    least = np.nextafter(np.float32(floor), np.float32(np.inf))
    m = 0
    for r in range(n if k > 0 else 0):
        live = promise(means, spread, vectors[r], own[:lists], promised)
        barred = np.sort(forbidden[offsets[r] : offsets[r + 1]])
        _say(books, vectors[r], said)
        kept, kept_column = score[m : m + k], column[m : m + k]
        size, wanted, room = 0, min(probes * live, lists), min(max(AGAIN * k, ATLEAST), c)
        while wanted > 0:
            rough, rough_column, held = np.empty(room, np.float32), np.empty(room, np.int32), 0
            foremost(promised, wanted, nearest, near)
            for j in near[:wanted]:
                start = max(starts[j], 0)
                width = min(starts[j + 1], c) - start
                if width <= 0:
                    continue
                best[:width] = -np.inf
                for h in range(heads):
                    if not vectors[r, h].any():
                        continue
                    base = np.float32(0)
                    for d in range(f):
                        base += vectors[r, h, d] * means[d, j]
                    own[:width] = base
                    for s in range(pieces):
                        table_s, codes_s = said[h, s], codes[s, start : start + width]
                        for i in range(width):
                            own[i] += table_s[codes_s[i]]
                    for i in range(width):
                        if own[i] > best[i]:
                            best[i] = own[i]
                for i in range(width):
                    full = held == room and not best[i] >= rough[0]
                    if not full and best[i] < np.inf and not among(columns[start + i], barred):
                        held = offer(rough, rough_column, held, room, best[i], columns[start + i])
            size = 0
            for i in range(held):
                true = _largest(vectors[r], table[rough_column[i]])
                if least <= true < np.inf:
                    size = offer(kept, kept_column, size, k, true, rough_column[i])
            if size == k or (wanted == lists and held < room):  # enough, or all of them
                break
            wanted, room = min(4 * wanted, lists), min(4 * room, c + 1)
        drain(kept, kept_column, size)
        request[m : m + size] = r
        m += size
    return request[:m], column[:m], score[:m]


@njit(cache=True, nogil=True)
def _say(books: Array, heads: Array, out: Array) -> None:
    """Fills ``out`` [heads, s, 256] with the products of each piece of the heads [heads, f] and each of its codes."""
    out[:] = 0
    f, length = heads.shape[1], books.shape[2]
    for h in range(len(heads)):
        for s in range(len(books)):
            for d in range(min(length, f - s * length)):
                p = heads[h, s * length + d]
                for code in range(books.shape[1]):
                    out[h, s, code] += p * books[s, code, d]


@njit(cache=True, nogil=True)
def _largest(heads: Array, row: Array) -> float:
    """max_h p_h · q, the terms in the order of ``Exact``; -inf where nothing is asked."""
    largest = np.float32(-np.inf)
    for h in range(len(heads)):
        if heads[h].any():
            product = np.float32(0)
            for d in range(len(row)):
                product += heads[h, d] * row[d]
            if product > largest:
                largest = product
    return largest  # type: ignore[return-value]
