"""A ranking experiment on a plain table, from the recipe to evaluation.json."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.recipe import parse
from shortlist.tabular import experiment
from shortlist.tabular import samples as tabular
from shortlist.tabular.samples import samples_of


def frame(m, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 70, m).astype(float)
    job = rng.choice(["nurse", "smith", "cook", None], m)
    rich = rng.random(m) < 1 / (1 + np.exp(-(age - 45) / 8 - 1.5 * (job == "smith")))
    ages = [None if gap else value for gap, value in zip(rng.random(m) < 0.1, age, strict=True)]
    return pl.DataFrame({"age": ages, "job": job.tolist(), "rich": rich.astype(int)}).cast({"rich": pl.Int8})


@pytest.fixture
def table(monkeypatch):
    plain = PlainTable(frame(400, 0), frame(300, 1), "rich", {"age": "number", "job": "category"}, "abc")
    monkeypatch.setattr(tabular, "source", lambda name: lambda spec, root: plain)
    return plain


def recipe(**rank):
    return parse(
        {
            "name": "t",
            "seed": 3,
            "data": {"source": "adult"},
            "cross_validation": {"folds": 2, "seeds": [0, 1]},
            "rank": rank,
        }
    )


def test_an_auc_that_is_not_a_number_is_null_and_a_failed_write_leaves_the_old_file(table, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "compete", lambda entrant, *_: ({"test_auc": float("nan")}, entrant.make({})))
    document = experiment.run(recipe(line={"type": "logistic"}), out=tmp_path)
    assert document["rankers"] == {"line": {"test_auc": None}}
    before = (tmp_path / "evaluation.json").read_text()
    assert json.loads(before) == document
    monkeypatch.setattr(experiment, "compete", lambda entrant, *_: ({"test_auc": object()}, entrant.make({})))
    with pytest.raises(TypeError):
        experiment.run(recipe(line={"type": "logistic"}), out=tmp_path)
    assert (tmp_path / "evaluation.json").read_text() == before


def test_samples_of_a_table_have_a_request_a_row_and_shared_codes(table):
    train, test = samples_of(table)
    assert len(train.requests) == len(train) == 400
    assert (train.candidates.item == -1).all()
    job, there = train.candidates["job"], test.candidates["job"]
    assert job.dtype == np.int32
    for part, codes in ((table.train, job), (table.test, there)):
        names = [None if code < 0 else ["cook", "nurse", "smith"][code] for code in codes]
        assert names == part["job"].to_list()
    assert np.isnan(train.candidates["age"]).sum() == table.train["age"].null_count() > 0
    assert train.labels["rich"].tolist() == table.train["rich"].to_list()


def test_every_ranker_is_tuned_on_training_rows_and_reported(table, tmp_path):
    document = experiment.run(
        recipe(
            line={"type": "logistic", "buckets": 5, "search": {"without": [["age"], []]}},
            trees={"type": "gbdt", "trees": 10, "rows": 0.5},
        ),
        out=tmp_path,
    )
    assert document == json.loads((tmp_path / "evaluation.json").read_text())
    line, trees = document["rankers"]["line"], document["rankers"]["trees"]
    assert line["chosen"] == {"without": []}
    assert line["cv_auc"] == max(trial["cv_auc"] for trial in line["search"])
    assert line["test_auc"] > 0.8
    assert line["reference"]["test_auc"] == 0.89734
    assert [row["seed"] for row in trees["seeds"]] == [0, 1]
    assert trees["seeds"][0]["test_auc"] != trees["seeds"][1]["test_auc"]  # the seed reaches the ranker
    assert trees["test_auc"] == pytest.approx(np.mean([row["test_auc"] for row in trees["seeds"]]))


def test_the_test_rows_decide_nothing(table, monkeypatch):
    one = {"type": "logistic", "search": {"l2": [1.0, 100.0], "buckets": [0, 10]}}
    first = experiment.run(recipe(one=one))["rankers"]["one"]
    other = PlainTable(table.train, frame(300, 9), "rich", table.kinds, "abc")
    monkeypatch.setattr(tabular, "source", lambda name: lambda spec, root: other)
    second = experiment.run(recipe(one=one))["rankers"]["one"]
    assert second["test_auc"] != first["test_auc"]
    assert (second["chosen"], second["search"]) == (first["chosen"], first["search"])


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        ({"a": {"type": "logistic", "l3": 1}}, r"rank\.a\.l3: unknown; did you mean l"),
        ({"a": {"type": "logistic", "search": {"l2": 1.0}}}, r"rank\.a\.search\.l2: expected a list"),
        ({"a": {"type": "logistic", "search": {"l2": [1.0, -1.0]}}}, r"rank\.a\.l2: "),
        ({"a": {"type": "logistc"}}, r"rank\.a\.type: no rank component 'logistc'; did you mean logistic"),
        ({}, "neither channels nor rankers"),
    ],
)
def test_a_wrong_key_is_named_before_anything_is_read(rank, message):
    with pytest.raises(InputError, match=message):
        experiment.run(recipe(**rank))


def test_an_unknown_search_key_is_named():
    tables = {"name": "t", "data": {"source": "adult"}, "rank": {"type": "logistic"}, "cross_validation": {"fold": 2}}
    with pytest.raises(InputError, match=r"^cross_validation\.fold: unknown; did you mean folds"):
        experiment.run(parse(tables))
