"""Every field of a row to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.numbers import Numbers
from shortlist.nn.schema import CODED, NUMBER, POOLED, Schema


class Fields(nn.Module):
    """e = [e_1 ... e_f], a vector for each field.

    A category's is its row of one table shared by all fields, a list's or history's the mean of its values' rows (zero
    where it is empty), a number's comes from ``Numbers``.
    """

    def __init__(self, schema: Schema, width: int, numeric: str = "standard", deviation: float = 0.05) -> None:
        super().__init__()
        coded, pooled, numbers = schema.of_kind(*CODED), schema.of_kind(*POOLED), schema.of_kind(NUMBER)
        self.count = len(coded) + len(pooled) + len(numbers)
        self.width, self.deviation = width, deviation
        self.lengths = [int(length) for length in schema.length[pooled]]
        self.coded, self.unknown = len(coded), [0, *(int(schema.first[f]) for f in (*coded, *pooled))]
        self.table = nn.Parameter(torch.empty(schema.rows, width))
        self.numbers = Numbers(schema, width, numeric) if len(numbers) else None

    def reset(self, generator: torch.Generator) -> None:
        """Draws the first vectors; what is out of vocabulary begins at zero, in case training never meets it."""
        nn.init.normal_(self.table, 0, self.deviation, generator=generator)
        with torch.no_grad():
            self.table[self.unknown] = 0
        if self.numbers is not None:
            self.numbers.draw(generator, self.deviation)

    def forward(self, numbers: Tensor, codes: Tensor, lists: Tensor) -> Tensor:
        """[m, fields, width]."""
        parts = [functional.embedding(codes, self.table)] if self.coded else []
        start = 0
        for length in self.lengths:
            entries = lists[:, start : start + length]
            total = functional.embedding(entries, self.table, padding_idx=0).sum(1)
            parts.append((total / (entries > 0).sum(1, keepdim=True).clamp(min=1)).unsqueeze(1))
            start += length
        if self.numbers is not None:
            parts.append(self.numbers(numbers))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]
