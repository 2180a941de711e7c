"""One column per value."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.encode._encoder import Encoder, codes_of, known_values
from shortlist.types import Array


class OneHot(Encoder):
    """Row r is the unit vector of its value: column 0 = out of vocabulary, column j = the j-th known value.

    Values rarer than ``min_count`` in training share column 0, so its weight is trained. Use it for linear models.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, 4.1.3 (1-of-K coding).
    """

    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in the training rows to get a column of its own."""

    def fit(self, column: Array) -> Self:
        """Learns the known values of ``column`` [m], integers or strings."""
        self.known_ = known_values(column, self.min_count)
        return self

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.known_) + 1

    def transform(self, column: Array) -> sp.csr_matrix:
        """CSR [m, width] with one 1 in each row."""
        codes = codes_of(column, self.known_)
        ones = np.ones(len(codes), np.float32)
        return sp.csr_matrix((ones, codes, np.arange(len(codes) + 1)), shape=(len(codes), self.width))
