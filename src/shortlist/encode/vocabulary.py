"""Values to codes, with an out-of-vocabulary code that is trained."""

from __future__ import annotations

from shortlist.encode._encoder import KnownValues, codes_of
from shortlist.types import Array, Int32


class Vocabulary(KnownValues):
    """Numbers the values of a column: 0 = out of vocabulary, 1.. = known values in ascending order.

    Values rarer than ``min_count`` in the training rows are out of vocabulary *there too*, so whatever learns from the
    codes has seen code 0 before a new value arrives. Missing (-1 or "") is a value like any other. Use it before
    embeddings and one-hot columns.

    Source: Cheng et al. (2016), Wide & Deep Learning for Recommender Systems.
    """

    def transform(self, column: Array) -> Int32:
        """[m]: the code of each value."""
        return codes_of(column, self.known_)
