"""Slates: several items are shown at once, and what is clicked at one place may depend on the others.

Rows are those of slates, the rows of one slate next to each other and from the first place down. The value of a policy
is the reward of a slate, summed over its places. ``logged`` and ``target`` are the chances of an item at its place: of
all lists for ``independent``, and *given the rows above it* for the others, so that products are those of whole lists.
Where places are filled independently of each other these are the same. Each estimator assumes something of how a click
depends on the list: the more it assumes, the less variance it has.
"""

from __future__ import annotations

import numpy as np

from shortlist.offpolicy.estimators import Terms
from shortlist.types import Array, Float64, Int64


def independent(slate: Array, reward: Float64, logged: Float64, target: Float64) -> Terms:
    """mean over slates of sum_k w_k r_k: a click depends on the item and its place alone.

    Source: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen (2018), Offline evaluation of ranking policies with
    click models, KDD.
    """
    return _per_slate(slate, reward * target / logged)


def reward_interaction(slate: Array, reward: Float64, logged: Float64, target: Float64) -> Terms:
    """mean over slates of sum_k (w_1 ... w_k) r_k: a click depends on the item and on what stands above it.

    Source: McInerney, Brost, Chandar, Mehrotra and Carterette (2020), Counterfactual evaluation of slate
    recommendations with sequential reward interactions, KDD.
    """
    return _per_slate(slate, reward * so_far(slate, target) / so_far(slate, logged))


def whole(slate: Array, reward: Float64, logged: Float64, target: Float64) -> Terms:
    """mean over slates of (w_1 ... w_K) sum_k r_k: a click may depend on everything. Unbiased, and hardly ever usable.

    Source: Precup, Sutton and Singh (2000), Eligibility traces for off-policy policy evaluation, ICML.
    """
    return _per_slate(slate, reward * _last(slate, so_far(slate, target) / so_far(slate, logged)))


def so_far(slate: Array, chance: Float64) -> Float64:
    """[rows]: product of ``chance`` over the rows of the slate down to this one."""
    product = np.asarray(chance, np.float64).copy()
    place = _places(slate)
    for k in range(1, int(place.max(initial=0)) + 1):
        here = np.flatnonzero(place == k)
        product[here] *= product[here - 1]
    return product


def numbered(slate: Array) -> Int64:
    """[rows]: number of each row's slate, from 0."""
    return np.cumsum(_places(slate) == 0) - 1


def _per_slate(slate: Array, part: Float64) -> Terms:
    total = np.bincount(numbered(slate), part).astype(np.float64)
    return Terms(total, np.ones(len(total)))


def _last(slate: Array, column: Float64) -> Float64:
    """[rows]: the value at the last row of each row's slate."""
    number = numbered(slate)
    ends = np.flatnonzero(np.append(number[1:] != number[:-1], True)[: len(number)])
    return column[ends][number]


def _places(slate: Array) -> Int64:
    """[rows]: place of each row in its slate, from 0."""
    slate = np.asarray(slate)
    first = np.flatnonzero(np.append(True, slate[1:] != slate[:-1])[: len(slate)])
    return np.arange(len(slate)) - np.repeat(first, np.diff(np.append(first, len(slate))))
