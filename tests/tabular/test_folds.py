"""Grids, folds and the choice between settings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from shortlist.component import InputError, Ranker
from shortlist.tabular import folds
from shortlist.tabular.samples import plain_samples


class Memory(Ranker):
    """Knows the rows it was fitted on by heart; for others it answers ``sign`` times the column."""

    sign: int = 1
    """Which way round."""
    personalised: ClassVar[bool] = False

    def fit(self, samples, valid=None):
        self.seen_ = np.sort(samples.candidates["row"])
        return self

    def score(self, requests, candidates, state=None):
        assert not np.isin(candidates["row"], self.seen_).any(), "measured on rows it was trained on"
        return {"score": (self.sign * candidates["x"]).astype(np.float32)}


def samples(m=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=m).astype(np.float32)
    label = (x + rng.normal(size=m) > 0).astype(np.float32)
    return plain_samples({"x": x, "row": np.arange(m, dtype=np.int32)}, label)


def test_grid_is_every_combination():
    assert folds.grid({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert folds.grid({}) == [{}]
    with pytest.raises(InputError, match=r"search\.a: expected a list of values to try, found 3"):
        folds.grid({"a": 3})


def test_random_search_takes_points_of_the_grid_and_repeats_with_its_seed():
    points = folds.grid({"a": list(range(50))})
    some = folds.thinned(points, 5, seed=1)
    assert len(some) == 5
    assert all(point in points for point in some)
    assert some == folds.thinned(points, 5, seed=1) != folds.thinned(points, 5, seed=2)


@pytest.mark.parametrize(("n", "k"), [(10, 2), (11, 5), (7, 7)])
def test_folds_measure_every_request_once_and_never_train_on_it(n, k):
    parts = folds.folds(n, k, seed=3)
    assert sorted(np.concatenate([rest for _, rest in parts]).tolist()) == list(range(n))
    for train, rest in parts:
        assert sorted([*train, *rest]) == list(range(n))
        assert abs(len(rest) - n / k) < 1


def test_too_many_folds_are_refused():
    with pytest.raises(InputError, match=r"cross_validation\.folds: expected 2 to 3"):
        folds.folds(3, 4, 0)


def test_the_better_setting_wins_and_workers_change_nothing():
    points = folds.grid({"sign": [-1, 1]})
    alone = folds.cross_validate(lambda p: Memory(**p), samples(), points, 4, seed=0)
    both = folds.cross_validate(lambda p: Memory(**p), samples(), points, 4, seed=0, workers=2)
    assert alone == both
    assert folds.best(alone).params == {"sign": 1}
    assert alone[0].mean == pytest.approx(1 - alone[1].mean)
    assert len(alone[0].folds) == 4
