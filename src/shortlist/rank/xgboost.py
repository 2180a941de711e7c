"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import xgboost as xgb
from pydantic import Field

from shortlist.component import Search
from shortlist.rank._table import sigmoid
from shortlist.rank._trees import TreeRanker, group_sizes
from shortlist.rank._xgboost import read_xgboost
from shortlist.types import Bool, Candidates, Float32, Float64, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class XGBoost(TreeRanker):
    """F(x) = Σ_t f_t(x), each tree a Newton step on the loss with penalties on the number and values of leaves.

    ``pointwise``: log loss of each row, score = σ(F). ``lambdarank``: pairs of a request weighted by the NDCG their
    swap costs, score = F, comparable within a request only. The extra ``trees`` is needed to fit and to restore.

    Source: Chen, Guestrin (2016), XGBoost: A Scalable Tree Boosting System.
    """

    native: ClassVar[str] = "model.json"

    objective: Literal["pointwise", "lambdarank"] = "pointwise"
    """What is learned: each row's label, or the order of a request's rows."""
    trees: Annotated[int, Field(ge=1), Search(50, 500, log=True)] = 300
    """At most this many trees."""
    learning_rate: Annotated[float, Field(gt=0, le=1), Search(0.02, 0.3, log=True)] = 0.05
    """What each tree's answer is multiplied by."""
    depth: Annotated[int, Field(ge=1, le=16), Search(3, 10)] = 6
    """Splits between root and leaf at most."""
    min_weight: Annotated[float, Field(ge=0), Search(0.5, 100.0, log=True)] = 1.0
    """Sum of second derivatives a leaf must have."""
    gain: Annotated[float, Field(ge=0)] = 0.0
    """What a split must gain (γ)."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """Absolute penalty on the values of leaves."""
    l2: Annotated[float, Field(ge=0), Search(0.1, 100.0, log=True)] = 1.0
    """Squared penalty on the values of leaves."""
    rows: Annotated[float, Field(gt=0, le=1), Search(0.5, 1.0)] = 1.0
    """Share of the rows each tree sees."""
    features: Annotated[float, Field(gt=0, le=1), Search(0.3, 1.0)] = 1.0
    """Share of the columns each tree sees."""
    bins: Annotated[int, Field(ge=2, le=4096)] = 256
    """Distinct values a number is cut into before splits are searched."""
    one_hot_below: Annotated[int, Field(ge=1)] = 4
    """Categories with fewer values are split one against the rest, others into two sets."""
    truncation: Annotated[int, Field(ge=1)] = 30
    """Depth of the NDCG (lambdarank)."""
    stopping: Annotated[int, Field(ge=0)] = 50
    """Stop when ``valid`` has not improved for so many trees; 0 = never."""
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the shares of rows and columns."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns the trees; with ``valid``, how many of them."""
        observed, y, weight = self.target(samples)
        x = self.learn_table(samples.candidates, observed)
        data = self._matrix(samples, x, observed, y, weight)
        if valid is None or not self.stopping:
            booster = xgb.train(self._params(), data, self.trees)
        else:
            observed, y, weight = self.target(self.matched(valid, samples))
            later = self._matrix(valid, self.encode(valid.candidates)[observed], observed, y, weight)
            booster = xgb.train(
                self._params(),
                data,
                self.trees,
                evals=[(later, "valid")],
                early_stopping_rounds=self.stopping,
                verbose_eval=False,
            )
            booster = booster[: booster.best_iteration + 1]
        self._keep(booster)
        return self.calibrate(samples, valid)

    def refit(self, samples: Samples) -> Self:
        """Learns as many trees as ``fit`` found best, without ``valid``."""
        observed, y, weight = self.target(samples)
        data = self._matrix(samples, self.learn_table(samples.candidates, observed), observed, y, weight)
        self._keep(xgb.train(self._params(), data, len(self.forest) - 1))  # the last tree holds the base score
        self.sampled_ = float(samples.rate)
        return self

    def _keep(self, booster: xgb.Booster) -> None:
        native = bytes(booster.save_raw("json"))
        self.keep(read_xgboost(native), native)

    def _matrix(self, samples: Samples, x: Float32, observed: Bool, y: Float64, weight: Float64) -> xgb.DMatrix:
        types = ["c" if code else "float" for code in self.categorical_]
        kind: dict[str, Any] = {"feature_types": types, "enable_categorical": True, "nthread": self.threads}
        if self.objective == "pointwise":
            return xgb.DMatrix(x, (y > 0).astype(np.float64), weight=weight, **kind)
        sizes = group_sizes(samples, observed)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        mean = np.add.reduceat(weight, starts) / sizes  # XGBoost takes one weight a request here
        return xgb.DMatrix(x, np.clip(np.rint(y), 0, 30), weight=mean, group=sizes, **kind)

    def _params(self) -> dict[str, Any]:
        ranking = {
            "objective": "rank:ndcg",
            "eval_metric": f"ndcg@{self.truncation}",
            "lambdarank_pair_method": "topk",
            "lambdarank_num_pair_per_sample": self.truncation,
        }
        return {
            **(
                ranking
                if self.objective == "lambdarank"
                else {"objective": "binary:logistic", "eval_metric": "logloss"}
            ),
            "learning_rate": self.learning_rate,
            "max_depth": self.depth,
            "min_child_weight": self.min_weight,
            "gamma": self.gain,
            "alpha": self.l1,
            "lambda": self.l2,
            "subsample": self.rows,
            "colsample_bytree": self.features,
            "max_bin": self.bins,
            "max_cat_to_onehot": self.one_hot_below,
            "tree_method": "hist",
            "nthread": self.threads,
            "seed": self.seed,
            "verbosity": 0,
        }

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": σ(F)}``, or F itself where the order was learned."""
        total = self.forest.total(self.encode(candidates))
        return {
            "score": self.probability(sigmoid(total)) if self.objective == "pointwise" else total.astype(np.float32)
        }
