"""Boosted trees as features of a logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Search
from shortlist.encode import _fields as kernel
from shortlist.encode.design import to_csr
from shortlist.rank._lightgbm import train_lightgbm
from shortlist.rank._linear import LinearRanker
from shortlist.rank._solver import fit_logistic
from shortlist.rank._table import UnstoppedRanker, sigmoid
from shortlist.rank._trees import Rows, TreeRanker
from shortlist.types import Bool, Candidates, Float32, Float64, Int32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class GBDTLR(TreeRanker, LinearRanker, UnstoppedRanker):
    """P(y = 1 | x) = σ(a + Σ_t w[leaf_t(x)] + b·d(x)): a weight per leaf of boosted trees, plus the columns themselves.

    The trees find the crosses, the linear layer weighs them again and is cheap to train afresh while the trees stay.
    With ``share`` < 1 the trees learn from the earlier part of the requests and the weights from the later part (from a
    random part where all times are equal), so leaves that fit noise get small weights. Leaves of trees from different
    folds have nothing in common, hence no out-of-fold variant.

    Source: He et al. (2014), Practical Lessons from Predicting Clicks on Ads at Facebook.
    """

    sizes: ClassVar[Mapping[str, str]] = {"coefficients_": "e+q"}

    trees: Annotated[int, Field(ge=1), Search(50, 500, log=True)] = 100
    """How many trees."""
    learning_rate: Annotated[float, Field(gt=0, le=1), Search(0.02, 0.3, log=True)] = 0.1
    """What each tree's answer is multiplied by while the next is learned."""
    leaves: Annotated[int, Field(ge=2, le=1024), Search(7, 63, log=True)] = 15
    """Leaves of a tree."""
    min_leaf: Annotated[int, Field(ge=1), Search(5, 200, log=True)] = 20
    """Rows a leaf must have."""
    features: Annotated[float, Field(gt=0, le=1), Search(0.3, 1.0)] = 1.0
    """Share of the columns each tree sees."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the requests the trees learn from; the weights learn from the rest, or from all if it is 1."""
    original: bool = True
    """Whether the columns themselves (buckets, one-hot, crosses) stand beside the leaves."""
    leaf_l2: Annotated[float, Field(ge=0), Search(1.0, 100.0, log=True)] = 10.0
    """Squared penalty on the weights of leaves."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the shares of requests and columns."""

    def _learn(self, samples: Samples) -> Self:
        observed, y, weight = self.target(samples)
        x = self.learn_tree_columns(samples.candidates, observed)
        positive = (y > 0).astype(np.float64)
        early = self._early(samples)[samples.candidates.request[observed]]
        rows: Rows = ([column[early] for column in x], positive[early], weight[early], None)
        names = self.columns_.tolist()
        self.keep(*train_lightgbm(lambda: rows, None, self.categorical_, names, self.trees, 0, self._params()))
        late = ~early if self.share < 1 else early
        parts = [to_csr(*self._leaf_columns(np.stack([column[late] for column in x], 1)), width=self._leaf_width)]
        penalties = [np.full(self._leaf_width, self.leaf_l2)]
        if self.original:
            table = self.table(samples.candidates)[observed][late]
            design = self.fit_design(table.T, self.columns_, self.categorical_)
            parts.append(design.matrix(table))
            penalties.append(self.penalties(design))
        self.coefficients_, self.intercept_ = fit_logistic(
            sp.hstack(parts, format="csr"),
            positive[late],
            weight[late],
            self.l1,
            np.concatenate(penalties),
            self.tolerance,
            self.iterations,
        )
        return self

    def _early(self, samples: Samples) -> Bool:
        """[n]: the requests the trees learn from."""
        n = len(samples.requests)
        order = np.lexsort((np.random.default_rng(self.seed).random(n), samples.requests.time))
        early = np.zeros(n, np.bool_)
        early[order[: max(1, round(self.share * n))]] = True
        return early

    @property
    def _leaf_width(self) -> int:
        return int(self.nodes_.offsets[-1])

    def _leaf_columns(self, x: Float32) -> tuple[Int32, Float32]:
        columns = self.forest.leaves(x) + self.nodes_.offsets[:-1].astype(np.int32)
        return columns, np.ones(columns.shape, np.float32)

    def _params(self) -> dict[str, object]:
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "lambda_l2": 1.0,
            "feature_fraction": self.features,
            "num_threads": self.threads,
            "seed": self.seed,
        }

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": P(y = 1)}``."""
        z: Float64 = np.empty(len(candidates))
        columns, values = self._leaf_columns(self.encode(candidates))
        kernel.weighted(columns, values, self.coefficients_[: self._leaf_width], self.intercept_, z)
        if self.original:
            z += self.design().weighted(self.table(candidates), self.coefficients_[self._leaf_width :], 0.0)
        return {"score": self.probability(sigmoid(z))}
