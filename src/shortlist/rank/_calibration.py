"""Scores as probabilities again, after negatives were thinned out or a model was overconfident."""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from shortlist.types import Array, Float32, Float64


def unsampled(p: Array, share: float) -> Float32:
    """[m]: p' = p / (p + (1 - p) / w), the probability where only a share w of the negatives was learned from.

    Sampling divides the odds' denominator by w, so this multiplies the odds by w; the order does not change.

    Source: He et al. (2014), Practical Lessons from Predicting Clicks on Ads at Facebook.
    """
    p = np.asarray(p, np.float64)
    return (p / (p + (1 - p) / share)).astype(np.float32)


def fit_isotonic(score: Array, label: Array, weight: Array | None = None) -> tuple[Float64, Float64]:
    """``(at [k], value [k])``, both ascending: the rising step function that fits the labels best in squared error.

    Minimises Σ w (g(s) - y)² over all non-decreasing g by pooling adjacent violators; rows of equal score are one.
    Between its points g is read off the straight line, beyond them it is flat. Without rows it is the identity.

    Source: Zadrozny, Elkan (2002), Transforming Classifier Scores into Accurate Multiclass Probability Estimates.
    """
    at, value, _ = _pooled(score, label, weight)
    if not len(at):
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    inner = np.zeros(len(at), np.bool_)  # points inside a flat stretch say nothing
    inner[1:-1] = (value[1:-1] == value[:-2]) & (value[1:-1] == value[2:])
    return at[~inner], value[~inner]


def fit_centred(score: Array, label: Array, weight: Array | None = None) -> tuple[Float64, Float64]:
    """``(at [k], value [k])``: the isotonic fit of probabilities as a curve that rises everywhere, so order is kept.

    Each flat stretch of ``fit_isotonic`` becomes one point at its weighted mean score, and straight lines join them,
    from (0, 0) and to (1, 1). A stretch without positives stands for half of one in its weight and one more, or half
    the next stretch's share if that is less; likewise at the upper end.

    Source: Oron, Flournoy (2017), Centered Isotonic Regression: Point and Interval Estimation for Dose-Response
    Studies.
    """
    at, value, total = _pooled(score, label, weight)
    if not len(at):
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    value, block = np.unique(value, return_inverse=True)
    mass = np.bincount(block, total)
    at = np.bincount(block, total * at) / mass
    if value[0] <= 0:
        value[0] = min([0.5 / (mass[0] + 1), *value[1:2] / 2])
    if value[-1] >= 1:
        value[-1] = 1 - min([0.5 / (mass[-1] + 1), *(1 - value[-2:-1]) / 2])
    inside = (at > 0) & (at < 1)
    return np.concatenate([[0.0], at[inside], [1.0]]), np.concatenate([[0.0], value[inside], [1.0]])


def _pooled(score: Array, label: Array, weight: Array | None) -> tuple[Float64, Float64, Float64]:
    """The distinct scores of rows with weight, ascending, the isotonic fit at each, and its rows' weight."""
    score, label = np.asarray(score, np.float64), np.asarray(label, np.float64)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, np.float64)
    kept = weight > 0
    at, place = np.unique(score[kept], return_inverse=True)
    total: Float64 = np.bincount(place, weight[kept]).astype(np.float64)
    mean = np.bincount(place, weight[kept] * label[kept]) / total
    return at, np.asarray(isotonic_regression(mean, weights=total).x if len(at) else mean, np.float64), total


def apply_isotonic(score: Array, at: Float64, value: Float64) -> Float32:
    """[m]: the calibrated scores. Equal values may come of different scores: sort by the score itself."""
    return np.interp(np.asarray(score, np.float64), at, value).astype(np.float32)
