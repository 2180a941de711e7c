"""How a merge learns, step by step: the ascent only climbs, greedy quotas stop, weights go by name."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.merge._ascent import Task
from shortlist.merge._channels import weights_of
from shortlist.merge._coverage import _covered, greedy


def small(seed: int, requests: int = 7, rows: int = 12, channels: int = 3) -> Task:
    """Random terms, two targets a request, which the first channel ranks far better than chance."""
    rng = np.random.default_rng(seed)
    offsets = np.arange(0, requests * rows + 1, rows)
    item = np.concatenate([rng.permutation(100)[:rows] for _ in range(requests)]).astype(np.int32)
    terms = rng.random((channels, requests * rows)).astype(np.float32)
    hits = np.concatenate([r * rows + rng.permutation(rows)[:2] for r in range(requests)])
    terms[0, hits] += 0.9
    return Task(offsets, item, terms, np.arange(0, 2 * requests + 1, 2), hits, np.full(requests, 2))


@pytest.mark.parametrize("measure", ["ndcg", "recall"])
@pytest.mark.parametrize("seed", range(6))
def test_an_ascent_only_climbs_and_does_climb(measure, seed):
    task = small(seed)
    start = np.array([0.01, 0.5, 0.49])
    weights, value = task.ascend(start.copy(), measure, 3)
    assert value == pytest.approx(task.quality(weights, measure, 3), abs=1e-6)
    assert weights.sum() == pytest.approx(1)
    assert value >= task.quality(start, measure, 3)
    assert value > task.quality(start, measure, 3) + 0.05  # the first channel is the better one


def test_greedy_stops_where_nobody_finds_anything_more():
    nan = np.nan
    assert [q.tolist() for q in greedy(np.full((2, 4), nan, np.float32), 40, 10)] == [[0, 0]]
    assert [q.tolist() for q in greedy(np.array([[1, 2, nan]], np.float32), 40, 10)] == [[0], [10]]
    assert [q.tolist() for q in greedy(np.zeros((0, 4), np.float32), 40, 10)] == [[]]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_covered_counts_the_targets_among_the_rows_that_stay(seed, k):
    """Guaranteed rows stay; the places left go to the others by score, of equals to the smaller item."""
    task, rng = small(seed, requests=5, rows=6), np.random.default_rng(seed)
    fill = np.round(task.terms[0], 1)
    sure = rng.random(len(fill)) < 0.25
    expected = 0
    for r in range(5):
        rows = range(task.offsets[r], task.offsets[r + 1])
        kept = [row for row in rows if sure[row]]
        others = sorted((row for row in rows if not sure[row]), key=lambda row: (-fill[row], task.item[row]))
        kept += others[: max(k - len(kept), 0)]
        expected += sum(int(hit) in kept for hit in task.hits[2 * r : 2 * r + 2])
    assert _covered(task.offsets, task.item, fill, task.hit_offsets, task.hits, sure, k) == expected


def test_weights_go_by_the_channels_names():
    learned = np.array([0.2, 0.8])
    assert weights_of(["a", "b"], ["a", "b"], learned, {}).tolist() == [0.2, 0.8]
    assert weights_of(["b"], ["a", "b"], learned, {}).tolist() == [0.8]  # a failed
    assert weights_of(["b", "c"], ["a", "b"], learned, {}).tolist() == [0.8, 0.5]  # the mean, of one nobody learned
    assert weights_of(["a", "c"], ["a", "b"], learned, {}).tolist() == [0.2, 0.5]
    assert weights_of(["a", "b"], ["a", "b"], None, {"a": 3.0}).tolist() == [3, 1]
    assert weights_of(["a", "b", "c"], ["a", "b"], learned, {"c": 2.0}).tolist() == [0.2, 0.8, 2]
