"""A row as one long vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shortlist.encode.schema import NUMBER, Schema
from shortlist.nn.fields import Fields


class Flat(nn.Module):
    """x = [e_1 ... e_q, φ(x_1) ... φ(x_p)]: vectors of categories, lists and histories, then the numbers themselves.

    A number is itself (``standard``, with its gap flag) and needs no vector of its own: with many numbers this is much
    narrower than ``Fields`` flattened. Its curves (``piecewise``, ``periodic``) are vectors as there. ``options``: as
    there.
    """

    def __init__(self, schema: Schema, width: int, numeric: str = "standard", **options: Any) -> None:
        super().__init__()
        p = len(schema.of_kind(NUMBER))
        self.plain = numeric == "standard" and p > 0
        gaps = int(schema.gaps.sum())
        with_vectors = schema.without_numbers() if self.plain else schema
        self.fields = Fields(with_vectors, width, numeric, **options)
        self.size = self.fields.count * width + (p + gaps if self.plain else 0)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """[m, size]."""
        if not self.plain:
            return self.fields(x).flatten(1)
        if not self.fields.count:
            return x["numbers"]
        return torch.cat([self.fields(x).flatten(1), x["numbers"]], 1)
