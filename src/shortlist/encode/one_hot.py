"""One column per value."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from shortlist.encode._encoder import KnownValues, codes_of
from shortlist.types import Array


class OneHot(KnownValues):
    """Row r is the unit vector of its value: column 0 = out of vocabulary, column j = the j-th known value.

    Values rarer than ``min_count`` in training share column 0, so its weight is trained. Use it for linear models.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, 4.1.3 (1-of-K coding).
    """

    def transform(self, column: Array) -> sp.csr_matrix:
        """CSR [m, width] with one 1 in each row."""
        codes = codes_of(column, self.known_)
        ones = np.ones(len(codes), np.float32)
        return sp.csr_matrix((ones, codes, np.arange(len(codes) + 1)), shape=(len(codes), self.width))
