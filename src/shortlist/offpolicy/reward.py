"""What a model expects of an item at a place: the half of the doubly robust estimators that is not weighting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.types import Array, Float64, Int64

PRIOR = 2.0
"""An item's rewards are held to what its places lead to expect, as if so many of them had been seen elsewhere."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Expected:
    """q(item, place) = rate(place) · (rewards of the item + PRIOR) / (sum of rate over its places + PRIOR), 1 at most.

    rate(place) is the mean reward there, held to the mean of all by one round. Learned in folds of clusters: what is
    asked for fold f was learned from the others, so that no reward predicts itself and the doubly robust estimators
    stay unbiased.

    Source: clicks over expected clicks, Zhang and Jones (2007), Comparing click logs and editorial labels for training
    query rewriting, WWW; the prior as in DuMouchel (1999), The American Statistician; cross-fitting as in Chernozhukov
    et al. (2018), Double/debiased machine learning, The Econometrics Journal.
    """

    rate: Float64  # [FOLDS, places]; place 0 = not known
    item: Float64  # [FOLDS, items]: how many times more than its places an item gets

    @staticmethod
    def fit(item: Array, place: Array, reward: Float64, fold: Array, n_items: int, places: int) -> Expected:
        """From rounds [m]: codes of items, places from 1 (0 = not known), rewards, and the fold of each."""
        rate, lift = np.empty((FOLDS, places + 1)), np.empty((FOLDS, n_items))
        for f in range(FOLDS):
            known = fold != f
            at, got, whose = place[known], reward[known], item[known]
            mean = float(got.mean()) if len(got) else 0.0
            rate[f] = (np.bincount(at, got, places + 1) + mean) / (np.bincount(at, minlength=places + 1) + 1)
            usual = np.bincount(whose, rate[f][at], n_items)
            lift[f] = (np.bincount(whose, got, n_items) + PRIOR) / (usual + PRIOR)
        return Expected(rate, lift)

    def of(self, item: Array, place: Array, fold: Array) -> Float64:
        """[m]: what is expected of the items at the places; 0 where there is none (item -1)."""
        found = np.minimum(self.rate[fold, place] * self.item[fold, np.maximum(item, 0)], 1)
        return np.where(item >= 0, found, 0)


def folds(cluster: Array, seed: int = 0) -> Int64:
    """[m]: the fold of each round; the rounds of a cluster are in one."""
    names, number = np.unique(cluster, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[number] % FOLDS
