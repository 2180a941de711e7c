"""How far a column has moved between an earlier and a later part of the rows. Labels are not looked at."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array


def population_stability(before: Array, after: Array) -> float:
    """Population stability index of counts [b] in the same bins: Σ_b (q_b − p_b)·ln(q_b / p_b), p earlier, q later.

    Half a row is added to every bin, so that an empty one does not make it infinite. Below .1 is usually called stable,
    above .25 a shift; by chance alone it is about (b − 1)·(1/n + 1/n'). NaN where either part has no rows.

    Source: Jeffreys (1946), An Invariant Form for the Prior Probability (the divergence);
    Siddiqi (2006), Credit Risk Scorecards (the index and its marks).
    """
    p, q = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if p.shape != q.shape:
        raise ValueError(f"{len(p)} bins before, {len(q)} after")
    if not p.sum() or not q.sum():
        return float("nan")
    seen = (p > 0) | (q > 0)
    p, q = p[seen] + 0.5, q[seen] + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def kolmogorov_smirnov(before: Array, after: Array) -> float:
    """Largest distance between the two distribution functions: max_x |F(x) − G(x)|; missing (NaN) is left out.

    NaN where either part has no value.

    Source: Smirnov (1948), Table for Estimating the Goodness of Fit of Empirical Distributions.
    """
    x, y = (np.sort(part[~np.isnan(part)]) for part in (np.asarray(before, np.float64), np.asarray(after, np.float64)))
    if not len(x) or not len(y):
        return float("nan")
    at = np.concatenate([x, y])
    f = np.searchsorted(x, at, side="right") / len(x)
    g = np.searchsorted(y, at, side="right") / len(y)
    return float(np.max(np.abs(f - g)))
