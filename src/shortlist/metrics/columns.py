"""What one column alone is worth as a score, before any model is fitted: labels [m] are 0, 1 or NaN (left out)."""

from __future__ import annotations

import numpy as np

from shortlist.metrics.ranking import auc, gauc
from shortlist.types import Array, Float64


def column_auc(labels: Array, values: Array) -> tuple[float, int]:
    """``(AUC, direction)`` of a number (NaN = missing) used as it is: the better of rising (1) and falling (−1).

    Missing rows stand all below or all above the others, whichever says more: that a value is missing may be what gives
    a label away. (NaN, 1) with one class only.

    Source: Hanley and McNeil (1982), The Meaning and Use of the Area under a ROC Curve.
    """
    return _best([auc(labels, scores) for scores in _filled(values)])


def column_gauc(labels: Array, values: Array, groups: Array) -> tuple[float, int]:
    """``(GAUC, direction)``: the same within ``groups`` (requests), averaged by their rows.

    What is one value for a whole request cannot order it: .5.

    Source: Zhu et al. (2017), Optimized Cost per Click in Taobao Display Advertising.
    """
    return _best([gauc(labels, scores, groups) for scores in _filled(values)])


def out_of_fold_means(
    labels: Array, codes: Array, groups: Array, folds: int = 5, smoothing: float = 20.0, seed: int = 0
) -> Float64:
    """[m]: (Σ y of the code's rows in other folds + s·prior) / (their number + s), the prior being the mean label.

    Folds keep a group (request) together. A code that occurs in one group only gets the prior, so that many codes are
    no way to look up one's own label.

    Source: Micci-Barreca (2001), A Preprocessing Scheme for High-Cardinality Categorical Attributes.
    """
    y = np.asarray(labels, np.float64)
    seen = ~np.isnan(y)
    prior = float(y[seen].mean()) if seen.any() else 0.0
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % folds)[group]
    values, code = np.unique(np.asarray(codes), return_inverse=True)
    place, k = code * folds + fold, len(values)
    positives = np.bincount(place[seen], weights=y[seen], minlength=k * folds).reshape(k, folds)
    rows = np.bincount(place[seen], minlength=k * folds).reshape(k, folds)
    others = positives.sum(1, keepdims=True) - positives, rows.sum(1, keepdims=True) - rows
    means = (others[0] + smoothing * prior) / (others[1] + smoothing)
    return np.asarray(means[code, fold], np.float64)


def _filled(values: Array) -> list[Float64]:
    """The values with the missing ones below all, and again above all where some are missing."""
    far = np.finfo(np.float64).max / 4
    x = np.nan_to_num(np.asarray(values, np.float64), nan=np.nan, posinf=far, neginf=-far)
    missing = np.isnan(x)
    if not missing.any():
        return [x]
    known = np.unique(x[~missing])
    place = np.searchsorted(known, x).astype(np.float64)
    return [np.where(missing, -1.0, place), np.where(missing, float(len(known)), place)]


def _best(values: list[float]) -> tuple[float, int]:
    """The value farthest from .5, turned above it, and whether it had to be turned."""
    value = max(values, key=lambda v: abs(v - 0.5))
    return (1 - value, -1) if value < 0.5 else (value, 1)
