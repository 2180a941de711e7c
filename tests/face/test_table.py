"""Plain tables: what becomes a number, a category, a label; and rankers fitted on them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shortlist as sl
from shortlist.component import InputError


@pytest.fixture(scope="module")
def people(desk) -> pl.DataFrame:
    return pl.read_csv(desk / "people.csv")


def test_a_frame_becomes_samples_to_learn_from_and_to_test_on(people):
    train, test = sl.table(people, label="income", positive=">50K", test=0.25, seed=3)
    assert (len(train), len(test)) == (3000, 1000)
    assert train.labels["income"].sum() + test.labels["income"].sum() == (people["income"] == ">50K").sum()
    assert train.candidates["age"].dtype == np.float32
    assert train.candidates["workclass"].dtype == np.int32
    assert "income" not in train.candidates
    assert repr(train).startswith("Samples: 3,000 rows of 3,000 requests; columns age, workclass, ")
    ranker = sl.GBDT(trees=30).fit(train)
    score = ranker.score(test.requests, test.candidates)["score"]
    assert sl.auc(ranker, test) > 0.85
    positive = test.labels["income"] > 0
    pairs = score[positive][:, None] - score[~positive][None, :]
    assert sl.auc(ranker, test) == pytest.approx(np.mean(pairs > 0) + np.mean(pairs == 0) / 2)


def test_the_share_held_back_is_drawn_by_its_seed(people):
    one, same, another = (sl.table(people, label="income", positive=">50K", seed=s).test for s in (1, 1, 2))
    np.testing.assert_array_equal(one.candidates["age"], same.candidates["age"])
    assert not np.array_equal(one.candidates["age"], another.candidates["age"])


def test_rows_to_score_may_have_no_label(people):
    parts = people.head(3000), people.tail(1000)
    train, new = sl.table(parts[0], label="income", positive=">50K", test=parts[1].drop("income"))
    assert np.isnan(new.labels["income"]).all()
    _, known = sl.table(parts[0], label="income", positive=">50K", test=parts[1])
    ranker = sl.GBDT(trees=5).fit(train)
    scores = [ranker.score(part.requests, part.candidates)["score"] for part in (new, known)]
    np.testing.assert_array_equal(*scores)


def test_columns_are_what_one_says(people):
    train, _ = sl.table(people, label="income", positive=">50K", categories=["education-num"], without=["fnlwgt"])
    assert train.candidates["education-num"].dtype == np.int32
    assert "fnlwgt" not in train.candidates
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0, None, 4.0], "c": ["a", "b", None, "a"], "y": [True, False, True, False]})
    train, _ = sl.table(frame, label="y", test=frame)
    np.testing.assert_array_equal(train.labels["y"], [1, 0, 1, 0])
    np.testing.assert_array_equal(train.candidates["x"], [1, 2, np.nan, 4])
    np.testing.assert_array_equal(train.candidates["c"], [0, 1, -1, 0])


def test_a_named_table_has_its_own_split():
    train, test = sl.table("adult")
    assert (len(train), len(test)) == (32_561, 16_281)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say which column is the label"),
        ({"label": "wage"}, "table: no column 'wage'; there are age"),
        ({"label": "income"}, "label 'income': expected 0 and 1, found .*say which is 1"),
        ({"label": "income", "positive": ">50K", "test": 1.5}, "test: expected a share between 0 and 1"),
        ({"label": "income", "positive": ">50K", "test": pl.DataFrame({"age": [1]})}, "test: no column"),
    ],
)
def test_what_is_wrong_is_said(people, options, message):
    with pytest.raises(sl.InputError, match=message):
        sl.table(people, **options)


def test_wrong_names_and_kinds_are_said(people):
    with pytest.raises(sl.InputError, match="found nothing"):
        sl.table("people.csv", label="income")
    with pytest.raises(sl.InputError, match=r"See sl.read\('movielens-100k'\)"):
        sl.table("movielens-100k")
    with pytest.raises(sl.InputError, match=r"column 'days' is .*; expected numbers, text or truth values"):
        sl.table(people.with_columns(days=pl.lit([1])), label="income", positive=">50K")


@pytest.mark.parametrize("beyond", [float("inf"), 1e300, -1e39])
def test_a_number_beyond_what_is_kept_is_refused(people, beyond):
    wrong = people.with_row_index("n").with_columns(
        age=pl.when(pl.col("n") == 41).then(beyond).otherwise(pl.col("age").cast(pl.Float64))
    )
    with pytest.raises(InputError, match=r"^table: row \d+, column 'age': expected a number, found "):
        sl.table(wrong.drop("n"), label="income", positive=">50K")
