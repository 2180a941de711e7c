"""Several rankers as one: places within a request are joined, whatever the scales of the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.component import InputError, Ranker
from shortlist.pipeline import Averaged, averaged, joined, members
from shortlist.types import Candidates, Samples


class By(Ranker):
    """Scores by a column."""

    column: str

    def score(self, requests, candidates, state=None):
        return {"score": candidates[self.column]}

    def fit(self, samples, valid=None):
        fresh = By(column=self.column)
        fresh.rows_ = len(samples.candidates)
        return fresh


def rows(**columns):
    return Candidates(np.array([0, 0, 0, 1, 1], np.uint32), np.array([4, 5, 6, 4, 5], np.int32), columns)


def test_it_is_minus_the_mean_place_within_each_request():
    given_ = rows(a=np.array([9.0, 1.0, 5.0, 1.0, 2.0]), b=np.array([0.3, 0.2, 0.1, 0.9, 0.1]))
    both = Averaged(rankers={"a": By(column="a"), "b": By(column="b")})
    score = both.score(None, given_)["score"]  # a: 1 3 2 | 2 1, b: 1 2 3 | 1 2
    assert score.tolist() == [-1.0, -2.5, -2.5, -1.5, -1.5]
    assert score.dtype == np.float32
    assert not both.predicts


@given(
    st.lists(st.lists(st.integers(-4, 4), min_size=5, max_size=5), min_size=1, max_size=4),
    st.permutations(range(5)),
    st.integers(0, 3),
)
def test_only_the_order_of_scores_counts(scores, order, which):
    """Any rising function of a ranker's scores, and any order of the rows, leaves the answer as it is."""
    columns = {f"c{n}": np.array(one, np.float32) for n, one in enumerate(scores)}
    both = Averaged(rankers={name: By(column=name) for name in columns})
    expected = both.score(None, rows(**columns))["score"]
    stretched = {n: np.exp(c) if n == f"c{which}" else c for n, c in columns.items()}
    assert np.array_equal(both.score(None, rows(**stretched))["score"], expected)
    shuffled = np.array(sorted(order, key=lambda row: row >= 3))  # requests stand together, as everywhere
    assert np.array_equal(both.score(None, rows(**columns).take(shuffled))["score"], expected[shuffled])
    assert np.array_equal(averaged([rows(**columns).rank_of(name) for name in columns]), expected)


def test_each_is_fitted_and_none_is_changed():
    one = By(column="a")
    made = Averaged(rankers={"a": one, "b": By(column="b")})
    given_ = rows(a=np.zeros(5), b=np.zeros(5))
    fitted = made.fit(Samples(None, given_, {}, None))  # type: ignore[arg-type]
    assert [ranker.rows_ for ranker in fitted.rankers.values()] == [5, 5]
    assert not hasattr(one, "rows_")


def test_a_name_says_who_is_joined():
    rankers = {"a": By(column="a"), "b": By(column="b"), "c": By(column="c")}
    assert joined("b", rankers) is rankers["b"]
    assert joined("c+a", rankers).rankers == {"c": rankers["c"], "a": rankers["a"]}
    assert members("a+b") == ["a", "b"]
    with pytest.raises(InputError, match=r"serve: 'a\+a' has a ranker twice"):
        members("a+a")


def test_the_chance_of_an_average_is_unknown_where_one_of_them_draws():
    class Draws(By):
        def score(self, requests, candidates, state=None):
            return {"score": candidates[self.column], "propensity": np.full(len(candidates), 0.5, np.float32)}

    both = Averaged(rankers={"a": By(column="a"), "b": Draws(column="a")})
    found = both.score(None, rows(a=np.arange(5.0)))
    assert np.isnan(found["propensity"]).all()
    assert "propensity" not in Averaged(rankers={"a": By(column="a")}).score(None, rows(a=np.arange(5.0)))
