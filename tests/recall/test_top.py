"""Linear scoring kernels against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.recall._kernels import top
from shortlist.recall._kernels.sparse import Sparse

WIDTH, ROWS = 9, 5


def batch(rng: np.random.Generator, n: int) -> tuple[Sparse, np.ndarray]:
    """A random query and the same as a dense matrix [n, ROWS]."""
    listed = rng.random((n, ROWS)) < 0.5
    dense = np.where(listed, rng.integers(0, 4, (n, ROWS)), 0).astype(np.float32)  # age may leave nothing of a weight
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))]).astype(np.int64)
    return Sparse(offsets, np.nonzero(listed)[1].astype(np.int32), dense[listed]), dense


def expected(scores: np.ndarray, excluded: list[list[int]], k: int) -> list[tuple[int, int, float]]:
    rows = []
    for r, row in enumerate(scores):
        allowed = [i for i in range(len(row)) if row[i] > 0 and i not in excluded[r]]
        rows += [(r, i, row[i]) for i in sorted(allowed, key=lambda i: (-row[i], i))[:k]]
    return rows


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(0, 12), st.booleans())
def test_best_k_with_ties_and_exclusions(seed: int, n: int, k: int, sparse: bool):
    rng = np.random.default_rng(seed)
    query, weights = batch(rng, n)
    table = np.where(rng.random((ROWS, WIDTH)) < 0.4, rng.integers(1 if sparse else -2, 4, (ROWS, WIDTH)), 0)
    table = table.astype(np.float32)
    excluded = [sorted((rng.choice(WIDTH + 1, rng.integers(0, 4), replace=False) - 1).tolist()) for _ in range(n)]
    ex_offsets = np.concatenate([[0], np.cumsum([len(e) for e in excluded])]).astype(np.int64)
    barred = np.array([i for e in excluded for i in e], np.int32)
    if sparse:
        found = top.sparse_top(query, Sparse.of(sp.csr_matrix(table)), WIDTH, ex_offsets, barred, k)
    else:
        found = top.dense_top(query, table, ex_offsets, barred, k)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected(weights @ table, excluded, k)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_given_rows_and_their_largest_term(seed: int, sparse: bool, ties: bool):
    """Few rows of a request and many are gone through differently; of equal terms the first counts."""
    rng = np.random.default_rng(seed)
    query, weights = batch(rng, 3)
    drawn = rng.integers(1, 4, (ROWS, WIDTH)) if ties else rng.random((ROWS, WIDTH))
    table = np.where(rng.random((ROWS, WIDTH)) < 0.5, drawn, 0).astype(np.float32)
    request = np.sort(rng.integers(0, 3, 8)).astype(np.uint32)
    column = rng.integers(-1, WIDTH, 8).astype(np.int32)  # some are of items not known
    csr = Sparse.of(sp.csr_matrix(table))
    if sparse:
        score = top.sparse_score(query, csr, WIDTH, request, column)
        source = top.sparse_largest(query, csr, request, column)
    else:
        score = top.dense_score(query, table, request, column)
        source = top.dense_largest(query, table, request, column)
    for m, (r, i) in enumerate(zip(request, column, strict=True)):
        terms = weights[r] * table[:, i] if i >= 0 else np.zeros(ROWS)
        assert score[m] == pytest.approx(terms.sum(), rel=1e-5)
        assert source[m] == (terms.argmax() if terms.max() > 0 else -1)


@pytest.mark.parametrize("size", [1e-36, 1e-33, 1e31, 3e38], ids=["least", "small", "large", "beyond all numbers"])
@pytest.mark.parametrize("sparse", [False, True])
def test_scores_of_any_size_are_ordered(size: float, sparse: bool):
    """Also where no histogram of them can be made; what is infinite comes first, ties by column."""
    table = np.float32(size) * np.array([[1, 0, 0.5, 0.1, 1, 0, 0.2, 0.9, 0.3]], np.float32)
    query = Sparse(np.array([0, 1]), np.zeros(1, np.int32), np.full(1, 2, np.float32))
    none = np.zeros(2, np.int64), np.empty(0, np.int32)
    if sparse:
        _, column, score = top.sparse_top(query, Sparse.of(sp.csr_matrix(table)), WIDTH, *none, 4)
    else:
        _, column, score = top.dense_top(query, table, *none, 4)
    with np.errstate(over="ignore"):
        scores = 2 * table[0]
    assert column.tolist() == [i for _, i, _ in expected(scores[None], [[]], 4)]
    assert score.tolist() == scores[column].tolist()
