"""One decision tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.rank._lightgbm import train_lightgbm
from shortlist.rank._table import UnstoppedRanker
from shortlist.rank._trees import Rows, TreeRanker
from shortlist.types import Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class Tree(TreeRanker, UnstoppedRanker):
    """score(x) = m + Σ_leaf w (y - m) / (Σ_leaf w + l2): the leaf's share of positives, drawn to the overall share m.

    Splits are the ones that lower the squared error of a 0/1 label most, which is the Gini criterion of CART; the leaf
    that gains most is split next. Grown by LightGBM as a single tree. Use it to be read by people, not to win.

    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees.
    """

    leaves: Annotated[int, Field(ge=2, le=1024), Search(7, 255, log=True)] = 31
    """Leaves of the tree."""
    depth: Annotated[int, Field(ge=1)] | None = None
    """Splits between root and leaf at most; none given = no limit."""
    min_leaf: Annotated[int, Field(ge=1), Search(5, 200, log=True)] = 50
    """Rows a leaf must have."""
    l2: Annotated[float, Field(ge=0), Search(0.1, 100.0, log=True)] = 1.0
    """Rows of prior evidence at the overall share added to each leaf."""
    bins: Annotated[int, Field(ge=2, le=4096)] = 255
    """Distinct values a number is cut into before splits are searched."""

    def _learn(self, samples: Samples) -> Self:
        observed, y, weight = self.target(samples)
        x = self.learn_tree_columns(samples.candidates, observed)
        rows: Rows = (x, (y > 0).astype(np.float64), weight, None)
        params = {
            "objective": "regression",
            "learning_rate": 1.0,
            "num_leaves": self.leaves,
            "max_depth": self.depth or -1,
            "min_data_in_leaf": self.min_leaf,
            "min_sum_hessian_in_leaf": 0.0,
            "lambda_l2": self.l2,
            "max_bin": self.bins,
            "num_threads": self.threads,
        }
        self.keep(*train_lightgbm(lambda: rows, None, self.categorical_, self.columns_.tolist(), 1, 0, params))
        return self

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": share of positives}``."""
        share = self.forest.total(self.encode(candidates))
        return {"score": self.probability(np.clip(share, 0.0, 1.0).astype(np.float32))}
