"""Numbers to mean 0 and standard deviation 1."""

from __future__ import annotations

from typing import Self

import numpy as np

from shortlist.encode._encoder import Encoder
from shortlist.types import Array, Float32


def moments(column: Array) -> tuple[float, float]:
    """Mean and standard deviation of what is finite; (0, 1) where nothing is, deviation 1 where nothing varies."""
    x = np.asarray(column, np.float64)
    x = x[np.isfinite(x)]
    if not len(x):
        return 0.0, 1.0
    if x.min() == x.max():  # their mean may be rounded, which would leave a deviation of 1e-17
        return float(x[0]), 1.0
    return float(x.mean()), float(x.std()) or 1.0


class Standardise(Encoder):
    """z = (x - mean) / deviation with mean and deviation of the training rows; missing becomes 0, the mean.

    Pair it with a missing indicator where being missing says something. A constant column becomes 0.

    Source: Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, 3.4.1.
    """

    def fit(self, column: Array) -> Self:
        """Learns mean and deviation of ``column`` [m]."""
        self.mean_, self.deviation_ = moments(column)
        return self

    def transform(self, column: Array) -> Float32:
        """[m]: the standardised values."""
        z = (np.asarray(column, np.float64) - self.mean_) / self.deviation_
        return np.where(np.isfinite(z), z, 0.0).astype(np.float32)
