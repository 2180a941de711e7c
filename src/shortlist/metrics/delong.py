"""How sure an AUC is when every row is a case of its own, as in a plain table.

AUC is a mean over pairs of rows, so its variance comes from each row's placement: V10_i = share of negatives that score
below positive i (ties half), V01_j = share of positives that score above negative j.
Var(AUC) = var(V10)/P + var(V01)/N. Two scores of the same rows are compared through the differences of placements.
Rows of one user are not independent: for those use ``interval`` on ``ranking.auc_by_group``. Bounds assume a normal
estimate, stop at 0 and 1, and are NaN with fewer than two rows of either class.

Source: DeLong, DeLong and Clarke-Pearson (1988), Comparing the Areas under Two or More Correlated Receiver Operating
Characteristic Curves; Sun and Xu (2014), Fast Implementation of DeLong's Algorithm, for the midranks.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from shortlist.metrics.interval import Difference, Interval
from shortlist.types import Array, Float64


def auc_interval(labels: Array, scores: Array, *, level: float = 0.95) -> Interval:
    """AUC of ``scores`` [m] against ``labels`` [m] of 0 and 1, with its interval."""
    above, below = _placements(labels, scores)
    mean = float(above.mean()) if len(above) and len(below) else math.nan
    reach = NormalDist().inv_cdf((1 + level) / 2) * _error(above, below)
    return Interval(mean, _clip(mean - reach, 0), _clip(mean + reach, 0))


def paired_auc_interval(labels: Array, a: Array, b: Array, *, level: float = 0.95) -> Difference:
    """AUC of ``a`` minus AUC of ``b`` on the same rows [m], with its interval and two-sided p value."""
    (above_a, below_a), (above_b, below_b) = _placements(labels, a), _placements(labels, b)
    above, below = above_a - above_b, below_a - below_b
    diff = float(above.mean()) if len(above) and len(below) else math.nan
    error = _error(above, below)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    p = (
        math.erfc(abs(diff) / error / math.sqrt(2))
        if error > 0
        else (math.nan if math.isnan(error) else float(not diff))
    )
    return Difference(diff, _clip(diff - reach, -1), _clip(diff + reach, -1), p)


def _placements(labels: Array, scores: Array) -> tuple[Float64, Float64]:
    """(V10 [P], V01 [N])."""
    y, s = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if y.shape != s.shape:
        raise ValueError(f"{len(y)} labels for {len(s)} scores")
    if not np.all((y == 0) | (y == 1)):
        raise ValueError("labels must be 0 or 1")
    if not np.all(np.isfinite(s)):
        raise ValueError(f"{int(np.sum(~np.isfinite(s)))} scores are NaN or infinite")
    positive = y == 1
    p, n = int(positive.sum()), int((~positive).sum())
    rank = rankdata(s)
    above = (rank[positive] - rankdata(s[positive])) / max(n, 1)
    below = 1 - (rank[~positive] - rankdata(s[~positive])) / max(p, 1)
    return above, below


def _error(above: Float64, below: Float64) -> float:
    if min(len(above), len(below)) < 2:
        return math.nan
    return math.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


def _clip(value: float, low: int) -> float:
    return value if math.isnan(value) else min(max(value, low), 1.0)
