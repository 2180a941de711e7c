"""Every field of a row to one vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.encode.inputs import REQUEST
from shortlist.encode.schema import CODED, LIST, NUMBER, PAST, Schema
from shortlist.nn.numbers import Numbers


class Fields(nn.Module):
    """e = [e_1 ... e_q], a vector for each field.

    A category's is its row of one table shared by all fields, a list's or history's the mean of its values' rows (zero
    where it is empty), a number's comes from ``Numbers``. Without ``histories`` those are left to the net, which finds
    their entries' vectors by ``vectors``.
    """

    def __init__(
        self,
        schema: Schema,
        width: int,
        numeric: str = "standard",
        deviation: float = 0.05,
        *,
        histories: bool = True,
    ) -> None:
        super().__init__()
        coded, lists, numbers = schema.of_kind(*CODED), schema.of_kind(LIST), schema.of_kind(NUMBER)
        past = schema.of_kind(*PAST)
        self.histories = schema.names[past].tolist() if histories else []
        self.count = len(coded) + len(lists) + len(self.histories) + len(numbers)
        self.width, self.deviation = width, deviation
        self.lengths = [int(length) for length in schema.length[lists]]
        self.coded, self.unknown = len(coded), [0, *(int(schema.first[f]) for f in (*coded, *lists, *past))]
        self.table = nn.Parameter(torch.empty(schema.rows, width))
        self.numbers = Numbers(schema, width, numeric) if len(numbers) else None

    def reset(self, generator: torch.Generator) -> None:
        """Draws the first vectors; what is out of vocabulary begins at zero, in case training never meets it."""
        nn.init.normal_(self.table, 0, self.deviation, generator=generator)
        with torch.no_grad():
            self.table[self.unknown] = 0
        if self.numbers is not None:
            self.numbers.draw(generator, self.deviation)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """[m, fields, width]."""
        parts = [functional.embedding(x["codes"], self.table)] if self.coded else []
        start = 0
        for length in self.lengths:
            parts.append(self.mean(x["lists"][:, start : start + length]).unsqueeze(1))
            start += length
        parts += [self._mean_of_request(x[name], x[REQUEST]).unsqueeze(1) for name in self.histories]
        if self.numbers is not None:
            parts.append(self.numbers(x["numbers"]))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def vectors(self, entries: Tensor) -> Tensor:
        """[..., width] of table rows [...] of any field; padding's is zero."""
        return functional.embedding(entries, self.table, padding_idx=0)

    def mean(self, entries: Tensor) -> Tensor:
        """[m, width] of table rows [m, entries]; zero where all are padding."""
        return self.vectors(entries).sum(1) / (entries > 0).sum(1, keepdim=True).clamp(min=1)

    def _mean_of_request(self, entries: Tensor, request: Tensor) -> Tensor:
        """[m, width] of ``entries`` [n, length], once a request.

        In training once a row: its gradient is rounded when it joins the sum, so that a row counts the same in
        whatever batch its request's other rows are.
        """
        if self.training:
            return self.mean(entries.index_select(0, request))
        return self.mean(entries).index_select(0, request)
