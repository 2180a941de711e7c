"""What accuracy does not see: how much of the catalogue is shown, how varied, surprising, even and fresh it is.

Functions that return [n] speak of each request; those that return one number speak of all lists together.
Nothing here may be counted in the test window: ``counts`` are of events before it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from shortlist.data.dataset import FOREVER
from shortlist.data.table import MISSING_TIME
from shortlist.metrics._pairs import similarity
from shortlist.metrics._slate import Slates
from shortlist.types import Array, Float64, Int64, Ragged

DAY = 86_400_000_000


def coverage(slates: Slates, k: int, n_items: int) -> float:
    """Share of the catalogue that anybody was shown: |∪ first k| / n_items.

    ``n_items`` is how many items could have been shown.

    Source: Ge, Delgado-Battenfeld and Jannach (2010), Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity.
    """
    return len(np.unique(slates.item[slates.within(k)])) / n_items if n_items else float("nan")


def gini(slates: Slates, k: int, n_items: int) -> float:
    """How unevenly exposure falls on the catalogue: Σ_i (2i − n − 1)·x_i / (n·Σx), x ascending exposures of n items.

    0 when every item is shown equally often, near 1 when few items take all places: popularity bias. Items never shown
    count with exposure 0, so ``n_items`` must be at least the number shown.

    Source: Fleder and Hosanagar (2009), Blockbuster Culture's Next Rise or Fall.
    """
    shown = np.unique(slates.item[slates.within(k)], return_counts=True)[1]
    if len(shown) > n_items:
        raise ValueError(f"{len(shown)} items were shown of a catalogue of {n_items}")
    if not len(shown):
        return float("nan")
    place = np.arange(n_items - len(shown) + 1, n_items + 1)  # the items never shown come first and add nothing
    return float(np.sum((2 * place - n_items - 1) * np.sort(shown)) / (n_items * shown.sum()))


def diversity(slates: Slates, k: int, attributes: Ragged, similar: Literal["jaccard", "cosine"] = "jaccard") -> Float64:
    """Mean dissimilarity of the pairs in a list: 1 − mean_{i<j} sim(i, j) over attribute sets.

    sim is |A∩B|/|A∪B| (jaccard) or |A∩B|/√(|A||B|) (cosine). ``attributes`` has a row of distinct "code" for each item
    of the catalogue; items without any are left out, and a list with fewer than two others has no diversity (NaN).

    Source: Smyth and McClave (2001), Similarity vs. Diversity.
    """
    rows = slates.within(k)
    starts = np.searchsorted(slates.request[rows], np.arange(len(slates) + 1))
    codes = attributes["code"][np.lexsort((attributes["code"], attributes.rows))]
    return 1 - similarity(slates.item[rows], starts, attributes.offsets, codes, similar == "cosine")


def novelty(slates: Slates, k: int, counts: Array) -> Float64:
    """Mean self-information of the items shown, in bits: mean_i −log₂((c_i + 1) / Σ_j (c_j + 1)).

    ``counts`` [n_items] are events before the test window; the added 1 keeps an item nobody met finite.

    Source: Zhou et al. (2010), Solving the Apparent Diversity-Accuracy Dilemma of Recommender Systems.
    """
    smoothed = np.asarray(counts, np.float64) + 1
    surprise = -np.log2(smoothed / smoothed.sum())
    rows = slates.within(k)
    return slates.mean(surprise[slates.item[rows]], rows)


def serendipity(slates: Slates, k: int, baseline: Slates) -> Float64:
    """Share of the first k places with a target the baseline's first k does not show: Σ_{r≤k} hit_r·[not expected] / k.

    ``baseline`` is what was to be expected, usually popularity, for the same requests in the same order.

    Source: Ge, Delgado-Battenfeld and Jannach (2010), Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity.
    """
    if not np.array_equal(baseline.targets, slates.targets):
        raise ValueError("the baseline answers other requests: the numbers of targets differ")
    rows, expected = slates.hit & slates.within(k), baseline.hit & baseline.within(k)  # only hits can matter
    found = slates.request[rows].astype(np.int64) << 32 | slates.item[rows]
    known = baseline.request[expected].astype(np.int64) << 32 | baseline.item[expected]
    surprising = slates.request[rows][~np.isin(found, known)]
    share = np.bincount(surprising, minlength=len(slates)) / k
    return np.where(slates.targets > 0, share, np.nan)


def age(slates: Slates, k: int, times: Int64, available_from: Int64) -> Float64:
    """Timeliness: mean days the items shown had been in the catalogue, mean_i (time − available_from_i) / day.

    ``times`` [n] and ``available_from`` [n_items] in microseconds. Items without a known beginning are left out. A
    negative age means that an item was shown before it existed.

    Source: Chakraborty, Ghosh, Ganguly and Gummadi (2017), Optimizing the Recency-Relevancy Trade-off in Online News
    Recommendations.
    """
    since = np.asarray(available_from)[slates.item]
    rows = slates.within(k) & (since != MISSING_TIME) & (since != FOREVER)
    return slates.mean((np.asarray(times)[slates.request[rows]] - since[rows]) / DAY, rows)


def delay(slates: Slates, k: int, times: Int64, available_from: Int64) -> tuple[Array, Float64]:
    """Days from an item's arrival to the first time it is shown: (items, days), NaN for never shown.

    For the items that arrived between the first and the last of ``times`` [n], in order of their code.

    Source: defined here; the problem is that of Schein, Popescul, Ungar and Pennock (2002), Methods and Metrics for
    Cold-Start Recommendations.
    """
    available_from, times = np.asarray(available_from), np.asarray(times)
    if not len(times):
        return np.empty(0, np.int64), np.empty(0)
    new = np.flatnonzero((available_from >= times.min()) & (available_from <= times.max()))
    rows = slates.within(k)
    first = np.full(len(available_from), FOREVER)
    np.minimum.at(first, slates.item[rows], times[slates.request[rows]])
    days = (np.where(first[new] == FOREVER, 0, first[new]) - available_from[new]) / DAY
    return new, np.where(first[new] == FOREVER, np.nan, days)
