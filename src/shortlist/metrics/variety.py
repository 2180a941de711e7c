"""How varied a list is: how unlike its items are, and whether it mirrors what its asker likes. One number a request."""

from __future__ import annotations

from typing import Literal

import numba
import numpy as np

from shortlist.metrics._pairs import BITS, similarity, vector_similarity
from shortlist.metrics._slate import Slates
from shortlist.types import Array, Float64, Ragged


def diversity(slates: Slates, k: int, attributes: Ragged, similar: Literal["jaccard", "cosine"] = "jaccard") -> Float64:
    """Mean dissimilarity of the pairs in a list: 1 − mean_{i<j} sim(i, j) over attribute sets.

    sim is |A∩B|/|A∪B| (jaccard) or |A∩B|/√(|A||B|) (cosine). ``attributes`` has a row of distinct "code" for each item
    of the catalogue; items without any are left out, and a list with fewer than two others has no diversity (NaN).

    Source: Smyth and McClave (2001), Similarity vs. Diversity.
    """
    _refuse_beyond(slates, len(attributes))
    codes = attributes["code"][np.lexsort((attributes["code"], attributes.rows))].astype(np.int64)
    few = not len(codes) or int(codes.max()) < BITS
    words = np.zeros(len(attributes) if few else 0, np.uint64)
    if len(words):
        np.bitwise_or.at(words, attributes.rows, np.uint64(1) << codes.astype(np.uint64))
    alike = similarity(
        slates.item, slates.starts, slates.ends(k), attributes.offsets, codes, words, similar == "cosine"
    )
    return 1 - alike


def vector_diversity(slates: Slates, k: int, items: Array, vectors: Array) -> Float64:
    """Mean dissimilarity of the pairs in a list: 1 − mean_{i<j} v_i·v_j / (|v_i||v_j|) over item vectors.

    ``vectors`` [c, f] are those of ``items`` [c]; items without one, and those whose vector is 0, are left out. A list
    with fewer than two others has no diversity (NaN). From 0 (all alike) over 1 (nothing in common) to 2.

    Source: Ziegler, McNee, Konstan and Lausen (2005), Improving Recommendation Lists Through Topic Diversification.
    """
    items, vectors = np.asarray(items, np.int64), np.asarray(vectors, np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    told = np.flatnonzero(norms > 0)
    place = np.full(1 + max((int(part.max()) for part in (slates.item, items) if len(part)), default=0), -1)
    place[items[told]] = np.arange(len(told))
    unit = np.ascontiguousarray(vectors[told] / norms[told, None])
    return 1 - vector_similarity(slates.item, slates.starts, slates.ends(k), place, unit)


def miscalibration(slates: Slates, k: int, attributes: Ragged, history: Ragged, alpha: float = 0.01) -> Float64:
    """How far the categories of a list are from those of the asker's history: Σ_c p_c ln(p_c / ((1 − α) q_c + α p_c)).

    p is the share of category c in the history, q in the first k; an item's share is split evenly among its own
    categories, and what the history weighs ("weight") counts so much. 0 = the same mix. NaN where either has none.

    Source: Steck (2018), Calibrated Recommendations.
    """
    _refuse_beyond(slates, len(attributes))
    weight = np.asarray(history.columns.get("weight", np.ones(len(history["item"]))), np.float64)
    n_codes = int(attributes["code"].max()) + 1 if len(attributes["code"]) else 0
    listed = slates.starts, slates.ends(k), slates.item
    known = attributes.offsets, attributes["code"].astype(np.int64)
    return _divergence(*listed, history.offsets, history["item"], weight, *known, n_codes, alpha)


def _refuse_beyond(slates: Slates, n: int) -> None:
    if len(slates.item) and int(slates.item.max()) >= n:
        raise ValueError(f"item {int(slates.item.max())} is listed; there are attributes of {n}")


@numba.njit(cache=True)
def _divergence(
    starts: Array,
    ends: Array,
    item: Array,
    past: Array,
    met: Array,
    weight: Array,
    offsets: Array,
    codes: Array,
    n_codes: int,
    alpha: float,
) -> Float64:
    found = np.full(len(ends), np.nan)
    p, q = np.zeros(n_codes), np.zeros(n_codes)
    whose, liking = np.full(n_codes, -1), np.empty(n_codes, np.int64)  # the list p and q are of; codes in its history
    for r in range(len(ends)):
        liked, shown, m = 0.0, 0.0, 0
        for h in range(past[r], past[r + 1]):
            if met[h] >= len(offsets) - 1 or not weight[h] > 0:
                continue
            low, high = offsets[met[h]], offsets[met[h] + 1]
            if high > low:
                liked += weight[h]
                part = weight[h] / (high - low)
                for e in range(low, high):
                    c = codes[e]
                    if whose[c] != r:
                        whose[c], liking[m], p[c], q[c] = r, c, 0.0, 0.0
                        m += 1
                    p[c] += part
        for row in range(starts[r], ends[r]):
            low, high = offsets[item[row]], offsets[item[row] + 1]
            if high > low:
                shown += 1.0
                part = 1.0 / (high - low)
                for e in range(low, high):  # what the history lacks is begun anew by the list that has it
                    q[codes[e]] += part
        if liked > 0 and shown > 0:
            total = 0.0
            for c in liking[:m]:
                share = p[c] / liked
                if share > 0:
                    total += share * np.log(share / ((1 - alpha) * q[c] / shown + alpha * share))
            found[r] = total
    return found
