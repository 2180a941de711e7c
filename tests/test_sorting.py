"""Orders by one number a row, beside the plain sort of several columns."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.types.sorting import falling, sortable

singles = st.floats(width=32) | st.sampled_from([0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, 1.0, 1.0])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(singles, max_size=30), max_size=4), st.sampled_from([None, 0.1, 1e300]), st.data())
def test_falling_is_by_request_score_and_ties(lists, precise, data):
    request = np.repeat(np.arange(len(lists)), [len(row) for row in lists]).astype(np.uint32)
    score = np.array([v for row in lists for v in row], np.float32)
    ties = np.array(data.draw(st.permutations(range(len(score)))), np.int32)
    if precise and len(score):
        score = score.astype(np.float64)
        score[0] = precise  # which is no float32
    plain = np.where(np.isfinite(score), score, -np.inf)
    expected = sorted(range(len(score)), key=lambda r: (request[r], -plain[r], ties[r]))
    assert falling(score, ties, request).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, bool])
def test_falling_of_many_rows_with_equal_scores_is_lexsort(dtype):
    rng = np.random.default_rng(0)
    request = np.sort(rng.integers(0, 5, 3000)).astype(np.uint32)
    score, items = rng.integers(-3, 4, 3000).astype(dtype), rng.permutation(3000).astype(np.int32)
    expected = np.lexsort((items, -score.astype(float), request))
    np.testing.assert_array_equal(falling(score, items, request), expected)
    nobody = np.full(3000, -1, np.int32)
    np.testing.assert_array_equal(falling(score, nobody, request), np.lexsort((-score.astype(float), request)))


@settings(deadline=None, derandomize=True)
@given(st.lists(singles, max_size=20))
def test_sortable_numbers_sort_as_their_values_with_none_last(values):
    array = np.array(values, np.float32)
    found = sortable(array)
    plain = [(math.isnan(v), 0.0 if math.isnan(v) else v) for v in array.tolist()]
    for v, a in zip(plain, found, strict=True):
        assert [v < w for w in plain] == (a < found).tolist()
        assert [v == w for w in plain] == (a == found).tolist()
    assert (found[np.isnan(array)] == 0xFFFFFFFF).all()
