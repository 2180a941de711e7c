"""Implicit alternating least squares."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.progress import track
from shortlist.recall._factors import Factors
from shortlist.recall._kernels.least_squares import solve
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Float32


class ALS(Factors):
    """Weighted matrix factorisation of implicit feedback.

    minimise  sum_ui c_ui (t_ui - p_u · q_i)^2 + λ (sum_u ||p_u||^2 + sum_i ||q_i||^2)
    with c_ui = 1 + α x_ui and t_ui = [x_ui > 0],

    by turns in p and q, each row by a few conjugate gradient steps. A request's vector is the exact p for its own
    history, so new users and live events need no refit. Good when the log is sparse and the catalogue large.

    λ stands beside the singular values of c_ui t_ui: where it exceeds the largest, all vectors are zero. So by default
    it is their root mean square, sqrt(sum_ui (c_ui t_ui)^2 / min(users, items)), which suits a log of any size.

    Source: Hu, Koren, Volinsky (2008), Collaborative Filtering for Implicit Feedback Datasets;
    Takács, Pilászy, Tikk (2011), Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
    Filtering.
    """

    factors: Annotated[int, Field(ge=1), Search(16, 256, log=True)] = 64
    """The length of the vectors."""
    iterations: Annotated[int, Field(ge=1), Search(5, 30)] = 15
    """How often both sides are solved."""
    regularisation: Annotated[Annotated[float, Field(gt=0)] | None, Search(3, 300, log=True)] = None
    """λ; none = the root mean square of the singular values it stands beside."""
    alpha: Annotated[float, Field(gt=0), Search(0.5, 50, log=True)] = 3.0
    """α: how much more an observed pair counts than one not observed."""
    steps: int = Field(default=3, ge=1)
    """Conjugate gradient steps of each row in each iteration."""
    threads: int = Field(default=1, ge=1)
    """Threads of the fit; the result does not depend on it."""
    seed: int = 0
    """Of the vectors the iteration starts from."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the item factors and their Gram matrix."""
        x = self._matrix(data)
        by_user = x[np.diff(x.indptr) > 0]
        by_item = by_user.T.tocsr()
        self.ridge_ = self._ridge(by_user)
        rng = np.random.default_rng(self.seed)
        users = 0.01 * rng.standard_normal((by_user.shape[0], self.factors), np.float32)
        items = 0.01 * rng.standard_normal((by_user.shape[1], self.factors), np.float32)
        for _ in track(range(self.iterations), "als"):
            for matrix, fixed, moving in ((by_user, items, users), (by_item, users, items)):
                a = self.alpha * matrix.data
                system = matrix.indptr, matrix.indices, a, 1 + a, fixed, self._gram(fixed), moving
                solve(*system, self.steps, threads=self.threads)
        self._learned(items, self._gram(items), data)
        return self

    def _ridge(self, x: sp.csr_matrix) -> float:
        """λ as given, or of the log's own size."""
        if self.regularisation is not None:
            return self.regularisation
        square = ((1 + self.alpha * x.data.astype(np.float64)) ** 2).sum()
        return float(np.sqrt(square / max(min(x.shape), 1))) or 1.0

    def _gram(self, factors: Float32) -> Float32:
        return factors.T @ factors + self.ridge_ * np.eye(self.factors, dtype=np.float32)

    def _evidence(self, taken: Sparse) -> tuple[Float32, Float32]:
        a = np.float32(self.alpha) * taken[2]
        return a, 1 + a
