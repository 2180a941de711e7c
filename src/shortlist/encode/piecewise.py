"""Numbers to piecewise-linear coordinates."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.encode._encoder import Encoder, quantile_edges
from shortlist.types import Array, Float32

FAR = 1e30
"""The open ends stop here, so that every coordinate is finite."""


class Piecewise(Encoder):
    """e_t(x) = clip((x - b_{t-1}) / (b_t - b_{t-1}), 0, 1) for bins [b_{t-1}, b_t) between training quantiles.

    A linear model over e is a continuous piecewise-linear function of x, where one-hot buckets give steps. The first
    and last bin are open: they go on beyond the range seen in training. Missing is a row of zeros.

    Source: Gorishniy, Rubachev, Babenko (2022), On Embeddings for Numerical Features in Tabular Deep Learning.
    """

    buckets: Annotated[int, Field(ge=1)] = 10
    """At most this many bins; fewer where values repeat."""

    def fit(self, column: Array) -> Self:
        """Learns the boundaries from ``column`` [m]."""
        present = np.asarray(column, np.float64)
        present = present[np.isfinite(present)]
        if not len(present):
            present = np.array([0.0, 1.0])
        ends = np.array([present.min(), present.max()])
        if ends[0] == ends[1]:
            ends = ends + np.array([-0.5, 0.5])  # a constant column: one bin around it
        self.bounds_ = np.unique(np.concatenate([ends, quantile_edges(column, self.buckets)]))
        return self

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return len(self.bounds_) - 1

    def transform(self, column: Array) -> Float32:
        """[m, width]: the coordinates of each value."""
        x = np.asarray(column, np.float64)[:, None]
        low, high = self.bounds_[:-1], self.bounds_[1:]
        with np.errstate(over="ignore"):  # bins of next to no width
            share = (x - low) / (high - low)
        floor = np.zeros(self.width)
        ceiling = np.ones(self.width)
        floor[0], ceiling[-1] = -FAR, FAR
        return np.where(np.isnan(x), 0.0, np.clip(share, floor, ceiling)).astype(np.float32)
