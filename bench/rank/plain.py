"""The plain libraries behind the ranker interface, without anything of Shortlist's own between them and the table.

Numbers are handed over as they are. Categories: scikit-learn's one-hot for linear models, the codes as categorical
columns for trees.
"""

from __future__ import annotations

from typing import Any, ClassVar

import lightgbm as lgb
import numpy as np
import scipy.sparse as sp
import xgboost as xgb
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from shortlist.component import Ranker
from shortlist.encode.design import Design
from shortlist.types import Candidates, Float32, Samples


class Plain(Ranker):
    """Reads the columns that are not in ``without``."""

    without: list[str] = []
    """Columns not to learn from."""
    seed: int = 0
    """Seed of everything drawn at random."""

    def table(self, candidates: Candidates) -> tuple[np.ndarray, list[int], list[str]]:
        names = [name for name in candidates.columns if name not in self.without]
        x = np.column_stack([candidates[name].astype(np.float64) for name in names])
        codes = [at for at, name in enumerate(names) if candidates[name].dtype.kind == "i"]
        return x, codes, names

    def trees_table(self, candidates: Candidates) -> tuple[np.ndarray, list[int]]:
        x, codes, _ = self.table(candidates)
        x[:, codes] = np.where(x[:, codes] < 0, np.nan, x[:, codes])
        return x, codes

    def predict(self, candidates: Candidates) -> np.ndarray:
        raise NotImplementedError

    def score(self, requests: Any, candidates: Candidates, state: Any = None) -> dict[str, Float32]:
        return {"score": self.predict(candidates)}


def label(samples: Samples) -> np.ndarray:
    return next(iter(samples.labels.values()))


class SklearnLogistic(Plain):
    """StandardScaler on numbers, OneHotEncoder on categories, LogisticRegression with C = 1 / l2.

    With ``buckets`` the matrix is Shortlist's design with the same settings instead: the solvers alone are compared.
    """

    l2: float = 1.0
    """1 / C."""
    buckets: int | None = None
    """None = the plain matrix."""
    min_count: int = 10
    """Of the design."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> SklearnLogistic:
        x, codes, names = self.table(samples.candidates)
        if self.buckets is None:
            rest = [at for at in range(x.shape[1]) if at not in codes]
            self.encoders_ = (StandardScaler().fit(x[:, rest]), OneHotEncoder(handle_unknown="ignore").fit(x[:, codes]))
        else:
            categorical = np.isin(np.arange(x.shape[1]), codes)
            self.encoders_ = (Design(buckets=self.buckets, min_count=self.min_count).fit(x, names, categorical),)
        self.model_ = LogisticRegression(C=1 / self.l2, tol=1e-6, max_iter=2000).fit(
            self.matrix(samples.candidates), label(samples)
        )
        return self

    def matrix(self, candidates: Candidates) -> sp.csr_matrix:
        x, codes, _ = self.table(candidates)
        if self.buckets is not None:
            return self.encoders_[0].matrix(x)
        rest = [at for at in range(x.shape[1]) if at not in codes]
        return sp.hstack(
            [self.encoders_[0].transform(x[:, rest]), self.encoders_[1].transform(x[:, codes])], format="csr"
        )

    def predict(self, candidates: Candidates) -> np.ndarray:
        return self.model_.predict_proba(self.matrix(candidates))[:, 1]


class SklearnTree(Plain):
    """DecisionTreeClassifier; codes are numbers to it."""

    leaves: int = 31
    """max_leaf_nodes."""
    min_leaf: int = 50
    """min_samples_leaf."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> SklearnTree:
        x, _ = self.trees_table(samples.candidates)
        tree = DecisionTreeClassifier(max_leaf_nodes=self.leaves, min_samples_leaf=self.min_leaf, random_state=0)
        self.model_ = tree.fit(x, label(samples))
        return self

    def predict(self, candidates: Candidates) -> np.ndarray:
        return self.model_.predict_proba(self.trees_table(candidates)[0])[:, 1]


class LightGBM(Plain):
    """lgb.train with the same parameters."""

    trees: int = 300
    """Rounds."""
    leaves: int = 15
    """num_leaves."""
    learning_rate: float = 0.05
    """learning_rate."""
    features: float = 1.0
    """feature_fraction."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> LightGBM:
        x, codes = self.trees_table(samples.candidates)
        params = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "lambda_l2": 1.0,
        }
        params |= {"feature_fraction": self.features, "seed": self.seed, "num_threads": 1, "verbosity": -1}
        data = lgb.Dataset(x, label(samples), categorical_feature=codes, params=params)
        self.model_ = lgb.train(params | {"deterministic": True, "force_row_wise": True}, data, self.trees)
        return self

    def predict(self, candidates: Candidates) -> np.ndarray:
        return self.model_.predict(self.trees_table(candidates)[0], num_threads=1)


class LightGBMLogistic(LightGBM):
    """Leaf numbers of lgb.train through OneHotEncoder into LogisticRegression, as tutorials do it."""

    trees: int = 50
    """Rounds."""
    learning_rate: float = 0.1
    """learning_rate."""
    leaf_l2: float = 100.0
    """1 / C."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> LightGBMLogistic:
        super().fit(samples)
        leaves = self.leaves_of(samples.candidates)
        self.encoder_ = OneHotEncoder(handle_unknown="ignore").fit(leaves)
        x = self.encoder_.transform(leaves)
        self.linear_ = LogisticRegression(C=1 / self.leaf_l2, max_iter=2000).fit(x, label(samples))
        return self

    def leaves_of(self, candidates: Candidates) -> np.ndarray:
        return self.model_.predict(self.trees_table(candidates)[0], pred_leaf=True, num_threads=1)

    def predict(self, candidates: Candidates) -> np.ndarray:
        return self.linear_.predict_proba(self.encoder_.transform(self.leaves_of(candidates)))[:, 1]


class PlainXGBoost(Plain):
    """xgb.train with the same parameters."""

    trees: int = 300
    """Rounds."""
    learning_rate: float = 0.05
    """learning_rate."""
    depth: int = 6
    """max_depth."""
    features: float = 1.0
    """colsample_bytree."""
    one_hot_below: int = 4
    """max_cat_to_onehot."""

    personalised: ClassVar[bool] = False

    def data(self, candidates: Candidates, y: np.ndarray | None = None) -> xgb.DMatrix:
        x, codes = self.trees_table(candidates)
        types = ["c" if at in codes else "float" for at in range(x.shape[1])]
        return xgb.DMatrix(x, y, feature_types=types, enable_categorical=True, nthread=1)

    def fit(self, samples: Samples, valid: Samples | None = None) -> PlainXGBoost:
        params = {"objective": "binary:logistic", "max_depth": self.depth, "learning_rate": self.learning_rate}
        params |= {"colsample_bytree": self.features, "seed": self.seed, "nthread": 1, "tree_method": "hist"}
        params |= {"max_cat_to_onehot": self.one_hot_below}
        self.model_ = xgb.train(params, self.data(samples.candidates, label(samples)), self.trees)
        return self

    def predict(self, candidates: Candidates) -> np.ndarray:
        return self.model_.predict(self.data(candidates))
