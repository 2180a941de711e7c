"""Nets of several labels: planted worlds, rows with gaps, weights of losses, mmoe by the paper's formulas."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from shortlist.component import InputError  # noqa: E402
from shortlist.nn.rows import auc  # noqa: E402
from shortlist.registry import find  # noqa: E402
from shortlist.types import Candidates, Requests, Samples  # noqa: E402

RANKERS = ["shared_bottom", "mmoe", "ple", "esmm"]
QUICK = {"epochs": 2, "batch": 64, "numeric": "standard", "hidden": [4]}


def table(columns, labels):
    """Samples of a plain table: a request a row."""
    m = len(next(iter(labels.values())))
    rows = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), columns)
    requests = Requests.of(np.full(m, -1, np.int32), np.arange(m))
    return Samples(requests, rows, {k: v.astype(np.float32) for k, v in labels.items()}, np.ones(m, np.float32))


def chance(rng, z):
    return rng.random(len(z)) < 1 / (1 + np.exp(-z))


def outputs(ranker, samples):
    return ranker.score(samples.requests, samples.candidates)


def two_labels(m=300, seed=0, **labels):
    """Two numbers and a code, ``like`` after the one and ``watch`` after the other, or the labels that are given."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, m)).astype(np.float32)
    kind = rng.integers(0, 5, m).astype(np.int32)
    made = {"like": chance(rng, 2 * x[0]), "watch": chance(rng, x[1] + kind - 2)}
    return table({"a": x[0], "b": x[1], "kind": kind}, {**made, **labels})


def conflict(m, seed):
    """In each of eight kinds of rows each label follows a direction of its own, and the two pull apart."""
    w = np.random.default_rng(7).normal(size=(2, 8, 4)) * 1.5
    w[1] -= (w[1] * w[0]).sum(1, keepdims=True) / (w[0] ** 2).sum(1, keepdims=True) * w[0] + 0.7 * w[0]
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=(m, 4)), rng.integers(0, 8, m)
    columns = {f"x{i}": x[:, i].astype(np.float32) for i in range(4)}
    like, watch = (chance(rng, (x * side[kind]).sum(1)) for side in w)
    return table({**columns, "kind": kind.astype(np.int32)}, {"like": like, "watch": watch})


@cache
def reached(name, **config):
    """The mean AUC of both labels over two seeds, on rows that were not seen."""
    train, test = conflict(3000, 0), conflict(3000, 1)
    found = []
    for seed in range(2):
        given = {"numeric": "standard", "rate": 0.02, "epochs": 12, "batch": 128, "hidden": [4], "towers": []}
        told = outputs(find("rank", name)(**given, **config, seed=seed).fit(train), test)
        found += [auc(test.labels[label], told[label]) for label in ("like", "watch")]
    return np.mean(found)


def test_labels_in_conflict_keep_apart_where_gates_mix_for_each():
    """Four numbers of a row are all that each label reads: .84 where both must read the same four, .89 where not.

    It is width that the shared bottom lacks: with as many weights as all experts have it reaches .89 here too.
    """
    shared = reached("shared_bottom")
    assert reached("mmoe", experts=4) > shared + 0.03
    assert reached("ple", experts=2, shared=2) > shared + 0.03


def shown(m, seed, kinds=300):
    """(rows with a click and, of those alone, whether it was a conversion; which rows would have been conversions)."""
    taste = np.random.default_rng(5).normal(size=kinds)
    rng = np.random.default_rng(seed)
    kind, u = rng.integers(0, kinds, m), rng.normal(size=m)
    click, would = chance(rng, 1.5 * taste[kind] + u - 2.5), chance(rng, 1.5 * taste[kind] - u - 1)
    columns = {"kind": kind.astype(np.int32), "u": u.astype(np.float32)}
    return table(columns, {"click": click, "buy": np.where(click, would, np.nan)}), would


def test_conversions_learned_on_all_that_was_shown_are_those_of_all_that_was_shown():
    """Clicks tell of rare kinds what the few conversions cannot, and a row without a click teaches too."""
    train, _ = shown(6000, 0)
    test, would = shown(6000, 1)
    entire, clicked = [], []
    for seed in range(2):
        config = {"numeric": "standard", "rate": 0.01, "batch": 256, "hidden": [16], "min_count": 1, "seed": seed}
        esmm = find("rank", "esmm")(blend="buy / click", epochs=6, **config).fit(train)
        entire.append(auc(would, outputs(esmm, test)["score"]))
        alone = [find("rank", "dnn")(label="buy", epochs=n, **config).fit(train) for n in (6, 20)]
        clicked.append(max(auc(would, outputs(ranker, test)["score"]) for ranker in alone))
    assert np.mean(entire) > np.mean(clicked) + 0.03


