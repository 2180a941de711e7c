"""What is learned of one column, and its codes, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.encode._encoder import buckets_of, codes_of, known_values, quantile_edges
from shortlist.encode.hashing import Hashing
from shortlist.encode.log import Log
from shortlist.encode.standardise import moments

numbers = st.lists(
    st.one_of(st.just(float("nan")), st.integers(-3, 3).map(float), st.integers(-(10**6), 10**6).map(lambda v: v / 97)),
    min_size=1,
    max_size=60,
).map(np.array)


def test_a_vocabulary_numbers_frequent_values_and_trains_the_code_of_the_rest():
    column = np.array([7, 7, 7, 3, 3, -1, -1, 9])
    known = known_values(column, 2)
    assert codes_of(column, known).tolist() == [3, 3, 3, 2, 2, 1, 1, 0]  # 9 is rare: code 0 in training already
    assert codes_of(np.array([100, 3]), known).tolist() == [0, 2]
    assert codes_of(np.array(["a", "b", "", "z"]), known_values(np.array(["b", "a", ""]), 1)).tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize("column", [np.array([1, 2]), np.empty(0, np.int32)])
def test_an_empty_vocabulary_answers(column):
    assert codes_of(np.array([1, 3]), known_values(column, 5)).tolist() == [0, 0]


def test_hashing_is_the_same_everywhere_and_spreads():
    def splitmix(value, seed):  # in Python's own integers
        z = (value + 0x9E3779B97F4A7C15 * (seed + 1)) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    assert splitmix(0, 0) == 0xE220A8397B1DCDAF  # the generator's published first output from state 0
    codes = Hashing(width=16).transform(np.arange(1600))
    assert codes.tolist() == [splitmix(value, 0) % 16 for value in range(1600)]
    assert np.bincount(codes, minlength=16).min() > 60
    assert (Hashing(width=16, seed=1).transform(np.arange(1600)) != codes).mean() > 0.8


def test_hashing_of_strings_ignores_the_width_of_the_array():
    narrow = Hashing(width=1000).transform(np.array(["ab", "c"]))
    wide = Hashing(width=1000).transform(np.array(["ab", "c", "a much longer one"]))
    assert narrow.tolist() == wide[:2].tolist()
    assert len(set(wide.tolist())) == 3


@given(numbers, numbers, st.integers(2, 8))
def test_a_bucket_counts_the_edges_below(train, values, buckets):
    edges = quantile_edges(train, buckets)
    expected = [0 if np.isnan(v) else 1 + sum(edge < v for edge in edges) for v in values]
    assert buckets_of(values, edges).tolist() == expected
    assert len(edges) < buckets
    assert not set(edges.tolist()) & set(train.tolist())  # no training value sits on an edge


def test_buckets_hold_equally_many_rows_where_values_differ():
    codes = buckets_of(np.arange(1000.0), quantile_edges(np.arange(1000.0), 10))
    assert np.bincount(codes)[1:].tolist() == [100] * 10


def test_a_value_that_fills_several_buckets_gets_one():
    column = np.concatenate([np.zeros(90), np.arange(1.0, 11.0)])
    codes = buckets_of(np.array([0.0, 1.0, 10.0]), quantile_edges(column, 20))
    assert codes[0] == 1
    assert codes[1] > 1
    assert codes[2] > codes[1]


def test_moments_are_those_of_what_is_finite():
    assert moments(np.array([1.0, 3.0, np.nan, np.inf])) == (2.0, 1.0)
    assert moments(np.array([np.nan])) == (0.0, 1.0)


@pytest.mark.parametrize("constant", [4.0, 0.1])  # the mean of three times .1 is not .1
def test_a_constant_deviates_by_nothing(constant):
    assert moments(np.full(3, constant)) == (constant, 1.0)


def test_log_is_odd_and_keeps_missing():
    out = Log().fit(np.empty(0)).transform(np.array([0.0, np.e - 1, 1 - np.e, np.nan]))
    assert out[:3] == pytest.approx([0, 1, -1])
    assert np.isnan(out[3])
