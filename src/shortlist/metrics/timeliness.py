"""How fresh a list is: the age of what is shown, and how soon something new is shown at all.

Moments in microseconds: ``times`` [n] of the requests, ``available_from`` [n_items] since when there is an item. Items
without a known beginning are left out.
"""

from __future__ import annotations

import numpy as np

from shortlist.data.dataset import FOREVER
from shortlist.data.table import MISSING_TIME
from shortlist.metrics import _lists
from shortlist.metrics._slate import Slates
from shortlist.types import Array, Float64, Int64

DAY = 86_400_000_000


def age(slates: Slates, k: int, times: Int64, available_from: Int64) -> Float64:
    """Timeliness: mean days the items shown had been in the catalogue, mean_i (time − available_from_i) / day.

    A negative age means that an item was shown before it existed.

    Source: Chakraborty, Ghosh, Ganguly and Gummadi (2017), Optimizing the Recency-Relevancy Trade-off in Online News
    Recommendations.
    """
    times, since = np.asarray(times), np.asarray(available_from)
    first = int(times.min()) if len(times) else 0  # days from it are exact where microseconds since 1970 would round
    began = np.where(_known(since), (since - first) / DAY, np.nan)
    return (times - first) / DAY - slates.mean_of(began, k)


def younger(slates: Slates, k: int, times: Int64, available_from: Int64, window: int) -> Float64:
    """Timeliness: share of the items shown that came less than ``window`` microseconds ago, |{i: age_i < window}| / k'.

    k' counts the items whose beginning is known.

    Source: Lathia, Hailes, Capra and Amatriain (2010), Temporal Diversity in Recommender Systems, for the question;
    the share is defined here.
    """
    times, since = np.asarray(times, np.int64), np.asarray(available_from, np.int64)
    _refuse_beyond(slates, len(since))
    return _lists.younger(slates.starts, slates.ends(k), slates.item, since, _known(since), times, window)


def delay(slates: Slates, k: int, times: Int64, available_from: Int64) -> tuple[Array, Float64]:
    """Days from an item's arrival to the first time it is shown: (items, days), NaN for never shown.

    For the items that arrived between the first and the last of ``times`` [n], in order of their code.

    Source: defined here; the problem is that of Schein, Popescul, Ungar and Pennock (2002), Methods and Metrics for
    Cold-Start Recommendations.
    """
    times, since = np.asarray(times, np.int64), np.asarray(available_from, np.int64)
    _refuse_beyond(slates, len(since))
    if not len(times):
        return np.empty(0, np.int64), np.empty(0)
    new = np.flatnonzero((since >= times.min()) & (since <= times.max()))
    first = np.full(len(since), FOREVER)
    _lists.first_shown(slates.starts, slates.ends(k), slates.item, times, first)
    days = (np.where(first[new] == FOREVER, 0, first[new]) - since[new]) / DAY
    return new, np.where(first[new] == FOREVER, np.nan, days)


def _known(since: Int64) -> Array:
    return (since != MISSING_TIME) & (since != FOREVER)


def _refuse_beyond(slates: Slates, n: int) -> None:
    if len(slates.item) and int(slates.item.max()) >= n:
        raise ValueError(f"item {int(slates.item.max())} is listed; the beginnings of {n} are known")
