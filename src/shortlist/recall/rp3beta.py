"""RP3beta: three steps of a random walk, with a penalty for what is popular anyway."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.recall._kernels.neighbours import similar_columns
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._linear import ItemToItem
from shortlist.types import Requests


class RP3Beta(ItemToItem):
    """Random walk of three steps from a user, user - item - user - item, divided by the popularity of where it ends.

    W_ji = sum_u p_ju^α p_ui^α / d_i^β,  score(u, i) = sum_j w(u, j)^α W_ji over the ``neighbours`` of each item j

    with p_ju = x_uj / d_j and p_ui = x_ui / d_u the probabilities of a step along an edge, d summed edge weights (those
    of the penalty as if nothing faded). The step from the user is the request's history, whose common factor does not
    matter. As quick as counting pairs, far less drawn to the popular than the walk alone.

    Source: Paudel, Christoffel, Newell, Bernstein (2017), Updatable, Accurate, Diverse, and Scalable Recommendations
    for Interactive Applications; Cooper, Lee, Radzik, Siantos (2014), Random Walks in Recommender Systems.
    """

    alpha: Annotated[float, Field(gt=0), Search(0.3, 1.5)] = 0.6
    """α: the power of every step's probability; below 1 the many faint paths count more beside the few strong ones."""
    beta: Annotated[float, Field(ge=0), Search(0.0, 0.8)] = 0.3
    """β: 0 is the plain walk, drawn to the popular; larger prefers the rare."""
    neighbours: Annotated[int, Field(ge=1), Search(20, 1000, log=True)] = 200
    """How many items with the largest W are kept of each item."""
    normalise: bool = False
    """Whether what is kept of each item is divided by its sum, so that every item of the history speaks as loud."""
    threads: int = Field(default=1, ge=1)
    """Threads of the fit; the result does not depend on it."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the largest W of every item."""
        x = self._matrix(data)
        user = np.asarray(x.sum(axis=1), np.float64).ravel()
        item = np.asarray(x.sum(axis=0), np.float64).ravel()
        user, item = np.where(user > 0, user, 1.0), np.where(item > 0, item, 1.0)
        x.data **= np.float32(self.alpha)
        penalty = item**self.beta
        if self.log_half_life:  # what is merely old is not rare
            counted = type(self).from_config({**self.config(), "log_half_life": None})._matrix(data)
            penalty = np.asarray(counted.sum(axis=0), np.float64).ravel() ** self.beta
        # sum_u x_ui^α x_uj^α / d_u^α is symmetric, and over d_i^β d_j^β it orders the items of row j as W does
        weight, norms = (user**-self.alpha).astype(np.float32), penalty.astype(np.float32)
        self.table_ = similar_columns(x, self.neighbours, weight, norms=norms, threads=self.threads)
        kept = np.diff(self.table_.indptr)
        if self.normalise:
            rows = np.repeat(np.arange(len(kept)), kept)
            scale = 1 / np.maximum(np.bincount(rows, self.table_.data, len(kept)), 1e-30)
        else:
            scale = penalty * item**-self.alpha
        self.table_.data *= np.repeat(scale, kept).astype(np.float32)
        return self

    def _query(self, requests: Requests) -> Sparse:
        offsets, columns, weights = self._taken(requests)
        return Sparse(offsets, columns, weights**self.alpha)
