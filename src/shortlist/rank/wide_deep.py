"""Wide & Deep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from shortlist.encode.design import Design
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

    def build(self) -> nn.Module:
        """Untrained."""
        flat = Flat(self.schema_, self.factors, self.numeric)
        return _Net(Wide(max(1, int(self.__dict__["design_width_"]))), flat, self.layers(flat.size))

    def learn_inputs(self, requests: Requests, candidates: Candidates) -> None:
        """Learns the schema and the wide part's design."""
        super().learn_inputs(requests, candidates)
        flat = [name in candidates and candidates[name].ndim == 1 for name in self.columns_.tolist()]
        self.wide_columns_, codes = self.columns_[flat], self.categorical_[flat]
        self.fit_design((_cells(candidates[name]) for name in self.wide_columns_.tolist()), self.wide_columns_, codes)

    def of_rows(self, requests: Requests, candidates: Candidates) -> dict[str, Array]:
        """The schema's, and ``columns`` and ``values`` of the design."""
        x = np.empty((len(self.wide_columns_), len(candidates)))  # column by column, as the candidates have them
        for row, name in zip(x, self.wide_columns_.tolist(), strict=True):
            row[:] = candidates[name]
        x[np.isinf(x)] = np.nan  # as for the deep part
        columns, values = self.design().transform(x.T)
        return {**super().of_rows(requests, candidates), "columns": columns, "values": values}

    def more_inputs(self) -> dict[str, Any]:
        """The design's columns and the values in them."""
        said = self.design().describe(self.wide_columns_)
        values = [one if one["kind"] in ("number", "missing") else {"kind": "one"} for one in said]
        return {"columns": said, "values": values}

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
