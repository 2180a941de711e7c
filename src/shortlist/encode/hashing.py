"""Values to a fixed number of codes without a vocabulary."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from shortlist.encode._encoder import Encoder, hashed
from shortlist.types import Array, Int32


class Hashing(Encoder):
    """code = hash(value, seed) mod width: nothing is learned, and new values need no refit.

    Different values may share a code; their effects are then added up. Use it for columns with very many values, or
    values that keep arriving. The hash is the same on every machine and in every process.

    Source: Weinberger et al. (2009), Feature Hashing for Large Scale Multitask Learning.
    """

    width: Annotated[int, Field(ge=1)] = 1024
    """How many codes there are."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed collides differently."""

    def fit(self, column: Array) -> Self:
        """Learns nothing."""
        return self

    def transform(self, column: Array) -> Int32:
        """[m]: the code of each value, integers or strings."""
        return hashed(column, self.width, self.seed)
