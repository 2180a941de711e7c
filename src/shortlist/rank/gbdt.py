"""Gradient-boosted trees, for a label alone or for the order within a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.rank._boosting import Rows, train_lightgbm
from shortlist.rank._forest import mean
from shortlist.rank._table import sigmoid
from shortlist.rank._trees import TreeRanker, group_sizes
from shortlist.types import Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class GBDT(TreeRanker):
    """F(x) = Σ_t f_t(x), each tree fitted to the gradient of the loss left by those before it.

    ``pointwise``: log loss of each row, score = σ(F), a probability. ``lambdarank``: pairs of a request weighted by the
    NDCG their swap costs; ``xendcg``: listwise cross-entropy; both score = F, comparable within a request only. Reads
    missing values and categories as they are. Early stopping on ``valid``: log loss, or NDCG at ``truncation``.

    Source: Friedman (2001), Greedy Function Approximation: a Gradient Boosting Machine; Ke et al. (2017), LightGBM;
    Burges (2010), From RankNet to LambdaRank to LambdaMART; Bruch et al. (2019), cross-entropy for ranking.
    """

    objective: Literal["pointwise", "lambdarank", "xendcg"] = "pointwise"
    """What is learned: each row's label, or the order of a request's rows."""
    trees: Annotated[int, Field(ge=1), Search(50, 500, log=True)] = 300
    """At most this many trees."""
    learning_rate: Annotated[float, Field(gt=0, le=1), Search(0.02, 0.3, log=True)] = 0.05
    """What each tree's answer is multiplied by."""
    leaves: Annotated[int, Field(ge=2, le=1024), Search(7, 63, log=True)] = 31
    """Leaves of a tree."""
    min_leaf: Annotated[int, Field(ge=1), Search(5, 200, log=True)] = 20
    """Rows a leaf must have."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """Absolute penalty on the values of leaves."""
    l2: Annotated[float, Field(ge=0), Search(0.1, 100.0, log=True)] = 1.0
    """Squared penalty on the values of leaves."""
    rows: Annotated[float, Field(gt=0, le=1), Search(0.5, 1.0)] = 1.0
    """Share of the rows each tree sees."""
    features: Annotated[float, Field(gt=0, le=1), Search(0.3, 1.0)] = 1.0
    """Share of the columns each tree sees."""
    bins: Annotated[int, Field(ge=2, le=4096)] = 255
    """Distinct values a number is cut into before splits are searched."""
    category_smoothing: Annotated[float, Field(ge=0)] = 10.0
    """Rows of prior evidence added to each category."""
    category_l2: Annotated[float, Field(ge=0)] = 10.0
    """Squared penalty on splits by category."""
    category_min_rows: Annotated[int, Field(ge=1)] = 100
    """Rows each side of a split by category must have in every category it moves."""
    truncation: Annotated[int, Field(ge=1)] = 30
    """Pairs below this place do not count (lambdarank), and the depth of the NDCG for early stopping."""
    stopping: Annotated[int, Field(ge=0)] = 50
    """Stop when ``valid`` has not improved for so many trees; 0 = never."""
    bags: Annotated[int, Field(ge=1)] = 1
    """Forests of different seeds whose scores are averaged; useful with ``rows`` or ``features`` below 1."""
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the shares of rows and columns; each bag has its own."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns the trees; with ``valid``, how many of them."""
        observed, y, weight = self.target(samples)
        x = self.learn_table(samples.candidates, observed)
        train = self._rows(samples, x, observed, y, weight)
        later: Rows | None = None
        if valid is not None and self.stopping:
            observed, y, weight = self.target(self.matched(valid, samples))
            later = self._rows(valid, self.encode(valid.candidates)[observed], observed, y, weight)
        self._learn(train, later, self.trees)
        return self.calibrate(samples, valid)

    def refit(self, samples: Samples) -> Self:
        """Learns as many trees as ``fit`` found best, without ``valid``."""
        observed, y, weight = self.target(samples)
        train = self._rows(samples, self.learn_table(samples.candidates, observed), observed, y, weight)
        self._learn(train, None, len(self.forest) // self.bags)
        self.sampled_ = float(samples.rate)
        return self

    def _learn(self, train: Rows, later: Rows | None, trees: int) -> None:
        """``bags`` forests of different seeds, added up with their values divided by ``bags``."""
        names = self.columns_.tolist()
        forests, native = [], b""
        for bag in range(self.bags):
            params = {**self._params(), "seed": self.seed + bag}
            forest, text = train_lightgbm(train, later, self.categorical_, names, trees, self.stopping, params)
            forests.append(forest)
            native = native or text
        self.keep(mean(forests), native)

    def _rows(self, samples: Samples, x: Float32, observed: Any, y: Any, weight: Any) -> Rows:
        if self.objective == "pointwise":
            return x, (y > 0).astype(np.float64), weight, None
        return x, np.clip(np.rint(y), 0, 30), weight, group_sizes(samples, observed)

    def _params(self) -> dict[str, Any]:
        objective = {"pointwise": "binary", "lambdarank": "lambdarank", "xendcg": "rank_xendcg"}[self.objective]
        ranking = self.objective != "pointwise"
        return {
            "objective": objective,
            "metric": "ndcg" if ranking else "binary_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "lambda_l1": self.l1,
            "lambda_l2": self.l2,
            "bagging_fraction": self.rows,
            "bagging_freq": int(self.rows < 1),
            "feature_fraction": self.features,
            "max_bin": self.bins,
            "cat_smooth": self.category_smoothing,
            "cat_l2": self.category_l2,
            "min_data_per_group": self.category_min_rows,
            "num_threads": self.threads,
            "seed": self.seed,
            **({"eval_at": [self.truncation]} if ranking else {}),
            **({"lambdarank_truncation_level": self.truncation} if self.objective == "lambdarank" else {}),
        }

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": σ(F)}``, or F itself where the order was learned."""
        total = self.forest.total(self.encode(candidates))
        return {
            "score": self.probability(sigmoid(total)) if self.objective == "pointwise" else total.astype(np.float32)
        }
