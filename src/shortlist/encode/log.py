"""Long-tailed numbers to their logarithm."""

from __future__ import annotations

from typing import Self

import numpy as np

from shortlist.encode._encoder import Encoder
from shortlist.types import Array, Float32


class Log(Encoder):
    """sign(x) log(1 + |x|): counts, prices and ages keep their order and lose their long tail.

    Nothing is learned; missing stays missing.

    Source: Box, Cox (1964), An Analysis of Transformations.
    """

    def fit(self, column: Array) -> Self:
        """Learns nothing."""
        return self

    def transform(self, column: Array) -> Float32:
        """[m]: the logarithms."""
        x = np.asarray(column, np.float64)
        return (np.sign(x) * np.log1p(np.abs(x))).astype(np.float32)
