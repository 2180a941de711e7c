"""Trees: the forest kernel against the libraries' own predict, and what each ranker promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.rank._lightgbm import read_lightgbm
from shortlist.rank.gbdt import GBDT
from shortlist.rank.gbdt_lr import GBDTLR
from shortlist.rank.tree import Tree

from ._tables import auc, made_up, score

lgb = pytest.importorskip("lightgbm")


def awkward(ranker, seed=3):
    """Encoded rows with every kind of cell a split may meet."""
    x = ranker.encode(made_up(seed=seed).candidates)
    x[::3, 0] = np.nan  # a gap in a column that had none in training
    x[1::5, 0] = np.inf
    x[2::5, 1] = -np.inf
    x[3::7, 2] = np.nan
    x[4::11, 2] = 4000.0  # a category beyond every set
    x[5::11, :2] = 0.0
    return x


@pytest.mark.parametrize("config", [{}, {"category_min_rows": 1, "leaves": 63}, {"leaves": 2, "trees": 3}])
def test_the_kernel_is_lightgbms_predict(config):
    ranker = GBDT(**{"trees": 40, "min_leaf": 5, **config}).fit(made_up())
    booster = lgb.Booster(model_str=ranker.files()["model.txt"].decode())
    x = awkward(ranker)
    assert ("mask" in ranker.nodes_.columns) == (config.get("leaves", 31) <= 32)  # both kernels are tried
    np.testing.assert_allclose(ranker.forest.total(x), booster.predict(x, raw_score=True), atol=1e-9)
    leaves = ranker.forest.leaves(x)
    inner = np.diff(ranker.nodes_.offsets) // 2  # a tree of n leaves has n - 1 inner nodes, which come first
    np.testing.assert_array_equal(leaves - inner, booster.predict(x, pred_leaf=True))
    if config.get("leaves") != 2:
        assert (ranker.nodes_["set"] >= 0).any()  # some splits were on categories


def test_more_rows_than_a_strip_and_trees_of_32_leaves_or_chains():
    x = np.random.default_rng(0).normal(size=(1300, 3)).astype(np.float32)
    y = np.argsort(np.argsort(x[:, 0])) / 1300.0
    booster = lgb.train(
        {"num_leaves": 32, "min_data_in_leaf": 1, "verbosity": -1, "num_threads": 1}, lgb.Dataset(x, y), 3
    )
    forest = read_lightgbm(booster.model_to_string())
    assert (np.diff(forest.nodes.offsets) == 63).all()
    quick = forest.masked()
    np.testing.assert_allclose(quick.total(x), booster.predict(x), atol=1e-9)
    np.testing.assert_array_equal(quick.leaves(x), forest.leaves(x))


def test_one_row_and_no_rows_are_batches_too():
    samples = made_up()
    ranker = GBDT(trees=10).fit(samples)
    whole = score(ranker, samples)
    one = samples.take(np.array([7]))
    np.testing.assert_array_equal(score(ranker, one), whole[70:80])
    assert score(ranker, samples.take(np.empty(0, np.int64))).shape == (0,)


def test_a_label_without_signal_gives_single_leaves():
    samples = made_up(m=100)
    constant = replace(samples, labels={"click": np.ones(100, np.float32)})
    assert np.ptp(score(GBDT(trees=3).fit(constant), samples)) == 0


def test_a_saved_ranker_scores_the_same_from_arrays_alone_and_keeps_its_file():
    samples = made_up()
    ranker = GBDT(trees=10).fit(samples)
    again = GBDT.restore(ranker.config(), ranker.state(), ranker.files())
    np.testing.assert_array_equal(score(again, samples), score(ranker, samples))
    assert again.files() == ranker.files()
    assert "model_" not in ranker.state()
    assert lgb.Booster(model_str=ranker.files()["model.txt"].decode()).num_trees() == 10


def test_a_truncated_model_file_is_refused():
    text = GBDT(trees=3).fit(made_up()).files()["model.txt"].decode()
    with pytest.raises(InputError, match=r"model\.txt"):
        read_lightgbm(text[: len(text) // 2])


def test_early_stopping_keeps_the_trees_that_helped_later_rows():
    train, valid = made_up(m=400), made_up(m=400, seed=1)
    stopped = GBDT(trees=400, learning_rate=0.3, stopping=10).fit(train, valid)
    assert 1 <= len(stopped.nodes_) < 100
    assert len(GBDT(trees=50, stopping=0).fit(train, valid).nodes_) == 50
    everything = GBDT(trees=400, learning_rate=0.3).fit(train)
    assert auc(valid, score(stopped, valid)) > auc(valid, score(everything, valid))


def test_weights_count_as_repeated_rows():
    samples = made_up(m=600)
    a = np.round(samples.candidates["a"])  # few values, so that bins do not depend on how often each occurs
    samples = replace(samples, candidates=replace(samples.candidates, columns={"a": a}))
    heavy = replace(samples, weight=np.where(np.arange(600) < 300, 3, 1).astype(np.float32))
    first = np.arange(30)
    many = np.concatenate([first, first, np.arange(60)])
    repeated = samples.take(np.sort(many))
    params = {"trees": 5, "min_leaf": 1, "leaves": 4}
    got = score(GBDT(**params).fit(heavy), samples)
    np.testing.assert_allclose(got, score(GBDT(**params).fit(repeated), samples), atol=1e-5)
    assert np.abs(got - score(GBDT(**params).fit(samples), samples)).max() > 0.001


def test_lambdarank_ignores_what_is_the_same_for_a_whole_request():
    samples = made_up(seed=5)
    rng = np.random.default_rng(0)
    level = np.repeat(rng.integers(0, 2, 200), 10).astype(np.float32)  # half the requests: every row a positive
    label = np.where(level > 0, 1.0, samples.labels["click"]).astype(np.float32)
    rows = samples.candidates.with_columns(level=level)
    mixed = replace(samples, candidates=rows, labels={"click": label})
    used = GBDT(objective="lambdarank", trees=20).fit(mixed).nodes_
    level_splits = (used["feature"] // 2 == 3) & (used["below"] != used["above"]) & (used["set"] < 0)
    pointwise = GBDT(trees=20).fit(mixed).nodes_
    splits = (pointwise["feature"] // 2 == 3) & (pointwise["below"] != pointwise["above"]) & (pointwise["set"] < 0)
    assert splits.sum() > 5
    assert level_splits.sum() < splits.sum() / 2


@pytest.mark.parametrize("objective", ["lambdarank", "xendcg"])
def test_ranking_objectives_learn_the_order(objective):
    samples, later = made_up(seed=5), made_up(seed=6)
    ranker = GBDT(objective=objective, trees=40, truncation=5).fit(samples, later)
    assert auc(later, score(ranker, later)) > 0.75


def test_rare_categories_are_told_from_nothing_but_each_other():
    samples = made_up(m=400)
    kind = samples.candidates["kind"].copy()
    kind[:3] = 1000
    rows = samples.candidates.with_columns(kind=kind)
    ranker = GBDT(trees=5, min_count=4).fit(replace(samples, candidates=rows))
    x = ranker.encode(rows.with_columns(kind=np.full(400, 7777, np.int32)))
    assert (x[:, 2] == 0).all()
    assert (ranker.encode(rows)[:3, 2] == 0).all()
    assert np.isnan(ranker.encode(rows.with_columns(kind=np.full(400, -1, np.int32)))[:, 2]).all()


def test_the_single_tree_is_cart():
    sklearn_tree = pytest.importorskip("sklearn.tree")
    samples = made_up(m=3000)
    a = np.round(samples.candidates["a"] * 4)
    b = np.round(np.nan_to_num(samples.candidates["b"]) * 4)
    samples = replace(samples, candidates=replace(samples.candidates, columns={"a": a, "b": b}))
    ranker = Tree(leaves=12, min_leaf=30, l2=0.0).fit(samples)
    peer = sklearn_tree.DecisionTreeClassifier(max_leaf_nodes=12, min_samples_leaf=30)
    peer.fit(np.column_stack([a, b]), samples.labels["click"])
    np.testing.assert_allclose(score(ranker, samples), peer.predict_proba(np.column_stack([a, b]))[:, 1], atol=1e-6)


def test_gbdt_lr_is_logistic_regression_over_one_hot_leaves():
    linear = pytest.importorskip("sklearn.linear_model")
    train, later = made_up(), made_up(seed=1)
    ranker = GBDTLR(trees=8, leaves=6, original=False, leaf_l2=5.0, tolerance=1e-8).fit(train)
    booster = lgb.Booster(model_str=ranker.files()["model.txt"].decode())

    def one_hot(samples):
        leaves = booster.predict(ranker.encode(samples.candidates), pred_leaf=True).astype(int)
        return (leaves[:, :, None] == np.arange(6)).reshape(len(leaves), -1).astype(float)

    peer = linear.LogisticRegression(C=0.2, tol=1e-8, max_iter=5000).fit(one_hot(train), train.labels["click"])
    np.testing.assert_allclose(score(ranker, later), peer.predict_proba(one_hot(later))[:, 1], atol=1e-4)


def test_gbdt_lr_trains_trees_on_the_earlier_requests_and_weights_on_the_rest():
    samples = made_up()
    ranker = GBDTLR(trees=5, share=0.5).fit(samples)
    trees = GBDTLR(trees=5, share=1.0, min_count=5).fit(samples.take(np.arange(100)))
    x = samples.candidates["a"]
    assert len(ranker.nodes_) == len(trees.nodes_) == 5
    # The requests of ``made_up`` are in time order: the first half grows the same first split.
    assert ranker.nodes_["threshold"][0] == trees.nodes_["threshold"][0]
    assert x.min() < ranker.nodes_["threshold"][0] < x.max()
    assert auc(samples, score(ranker, samples)) > 0.75


def test_gbdt_lr_with_the_columns_beside_the_leaves_survives_saving():
    train, later = made_up(), made_up(seed=1)
    ranker = GBDTLR(trees=10, crosses=[("a", "kind")]).fit(train)
    again = GBDTLR.restore(ranker.config(), ranker.state(), ranker.files())
    np.testing.assert_array_equal(score(again, later), score(ranker, later))
    alone = GBDTLR(trees=10, original=False).fit(train)
    assert len(ranker.coefficients_) > len(alone.coefficients_)
    assert auc(later, score(ranker, later)) > 0.75


def test_later_rows_without_a_category_or_with_text_in_it_are_refused_by_name():
    valid = made_up(seed=1)
    columns = {name: column for name, column in valid.candidates.columns.items() if name != "kind"}
    text = {**columns, "kind": np.array(["a"] * len(valid.candidates))}
    for change, message in ((columns, "feature column 'kind' is missing"), (text, "feature column 'kind': expected")):
        rows = replace(valid.candidates, columns=change)
        with pytest.raises(InputError, match=message):
            GBDT(trees=3).fit(made_up(), replace(valid, candidates=rows))


def test_later_rows_without_a_label_stop_nothing():
    valid = made_up(seed=1)
    nothing = replace(valid, labels={name: np.full_like(y, np.nan) for name, y in valid.labels.items()})
    alone, beside = GBDT(trees=5).fit(made_up()), GBDT(trees=5).fit(made_up(), nothing)
    assert beside.files() == alone.files()
