"""The factorisation family: planted crosses of second and third order, FNN's beginning, each ranker's own options."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from shortlist.nn import loop
from shortlist.nn.rows import auc
from shortlist.rank.fm import FM
from shortlist.rank.fnn import FNN
from shortlist.rank.nfm import NFM
from shortlist.rank.xdeepfm import XDeepFM
from shortlist.registry import find
from shortlist.testing.worlds import crossed
from shortlist.types import Samples

from ._tables import made_up, score

FAMILY = ["afm", "dcn", "ffm", "fnn", "nfm", "pnn", "xdeepfm"]
LEARN = {"rate": 0.02, "epochs": 8, "batch": 256}
SETTINGS = [
    ("afm", {}),
    ("dcn", {"version": 1}),
    ("dcn", {"version": 2}),
    ("dcn", {"version": 2, "rank": 4, "stacked": True}),
    ("ffm", {}),
    ("fnn", {"pretrain": 3}),
    ("nfm", {"batch_norm": True, "dropout": 0.1}),
    ("pnn", {"product": "inner"}),
    ("pnn", {"product": "outer"}),
    ("pnn", {"product": "kernel"}),
    ("xdeepfm", {}),
]


@cache
def reached(name, order, **config):
    """The AUC on a planted cross of that order, of rows that it has not seen."""
    train, test = crossed(order, 4000, seed=0), crossed(order, 3000, seed=1)
    ranker = find("rank", name)(**({} if name == "logistic" else LEARN | config)).fit(train)
    return auc(test.labels["label"], score(ranker, test))


def test_a_world_of_crosses_is_as_it_says():
    for order in (2, 3):
        rows = crossed(order, 20_000, seed=3)
        sign = np.ones(len(rows))
        for n in range(order):
            column = rows.candidates[f"c{n}"]
            assert set(column) == set(range(6))
            assert abs(np.corrcoef(column % 2, rows.labels["label"])[0, 1]) < 0.03
            sign *= 1 - 2 * (column % 2)
        assert auc(rows.labels["label"], sign) == pytest.approx(1 / (1 + np.exp(-2)), abs=0.01)
        assert len(rows.candidates.columns) == order + 2


def test_a_cross_of_second_order_is_out_of_a_linear_models_reach():
    plain = reached("logistic", 2)
    assert plain < 0.53
    assert reached("fm", 2) > plain + 0.3  # .87 against .50
    assert reached("ffm", 2) > plain + 0.3


def test_a_cross_of_third_order_is_out_of_a_factorisation_machines_reach():
    plain, machine = reached("logistic", 3), reached("fm", 3)
    assert max(plain, machine) < 0.55
    for name in ("dcn", "xdeepfm"):
        assert reached(name, 3) > max(plain, machine) + 0.3, name  # .89 against .50


@pytest.mark.parametrize("version", [1, 2])
def test_cross_layers_alone_find_the_third_order(version):
    one, two = (_without_layers("dcn", version=version, crosses=n) for n in (1, 2))
    assert one < 0.6 < 0.8 < two


def _without_layers(name, **config):
    """The AUC on a cross of third order with no hidden layers, so that only the crosses can have found it."""
    train, test = crossed(3, 4000, seed=0), crossed(3, 3000, seed=1)
    ranker = find("rank", name)(**LEARN, hidden=[], **config).fit(train)
    return auc(test.labels["label"], score(ranker, test))


def test_maps_of_the_interaction_network_alone_find_the_third_order():
    one, two = (_without_layers("xdeepfm", crosses=maps) for maps in ([16], [16, 16]))
    assert one < 0.6 < 0.8 < two


@pytest.mark.parametrize(("name", "config"), SETTINGS)
def test_numbers_gaps_and_categories_are_learned(name, config):
    train, test = made_up(2000, 0), made_up(1000, 1)
    ranker = find("rank", name)(buckets=10, epochs=8, rate=0.01, batch=128, **config).fit(train)
    assert auc(test.labels["click"], score(ranker, test)) > 0.8
    assert 0.35 < score(ranker, test).mean() < 0.65
    again = type(ranker).restore(ranker.config(), ranker.state())
    np.testing.assert_array_equal(score(again, test), score(ranker, test))


@pytest.mark.parametrize(("name", "config"), SETTINGS)
def test_one_column_is_enough(name, config):
    samples = made_up(300)
    ranker = find("rank", name)(columns=["kind"], epochs=1, **config).fit(samples)
    assert np.isfinite(score(ranker, samples)).all()
    np.testing.assert_allclose(score(ranker, samples.take(np.array([3]))), score(ranker, samples)[30:40], rtol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_numbers_may_have_vectors_of_their_own(name):
    samples = made_up(400)
    for numeric in ("standard", "piecewise", "periodic"):
        assert np.isfinite(score(find("rank", name)(numeric=numeric, epochs=1).fit(samples), samples)).all()


def seen(monkeypatch):
    """What each call of the loop found and left: (net, weights before the first step, after the last)."""
    calls, train, initialise = [], loop.train, loop.initialise

    def copied(net):
        return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    def watched(net, generator, share):
        initialise(net, generator, share)
        calls.append([copied(net)])

    def trained(net, *args):
        checks = train(net, *args)
        calls[-1].append(copied(net))
        return checks

    monkeypatch.setattr(loop, "initialise", watched)
    monkeypatch.setattr(loop, "train", trained)
    return calls


def test_fnn_begins_where_the_factorisation_machine_ended(monkeypatch):
    train, valid = made_up(800, 0), made_up(400, 1)
    calls = seen(monkeypatch)
    config = {"rate": 0.01, "batch": 128, "epochs": 20}
    ranker = FNN(**config, pretrain=20).fit(train, valid)
    (_, machine), (begun, ended) = calls
    assert torch.equal(begun["fields.table"], machine["fields.table"])
    assert not torch.equal(ended["fields.table"], machine["fields.table"])
    alone = FM(**config).fit(train, valid)  # it was that machine
    assert ranker.pretrain_checks_ == alone.checks_
    at = alone.weight_names_.tolist().index("fields.table")
    np.testing.assert_array_equal(machine["fields.table"].numpy().ravel(), alone.weights_.row(at)["value"])


def test_fnn_learns_again_for_as_long_as_both_parts_did(monkeypatch):
    train, valid = made_up(800, 0), made_up(400, 1)
    ranker = FNN(rate=0.02, batch=64, epochs=20, pretrain=30).fit(train, valid)
    expected, checks = score(ranker, valid), (ranker.pretrain_checks_, ranker.checks_)
    assert 0 < checks[0] < 28
    again = FNN.restore(ranker.config(), ranker.state()).refit(train)
    assert (again.pretrain_checks_, again.checks_) == checks
    np.testing.assert_array_equal(score(again, valid), expected)
    calls = seen(monkeypatch)
    assert "pretrain_checks_" not in vars(FNN(pretrain=0, epochs=1).fit(train))
    assert len(calls) == 1


def test_options_change_the_net():
    samples = made_up(300)
    for name, key, options in [
        ("pnn", "product", ["inner", "outer", "kernel"]),
        ("dcn", "version", [1, 2]),
        ("dcn", "rank", [0, 3]),
        ("dcn", "stacked", [False, True]),
        ("afm", "attention", [2, 3]),
        ("xdeepfm", "crosses", [[4], [4, 4]]),
    ]:
        sizes = {find("rank", name)(epochs=1, **{key: value}).fit(samples).weights_.offsets[-1] for value in options}
        assert len(sizes) == len(options), (name, key)


def test_dropout_and_norm_reach_the_pooled_vector():
    samples = made_up(300)
    base = score(NFM(epochs=1, hidden=[]).fit(samples), samples)
    for option in ({"dropout": 0.5}, {"batch_norm": True}):
        assert not np.array_equal(score(NFM(epochs=1, hidden=[], **option).fit(samples), samples), base)


def test_rows_of_several_requests_are_ordered_too():
    samples = made_up(300)
    ranker = XDeepFM(objective="softmax", epochs=1).fit(samples)
    z = score(ranker, Samples.concat([samples, samples]))
    np.testing.assert_allclose(z[:300], score(ranker, samples), rtol=1e-4, atol=1e-5)
