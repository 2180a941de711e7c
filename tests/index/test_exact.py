"""Exact search against its plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.index.exact import BLOCK, Exact, inner
from shortlist.types import Ragged


def asked(rng: np.random.Generator, n: int, heads: int, f: int, whole: bool = True) -> np.ndarray:
    """Vectors of which some heads, and some requests altogether, are zero; whole numbers, so that scores tie."""
    p = rng.integers(-2, 3, (n, heads, f)) if whole else rng.standard_normal((n, heads, f))
    p = np.where(rng.random((n, heads, 1)) < 0.3, 0, p)
    return np.where(rng.random((n, 1, 1)) < 0.2, 0, p).astype(np.float32)


def definition(table, p, forbidden: Ragged, k: int, floor: float) -> list[tuple[int, int, float]]:
    rows = []
    for r in range(len(p)):
        heads = p[r][(p[r] != 0).any(axis=1)]
        if not len(heads):
            continue
        score = (heads.astype(np.float64) @ table.T.astype(np.float64)).max(axis=0)
        barred = set(forbidden.row(r)["column"].tolist())
        allowed = [i for i in range(len(table)) if floor < score[i] < np.inf and i not in barred]
        rows += [(r, i, score[i]) for i in sorted(allowed, key=lambda i: (-score[i], i))[:k]]
    return rows


def barring(rng: np.random.Generator, n: int, c: int) -> Ragged:
    """Up to three columns a request, with -1 for an item nobody knows."""
    parts = [rng.choice(c + 1, min(c + 1, int(rng.integers(0, 4))), replace=False) - 1 for _ in range(n)]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Ragged(offsets, {"column": np.concatenate([*parts, np.empty(0)]).astype(np.int32)})


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 10**6), st.integers(0, 4), st.integers(1, 3), st.integers(0, 4), st.integers(0, 9),
    st.integers(0, 12), st.sampled_from([-np.inf, -3.0, 0.0]), st.booleans(),
)  # fmt: skip
def test_best_k_of_all_products(seed, n, heads, f, c, k, floor, fortran):
    rng = np.random.default_rng(seed)
    table = rng.integers(-2, 3, (c, f)).astype(np.float32, order="F" if fortran else "C")
    p, forbidden = asked(rng, n, heads, f), barring(rng, n, c)
    request, column, score = Exact().search(table, {}, p, forbidden, k, floor)
    assert (request.dtype, column.dtype, score.dtype) == (np.uint32, np.int32, np.float32)
    found = list(zip(request.tolist(), column.tolist(), score.tolist(), strict=True))
    assert found == definition(table, p, forbidden, k, floor)


@pytest.mark.parametrize("c", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("order", [1, -1, 0])
def test_tables_of_more_than_a_block(c: int, order: int):
    """Whether the table ascends, descends or neither, with ties across the blocks."""
    rng = np.random.default_rng(c)
    first = rng.integers(-9, 10, c) if order == 0 else order * (np.arange(c) // 7)
    table = np.column_stack([first, rng.integers(-1, 2, c)]).astype(np.float32)
    p, forbidden = np.array([[[1, 0]], [[1, 1]], [[-1, 0]]], np.float32), barring(rng, 3, c)
    found = Exact().search(table, {}, p, forbidden, 40, -np.inf)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == definition(table, p, forbidden, 40, -np.inf)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_a_batch_a_single_request_and_a_single_row_give_the_same_bits(seed: int, heads: int):
    rng = np.random.default_rng(seed)
    table = np.asfortranarray(rng.standard_normal((30, 7)), np.float32)
    p, forbidden = asked(rng, 5, heads, 7, whole=False), barring(rng, 5, 30)
    request, column, score = Exact().search(table, {}, p, forbidden, 9, -np.inf)
    assert np.array_equal(inner(table, p, request, column), score)
    for r in range(5):
        mine = request == r
        alone = Exact().search(table, {}, p[r : r + 1], forbidden.take([r]), 9, -np.inf)
        assert np.array_equal(alone[1], column[mine])
        assert np.array_equal(alone[2], score[mine])


def test_scores_that_are_no_numbers_are_not_found():
    table = np.array([[1], [np.nan], [np.inf], [-np.inf], [-1e38]], np.float32)
    nothing = Ragged.empty(1, column=np.int32)
    _, column, _ = Exact().search(table, {}, np.ones((1, 1, 1), np.float32), nothing, 9, -np.inf)
    assert column.tolist() == [0, 4]


def test_given_rows_have_the_best_head_s_score_and_nan_where_nothing_is_asked():
    table = np.array([[1, 0], [0, 1], [-1, -1]], np.float32)
    p = np.array([[[1, 0], [0, 2]], [[0, 0], [-1, -1]], [[0, 0], [0, 0]]], np.float32)
    request, column = np.array([0, 0, 0, 1, 1, 2], np.uint32), np.array([0, 1, 2, 0, -1, 0], np.int32)
    assert inner(table, p, request, column).tolist()[:4] == [1, 2, -1, -1]
    assert np.isnan(inner(table, p, request, column)[4:]).all()


@pytest.mark.parametrize("heads", [[[np.nan], [2]], [[2], [np.nan]]])
def test_a_head_that_is_no_number_leaves_the_score_to_the_others(heads):
    table, p, nothing = np.ones((1, 1), np.float32), np.array([heads], np.float32), Ragged.empty(1, column=np.int32)
    request, column, score = Exact().search(table, {}, p, nothing, 1, -np.inf)
    assert score.tolist() == inner(table, p, request, column).tolist() == [2]