@pytest.mark.parametrize("name", RANKERS)
def test_each_label_has_its_output_and_the_formula_makes_the_score(name):
    train, test = two_labels(2000), two_labels(1000, 1)
    if name == "esmm":  # steps
        train, test = (replace(s, labels={"like": s.labels["like"], "watch": s.labels["like"] * s.labels["watch"]})
                       for s in (train, test))  # fmt: skip
    config = {"epochs": 12, "batch": 64, "rate": 0.02, "numeric": "standard", "hidden": [8]}
    ranker = find("rank", name)(**config, blend="like ** 0.7 * watch ** 0.3").fit(train, test)
    found = outputs(ranker, test)
    assert list(found) == ["like", "watch", "score"]
    np.testing.assert_allclose(found["score"], found["like"] ** 0.7 * found["watch"] ** 0.3, rtol=1e-5)
    for label in ("like", "watch"):
        assert auc(test.labels[label], found[label]) > 0.78
        assert found[label].mean() == pytest.approx(test.labels[label].mean(), abs=0.05)
    if name == "esmm":
        assert (found["watch"] <= found["like"]).all()
    file = ranker.files()["model.onnx"]
    said = json.loads({e.key: e.value for e in onnx.load_from_string(file).metadata_props}["shortlist"])
    assert (said["labels"], said["score"], said["each"]) == (
        ["like", "watch"], "like ** 0.7 * watch ** 0.3", "sigmoid(logit)",
    )  # fmt: skip


def test_without_a_formula_the_score_is_the_product_or_the_last_step():
    samples = two_labels()
    for name, expected in (("mmoe", lambda p: p["like"] * p["watch"]), ("esmm", lambda p: p["watch"])):
        found = outputs(find("rank", name)(**QUICK).fit(samples), samples)
        np.testing.assert_allclose(found["score"], expected(found), rtol=1e-6)


def test_labels_are_learned_in_the_order_they_are_named():
    samples = two_labels()
    ranker = find("rank", "mmoe")(**QUICK, labels=["watch"]).fit(samples)
    assert list(outputs(ranker, samples)) == ["watch", "score"]
    swapped = find("rank", "mmoe")(**QUICK, labels=["watch", "like"]).fit(samples)
    assert list(outputs(swapped, samples)) == ["watch", "like", "score"]


@pytest.mark.parametrize("name", ["shared_bottom", "mmoe", "ple"])
def test_what_is_not_known_of_a_label_changes_nothing_for_the_others(name):
    """The label counts nothing here, so that only its gaps could reach the other; and it does if it counts."""
    gaps = np.where(np.arange(300) % 3, two_labels().labels["watch"], np.nan)
    found = {}
    for weight in (0.0, 1.0):
        for key, samples in (("whole", two_labels()), ("gaps", two_labels(watch=gaps))):
            found[weight, key] = outputs(find("rank", name)(**QUICK, weights={"watch": weight}).fit(samples), samples)
    np.testing.assert_array_equal(found[0, "whole"]["like"], found[0, "gaps"]["like"])
    assert not np.array_equal(found[1, "whole"]["like"], found[0, "whole"]["like"])
    assert not np.array_equal(found[1, "whole"]["watch"], found[1, "gaps"]["watch"])


@pytest.mark.parametrize("name", RANKERS)
def test_rows_of_which_nothing_is_known_are_as_if_they_were_not_there(name):
    samples = two_labels()
    known = np.arange(300) < 200
    bare = two_labels(**{label: np.where(known, column, np.nan) for label, column in samples.labels.items()})
    fewer = find("rank", name)(**QUICK).fit(samples.take(np.flatnonzero(known)))
    np.testing.assert_array_equal(find("rank", name)(**QUICK).fit(bare).weights_["value"], fewer.weights_["value"])


def test_steps_that_are_not_taken_end_the_chain():
    nan = np.nan
    given = np.array([[1, 1, 1], [0, nan, nan], [1, nan, 1], [nan, 0, 1], [nan, 1, 1], [0, 1, 1]], np.float32)
    told = [[1, 1, 1], [0, 0, 0], [1, nan, nan], [nan, 0, 0], [nan, nan, nan], [0, 0, 0]]
    np.testing.assert_array_equal(find("rank", "esmm")().truth(given), told)


