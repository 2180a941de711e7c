"""A determinantal point process: the slate that is good and varied at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.rules import _dpp
from shortlist.rules._attributes import check, values_of
from shortlist.rules._fallback import fallback_of
from shortlist.rules._moved import score_of
from shortlist.rules._reason import placed
from shortlist.rules._similar import mean_similarity
from shortlist.types import Candidates, Float64, Requests


class DPP(Rule):
    """Next comes argmax over the rest of det L(placed and i) / det L(placed), with L_ij = q_i S_ij q_j.

    q_i = exp(a relevance(i)), a = trade_off / (2 (1 - trade_off)); relevance is the score in the scale of the rows
    considered, (s - min) / (max - min). S_ij = (1 - own) sim(i, j) for i != j and 1 on the diagonal; sim is that of the
    sets of attribute values A: ``cosine`` |A & B| / sqrt(|A| |B|) or ``jaccard`` |A & B| / |A or B|. Both make S
    positive definite, so that a determinant is the squared volume that the rows span: long vectors are good rows, wide
    angles are varied ones. Where MMR looks at the nearest placed row, this looks at all of them together. Of equals the
    first in the list comes first. The rows beyond ``among`` and the fallback's rows follow in the order they had. What
    it holds to: every place is the greedy choice by the determinants; no score changes. Missed: the mean similarity of
    two rows of a slate.

    Source: Chen, Zhang and Zhou (2018), Fast greedy MAP inference for determinantal point process to improve
    recommendation diversity, NeurIPS.
    """

    example: ClassVar[Mapping[str, Any]] = {"by": ["tags", "colour"]}

    by: Annotated[list[str], Field(min_length=1)]
    """Item attributes (categories or lists) whose values make items alike."""
    trade_off: Annotated[float, Field(ge=0, le=0.99)] = 0.7
    """Towards 1 = only relevance, 0 = only difference."""
    similarity: Literal["cosine", "jaccard"] = "cosine"
    """How alike two sets of values are."""
    own: Annotated[float, Field(gt=0, le=1)] = 0.1
    """How far an item differs from one with the same attributes; with 1 all items differ alike."""
    among: Annotated[int, Field(ge=1)] = 50
    """How many rows of the top are considered."""
    n: Annotated[int, Field(ge=1)] = 20
    """How many places are filled from them; what is left of them follows in its order."""

    def fit(self, data: Dataset) -> Self:
        """Checks the attributes."""
        check("rules.dpp.by", self.by, data.items)
        return self

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows in the new order."""
        values = values_of(candidates.item, requests.time[candidates.request], state.items, self.by)
        order = _dpp.greedy(
            candidates.offsets(len(requests)),
            fallback_of(candidates),
            score_of(candidates),
            values,
            self.trade_off / (2 * (1 - self.trade_off)),
            self.own,
            self.similarity == "cosine",
            self.among,
            self.n,
        )
        return placed(candidates, order, "brought forward for variety", "held back: much alike above")

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: mean similarity of two rows of each slate; NaN of fewer."""
        return mean_similarity(requests, slate, state, self.by, self.similarity)
