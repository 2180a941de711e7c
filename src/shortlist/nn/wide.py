"""A linear model over sparse columns."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Wide(nn.Module):
    """y = Σ_j x_j t_{c_j}: rows of ``Design`` (column numbers c and values x, [m, e]) times one weight a column.

    Begins at zero, as logistic regression does.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(width, 1))

    def reset(self, generator: torch.Generator) -> None:
        """Nothing is drawn."""
        nn.init.zeros_(self.table)

    def forward(self, columns: Tensor, values: Tensor) -> Tensor:
        """[m]."""
        return (functional.embedding(columns, self.table).squeeze(2) * values).sum(1)
