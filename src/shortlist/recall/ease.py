"""EASE: an item-item matrix in closed form, the plain model to beat."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field
from scipy.linalg import lapack

from shortlist.component import InputError, Search
from shortlist.data import Dataset
from shortlist.recall._linear import ItemToItem
from shortlist.recall._memory import need

BLOCK = 1024
"""Columns copied at once."""


class Ease(ItemToItem):
    """Closed-form linear item autoencoder with a zero diagonal (EASE).

    B minimises ||X - XB||^2 + λ||B||^2 under diag(B) = 0:  P = (XᵀX + λI)^-1,  B_ij = -P_ij / P_jj.
    score(u, i) = sum_j w(u, j) B_ji, with X [n_users, c] the log and w the weights of the request's history.

    Strong and quick to fit up to some twenty thousand items; memory grows with their square. Raises ``InputError`` when
    the items of the log would need more than ``memory`` or than the machine has.

    Source: Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data.
    """

    regularisation: Annotated[float, Field(gt=0), Search(10, 5000, log=True)] = 500.0
    """λ: larger trusts popular pairs more; grows with the size of the log."""
    memory: Annotated[float, Field(gt=0)] | None = None
    """How many GB the fit may use; none = what the machine has free."""

    def fit(self, data: Dataset) -> Self:
        """Inverts the Gram matrix in place."""
        x = self._matrix(data)
        c = x.shape[1]
        allowed = None if self.memory is None else self.memory * 1e9
        # the inverse, made in place, and B
        need(f"ease: {c:,} items", 8 * c * c, "raise min_count, or memory where it is set", allowed)
        if not c:
            self.table_ = np.zeros((0, 0), np.float32)
            return self
        # single precision: the ridge bounds the condition number, and B serves to order items
        gram = np.empty((c, c), np.float32, order="F")
        for block in _blocks(c):
            gram[:, block] = (x.T @ x[:, block]).toarray()
        gram[np.diag_indices(c)] += self.regularisation
        lower, info = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
        inverse, failed = lapack.spotri(lower, lower=1, overwrite_c=1)  # P below the diagonal
        if info or failed:
            ridge = f"regularisation = {self.regularisation:g}"
            raise InputError(f"ease: the Gram matrix cannot be inverted with {ridge}; raise it")
        diagonal = np.diag(inverse).copy()
        self.table_ = np.empty((c, c), np.float32)
        for block in _blocks(c):
            start, end = block.start, block.stop
            self.table_[start:, block] = inverse[start:, block]
            self.table_[block, end:] = inverse[end:, block].T
            inner = np.tril(inverse[block, block], -1)
            self.table_[block, block] = inner + inner.T
        self.table_ /= -diagonal
        return self


def _blocks(c: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, c)) for start in range(0, c, BLOCK)]
