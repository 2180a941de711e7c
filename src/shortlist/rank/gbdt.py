"""Gradient-boosted trees, for a label alone or for the order within a request."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from shortlist.component import Search
from shortlist.rank._boosting import BoostedTrees
from shortlist.rank._forest import mean
from shortlist.rank._lightgbm import train_lightgbm
from shortlist.rank._trees import Makes


class GBDT(BoostedTrees):
    """F(x) = Σ_t f_t(x), each tree fitted to the gradient of the loss left by those before it.

    ``pointwise``: log loss of each row, score = σ(F), a probability. ``lambdarank``: pairs of a request weighted by the
    NDCG their swap costs; ``xendcg``: listwise cross-entropy; both score = F, comparable within a request only. Reads
    missing values and categories as they are. Early stopping on ``valid``: log loss, or NDCG at ``truncation``.

    Source: Friedman (2001), Greedy Function Approximation: a Gradient Boosting Machine; Ke et al. (2017), LightGBM;
    Burges (2010), From RankNet to LambdaRank to LambdaMART; Bruch et al. (2019), cross-entropy for ranking.
    """

    leaves: Annotated[int, Field(ge=2, le=1024), Search(7, 63, log=True)] = 31
    """Leaves of a tree."""
    min_leaf: Annotated[int, Field(ge=1), Search(5, 200, log=True)] = 20
    """Rows a leaf must have."""
    category_smoothing: Annotated[float, Field(ge=0)] = 10.0
    """Rows of prior evidence added to each category."""
    category_l2: Annotated[float, Field(ge=0)] = 10.0
    """Squared penalty on splits by category."""
    category_min_rows: Annotated[int, Field(ge=1)] = 100
    """Rows each side of a split by category must have in every category it moves."""
    bags: Annotated[int, Field(ge=1)] = 1
    """Forests of different seeds whose scores are averaged; useful with ``rows`` or ``features`` below 1."""

    def _grow(self, train: Makes, later: Makes | None, trees: int) -> None:
        """``bags`` forests of different seeds, added up with their values divided by ``bags``."""
        names = self.columns_.tolist()
        forests, native = [], b""
        for bag in range(self.bags):
            params = {**self._params(), "seed": self.seed + bag}
            forest, text = train_lightgbm(train, later, self.categorical_, names, trees, self.stopping, params)
            forests.append(forest)
            native = native or text
        self.keep(mean(forests), native)

    def _grown(self) -> int:
        return len(self.forest) // self.bags

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
