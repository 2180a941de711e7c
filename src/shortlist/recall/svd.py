"""Truncated singular value decomposition of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse.linalg import svds

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.recall._factors import Factors
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Array, Float32


class SVD(Factors):
    """Truncated SVD of the scaled log; users are folded in by projection (PureSVD, EigenRec).

    X D ≈ U Σ Vᵀ with D = diag(||x_i||^(scaling - 1)),  score(u, i) = (w(u) D V) · v_i

    with w the weights of the request's history. One matrix factorisation, no tuning but for the number of factors;
    ``scaling`` 1 is the plain SVD, less lets popular items dominate less.

    Source: Cremonesi, Koren, Turrin (2010), Performance of Recommender Algorithms on Top-N Recommendation Tasks;
    Nikolakopoulos, Kalantzis, Gallopoulos, Garofalakis (2019), EigenRec.
    """

    sizes: ClassVar[Mapping[str, str]] = {"scale_": "c"}
    example: ClassVar[Mapping[str, Any]] = {"factors": 4}  # the contract's world has no more structure than that

    factors: Annotated[int, Field(ge=1), Search(16, 256, log=True)] = 20
    """How many singular vectors are kept."""
    scaling: Annotated[float, Field(ge=0, le=2), Search(0, 1.5)] = 1.0
    """The power of an item's norm that is left in its column."""
    seed: int = 0
    """Of the vector the iteration starts from."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the right singular vectors, each with its largest entry positive."""
        x = self._matrix(data).astype(np.float64)
        x = x[np.diff(x.indptr) > 0]
        norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel())
        scale = np.maximum(norms, 1e-12) ** (self.scaling - 1)
        self.scale_: Float32 = scale.astype(np.float32)  # [c]
        x = x.multiply(scale).tocsr()
        f, small = min(self.factors, *x.shape), min(x.shape)
        if f == 0:
            right: Array = np.zeros((0, x.shape[1]))
        elif f < small and small > 2 * f:
            start = np.random.default_rng(self.seed).standard_normal(small)
            right = svds(x, k=f, v0=start, return_singular_vectors="vh" if x.shape[0] >= x.shape[1] else True)[2]
            right = right[::-1]  # falling singular values
        else:
            right = np.linalg.svd(x.toarray(), full_matrices=False)[2][:f]
        sign = np.sign(right[np.arange(f), np.abs(right).argmax(axis=1)]) if f else np.ones(0)
        self._learned((right * sign[:, None]).T, np.eye(f), data)
        return self

    def _evidence(self, taken: Sparse) -> tuple[Float32, Float32]:
        _, columns, weights = taken
        return np.zeros_like(weights), weights * self.scale_[columns]
