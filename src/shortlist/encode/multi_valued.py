"""Lists of values to a bag: one weighted column per value."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.encode._encoder import Encoder, codes_of, known_values
from shortlist.types import Ragged


class MultiValued(Encoder):
    """x_r = Σ_{v in row r} unit(v) / norm; column 0 is what is out of vocabulary, an empty list is a row of zeros.

    ``norm`` is 1 (``sum``), the length of the list (``mean``) or its square root (``sqrt``). Counts of a value repeated
    in a list add up. Use it for genres, tags, title words; ``sequence`` keeps the order that this one drops.

    Source: Covington, Adams, Sargin (2016), Deep Neural Networks for YouTube Recommendations (bags of watches).
    """

    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in the training rows to get a column of its own."""
    combine: Literal["sum", "mean", "sqrt"] = "mean"
    """What a list's values are divided by."""
    column: str = "value"
    """The column of the ragged input that holds the values."""

    def fit(self, lists: Ragged) -> Self:
        """Learns the known values of m lists."""
        self.known_ = known_values(lists[self.column], self.min_count)
        return self

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.known_) + 1

    def transform(self, lists: Ragged) -> sp.csr_matrix:
        """CSR [m, width]: the bag of each list."""
        lengths = np.maximum(lists.lengths, 1)
        norm = {"sum": np.ones(len(lengths)), "mean": lengths, "sqrt": np.sqrt(lengths)}[self.combine]
        data = (1.0 / np.repeat(norm, lists.lengths)).astype(np.float32)
        codes = codes_of(lists[self.column], self.known_)
        bag = sp.csr_matrix((data, codes, lists.offsets), shape=(len(lists), self.width))
        bag.sum_duplicates()
        return bag
