"""Buckets of a number: none empty, heavy values alone, the rest evenly."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.encode.edges import even_edges


def counts(values, edges):
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)


@given(st.lists(st.integers(-5, 30), max_size=80), st.integers(2, 12))
def test_no_bucket_is_empty_and_there_are_not_too_many(values, buckets):
    edges = even_edges(np.array(values, np.float32), buckets)
    assert len(edges) <= 2 * buckets
    assert (np.diff(edges) > 0).all()
    assert not np.isin(edges, values).any() or not len(values)
    if values:
        assert counts(values, edges).min() > 0


def test_a_column_of_zeros_keeps_buckets_for_what_is_not_zero():
    values = np.append(np.zeros(900), np.arange(1, 101))
    edges = even_edges(values, 11)
    in_bucket = counts(values, edges)
    assert in_bucket[0] == 900
    assert in_bucket[1:].tolist() == [10] * 10


def test_without_heavy_values_buckets_are_even():
    values = np.random.default_rng(0).normal(size=1000)
    assert set(counts(values, even_edges(values, 10))) == {100}


def test_missing_values_and_constants():
    assert len(even_edges(np.array([np.nan, np.inf]), 5)) == 0
    assert len(even_edges(np.ones(4), 5)) == 0
    assert even_edges(np.array([1, np.nan, 2]), 5).tolist() == [1.5]
