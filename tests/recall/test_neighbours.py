"""The neighbour kernel against the dense formula."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shortlist.recall._kernels.neighbours import fill, no_heaps, similar_columns


def world(seed: int, n: int = 30, c: int = 17) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n, c)) < 0.3, rng.integers(1, 4, (n, c)), 0).astype(np.float32)
    dense[:, 3] = 0  # a column nobody has
    stamps = rng.integers(0, 50, (n, c))
    return sp.csr_matrix(dense), stamps, rng.random(n).astype(np.float32)


def plain(x: sp.csr_matrix, stamps: np.ndarray, weight: np.ndarray, shrinkage: float, rate: float) -> np.ndarray:
    dense = x.toarray().astype(np.float64)
    c = dense.shape[1]
    out = np.zeros((c, c))
    norm = np.sqrt((dense**2).sum(axis=0))
    for i in range(c):
        for j in range(c):
            apart = 2.0 ** (-rate * np.abs(stamps[:, i] - stamps[:, j]))
            dot = (weight * dense[:, i] * dense[:, j] * apart).sum()
            if i != j and dot:
                out[i, j] = dot / (norm[i] * norm[j] + shrinkage)
    return out


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("shrinkage", "rate"), [(0.0, 0.0), (5.0, 0.0), (0.0, 0.1), (2.0, 0.05)])
def test_matches_the_formula(threads: int, shrinkage: float, rate: float):
    x, stamps, weight = world(1)
    full = plain(x, stamps, weight, shrinkage, rate)
    times = stamps[x.nonzero()].astype(np.int64)
    found = similar_columns(x, 5, weight, shrinkage, times, rate, threads)
    for i in range(x.shape[1]):
        row = slice(found.indptr[i], found.indptr[i + 1])
        best = np.sort(full[i][full[i] > 0])[::-1][:5]
        assert found.data[row] == pytest.approx(best, rel=1e-5)
        assert full[i][found.indices[row]] == pytest.approx(best, rel=1e-5)


def test_ties_go_to_the_lower_column_whatever_the_threads():
    x = sp.csr_matrix(np.ones((2, 8), np.float32))
    one, three = (similar_columns(x, 3, np.ones(2, np.float32), threads=t) for t in (1, 3))
    assert one.indices.reshape(8, 3)[[0, 1, 7]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2]]
    assert np.array_equal(one.indices, three.indices)
    assert np.array_equal(one.data, three.data)


def test_every_range_is_filled_in_place_by_its_own_thread():
    heaps = no_heaps(7, 2)

    def kernel(score, column, size, first, end):
        assert score is heaps[0]
        score[first:end, 0], column[first:end, 0] = np.arange(first, end), first
        size[first:end] += 1

    fill(kernel, heaps, 3)
    assert heaps[2].tolist() == [1] * 7
    assert heaps[0][:, 0].tolist() == list(range(7))
    assert len(set(heaps[1][:, 0])) == 3


@pytest.mark.parametrize("c", [0, 1])
def test_nothing_to_compare(c: int):
    assert similar_columns(sp.csr_matrix((4, c), dtype=np.float32), 5, np.ones(4, np.float32)).nnz == 0


def test_columns_with_few_pairs():
    x = sp.random(40, 300, 0.01, format="csr", dtype=np.float32, rng=np.random.default_rng(2))
    full = plain(x, np.zeros(x.shape), np.ones(40), 0.0, 0.0)
    assert similar_columns(x, 300, np.ones(40, np.float32)).toarray() == pytest.approx(full, rel=1e-5)
