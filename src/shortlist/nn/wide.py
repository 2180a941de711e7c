"""A linear model over sparse columns."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Wide(nn.Module):
    """y = Σ_j x_j t_{a_j} + Σ_k t_{c_k}: numbers x [m, v], each with a weight of its own, t_{a_j} (``own`` [v]), and
    one-hot columns c [m, e] (``Apart``).

    Begins at zero, as logistic regression does.
    """

    own: Tensor

    def __init__(self, width: int, own: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(width, 1))
        self.register_buffer("own", own, persistent=False)

    def reset(self, generator: torch.Generator) -> None:
        """Nothing is drawn."""
        nn.init.zeros_(self.table)

    def forward(self, columns: Tensor, values: Tensor) -> Tensor:
        """[m]."""
        linear = values @ self.table.index_select(0, self.own)
        return (linear + functional.embedding(columns, self.table).sum(1)).squeeze(1)
