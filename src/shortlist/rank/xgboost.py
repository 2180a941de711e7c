"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import xgboost as xgb
from pydantic import Field

from shortlist.component import Search
from shortlist.encode._encoder import stacked
from shortlist.rank._boosting import BoostedTrees
from shortlist.rank._trees import Makes
from shortlist.rank._xgboost import read_xgboost


class XGBoost(BoostedTrees):
    """F(x) = Σ_t f_t(x), each tree a Newton step on the loss with penalties on the number and values of leaves.

    ``pointwise``: log loss of each row, score = σ(F). ``lambdarank``: pairs of a request weighted by the NDCG their
    swap costs, score = F, comparable within a request only. The extra ``trees`` is needed to fit and to restore.

    Source: Chen, Guestrin (2016), XGBoost: A Scalable Tree Boosting System.
    """

    native: ClassVar[str] = "model.json"

    objective: Literal["pointwise", "lambdarank"] = "pointwise"
    """What is learned: each row's label, or the order of a request's rows."""
    bins: Annotated[int, Field(ge=2, le=4096)] = 256
    """Distinct values a number is cut into before splits are searched."""
    depth: Annotated[int, Field(ge=1, le=16), Search(3, 10)] = 6
    """Splits between root and leaf at most."""
    min_weight: Annotated[float, Field(ge=0), Search(0.5, 100.0, log=True)] = 1.0
    """Sum of second derivatives a leaf must have."""
    gain: Annotated[float, Field(ge=0)] = 0.0
    """What a split must gain (γ)."""
    one_hot_below: Annotated[int, Field(ge=1)] = 4
    """Categories with fewer values are split one against the rest, others into two sets."""

    def _grow(self, train: Makes, later: Makes | None, trees: int) -> None:
        data = self._matrix(train)
        if later is None:
            booster = xgb.train(self._params(), data, trees)
        else:
            booster = xgb.train(
                self._params(),
                data,
                trees,
                evals=[(self._matrix(later), "valid")],
                early_stopping_rounds=self.stopping,
                verbose_eval=False,
            )
            booster = booster[: booster.best_iteration + 1]
        native = bytes(booster.save_raw("json"))
        self.keep(read_xgboost(native), native)

    def _grown(self) -> int:
        return len(self.forest) - 1  # the last tree holds the base score

    def _matrix(self, rows: Makes) -> xgb.DMatrix:
        columns, label, weight, sizes = rows()
        x = stacked(self.columns_.tolist(), columns, len(label), np.float32).T
        del columns
        if sizes is not None:
            starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            weight = np.add.reduceat(weight, starts) / sizes  # XGBoost takes one weight a request here
        types = ["c" if code else "float" for code in self.categorical_]
        return xgb.DMatrix(
            x, label, weight=weight, group=sizes, feature_types=types, enable_categorical=True, nthread=self.threads
        )

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
