"""Numbers to buckets that hold about equally many training rows."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from shortlist.encode._encoder import Encoder, buckets_of, quantile_edges
from shortlist.types import Array, Int32


class Quantile(Encoder):
    """bucket(x) = 1 + #{edges < x}, with the edges at the training quantiles; 0 = missing.

    Edges lie half-way between observed values, and equal values never split. One-hot over buckets lets a linear model
    follow any step function of the column.

    Source: Dougherty, Kohavi, Sahami (1995), Supervised and Unsupervised Discretization of Continuous Features.
    """

    buckets: Annotated[int, Field(ge=2)] = 20
    """At most this many buckets; fewer where values repeat."""

    def fit(self, column: Array) -> Self:
        """Learns the edges from ``column`` [m]."""
        self.edges_ = quantile_edges(column, self.buckets)
        return self

    @property
    def width(self) -> int:
        """How many codes there are, that of missing included."""
        return len(self.edges_) + 2

    def transform(self, column: Array) -> Int32:
        """[m]: the bucket of each value."""
        return buckets_of(column, self.edges_)
