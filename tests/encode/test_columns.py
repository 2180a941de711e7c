"""Encoders of one column against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.encode.cross import Cross
from shortlist.encode.hashing import Hashing
from shortlist.encode.log import Log
from shortlist.encode.multi_valued import MultiValued
from shortlist.encode.one_hot import OneHot
from shortlist.encode.piecewise import Piecewise
from shortlist.encode.quantile import Quantile
from shortlist.encode.sequence import Sequence
from shortlist.encode.standardise import Standardise
from shortlist.encode.vocabulary import Vocabulary
from shortlist.types import Ragged

numbers = st.lists(
    st.one_of(st.just(float("nan")), st.integers(-3, 3).map(float), st.integers(-(10**6), 10**6).map(lambda v: v / 97)),
    min_size=1,
    max_size=60,
).map(np.array)


def ragged(*rows, column="value"):
    return Ragged(np.cumsum([0, *map(len, rows)]), {column: np.array([v for row in rows for v in row], np.int32)})


def restored(encoder):
    return type(encoder).restore(encoder.config(), encoder.state())


def test_vocabulary_numbers_frequent_values_and_trains_the_code_of_the_rest():
    column = np.array([7, 7, 7, 3, 3, -1, -1, 9])
    encoder = Vocabulary(min_count=2).fit(column)
    assert encoder.transform(column).tolist() == [3, 3, 3, 2, 2, 1, 1, 0]  # 9 is rare: code 0 in training already
    assert encoder.transform(np.array([100, 3])).tolist() == [0, 2]
    assert encoder.width == 4


def test_vocabulary_of_strings_survives_saving():
    encoder = Vocabulary(min_count=1).fit(np.array(["b", "a", ""]))
    assert restored(encoder).transform(np.array(["a", "b", "", "z"])).tolist() == [2, 3, 1, 0]


def test_one_hot_has_a_one_in_the_column_of_the_value():
    column = np.array([5, 5, 2, 2, 8])
    dense = OneHot(min_count=2).fit(column).transform(np.array([2, 5, 8, 99])).toarray()
    assert dense.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_an_empty_vocabulary_answers():
    assert Vocabulary().fit(np.array([1, 2])).transform(np.array([1, 3])).tolist() == [0, 0]
    assert Vocabulary().fit(np.empty(0, np.int32)).transform(np.array([1])).tolist() == [0]


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
def test_quantile_bucket_counts_the_edges_below(train, values, buckets):
    encoder = Quantile(buckets=buckets).fit(train)
    expected = [0 if np.isnan(v) else 1 + sum(edge < v for edge in encoder.edges_) for v in values]
    assert encoder.transform(values).tolist() == expected
    assert len(encoder.edges_) < buckets
    assert not set(encoder.edges_.tolist()) & set(train.tolist())  # no training value sits on an edge
    assert encoder.transform(values).max(initial=0) < encoder.width


def test_quantile_buckets_hold_equally_many_rows_where_values_differ():
    codes = Quantile(buckets=10).fit(np.arange(1000.0)).transform(np.arange(1000.0))
    assert np.bincount(codes)[1:].tolist() == [100] * 10


def test_quantile_gives_one_bucket_to_a_value_that_fills_several():
    column = np.concatenate([np.zeros(90), np.arange(1.0, 11.0)])
    codes = Quantile(buckets=20).fit(column).transform(np.array([0.0, 1.0, 10.0]))
    assert codes[0] == 1
    assert codes[1] > 1
    assert codes[2] > codes[1]


@given(numbers, numbers)
def test_piecewise_is_the_formula_bin_by_bin(train, values):
    encoder = Piecewise(buckets=4).fit(train)
    bounds = encoder.bounds_
    for value, row in zip(values, encoder.transform(values), strict=True):
        for t, entry in enumerate(row):
            share = (value - bounds[t]) / (bounds[t + 1] - bounds[t])
            low = -np.inf if t == 0 else 0.0
            high = np.inf if t == len(row) - 1 else 1.0
            expected = 0.0 if np.isnan(value) else min(max(share, low), high)
            assert entry == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_piecewise_sums_to_the_number_itself_where_bins_are_equally_wide():
    encoder = Piecewise(buckets=4).fit(np.arange(101.0))
    sums = encoder.transform(np.array([-10.0, 0.0, 30.0, 100.0, 130.0])) @ np.diff(encoder.bounds_)
    assert sums == pytest.approx([-10, 0, 30, 100, 130], rel=1e-5)


def test_standardise_uses_training_moments_and_puts_missing_at_the_mean():
    encoder = restored(Standardise().fit(np.array([1.0, 3.0, np.nan, np.inf])))
    assert encoder.transform(np.array([1.0, 2.0, 5.0, np.nan])).tolist() == [-1.0, 0.0, 3.0, 0.0]


@pytest.mark.parametrize("constant", [4.0, 0.1])  # the mean of three times .1 is not .1
def test_standardise_of_a_constant_is_zero(constant):
    encoder = Standardise().fit(np.full(3, constant))
    np.testing.assert_allclose(encoder.transform(np.array([constant, constant + 1])), [0.0, 1.0], rtol=1e-6)


def test_log_is_odd_and_keeps_missing():
    out = Log().fit(np.empty(0)).transform(np.array([0.0, np.e - 1, 1 - np.e, np.nan]))
    assert out[:3] == pytest.approx([0, 1, -1])
    assert np.isnan(out[3])


def test_cross_tells_pairs_apart_and_lumps_rare_ones():
    left, right = np.array([0, 0, 1, 1, -1, -1]), np.array([1, 1, 0, 0, 5, 6])
    encoder = restored(Cross(min_count=2).fit(left, right))
    codes = encoder.transform(left, right)
    assert codes[0] == codes[1] > 0
    assert codes[2] == codes[3] > 0
    assert codes[0] != codes[2]
    assert codes[4] == codes[5] == 0
    assert encoder.transform(np.array([7]), np.array([7])).tolist() == [0]


def test_hashed_cross_keeps_nothing_and_stays_inside():
    encoder = Cross(width=32).fit(np.arange(5), np.arange(5))
    assert encoder.state() == {}
    codes = encoder.transform(np.repeat(np.arange(50), 50), np.tile(np.arange(50), 50))
    assert set(codes.tolist()) == set(range(32))


@pytest.mark.parametrize(("combine", "share"), [("sum", 1.0), ("mean", 1 / 4), ("sqrt", 1 / 2)])
def test_multi_valued_adds_up_its_values(combine, share):
    encoder = MultiValued(min_count=2, combine=combine).fit(ragged([1, 2], [1, 2], [9]))
    dense = encoder.transform(ragged([1, 1, 2, 9], [], [2])).toarray()
    assert dense[0] == pytest.approx(np.array([1, 2, 1]) * share)
    assert dense[1].tolist() == [0, 0, 0]
    assert dense[2].tolist() == [0, 0, 1]


def test_sequence_keeps_the_last_values_in_order_and_pads_on_the_left():
    encoder = Sequence(length=3, min_count=2).fit(ragged([4, 5, 5, 4, 9], column="item"))
    rows = encoder.transform(ragged([5, 4], [], [4, 5, 9, 5], column="item"))
    assert rows.tolist() == [[0, 3, 2], [0, 0, 0], [3, 1, 3]]
