"""Values to codes, with an out-of-vocabulary code that is trained."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from shortlist.encode._encoder import Encoder, codes_of, known_values
from shortlist.types import Array, Int32


class Vocabulary(Encoder):
    """Numbers the values of a column: 0 = out of vocabulary, 1.. = known values in ascending order.

    Values rarer than ``min_count`` in the training rows are out of vocabulary *there too*, so whatever learns from the
    codes has seen code 0 before a new value arrives. Missing (-1 or "") is a value like any other. Use it before
    embeddings and one-hot columns.

    Source: Cheng et al. (2016), Wide & Deep Learning for Recommender Systems.
    """

    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in the training rows to get a code of its own."""

    def fit(self, column: Array) -> Self:
        """Learns the known values of ``column`` [m], integers or strings."""
        self.known_ = known_values(column, self.min_count)
        return self

    @property
    def width(self) -> int:
        """How many codes there are."""
        return len(self.known_) + 1

    def transform(self, column: Array) -> Int32:
        """[m]: the code of each value."""
        return codes_of(column, self.known_)
