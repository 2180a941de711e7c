"""Rows of weights over columns, as kernels take them."""

from __future__ import annotations

from typing import NamedTuple

import scipy.sparse as sp

from shortlist.types import Array


class Sparse(NamedTuple):
    """Row r has ``weights[e]`` in ``columns[e]`` for e from ``offsets[r]`` to ``offsets[r + 1]``: CSR, in any order."""

    offsets: Array  # [n + 1]
    columns: Array  # int32 [m]
    weights: Array  # [m]

    @staticmethod
    def of(matrix: sp.csr_matrix) -> Sparse:
        """The arrays of a matrix."""
        return Sparse(matrix.indptr, matrix.indices, matrix.data)
