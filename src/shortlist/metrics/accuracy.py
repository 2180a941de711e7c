"""Accuracy of lists: did the right items come, and did they come first?

Each function returns one number per request [n]; a request without targets has none (NaN). A list shorter than ``k``
is judged as it stands: what it did not show is missed. R is the number of targets, hit_r is 1 where rank r is a target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shortlist.metrics._slate import Slates
from shortlist.types import Array, Float64, Int64


def recall(slates: Slates, k: int) -> Float64:
    """Share of the targets that are among the first k: Σ_{r≤k} hit_r / R.

    Source: Cleverdon, Mills and Keen (1966), Factors Determining the Performance of Indexing Systems.
    """
    return _divide(_hits(slates, k), slates.targets)


def precision(slates: Slates, k: int) -> Float64:
    """Share of the first k places that hold a target: Σ_{r≤k} hit_r / k, also when the list is shorter.

    Source: Cleverdon, Mills and Keen (1966), Factors Determining the Performance of Indexing Systems.
    """
    return _defined(_hits(slates, k) / k, slates.targets)


def hit(slates: Slates, k: int) -> Float64:
    """Whether any of the first k is a target: 1 or 0.

    Source: Deshpande and Karypis (2004), Item-Based Top-N Recommendation Algorithms.
    """
    return _defined((_hits(slates, k) > 0).astype(np.float64), slates.targets)


def ndcg(slates: Slates, k: int) -> Float64:
    """Discounted gain of the hits over the best possible: Σ_{r≤k} hit_r/log₂(r+1) ÷ Σ_{r≤min(k,R)} 1/log₂(r+1).

    Source: Järvelin and Kekäläinen (2002), Cumulated Gain-Based Evaluation of IR Techniques.
    """
    return _ndcg(slates, k, slates.found(k), slates.targets)


def ndcg_known(slates: Slates, k: int) -> Float64:
    """NDCG over the targets that could be known at the time of the request; NaN where none could.

    The same formula as ``ndcg`` with hits and R counted among targets already in the catalogue. Beside ``ndcg`` it
    tells how much was lost to items nobody could have recommended.

    Source: Järvelin and Kekäläinen (2002), Cumulated Gain-Based Evaluation of IR Techniques.
    """
    rows = slates.found(k)
    return _ndcg(slates, k, rows[slates.known_hit[rows]], slates.known)


def mrr(slates: Slates, k: int) -> Float64:
    """Reciprocal rank of the first hit: 1/min{r ≤ k: hit_r = 1}, 0 without a hit.

    Source: Voorhees (1999), The TREC-8 Question Answering Track Report.
    """
    rows = slates.found(k)
    best = np.zeros(len(slates))
    np.maximum.at(best, slates.request[rows], 1 / slates.rank[rows])
    return _defined(best, slates.targets)


def average_precision(slates: Slates, k: int) -> Float64:
    """Precision at each hit, averaged (its mean is MAP@k): Σ_{r≤k} hit_r · (Σ_{s≤r} hit_s / r) ÷ min(k, R).

    Source: Buckley and Voorhees (2000), Evaluating Evaluation Measure Stability.
    """
    rows = slates.found(k)
    request = slates.request[rows]
    so_far = np.arange(len(rows)) - np.searchsorted(request, request) + 1  # hits up to and with this one
    total = np.bincount(request, weights=so_far / slates.rank[rows], minlength=len(slates))
    return _divide(total, np.minimum(k, slates.targets))


AT_K = (
    ("ndcg", ndcg),
    ("recall", recall),
    ("precision", precision),
    ("hit", hit),
    ("mrr", mrr),
    ("map", average_precision),
)
"""The metrics reported at every cut-off, by the name they have in ``evaluation.json``."""


def per_request(slates: Slates, ks: Sequence[int]) -> dict[str, Float64]:
    """Every accuracy metric at every cut-off, ``{"ndcg@10": [n], ..., "ndcg@10_known": [n]}``."""
    values = {f"{name}@{k}": metric(slates, k) for k in ks for name, metric in AT_K}
    return {**values, **{f"ndcg@{k}_known": ndcg_known(slates, k) for k in ks}}


def _hits(slates: Slates, k: int) -> Int64:
    return np.bincount(slates.request[slates.found(k)], minlength=len(slates))


def _ndcg(slates: Slates, k: int, rows: Int64, targets: Int64) -> Float64:
    gain = np.bincount(slates.request[rows], weights=1 / np.log2(slates.rank[rows] + 1.0), minlength=len(slates))
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return _divide(gain, ideal[np.minimum(k, targets)])


def _divide(values: Array, by: Array) -> Float64:
    return np.divide(values, by, out=np.full(len(values), np.nan), where=by > 0)


def _defined(values: Float64, targets: Int64) -> Float64:
    return np.where(targets > 0, values, np.nan)
