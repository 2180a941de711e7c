"""Maximal marginal relevance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules._attributes import check, values_of
from shortlist.rules._fallback import fallback_of
from shortlist.rules._mmr import arranged
from shortlist.rules._reason import placed
from shortlist.rules._similar import mean_similarity
from shortlist.types import Candidates, Float32, Float64, Requests


class MMR(Rule):
    """Next comes argmax over the rest of trade_off * relevance(i) - (1 - trade_off) * max over placed j of sim(i, j).

    Relevance is the score of the row in the scale of the rows considered, (s - min) / (max - min); without a score it
    falls evenly with the place. Similarity is that of the sets of attribute values A: ``jaccard`` |A & B| / |A or B| or
    ``cosine`` |A & B| / sqrt(|A| |B|), 0 where one has none. Of equals the first in the list comes first. The rows
    beyond ``among`` and the fallback's rows follow in the order they had. Missed: the mean similarity of two rows of a
    slate.

    Source: Carbonell and Goldstein (1998), The use of MMR, diversity-based reranking for reordering documents and
    producing summaries, SIGIR.
    """

    example: ClassVar[Mapping[str, Any]] = {"by": ["tags", "colour"]}
    renamed: ClassVar[Mapping[str, str]] = {"depth": "among"}

    by: Annotated[list[str], Field(min_length=1)]
    """Item attributes (categories or lists) whose values make items alike."""
    trade_off: Annotated[float, Field(ge=0, le=1)] = 0.7
    """1 = only relevance, 0 = only difference."""
    similarity: Literal["jaccard", "cosine"] = "jaccard"
    """How alike two sets of values are."""
    among: Annotated[int, Field(ge=1)] = 50
    """How many rows of the top are considered."""
    n: Annotated[int, Field(ge=1)] = 50
    """How many places are filled from them; what is left of them follows in its order."""

    def fit(self, data: Dataset) -> Self:
        """Checks the attributes."""
        check("rules.mmr.by", self.by, data.items)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows in the new order."""
        values = values_of(candidates.item, requests.time[candidates.request], state.items, self.by)
        order = arranged(
            candidates.offsets(len(requests)),
            fallback_of(candidates),
            self._relevance(candidates),
            values,
            self.trade_off,
            self.similarity == "cosine",
            self.among,
            self.n,
        )
        return placed(candidates, order, "brought forward for variety", "held back: much alike above")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: mean similarity of two rows of each slate; NaN of fewer."""
        return mean_similarity(requests, slate, state, self.by, self.similarity)

    def _relevance(self, candidates: Candidates) -> Float32:
        if "score" in candidates:
            return candidates["score"].astype(np.float32, copy=False)
        return -candidates.positions().astype(np.float32)
