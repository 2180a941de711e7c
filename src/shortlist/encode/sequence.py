"""Lists of values to the codes of their last entries, padded."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.encode._encoder import Encoder, codes_of, known_values
from shortlist.types import Int32, Ragged


class Sequence(Encoder):
    """The last ``length`` values of each list as codes, oldest first, padded on the left.

    Codes: 0 = padding, 1 = out of vocabulary (values rarer than ``min_count`` in training, so it is trained), 2.. =
    known values in ascending order. Use it before models that read histories in order.

    Source: Kang, McAuley (2018), Self-Attentive Sequential Recommendation.
    """

    length: Annotated[int, Field(ge=1)] = 50
    """How many of the latest values are kept."""
    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in the training rows to get a code of its own."""
    column: str = "item"
    """The column of the ragged input that holds the values."""

    def fit(self, lists: Ragged) -> Self:
        """Learns the known values of m lists."""
        self.known_ = known_values(lists[self.column], self.min_count)
        return self

    @property
    def width(self) -> int:
        """How many codes there are."""
        return len(self.known_) + 2

    def transform(self, lists: Ragged) -> Int32:
        """[m, length]: the codes of each list's last values."""
        codes = codes_of(lists[self.column], self.known_) + 1
        place = lists.offsets[1:, None] - np.arange(self.length, 0, -1)  # counted back from the end of each list
        inside = place >= lists.offsets[:-1, None]
        if not len(codes):
            return np.zeros(place.shape, np.int32)
        return np.where(inside, codes[np.where(inside, place, 0)], 0).astype(np.int32)
