"""Latent factor model by stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.progress import track
from shortlist.recall._factors import Factors
from shortlist.recall._kernels.random import alias_table
from shortlist.recall._kernels.sgd import epoch
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array, Candidates, Float32, Ragged


class LFM(Factors):
    """Latent factors of users and items: p(u, i) = p_u · q_i.

    minimise  sum (r_ui - p_u · q_i)^2 + α₁ ||p_u||^2 + α₂ ||q_i||^2

    over positives (r = 1) and sampled popular items the user has not taken (r = 0, drawn by count^popularity). A
    request's vector minimises the same loss, in expectation over the negatives, with q held fixed:
        (sum_j w_j q_j q_jᵀ + n W (sum_i π_i q_i q_iᵀ) + (1 + n) W α₁ I) p = sum_j w_j q_j,  W = sum_j w_j
    with n negatives a positive and π the distribution they are drawn from. The factors are topics one can read.

    Source: Funk (2006), Netflix Update: Try This at Home; Koren, Bell, Volinsky (2009), Matrix Factorization Techniques
    for Recommender Systems.
    """

    sizes: ClassVar[Mapping[str, str]] = {"user_factors_": "u f"}

    factors: Annotated[int, Field(ge=1), Search(16, 256, log=True)] = 16
    """The length of the vectors."""
    epochs: Annotated[int, Field(ge=1), Search(10, 100, log=True)] = 30
    """Passes over the positives."""
    rate: Annotated[float, Field(gt=0), Search(0.01, 0.2, log=True)] = 0.05
    """The first step size; it falls linearly to a tenth."""
    user_regularisation: Annotated[float, Field(gt=0), Search(0.001, 0.3, log=True)] = 0.05
    """α₁."""
    item_regularisation: Annotated[float, Field(gt=0), Search(0.001, 0.3, log=True)] = 0.02
    """α₂."""
    negatives: Annotated[int, Field(ge=1), Search(1, 20, log=True)] = 5
    """Sampled negatives a positive; draws the user has taken are skipped."""
    popularity: Annotated[float, Field(ge=0), Search(0, 1)] = 0.75
    """The power of an item's count it is drawn by."""
    seed: int = 0
    """Of the first vectors, the order of the log and the negatives."""

    def fit(self, data: Dataset) -> Self:
        """Keeps both sides and what folding in needs."""
        x = self._matrix(data)
        known = np.flatnonzero(np.diff(x.indptr))  # who has nothing draws nothing: more identities change nothing
        x = x[known]
        rng = np.random.default_rng(self.seed)
        items, users = (
            (rng.standard_normal((n, self.factors)) / np.sqrt(self.factors) / 3).astype(np.float32)
            for n in reversed(x.shape)
        )
        drawn = np.bincount(x.indices, minlength=x.shape[1]).astype(np.float64) ** self.popularity
        drawn /= max(drawn.sum(), 1)
        table = alias_table(drawn)
        values = x.data / max(x.data.mean(), 1e-12) if x.nnz else x.data
        for done in track(range(self.epochs), "lfm"):
            rate = self.rate * (1 - 0.9 * done / self.epochs)
            ridges = self.user_regularisation, self.item_regularisation
            order, seed = rng.permutation(x.shape[0]), int(rng.integers(2**62))
            log = Sparse(x.indptr, x.indices, values)
            epoch(log, table, users, items, rate, *ridges, self.negatives, order, seed)
        ridge = (1 + self.negatives) * self.user_regularisation * np.eye(self.factors)
        self._learned(items, self.negatives * (items.T * drawn) @ items + ridge, data)
        self.user_factors_: Float32 = np.zeros((data.n_users, self.factors), np.float32)  # only for user_top_like
        self.user_factors_[known] = users
        return self

    def _evidence(self, taken: Sparse) -> tuple[Float32, Float32]:
        offsets, _, weights = taken
        lengths = np.diff(offsets)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        a = weights / np.bincount(rows, weights, len(lengths))[rows]
        return a.astype(np.float32), a.astype(np.float32)

    def user_top_like(self, users: Array, k: int) -> Candidates:
        """The ``k`` items with the largest positive p_u · q_i for users of the log (request = row of ``users``)."""
        users = np.asarray(users, np.int64)
        known = (users >= 0) & (users < len(self.user_factors_))
        asked = np.zeros((len(users), 1, self.factors), np.float32)
        asked[known, 0] = self.user_factors_[users[known]]
        return self._best(asked, Ragged.empty(len(users), item=np.int32), k)

    def n_topics(self) -> int:
        """A topic a factor."""
        return self.factors

    def topics(self, factor: int, k: int = 10) -> Candidates:
        """The ``k`` items that load most on a factor: by the size of q_if, whose sign is the column "loading"."""
        loading = self.table_[:, factor]
        best = np.lexsort((self.items_, -np.abs(loading)))[:k]
        columns = {"score": np.abs(loading[best]), "loading": loading[best]}
        return Candidates(np.zeros(len(best), np.uint32), self.items_[best], columns)
