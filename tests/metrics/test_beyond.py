"""Coverage, diversity, novelty and the rest against loops over sets."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.dataset import FOREVER
from shortlist.data.table import MISSING_TIME
from shortlist.metrics import beyond, timeliness, variety
from shortlist.metrics._slate import Slates
from shortlist.types import Candidates, Ragged

DAY = 24 * 60 * 60 * 1_000_000  # microseconds
N_ITEMS = 12


def ragged(rows, name):
    offsets = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return Ragged(offsets, {name: np.array([i for row in rows for i in row], np.int32)})


def slates(shown, targets=None, k=50):
    request = np.repeat(np.arange(len(shown), dtype=np.uint32), [len(row) for row in shown])
    items = np.array([i for row in shown for i in row], np.int32)
    return Slates.of(Candidates(request, items), ragged(targets or [[] for _ in shown], "item"), k)


shown_lists = st.lists(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=6), min_size=1, max_size=6)
attribute_rows = st.lists(st.lists(st.integers(0, 5), unique=True, max_size=4), min_size=N_ITEMS, max_size=N_ITEMS)


@settings(deadline=None, derandomize=True)
@given(shown=shown_lists, rows=attribute_rows, similar=st.sampled_from(["jaccard", "cosine"]), k=st.integers(1, 6))
def test_diversity_is_the_mean_over_pairs(shown, rows, similar, k):
    def unlike(a, b):
        shared = len(a & b)
        return 1 - shared / (len(a | b) if similar == "jaccard" else math.sqrt(len(a) * len(b)))

    expected = []
    for items in shown:
        sets = [set(rows[i]) for i in items[:k] if rows[i]]
        pairs = [unlike(a, b) for a, b in combinations(sets, 2)]
        expected.append(np.mean(pairs) if pairs else np.nan)
    found = variety.diversity(slates(shown), k, ragged(rows, "code"), similar)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(deadline=None, derandomize=True)
@given(shown=shown_lists, k=st.integers(1, 6))
def test_gini_is_half_the_mean_absolute_difference_over_the_mean(shown, k):
    exposure = np.zeros(N_ITEMS)
    for items in shown:
        for item in items[:k]:
            exposure[item] += 1
    found = beyond.gini(slates(shown), k, N_ITEMS)
    if not exposure.sum():
        assert np.isnan(found)
    else:
        gaps = np.abs(exposure[:, None] - exposure[None, :]).mean()
        assert found == pytest.approx(gaps / (2 * exposure.mean()))
        assert -1e-12 <= found < 1


def test_gini_at_its_ends():
    even = [[i] for i in range(N_ITEMS)]
    assert beyond.gini(slates(even), 1, N_ITEMS) == pytest.approx(0)
    assert beyond.gini(slates([[3]] * 5), 1, N_ITEMS) == pytest.approx(1 - 1 / N_ITEMS)
    with pytest.raises(ValueError, match="12 items were shown of a catalogue of 3"):
        beyond.gini(slates(even), 1, 3)


def test_coverage_counts_distinct_items_of_the_first_k():
    judged = slates([[0, 1, 2], [0, 3, 4]])
    assert beyond.coverage(judged, 1, 10) == pytest.approx(0.1)
    assert beyond.coverage(judged, 2, 10) == pytest.approx(0.3)
    assert beyond.coverage(judged, 3, 10) == pytest.approx(0.5)


def test_novelty_is_self_information_in_bits():
    counts = np.array([7, 3, 1, 1])  # with one added: 8, 4, 2, 2 of 16
    found = beyond.novelty(slates([[0], [0, 3], [1, 2], []]), 2, counts)
    np.testing.assert_allclose(found, [1, 2, 2.5, np.nan])


def test_serendipity_counts_hits_that_popularity_misses():
    targets = [[1, 2, 3], [1], []]
    mine = slates([[1, 2, 9], [1, 5], [4]], targets)
    popular = slates([[1, 8, 2], [7, 8], [4]], targets)
    np.testing.assert_allclose(beyond.serendipity(mine, 2, popular), [1 / 2, 1 / 2, np.nan])  # item 2 is at rank 3
    np.testing.assert_allclose(beyond.serendipity(mine, 3, popular), [0, 1 / 3, np.nan])
    np.testing.assert_allclose(beyond.serendipity(mine, 3, mine), [0, 0, np.nan])
    with pytest.raises(ValueError, match="other requests"):
        beyond.serendipity(mine, 2, slates([[1]], [[1]]))


def test_age_is_in_days_and_skips_items_of_unknown_age():
    available = np.array([0, 2 * DAY, MISSING_TIME, FOREVER, 6 * DAY])
    found = timeliness.age(slates([[0, 1, 2], [2, 3], [4]]), 3, np.array([4, 4, 5]) * DAY, available)
    np.testing.assert_array_equal(found, [3, np.nan, -1])


def test_delay_runs_from_arrival_to_the_first_showing():
    available = np.array([0, 11, 12, 13, 10, 15, 16]) * DAY
    available = np.append(available, [MISSING_TIME, FOREVER])
    times = np.array([10, 12, 15, 14]) * DAY
    items, days = timeliness.delay(slates([[0], [1, 7], [1, 3, 4], [3, 5]]), 2, times, available)
    assert items.tolist() == [1, 2, 3, 4, 5]  # with those of the first and the last moment
    np.testing.assert_allclose(days, [1, np.nan, 1, np.nan, -1])  # item 4 stands third


def test_one_number_a_request_even_without_rows():
    judged = slates([[], []])
    with np.errstate(all="raise"):
        assert np.isnan(beyond.novelty(judged, 5, np.ones(3))).all()
    assert np.isnan(variety.diversity(judged, 5, ragged([[0]], "code"))).all()
    assert beyond.coverage(judged, 5, 3) == 0
    items, days = timeliness.delay(slates([]), 5, np.empty(0, np.int64), np.array([0, DAY]))
    assert (items.tolist(), days.tolist()) == ([], [])
