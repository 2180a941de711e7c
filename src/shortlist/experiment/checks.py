"""What must hold before a difference means anything, and whether slices differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import chdtrc

from shortlist.types import Array

MISMATCH = 0.001
"""Below this p value the arms do not hold the users they should: something loses or adds users of one arm."""


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """p value of Pearson's χ²: whether the users of each arm are as many as the weights say; NaN without users.

    A treatment that crashes, is slow or is logged elsewhere loses users, and who is left is not who was dealt. No
    figure of the experiment is to be believed then.

    Source: Fabijan et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments, KDD.
    """
    found = np.array([counts.get(arm, 0) for arm in weights], np.float64)
    share = np.array(list(weights.values()), np.float64)
    expected = found.sum() * share / share.sum()
    if not found.sum() or len(found) < 2:
        return float("nan")
    return float(chdtrc(len(found) - 1, np.sum((found - expected) ** 2 / expected)))


def heterogeneity(effects: Array, variances: Array) -> tuple[float, float]:
    """(Cochran's Q, p): whether effects [k] of separate groups differ by more than chance; NaN with fewer than two.

    Q = Σ w (d - Σ w d / Σ w)², w = 1 / variance, χ² with k - 1 degrees of freedom.

    Source: Cochran (1954), The combination of estimates from different experiments, Biometrics 10.
    """
    d, v = np.asarray(effects, np.float64), np.asarray(variances, np.float64)
    known = np.isfinite(d) & np.isfinite(v) & (v > 0)
    d, w = d[known], 1 / v[known]
    if len(d) < 2:
        return float("nan"), float("nan")
    q = float(np.sum(w * (d - np.sum(w * d) / np.sum(w)) ** 2))
    return q, float(chdtrc(len(d) - 1, q))


__all__ = ["MISMATCH", "heterogeneity", "sample_ratio"]