def test_a_step_without_the_one_before_it_is_told(monkeypatch):
    said = []
    monkeypatch.setattr("shortlist.rank.esmm.emit", lambda kind, **facts: said.append((kind, facts["message"])))
    click = np.zeros(300)
    click[:100] = 1
    find("rank", "esmm")(**QUICK).fit(two_labels(like=click, watch=np.roll(click, 10)))
    (one,) = said
    assert one == ("warning", "labels: 10 of 300 rows are 'watch' without 'like' before it; they count as neither")


def test_later_rows_say_when_to_stop_and_it_learns_again_for_as_long():
    train, valid = two_labels(600), two_labels(300, 1)
    for monitor in ("loss", "auc"):
        ranker = find("rank", "mmoe")(epochs=30, rate=0.05, batch=64, monitor=monitor).fit(train, valid)
        assert 0 < ranker.checks_ < 28
        before = outputs(ranker, valid)["score"]
        np.testing.assert_array_equal(outputs(ranker.refit(train), valid)["score"], before)


def test_weights_of_losses():
    """A label that counts nothing is not learned; uncertainties are weights of the net."""
    train = two_labels(600)
    z = {}
    for weights in ({}, {"like": 0.0}, "uncertainty"):
        ranker = find("rank", "shared_bottom")(**QUICK, weights=weights).fit(train)
        z[str(weights)] = auc(train.labels["like"], outputs(ranker, train)["like"])
    assert z["{}"] > z["{'like': 0.0}"]
    at = ranker.weight_names_.tolist().index("uncertainty.bias")
    assert ranker.weights_.row(at)["value"].shape == (2,)
    assert (ranker.weights_.row(at)["value"] != 0).all()


def test_thinned_rows_are_weighed_up_where_training_is_stopped():
    """A row that any label calls good was never thinned out, so it counts the same for the labels that do not."""
    valid = replace(two_labels(100), rate=1.0)
    ranker, seen = find("rank", "mmoe")(**QUICK), []
    figure = type(ranker)._rows
    ranker._rows = lambda samples: seen.append(samples) or figure(ranker, samples)
    ranker.fit(replace(two_labels(), rate=0.25), valid)
    good = (valid.labels["like"] > 0) | (valid.labels["watch"] > 0)
    np.testing.assert_array_equal(seen[1].weight, np.where(good, 1, 0.25).astype(np.float32))


@pytest.mark.parametrize(
    ("config", "labels", "said"),
    [
        ({"weights": {"lke": 2}}, {}, "weights: no label 'lke'; labels are like, watch"),
        ({"labels": ["share"]}, {}, "labels: no label 'share'; there are like, watch"),
        ({}, {"watch": np.full(300, np.nan)}, "labels: expected rows that say 'watch' or not, found NaN in all 300"),
    ],
)
def test_what_cannot_be_learned_is_told(config, labels, said):
    with pytest.raises(InputError) as refused:
        find("rank", "mmoe")(**config).fit(two_labels(**labels))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"weights": {"like": -1}}, "weights"),
        ({"weights": "even"}, "weights"),
        ({"labels": ["like"], "weights": {"watch": 1}}, "weights: no label 'watch'; labels are like"),
        ({"experts": 0}, "experts"),
    ],
)
def test_a_wrong_setting_is_told_when_it_is_written(config, said):
    with pytest.raises(ValueError, match=said):
        find("rank", "mmoe").from_config(config)


def test_mmoe_is_its_formula():
    samples = two_labels()
    ranker = find("rank", "mmoe")(**QUICK, experts=3, towers=[2]).fit(samples)
    inputs = ranker.inputs(samples.requests, samples.candidates)
    state = {name: value.numpy() for name, value in ranker.net().state_dict().items()}
    x = np.concatenate([state["flat.fields.table"][inputs.rows["codes"][:, 0]], inputs.rows["numbers"]], 1)
    experts = [np.maximum(x @ state["experts.0.weight"][i] + state["experts.0.bias"][i], 0) for i in range(3)]
    for k in range(2):
        g = np.exp(x @ state["gates.weight"][k] + state["gates.bias"][k])
        g /= g.sum(1, keepdims=True)
        f = sum(g[:, i : i + 1] * experts[i] for i in range(3))
        h = np.maximum(f @ state["towers.0.weight"][k] + state["towers.0.bias"][k], 0)
        z = h @ state["towers.2.weight"][k] + state["towers.2.bias"][k]
        np.testing.assert_allclose(ranker.predict(inputs)[:, k], z[:, 0], atol=1e-5)
