"""Wide & Deep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from shortlist.encode.design import KINDS, NUMBERS, Apart, Design
from shortlist.nn.flat import Flat
from shortlist.nn.mlp import MLP
from shortlist.nn.wide import Wide
from shortlist.rank._deep import LayeredRanker
from shortlist.rank._linear import DesignRanker
from shortlist.types import Array, Candidates, Float64, Requests


class WideDeep(DesignRanker, LayeredRanker):
    """ŷ = σ(b + w·[x, crosses(x)] + MLP([e_1 ... e_q, φ(x_1) ... φ(x_p)])), both parts learned together.

    The wide part memorises: standardised numbers, buckets, one-hot categories and crosses, as ``logistic`` reads them.
    The deep part generalises, as ``dnn``. Lists, the history and ids are the deep part's alone.

    Source: Cheng et al. (2016), Wide & Deep Learning for Recommender Systems.
    """

    crosses: list[tuple[str, str]] | Literal["all"] = []
    """Pairs of column names for the wide part to cross, or "all" pairs."""
    wide_buckets: Annotated[int, Field(ge=0)] = 20
    """Quantile buckets of each number in the wide part; 0 = none."""
    cross_buckets: Annotated[int, Field(ge=2)] = 10
    """Quantile buckets of a number inside a cross."""
    cross_min_count: Annotated[int, Field(ge=1)] = 10
    """How often a pair must occur in training to get a weight of its own."""

    _apart: Any = PrivateAttr(default=None)

    def build(self) -> nn.Module:
        """Untrained."""
        flat = self.flat()
        wide = Wide(max(1, int(self.__dict__["design_width_"])), torch.from_numpy(self.apart_.own))
        return _Net(wide, flat, self.layers(flat.size))

    def learn_inputs(self, requests: Requests, candidates: Candidates) -> None:
        """Learns the schema and the wide part's design."""
        super().learn_inputs(requests, candidates)
        flat = [name in candidates and candidates[name].ndim == 1 for name in self.columns_.tolist()]
        self.wide_columns_, codes = self.columns_[flat], self.categorical_[flat]
        self.fit_design((_cells(candidates[name]) for name in self.wide_columns_.tolist()), self.wide_columns_, codes)
        self._apart = None

    @property
    def apart_(self) -> Apart:
        """The wide part's design."""
        if self._apart is None:
            self._apart = self.design().apart()
        found: Apart = self._apart
        return found

    def of_rows(self, requests: Requests, candidates: Candidates) -> dict[str, Array]:
        """The schema's, and of the design the one-hot ``columns`` and the numbers, ``values``."""
        columns, values = self.apart_.transform(self.schema_.columns(self.wide_columns_.tolist(), requests, candidates))
        return {**super().of_rows(requests, candidates), "columns": columns, "values": values}

    def more_inputs(self) -> dict[str, Any]:
        """The design's one-hot columns and its numbers."""
        said, numbers = self.design().describe(self.wide_columns_), {KINDS[kind] for kind in NUMBERS}
        return {
            "columns": [one for one in said if one["kind"] not in numbers],
            "values": [one for one in said if one["kind"] in numbers],
        }

    def blank(self) -> Design:
        """The wide part's encoder, nothing learned."""
        return Design(
            buckets=self.wide_buckets,
            min_count=self.min_count,
            crosses=self.crosses,
            cross_buckets=self.cross_buckets,
            cross_min_count=self.cross_min_count,
        )


def _cells(column: Array) -> Float64:
    """[m]: a column as the wide part reads it; NaN for what is not finite, as for the deep part."""
    cells = column.astype(np.float64)
    cells[np.isinf(cells)] = np.nan
    return cells


class _Net(nn.Module):
    def __init__(self, wide: Wide, flat: Flat, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.wide, self.flat, self.mlp = wide, flat, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return self.bias + self.wide(x["columns"], x["values"]) + self.mlp(self.flat(x)).squeeze(1)
