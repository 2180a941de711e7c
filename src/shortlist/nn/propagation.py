"""Vectors that travel along the edges between users and items."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from shortlist.types import Array


class _Times(torch.autograd.Function):
    """A x, whose gradient is Aᵀ g: both are stored, so that neither way has to turn the other round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, turned: Tensor) -> Tensor:
        ctx.turned = turned
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return ctx.turned @ grad[0], None, None


@dataclass(frozen=True)
class Bipartite:
    """S = D_u^-1/2 R D_i^-1/2 of the pairs that occur, D the numbers of edges, and Sᵀ, as sparse rows."""

    there: Tensor  # CSR [u, c]
    back: Tensor  # CSR [c, u]

    @staticmethod
    def of(user: Array, item: Array, n_users: int, n_items: int) -> Bipartite:
        """Of distinct pairs (``user`` [m], ``item`` [m])."""
        degree = [np.bincount(side, minlength=n) for side, n in ((user, n_users), (item, n_items))]
        weight = 1 / np.sqrt(degree[0][user].astype(np.float64) * degree[1][item])
        matrix = sp.csr_matrix((weight.astype(np.float32), (user, item)), shape=(n_users, n_items))
        return Bipartite(_csr(matrix), _csr(matrix.T.tocsr()))

    def to(self, device: torch.device) -> Bipartite:
        """The same on ``device``."""
        return Bipartite(self.there.to(device), self.back.to(device))

    def spread(self, p: Tensor | None, q: Tensor, layers: int) -> tuple[Tensor, Tensor, Tensor]:
        """(P [u, f], Q [c, f], Q' [c, f]): the sum of layers 0 ... ``layers`` of the propagation of ``p`` [u, f]
        and ``q`` [c, f] for users and for items, and that without the last layer for items, from which S brings users
        all but their own.

            (P_{l+1}, Q_{l+1}) = (p + S Q_l, q + Sᵀ P_l),  which is Σ_{k ≤ l+1} [[0, S], [Sᵀ, 0]]^k (p, q)

        Without ``p`` (all 0) what reaches users comes of items' even layers alone, and half the products are spared.
        """
        if p is not None:
            users, items = p, q
            for _ in range(layers):
                before = items
                users, items = p + self._over(items), q + self._over(users, back=True)
            return users, items, before
        items = before = q
        for layer in range(layers):
            before = items
            if layer % 2 == 0:
                users = self._over(items)
            else:
                items = q + self._over(users, back=True)
        return users, items, before

    def _over(self, x: Tensor, *, back: bool = False) -> Tensor:
        there, turned = (self.back, self.there) if back else (self.there, self.back)
        out: Tensor = _Times.apply(x, there, turned)
        return out


def _csr(matrix: sp.csr_matrix) -> Tensor:
    matrix.sort_indices()
    parts = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices), torch.from_numpy(matrix.data)
    with warnings.catch_warnings():  # torch calls its sparse rows "beta"; the product is all that is asked of them
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)
