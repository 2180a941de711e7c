"""A weighted sum of normalised scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import Search
from shortlist.merge._ascent import task
from shortlist.merge._fusion import Fusion
from shortlist.types import Array, Candidates, Float32, Float64, Int64, Ragged

HOW = {"minmax": 0, "z": 1, "percentile": 2}


class Weighted(Fusion):
    """Fuses the channels by score: score(i) = sum over channels c that found i of w_c x_c(i), x_c on a common scale.

    ``minmax``: x = (s - min) / (max - min); ``z``: x = (s - min) / standard deviation; ``percentile``:
    x = 1 - (rank - 1) / length of the list. The worst row found has x = 0, or 1 / length as a percentile, and a silent
    channel adds nothing. Use it where the size of a score says more than its rank. The weights w_c are 1, or given, or
    learned on requests with known targets: by coordinate ascent on the quality of the merge order, or by logistic
    regression of "is a target" on x. A channel that failed is silent; one not there when the weights were learned gets
    their mean.

    Source: Fox and Shaw (1994), Combination of multiple searches, TREC-2; Metzler and Croft (2007), Linear
    feature-based models for information retrieval, Information Retrieval 10.
    """

    scale: Annotated[Literal["minmax", "z", "percentile"], Search()] = "minmax"
    """How one channel's scores in one request are made comparable."""
    learn: Annotated[Literal["ndcg", "recall", "logistic", "none"], Search()] = "ndcg"  # type: ignore[assignment]  # one more
    """The quality that learned weights maximise; ``logistic`` the likelihood; ``none`` leaves every weight at 1."""
    l2: Annotated[float, Field(ge=0), Search(0.01, 100.0, log=True)] = 1.0
    """Penalty l2 / 2 * w^2 on every weight of the logistic regression."""

    def without_effect(self) -> frozenset[str]:
        """Only a logistic regression has a penalty."""
        logistic = self.learn == "logistic" and self.weights is None
        return super().without_effect() | (frozenset() if logistic else {"l2"})

    def _terms(self, score: Float32, rank: Float32, offsets: Int64) -> Float32:
        """[C, u]: x, NaN where the channel was silent."""
        return normalised(score, rank, offsets, HOW[self.scale])

    def _learned(self, found: Mapping[str, Candidates], targets: Ragged) -> Float64:
        if self.learn != "logistic":
            return super()._learned(found, targets)
        learning = task(found, targets, self._terms, self.sample, self.seed)
        if not len(found) or not len(learning.hits):
            return np.ones(len(found))
        label = np.zeros(len(learning.item))
        label[learning.hits] = 1
        return logistic_weights(learning.terms.astype(np.float64), label, self.l2)


def logistic_weights(x: Float64, label: Float64, l2: float, steps: int = 30) -> Float64:
    """[C]: weights of the logistic regression of ``label`` [u] on ``x`` [C, u], by Newton's method; free intercept."""
    design = np.vstack([x, np.ones(x.shape[1])])
    share = label.mean()
    w = np.zeros(len(design))
    w[-1] = np.log(share / (1 - share)) if 0 < share < 1 else 0.0
    penalty = np.diag([*np.full(len(x), l2), 1e-9])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(w @ design)))
        gradient = design @ (p - label) + penalty @ w
        step = np.linalg.solve((design * (p * (1 - p))) @ design.T + penalty, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w[:-1]


@njit(cache=True)
def normalised(score: Array, rank: Array, offsets: Array, how: int) -> Array:
    """[C, u]: each channel's scores of a request in a common scale; scores that are not finite count as the worst."""
    out = np.full(score.shape, np.nan, np.float32)
    for c in range(score.shape[0]):
        for r in range(len(offsets) - 1):
            found, finite = 0, 0
            low, high, total, square = np.inf, -np.inf, 0.0, 0.0
            for i in range(offsets[r], offsets[r + 1]):
                if np.isnan(rank[c, i]):
                    continue
                found += 1
                s = float(score[c, i])
                if np.isfinite(s):
                    finite += 1
                    low, high, total = min(low, s), max(high, s), total + s
            if not found:
                continue
            mean = total / max(finite, 1)
            for i in range(offsets[r], offsets[r + 1]):
                if not np.isnan(rank[c, i]) and np.isfinite(score[c, i]):
                    square += (float(score[c, i]) - mean) ** 2
            spread = high - low if how == 0 else np.sqrt(square / max(finite, 1))
            for i in range(offsets[r], offsets[r + 1]):
                if np.isnan(rank[c, i]):
                    continue
                s = float(score[c, i])
                if how == 2:
                    out[c, i] = 1 - (rank[c, i] - 1) / found
                elif not np.isfinite(s):
                    out[c, i] = 0
                else:
                    out[c, i] = (s - low) / spread if spread > 0 else 1
    return out
