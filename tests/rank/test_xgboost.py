"""XGBoost through the forest kernel against its own predict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError

from ._tables import auc, made_up, score

xgb = pytest.importorskip("xgboost")


def ranker(**config):
    from shortlist.rank.xgboost import XGBoost

    return XGBoost(**config)


@pytest.mark.parametrize("config", [{}, {"one_hot_below": 1}, {"one_hot_below": 1000}, {"objective": "lambdarank"}])
def test_the_kernel_is_xgboosts_predict(config):
    fitted = ranker(trees=30, depth=5, **config).fit(made_up())
    booster = xgb.Booster(model_file=bytearray(fitted.files()["model.json"]))
    x = fitted.encode(made_up(seed=2).candidates)
    x[::3, 0] = np.nan
    x[3::7, 2] = np.nan
    data = xgb.DMatrix(x, feature_types=["float", "float", "c"], enable_categorical=True)
    np.testing.assert_allclose(fitted.forest.total(x), booster.predict(data, output_margin=True), atol=1e-5)
    assert (fitted.nodes_["set"] >= 0).any()


def test_early_stopping_and_saving():
    train, valid = made_up(m=400), made_up(m=400, seed=1)
    fitted = ranker(trees=400, learning_rate=0.3, stopping=10).fit(train, valid)
    assert 1 <= len(fitted.nodes_) - 1 < 100  # the last tree holds the base score
    again = type(fitted).restore(fitted.config(), fitted.state(), fitted.files())
    np.testing.assert_array_equal(score(again, valid), score(fitted, valid))
    assert again.files() == fitted.files()
    assert auc(valid, score(fitted, valid)) > 0.75


@pytest.mark.parametrize("objective", ["pointwise", "lambdarank"])
def test_refit_takes_as_many_trees_as_were_best(objective):
    train, valid = made_up(m=400), made_up(m=400, seed=1)
    fitted = ranker(trees=400, learning_rate=0.3, stopping=10, objective=objective).fit(train, valid)
    best = len(fitted.forest) - 1
    assert best < 400
    again = type(fitted).restore(fitted.config(), fitted.state(), fitted.files()).refit(valid)
    plain = ranker(**{**fitted.config(), "trees": best}).fit(valid)
    np.testing.assert_array_equal(score(again, valid), score(plain, valid))


def test_what_is_not_a_model_is_refused():
    from shortlist.rank._xgboost import read_xgboost

    with pytest.raises(InputError, match=r"model\.json"):
        read_xgboost(b'{"learner": {}}')


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_learned_as_such(label):
    samples = made_up(100)
    fitted = ranker(trees=2).fit(replace(samples, labels={"click": np.full(100, label, np.float32)}))
    np.testing.assert_allclose(score(fitted, samples), label, atol=1e-6)
