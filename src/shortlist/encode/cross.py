"""Two columns of codes to one: a value for each pair."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.encode._encoder import Encoder, codes_of, hashed, known_values
from shortlist.types import Array, Int32, Int64


class Cross(Encoder):
    """code(a, b): 0 = a pair rarer than ``min_count`` or never seen, 1.. = known pairs.

    A linear model with a weight per pair learns what the two columns mean together and neither means alone ("bought
    pasta AND is browsing sauce"). With ``width`` pairs are hashed and no vocabulary is kept. Inputs are codes >= -1.

    Source: Cheng et al. (2016), Wide & Deep Learning for Recommender Systems (cross-product transformation).
    """

    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a pair must occur in the training rows to get a code of its own."""
    width: Annotated[int, Field(ge=0)] = 0
    """Hash pairs to this many codes; 0 keeps a vocabulary of pairs."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed of the hash."""

    def fit(self, left: Array, right: Array) -> Self:
        """Learns the known pairs of two columns of codes [m]."""
        if not self.width:
            self.known_ = known_values(_pairs(left, right), self.min_count)
        return self

    def transform(self, left: Array, right: Array) -> Int32:
        """[m]: the code of each pair."""
        pairs = _pairs(left, right)
        return hashed(pairs, self.width, self.seed) if self.width else codes_of(pairs, self.known_)


def _pairs(left: Array, right: Array) -> Int64:
    return (left.astype(np.int64) + 1) << 32 | (right.astype(np.int64) + 1)
