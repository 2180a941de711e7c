"""What accuracy does not see: how much of the catalogue is shown, how evenly, how popular and how surprising it is.

Functions that return [n] speak of each request; those that return one number speak of all lists together.
Nothing here may be counted in the test window: ``counts`` are of events before it.
"""

from __future__ import annotations

import numpy as np

from shortlist.metrics import _lists
from shortlist.metrics._slate import Slates
from shortlist.types import Array, Bool, Float64, Int64, Ragged

HEAD = 0.8
"""Items outside the long tail take this share of all events together."""


def empty(slates: Slates, k: int) -> Float64:
    """Share of the first k places that nothing stands at: 1 − min(rows, k) / k.

    Source: Shortlist's own definition.
    """
    return 1 - (slates.ends(k) - slates.starts[:-1]) / k


def coverage(slates: Slates, k: int, n_items: int) -> float:
    """Share of the catalogue that anybody was shown: |∪ first k| / n_items.

    ``n_items`` is how many items could have been shown.

    Source: Ge, Delgado-Battenfeld and Jannach (2010), Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity.
    """
    return np.count_nonzero(slates.exposure(k)) / n_items if n_items else float("nan")


def coverage_pulls(slates: Slates, k: int, n_items: int, cluster: Int64, n: int) -> Float64:
    """[n]: what each of ``n`` clusters (``cluster`` [requests]) adds to ``coverage``: items shown to nobody else,
    less the mean of that.

    Their squares add up to the jackknife's variance, which errs on the safe side (Efron and Stein (1981), The
    Jackknife Estimate of Variance); of two systems on the same requests the difference of their pulls does.
    """
    rows = slates.rows(k)
    shown = np.unique(cluster[slates.request[rows]].astype(np.int64) << 32 | slates.item[rows])
    item = shown & 0xFFFFFFFF
    alone = np.bincount(item, minlength=1)[item] == 1
    own = np.bincount(shown[alone] >> 32, minlength=n) / max(n_items, 1)
    return (own - own.mean()) * np.sqrt((n - 1) / n)


def gini(slates: Slates, k: int, n_items: int) -> float:
    """How unevenly exposure falls on the catalogue: Σ_i (2i − n − 1)·x_i / (n·Σx), x ascending exposures of n items.

    0 when every item is shown equally often, near 1 when few items take all places: popularity bias. Items never shown
    count with exposure 0, so ``n_items`` must be at least the number shown.

    Source: Fleder and Hosanagar (2009), Blockbuster Culture's Next Rise or Fall.
    """
    exposure = slates.exposure(k)
    shown = np.sort(exposure[exposure > 0])
    if len(shown) > n_items:
        raise ValueError(f"{len(shown)} items were shown of a catalogue of {n_items}")
    if not len(shown):
        return float("nan")
    place = np.arange(n_items - len(shown) + 1, n_items + 1)  # the items never shown come first and add nothing
    return float(np.sum((2 * place - n_items - 1) * shown) / (n_items * shown.sum()))


def gini_pulls(slates: Slates, k: int, n_items: int, cluster: Int64, n: int) -> Float64:
    """[n]: how ``gini`` moves with the weight of each of ``n`` clusters: Σ of its rows ((2 rank_i − n − 1)/n − G) / Σx.

    rank_i is the midrank of item i's exposure. Their squares add up to the variance of the infinitesimal jackknife
    (Jaeckel (1972), The Infinitesimal Jackknife); of two systems the difference of their pulls does.
    """
    exposure = slates.exposure(k, n_items)
    value = gini(slates, k, n_items)
    levels, at, size = np.unique(exposure, return_inverse=True, return_counts=True)
    size[0] += n_items - len(exposure) if levels[0] == 0 else 0
    last = np.cumsum(size)
    middle = (last - (size - 1) / 2)[at]
    slope = ((2 * middle - n_items - 1) / n_items - value) / max(exposure.sum(), 1)
    rows = slates.rows(k)
    pulled = np.bincount(cluster[slates.request[rows]], weights=slope[slates.item[rows]], minlength=n)
    return pulled.astype(np.float64, copy=False)


def popularity(slates: Slates, k: int, counts: Array) -> Float64:
    """Mean number of earlier events of the items shown: mean_i c_i, ``counts`` [n_items] before the test window.

    Source: Yin, Cui, Li, Yao and Chen (2012), Challenging the Long Tail Recommendation.
    """
    return slates.mean_of(counts, k)


def popularity_lift(slates: Slates, k: int, counts: Array, history: Ragged) -> Float64:
    """How much more popular the list is than what the asker took: mean_{i in list} c_i / mean_{j in history} c_j − 1.

    ``history`` has a row of "item" for each request; an item met twice counts twice. 0 = as popular as one's own taste,
    1 = twice as popular. NaN without a history.

    Source: Abdollahpouri, Mansoury, Burke and Mobasher (2019), The Unfairness of Popularity Bias in Recommendation.
    """
    counts = np.asarray(counts, np.float64)
    total = np.bincount(history.rows, weights=counts[history["item"]], minlength=len(slates))
    met = np.divide(total, history.lengths, out=np.full(len(slates), np.nan), where=total > 0)
    return slates.mean_of(counts, k) / met - 1


def tail_share(slates: Slates, k: int, counts: Array) -> Float64:
    """Share of the items shown that lie in the long tail: those behind the ones that took 80 % of all events.

    The item that passes the 80 % is not in the tail; an item nobody met is.

    Source: Abdollahpouri, Burke and Mobasher (2017), Controlling Popularity Bias in Learning-to-Rank Recommendation.
    """
    return slates.mean_of(in_tail(counts), k)


def in_tail(counts: Array) -> Bool:
    """[n_items]: whether an item lies behind those that took 80 % of all events; of equals the earlier code counts
    as the more popular."""
    counts = np.asarray(counts)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    tail = np.ones(len(counts), bool)
    tail[order[before < HEAD * counts.sum()]] = False
    return tail


def novelty(slates: Slates, k: int, counts: Array) -> Float64:
    """Mean self-information of the items shown, in bits: mean_i −log₂((c_i + 1) / Σ_j (c_j + 1)).

    ``counts`` [n_items] are events before the test window; the added 1 keeps an item nobody met finite.

    Source: Zhou et al. (2010), Solving the Apparent Diversity-Accuracy Dilemma of Recommender Systems.
    """
    smoothed = np.asarray(counts, np.float64) + 1
    return slates.mean_of(-np.log2(smoothed / smoothed.sum()), k)


def serendipity(slates: Slates, k: int, baseline: Slates) -> Float64:
    """Share of the first k places with a target the baseline's first k does not show: Σ_{r≤k} hit_r·[not expected] / k.

    ``baseline`` is what was to be expected, usually popularity, for the same requests in the same order.

    Source: Ge, Delgado-Battenfeld and Jannach (2010), Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity.
    """
    if not np.array_equal(baseline.targets, slates.targets):
        raise ValueError("the baseline answers other requests: the numbers of targets differ")
    rows, expected = slates.found(k), baseline.found(k)  # only hits can matter
    listed, known = (slates.request[rows], slates.item[rows]), (baseline.request[expected], baseline.item[expected])
    codes = 1 + max((int(part.max()) for part in (listed[1], known[1]) if len(part)), default=-1)
    return np.where(slates.targets > 0, _lists.unexpected(*listed, *known, len(slates), codes) / k, np.nan)
