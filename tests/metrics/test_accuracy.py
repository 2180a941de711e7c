"""Accuracy of lists against the textbook definition in loops, scikit-learn, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.types import Candidates, Ragged


def lists(shown: list[list[int]]) -> Candidates:
    request = np.repeat(np.arange(len(shown), dtype=np.uint32), [len(row) for row in shown])
    return Candidates(request, np.array([i for row in shown for i in row], np.int32))


def ragged(rows: list[list[int]], **columns: list[bool]) -> Ragged:
    offsets = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    items = np.array([i for row in rows for i in row], np.int32)
    return Ragged(offsets, {"item": items, **{name: np.array(c, bool) for name, c in columns.items()}})


def slates(shown: list[list[int]], targets: list[list[int]], k: int = 100) -> Slates:
    return Slates.of(lists(shown), ragged(targets), k)


def plain(name: str, shown: list[int], targets: list[int], k: int) -> float:
    """Each definition once more, for one request, by hand."""
    if not targets:
        return math.nan
    hits = [item in targets for item in shown[:k]]
    if name == "recall":
        return sum(hits) / len(targets)
    if name == "precision":
        return sum(hits) / k
    if name == "hit":
        return float(any(hits))
    if name == "mrr":
        return next((1 / r for r, h in enumerate(hits, 1) if h), 0.0)
    if name == "map":
        total = sum(sum(hits[:r]) / r for r, h in enumerate(hits, 1) if h)
        return total / min(k, len(targets))
    gain = sum(1 / math.log2(r + 1) for r, h in enumerate(hits, 1) if h)
    return gain / sum(1 / math.log2(r + 1) for r in range(1, min(k, len(targets)) + 1))


item_lists = st.lists(st.integers(0, 30), unique=True, max_size=12)
worlds = st.lists(st.tuples(item_lists, item_lists), min_size=1, max_size=8)


@settings(deadline=None, derandomize=True)
@given(world=worlds, k=st.integers(1, 15))
def test_each_metric_is_its_definition(world, k):
    shown, targets = [list(s) for s, _ in world], [list(t) for _, t in world]
    judged = slates(shown, targets)
    for name, metric in accuracy.AT_K:
        expected = [plain(name, s, t, k) for s, t in zip(shown, targets, strict=True)]
        np.testing.assert_allclose(metric(judged, k), expected, rtol=1e-12, err_msg=name)


@settings(deadline=None, derandomize=True)
@given(world=worlds, k=st.integers(1, 15))
def test_values_lie_between_0_and_1_and_recall_grows_with_k(world, k):
    judged = slates([list(s) for s, _ in world], [list(t) for _, t in world])
    for value in accuracy.per_request(judged, [k]).values():
        defined = value[~np.isnan(value)]
        assert np.all((defined >= 0) & (defined <= 1 + 1e-12))
    for growing in (accuracy.recall, accuracy.hit, accuracy.mrr):
        assert not np.any(growing(judged, k + 1) < growing(judged, k))


@settings(deadline=None, derandomize=True)
@given(world=worlds, seed=st.integers(0, 1000))
def test_the_order_of_requests_does_not_matter(world, seed):
    order = np.random.default_rng(seed).permutation(len(world))
    once = accuracy.per_request(slates([list(s) for s, _ in world], [list(t) for _, t in world]), [5])
    turned = [world[i] for i in order]
    again = accuracy.per_request(slates([list(s) for s, _ in turned], [list(t) for _, t in turned]), [5])
    for name, value in once.items():
        np.testing.assert_array_equal(again[name], value[order])


@settings(deadline=None, derandomize=True)
@given(targets=st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=20), k=st.integers(1, 25))
def test_a_list_of_the_targets_alone_is_perfect(targets, k):
    judged = slates([targets], [targets[::-1]])
    for metric in (accuracy.ndcg, accuracy.ndcg_known, accuracy.average_precision, accuracy.mrr, accuracy.hit):
        assert metric(judged, k) == pytest.approx([1.0])
    assert accuracy.recall(judged, k) == pytest.approx([min(k, len(targets)) / len(targets)])


def test_agrees_with_scikit_learn_on_whole_rankings():
    rng = np.random.default_rng(3)
    n, items, k = 40, 30, 10
    score = rng.normal(size=(n, items))
    relevant = rng.random((n, items)) < 0.2
    relevant[np.arange(n), rng.integers(0, items, n)] = True
    shown = np.argsort(-score, axis=1)
    judged = slates(shown.tolist(), [np.flatnonzero(row).tolist() for row in relevant])
    per_row = [ndcg_score(relevant[r : r + 1], score[r : r + 1], k=k) for r in range(n)]
    np.testing.assert_allclose(accuracy.ndcg(judged, k), per_row, rtol=1e-12)
    whole = [average_precision_score(relevant[r], score[r]) for r in range(n)]
    np.testing.assert_allclose(accuracy.average_precision(judged, items), whole, rtol=1e-12)


def test_a_known_ideal_forgives_only_what_could_not_be_known():
    targets = ragged([[3, 1, 2], [4], [5]], known=[True, True, False, False, True])
    judged = Slates.of(lists([[1, 9, 3], [8], [5]]), targets, 3)
    assert judged.known.tolist() == [2, 0, 1]
    assert accuracy.ndcg_known(judged, 3)[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert np.isnan(accuracy.ndcg_known(judged, 3)[1])
    assert accuracy.ndcg(judged, 3)[1] == 0
    # 2, which could not be known, is a hit of one kind only
    both = Slates.of(lists([[2, 3]]), targets.take([0]), 2)
    assert both.hit.tolist() == [True, True]
    assert both.known_hit.tolist() == [False, True]
    # an unknown item that was shown all the same earns nothing beside the known ideal
    lucky = Slates.of(lists([[2]]), ragged([[1, 2]], known=[True, False]), 3)
    assert accuracy.ndcg_known(lucky, 3) == 0
    assert accuracy.ndcg(lucky, 3) > 0


def test_an_empty_slate_misses_everything_and_no_target_means_no_value():
    judged = slates([[], [1], [2]], [[1], [], [2]])
    np.testing.assert_array_equal(accuracy.recall(judged, 5), [0, np.nan, 1])
    np.testing.assert_array_equal(accuracy.mrr(judged, 5), [0, np.nan, 1])


def test_a_repeated_item_is_one_hit():
    judged = slates([[7, 7, 7]], [[7]])
    assert judged.hit.tolist() == [True, False, False]
    assert accuracy.recall(judged, 3) == 1


def test_no_requests_at_all():
    judged = slates([], [])
    assert all(len(value) == 0 for value in accuracy.per_request(judged, [10]).values())


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="same target twice"):
        slates([[1]], [[1, 1]])
    with pytest.raises(ValueError, match="k must be from 1 to 10"):
        accuracy.ndcg(slates([[1]], [[1]], k=10), 11)
    with pytest.raises(ValueError, match="ascending and below 1"):
        Slates.of(lists([[1], [2]]), ragged([[1]]), 10)
    one, none = np.ones(3, np.int32), np.zeros(3, bool)
    with pytest.raises(ValueError, match="ascending and below 3"):
        Slates(np.array([0, 2, 1], np.uint32), one, one, none, none, np.ones(3, np.int64), np.ones(3, np.int64), 10)
