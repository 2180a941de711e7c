"""Who is tied to whom, and how strongly: ``[data.ties]`` as a matrix over users."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from shortlist.data import Dataset

BLOCK = 1_000
"""Users, and a thousand times as many ties, whose products are held at a time."""


def graph(data: Dataset, directed: bool) -> tuple[sp.csr_matrix, int]:
    """(CSR float64 [n_users, n_users] of the ties known when the log ends, rows with an id the data does not know).

    Rows of one pair add up, a missing weight is 1, nobody is tied to themselves. Not ``directed``: max(A, Aᵀ).
    """
    ties = data.ties
    assert ties is not None
    if "time" in ties.columns:
        ties = ties.filter(pl.col("time").is_null() | (pl.col("time") <= data.fitted_until))
    user, friend = data.user_ids.encode(ties["user"]), data.user_ids.encode(ties["friend"])
    weight = ties["weight"].fill_null(1).to_numpy() if "weight" in ties.columns else np.ones(len(ties))
    known = (user >= 0) & (friend >= 0)
    kept = known & (user != friend)
    shape = data.n_users, data.n_users
    tie = sp.csr_matrix((weight[kept].astype(np.float64), (user[kept], friend[kept])), shape=shape)
    tie = tie if directed else tie.maximum(tie.T).tocsr()
    tie.eliminate_zeros()
    tie.sort_indices()
    return tie, int((~known).sum())


def overlap(tie: sp.csr_matrix, of: sp.csr_matrix, prior: int) -> sp.csr_matrix:
    """The ties times (a + prior) / (b + prior): a columns of ``of`` [n, d] that both ends have, b that either has."""
    has = sp.csr_matrix((np.ones(of.nnz), of.indices, of.indptr), shape=of.shape)
    size = np.diff(has.indptr)
    user, friend = np.repeat(np.arange(tie.shape[0]), np.diff(tie.indptr)), tie.indices
    common = np.zeros(tie.nnz)
    for first in range(0, tie.nnz, 1000 * BLOCK):
        part = slice(first, first + 1000 * BLOCK)
        common[part] = np.asarray(has[user[part]].multiply(has[friend[part]]).sum(axis=1)).ravel()
    either = size[user] + size[friend] - common
    share = np.divide(common + prior, either + prior, out=np.zeros(tie.nnz), where=either + prior > 0)
    return sp.csr_matrix((tie.data * share, tie.indices, tie.indptr), shape=tie.shape)


def within_two(tie: sp.csr_matrix, second: float, most: int) -> sp.csr_matrix:
    """CSR float32 [n, n]: Q + second · Q Q without its diagonal, rows of Q adding up to 1; the ``most`` largest a row.

    Of equal ones those with the smaller code are kept; columns ascend.
    """
    total = np.asarray(tie.sum(axis=1)).ravel()
    q = sp.csr_matrix(sp.diags_array(np.divide(1, total, out=np.zeros(len(total)), where=total > 0)) @ tie)
    q.eliminate_zeros()
    near = _largest(q, most)
    if not second:
        return near.astype(np.float32)
    parts = []
    for first in range(0, q.shape[0], BLOCK):
        part = q[first : first + BLOCK]
        both = (part + second * (part @ q)).tocoo()
        kept = both.col != both.row + first
        parts.append(_largest(sp.csr_matrix((both.data[kept], (both.row[kept], both.col[kept])), both.shape), most))
    return sp.csr_matrix(sp.vstack(parts, format="csr") if parts else near).astype(np.float32)


def _largest(matrix: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """The ``most`` largest entries of each row, of equal ones the first columns; columns ascend."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    place = np.arange(len(order)) - matrix.indptr[:-1][row]
    kept = order[place < most]
    found = sp.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
    found.sort_indices()
    return found
