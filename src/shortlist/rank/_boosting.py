"""What boosted trees share, whoever grows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Search
from shortlist.rank._table import sigmoid
from shortlist.rank._trees import Makes, Rows, TreeRanker, group_sizes
from shortlist.types import Bool, Candidates, Float32, Float64, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class BoostedTrees(TreeRanker):
    """F(x) = Σ_t f_t(x); how each tree f_t is grown, a ranker says in ``_grow``."""

    objective: Literal["pointwise", "lambdarank", "xendcg"] = "pointwise"
    """What is learned: each row's label, or the order of a request's rows."""
    trees: Annotated[int, Field(ge=1), Search(50, 500, log=True)] = 300
    """At most this many trees."""
    learning_rate: Annotated[float, Field(gt=0, le=1), Search(0.02, 0.3, log=True)] = 0.05
    """What each tree's answer is multiplied by."""
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
    truncation: Annotated[int, Field(ge=1)] = 30
    """Pairs below this place do not count (lambdarank), and the depth of the NDCG for early stopping."""
    stopping: Annotated[int, Field(ge=0)] = 50
    """Stop when ``valid`` has not improved for so many trees; 0 = never."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the shares of rows and columns."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns the trees; with ``valid``, how many of them."""
        self.learn_columns(samples.candidates)
        stops = valid is not None and self.stopping > 0 and self.target(valid)[0].any()
        later = partial(self._encoded, self.matched(valid, samples)) if valid is not None and stops else None
        self._grow(partial(self._learned, samples), later, self.trees)
        return self.calibrate(samples, valid)

    def refit(self, samples: Samples) -> Self:
        """Learns as many trees as ``fit`` found best, without ``valid``."""
        self._grow(partial(self._learned, samples), None, self._grown())
        self.sampled_ = float(samples.rate)
        return self

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": σ(F)}``, or F itself where the order was learned."""
        total = self.forest.total(self.encode(candidates))
        pointwise = self.objective == "pointwise"
        return {"score": self.probability(sigmoid(total)) if pointwise else total.astype(np.float32)}

    def _learned(self, samples: Samples) -> Rows:
        """Learns columns and categories; the rows to grow trees on."""
        observed, y, weight = self.target(samples)
        return self._rows(samples, self.learn_tree_columns(samples.candidates, observed), observed, y, weight)

    def _encoded(self, samples: Samples) -> Rows:
        """The rows that say when to stop."""
        observed, y, weight = self.target(samples)
        return self._rows(samples, self.tree_columns(samples.candidates, observed), observed, y, weight)

    def _rows(self, samples: Samples, x: list[Float32], observed: Bool, y: Float64, weight: Float64) -> Rows:
        if self.objective == "pointwise":
            return x, (y > 0).astype(np.float64), weight, None
        return x, np.clip(np.rint(y), 0, 30), weight, group_sizes(samples, observed)

    def _grow(self, train: Makes, later: Makes | None, trees: int) -> None:
        """At most ``trees`` trees, fewer where ``later`` says so; keeps them."""
        raise NotImplementedError

    def _grown(self) -> int:
        """How many trees were grown."""
        raise NotImplementedError
