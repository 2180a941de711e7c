"""Quality of predictions row by row: labels [m] of 0 and 1 (NaN = not observed, left out) against scores [m].

``auc`` and ``gauc`` ask for order only; ``log_loss`` and the calibration metrics need probabilities.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from shortlist.types import Array, Bool, Float64


def auc(labels: Array, scores: Array) -> float:
    """Chance that a positive scores above a negative, ties half: (Σ_{positive} rank − P(P+1)/2) / (P·N).

    Ranks are midranks, so equal scores share one. NaN when there is only one class.

    Source: Hanley and McNeil (1982), The Meaning and Use of the Area under a ROC Curve.
    """
    y, s = _observed(labels, scores)
    return float(_auc_of_groups(y, s, np.zeros(len(y), np.int64), 1)[0])


def auc_by_group(labels: Array, scores: Array, groups: Array) -> tuple[Array, Float64, Float64, Float64]:
    """Each group's own AUC: (groups [g], AUC [g], rows [g], positives [g]); NaN for a group of one class.

    What ``gauc`` averages. With the rows as weights, ``interval.mean_interval`` says how sure that average is.
    """
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    if len(number) != len(np.asarray(labels)):
        raise ValueError(f"{len(np.asarray(labels))} labels for {len(number)} groups")
    y, s, g = _observed(labels, scores, number)
    rows = np.bincount(g, minlength=len(names)).astype(np.float64)
    positives = np.bincount(g, weights=y, minlength=len(names)).astype(np.float64)
    return names, _auc_of_groups(y, s, g, len(names)), rows, positives


def gauc(
    labels: Array, scores: Array, groups: Array, weight: Literal["impressions", "positives"] = "impressions"
) -> float:
    """AUC inside each user or request, averaged: Σ_g w_g·AUC_g / Σ_g w_g with w the group's rows or its positives.

    Groups of one class have no AUC and take no part; NaN when no group has both.

    Source: Zhu et al. (2017), Optimized Cost per Click in Taobao Display Advertising.
    """
    _, value, rows, positives = auc_by_group(labels, scores, groups)
    weights = {"impressions": rows, "positives": positives}[weight]
    both = ~np.isnan(value)
    return float(np.average(value[both], weights=weights[both])) if both.any() else float("nan")


def log_loss(labels: Array, predictions: Array) -> float:
    """Mean surprise in nats: −mean(y·ln p + (1−y)·ln(1−p)), p kept 1e-15 away from 0 and 1.

    Source: Good (1952), Rational Decisions.
    """
    y, p = _probabilities(labels, predictions)
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))) if len(y) else float("nan")


def calibration_error(labels: Array, predictions: Array, bins: int = 10) -> float:
    """Expected calibration error: Σ_b (n_b/m)·|mean p − mean y| over ``bins`` of equal width in p.

    Source: Naeini, Cooper and Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning.
    """
    _, count, predicted, observed = reliability(labels, predictions, bins)
    return float(np.sum(count * np.abs(predicted - observed)) / np.sum(count)) if len(count) else float("nan")


def calibration_ratio(labels: Array, predictions: Array) -> float:
    """Predicted over observed: Σp / Σy. 1 is right on average, 2 promises twice what comes; NaN without a positive.

    Source: He et al. (2014), Practical Lessons from Predicting Clicks on Ads at Facebook.
    """
    y, p = _probabilities(labels, predictions)
    return float(p.sum() / y.sum()) if y.sum() else float("nan")


def reliability(labels: Array, predictions: Array, bins: int = 10) -> tuple[Array, Float64, Float64, Float64]:
    """The reliability diagram: (bin number [b], rows [b], mean prediction [b], mean label [b]) of the filled bins.

    Bin i holds i/bins ≤ p < (i+1)/bins; p = 1 belongs to the last.
    """
    y, p = _probabilities(labels, predictions)
    number = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(number, minlength=bins).astype(np.float64)
    filled = np.flatnonzero(count)
    predicted = np.bincount(number, weights=p, minlength=bins)[filled] / count[filled]
    observed = np.bincount(number, weights=y, minlength=bins)[filled] / count[filled]
    return filled, count[filled], predicted, observed


def _auc_of_groups(y: Float64, s: Float64, g: Array, n: int) -> Float64:
    order = np.lexsort((s, g))
    y, s, g = y[order], s[order], g[order]
    m = len(y)
    new_group = _changes(g)
    tie = np.flatnonzero(new_group | _changes(s))
    length = np.diff(np.append(tie, m))
    middle = np.repeat(tie + (length - 1) / 2, length)  # midrank in the whole sorted array, from 0
    start = np.searchsorted(g, np.arange(n))
    rank = middle - start[g] + 1
    rows = np.bincount(g, minlength=n)
    positives = np.bincount(g, weights=y, minlength=n)
    pairs = positives * (rows - positives)
    above = np.bincount(g, weights=rank * y, minlength=n) - positives * (positives + 1) / 2
    return np.divide(above, pairs, out=np.full(n, np.nan), where=pairs > 0)


def _changes(values: Array) -> Bool:
    return np.concatenate([[True], values[1:] != values[:-1]]) if len(values) else np.empty(0, bool)


def _observed(labels: Array, scores: Array, *more: Array) -> tuple[Array, ...]:
    """Labels and scores in float64 where the label is observed; raises ``ValueError`` on anything impossible."""
    y, s = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if y.shape != s.shape:
        raise ValueError(f"{len(y)} labels for {len(s)} scores")
    seen = ~np.isnan(y)
    y, s = y[seen], s[seen]
    if not np.all((y == 0) | (y == 1)):
        raise ValueError("labels must be 0, 1 or NaN")
    if not np.all(np.isfinite(s)):
        raise ValueError(f"{int(np.sum(~np.isfinite(s)))} scores are NaN or infinite")
    return (y, s, *(column[seen] for column in more))


def _probabilities(labels: Array, predictions: Array) -> tuple[Float64, Float64]:
    y, p = _observed(labels, predictions)
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"predictions must be probabilities; they run from {p.min():g} to {p.max():g}")
    return y, p
