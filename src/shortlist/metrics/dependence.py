"""How much a column of codes [m] says about a label [m] of 0 and 1 (NaN = not observed, left out), in nats."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from shortlist.types import Array, Float64

REACH = 12
"""Standard deviations of a hypergeometric count beyond which nothing is added up."""


def mutual_information(labels: Array, codes: Array) -> float:
    """I(Y; X) = H(Y) − Σ_x P(x)·H(Y | x) with P from the counts. Too high by chance: see the expected one.

    Source: Shannon (1948), A Mathematical Theory of Communication.
    """
    positives, rows = _counts(labels, codes)
    if not rows.sum():
        return float("nan")
    return float(_entropy(positives.sum() / rows.sum()) - np.average(_entropy(positives / rows), weights=rows))


def expected_mutual_information(labels: Array, codes: Array) -> float:
    """What ``mutual_information`` would be on average if the labels were dealt to the rows at random.

    E = H(Y) − Σ_x P(x)·E[H(K/n_x)] with K hypergeometric: n_x rows drawn of m with the label's positives among them.
    Codes that are nearly as many as rows "explain" any label; the difference of the two takes that away. Values that
    occur equally often are worked out once.

    Source: Vinh, Epps and Bailey (2010), Information Theoretic Measures for Clusterings Comparison.
    """
    positives, rows = _counts(labels, codes)
    m, p = int(rows.sum()), int(positives.sum())
    if not m:
        return float("nan")
    sizes, times = np.unique(rows.astype(np.int64), return_counts=True)
    left = 0.0
    for size, often in zip(sizes.tolist(), times.tolist(), strict=True):
        mean = size * p / m
        wide = REACH * np.sqrt(mean * (1 - p / m)) + REACH
        low, high = max(0, size + p - m, int(mean - wide)), min(size, p, int(mean + wide) + 1)
        k = np.arange(low, high + 1)
        chance = np.exp(_log_choose(p, k) + _log_choose(m - p, size - k) - _log_choose(m, size))
        left += often * size / m * float(np.sum(chance * _entropy(k / size)))
    return float(_entropy(np.asarray(p / m)) - left)


def entropy(labels: Array) -> float:
    """H(Y) = −p·ln p − (1 − p)·ln(1 − p) with p the share of ones: the most that any column could say.

    Source: Shannon (1948), A Mathematical Theory of Communication.
    """
    y = np.asarray(labels, np.float64)
    y = y[~np.isnan(y)]
    return float(_entropy(y.mean())) if len(y) else float("nan")


def _entropy(p: Array) -> Float64:
    p = np.asarray(p, np.float64)
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    return np.where(inside, -q * np.log(q) - (1 - q) * np.log(1 - q), 0.0)


def _log_choose(n: int, k: Array | int) -> Array:
    return np.asarray(gammaln(n + 1) - gammaln(np.asarray(k) + 1) - gammaln(n - np.asarray(k) + 1))


def _counts(labels: Array, codes: Array) -> tuple[Float64, Float64]:
    """Positives and rows of each code that occurs."""
    y, x = np.asarray(labels, np.float64), np.asarray(codes)
    if y.shape != x.shape:
        raise ValueError(f"{len(y)} labels for {len(x)} codes")
    seen = ~np.isnan(y)
    _, number = np.unique(x[seen], return_inverse=True)
    return np.bincount(number, weights=y[seen]).astype(np.float64), np.bincount(number).astype(np.float64)
