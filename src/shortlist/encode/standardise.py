"""Numbers to mean 0 and standard deviation 1."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array


def moments(column: Array) -> tuple[float, float]:
    """Mean and standard deviation of what is finite; (0, 1) where nothing is, deviation 1 where nothing varies.

    Source: Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, 3.4.1.
    """
    x = np.asarray(column, np.float64)
    x = x[np.isfinite(x)]
    if not len(x):
        return 0.0, 1.0
    if x.min() == x.max():  # their mean may be rounded, which would leave a deviation of 1e-17
        return float(x[0]), 1.0
    return float(x.mean()), float(x.std()) or 1.0
