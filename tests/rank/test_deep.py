"""Deep rankers: planted crosses, lists, ids, history, early stopping, refit, the way through saved arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shortlist.component import InputError
from shortlist.progress import listening
from shortlist.rank.deepfm import DeepFM
from shortlist.rank.dnn import DNN
from shortlist.rank.fm import FM
from shortlist.rank.gbdt import GBDT
from shortlist.rank.logistic import Logistic
from shortlist.rank.wide_deep import WideDeep
from shortlist.registry import find
from shortlist.types import HISTORY, Candidates, Ragged, Requests, Samples

from ._tables import auc, made_up, score

DEEP = [FM, DeepFM, DNN, WideDeep]


def crossed(m=4000, seed=0, values=12):
    """The label is which of two groups two categories are in, together: alone, each says nothing."""
    rng = np.random.default_rng(seed)
    a, b, noise = (rng.integers(0, values, m).astype(np.int32) for _ in range(3))
    z = np.where((a % 2) == (b % 4 > 1), 1.5, -1.5)
    label = (rng.random(m) < 1 / (1 + np.exp(-z))).astype(np.float32)
    rows = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), {"a": a, "b": b, "noise": noise})
    return Samples(Requests.of(np.zeros(m), np.zeros(m)), rows, {"click": label}, np.ones(m, np.float32))


def test_a_planted_cross_is_learned():
    train, test = crossed(seed=0), crossed(seed=1)
    plain = auc(test, score(Logistic().fit(train), test))
    assert plain < 0.6
    for cls in (FM, DeepFM):
        ranker = cls(epochs=12, rate=0.02)
        assert auc(test, score(ranker.fit(train), test)) > plain + 0.2, cls


def test_wide_part_memorises_the_crosses_it_is_told():
    train, test = crossed(seed=0), crossed(seed=1)
    wide = {"hidden": [1], "factors": 1, "epochs": 12, "rate": 0.02, "columns": ["a", "b"]}
    told = auc(test, score(WideDeep(**wide, crosses=[("a", "b")]).fit(train), test))
    assert told > 0.79
    assert told > auc(test, score(WideDeep(**wide).fit(train), test)) + 0.1


@pytest.mark.parametrize(
    ("cls", "numeric"),
    [*((cls, "quantile") for cls in DEEP), *((DNN, of) for of in ("standard", "piecewise", "periodic"))],
)
def test_curves_gaps_and_categories_are_learned(cls, numeric):
    train, test = made_up(2000, 0), made_up(1000, 1)
    ranker = cls(numeric=numeric, buckets=10, epochs=8, rate=0.01, batch=128).fit(train)
    assert auc(test, score(ranker, test)) > 0.82
    assert 0.35 < score(ranker, test).mean() < 0.65


def test_lists_are_columns_of_two_dimensions():
    rng = np.random.default_rng(0)
    train = crossed(2000)
    tags = rng.integers(-1, 6, (2000, 3)).astype(np.int32)
    label = (tags == 2).any(1).astype(np.float32)
    rows = train.candidates.select(["noise"]).with_columns(tags=tags)
    samples = replace(train, candidates=rows, labels={"click": label})
    ranker = DeepFM(epochs=10, rate=0.01, batch=128).fit(samples)
    assert auc(samples, score(ranker, samples)) > 0.97
    joined = Samples.concat([samples, samples])
    np.testing.assert_array_equal(score(ranker, joined)[:2000], score(ranker, samples))
    with pytest.raises(InputError, match="'tags' is text or a list"):
        GBDT(columns=["tags"]).fit(samples)
    GBDT(trees=2).fit(samples)  # and left alone where nobody asks for it


def asked(n=300, each=5, items=30, seed=0):
    """Requests with a history; the label is whether the row's item is of the parity of the last item of the history."""
    rng = np.random.default_rng(seed)
    m = n * each
    past = rng.integers(0, items, n * 2)
    columns = {name: np.zeros(n * 2, dtype) for name, dtype in HISTORY.items()}
    history = Ragged(np.arange(n + 1) * 2, {**columns, "item": past.astype(np.int32)})
    item = rng.integers(0, items, m).astype(np.int32)
    request = np.repeat(np.arange(n, dtype=np.uint32), each)
    label = (item % 2 == past[1::2][request] % 2).astype(np.float32)
    requests = Requests.of(rng.integers(-1, 40, n), np.arange(n), history)
    noise = rng.normal(size=m).astype(np.float32)
    return Samples(requests, Candidates(request, item, {"noise": noise}), {"click": label}, np.ones(m, np.float32))


def test_item_and_history_are_crossed():
    train, test = asked(), asked(seed=1)
    config = {"epochs": 15, "rate": 0.02, "batch": 64, "history": 1}
    assert auc(test, score(FM(**config, ids=["item"]).fit(train), test)) > 0.9
    assert auc(test, score(FM(**config).fit(train), test)) < 0.6  # without the item, nothing to cross with
    blind = FM(epochs=2, ids=["user"], columns=["noise"]).fit(train)
    assert blind.columns_.tolist() == ["noise", "user"]


def test_softmax_orders_rows_of_a_request():
    train, test = asked(), asked(seed=1)
    ranker = DeepFM(objective="softmax", ids=["item"], history=1, epochs=15, rate=0.02, batch=64).fit(train, test)
    z = score(ranker, test)
    assert z.min() < 0 or z.max() > 1  # logits, not probabilities
    order = test.candidates.with_columns(score=z, label=test.labels["click"]).top(1)
    assert order["label"].mean() > 0.95


def test_an_order_is_not_learned_from_requests_of_one_row():
    with pytest.raises(InputError, match="objective: expected requests of several rows"):
        DeepFM(objective="softmax").fit(crossed(50))
    none = crossed(50).take(np.zeros(0, np.int64))
    assert score(DeepFM(objective="softmax").fit(none), none).shape == (0,)


def test_stopping_restores_the_best_and_refit_trains_as_long():
    train, valid = made_up(600, 0), made_up(600, 1)
    ranker = DNN(epochs=60, rate=0.02, batch=64, stopping=3, hidden=[64, 64]).fit(train, valid)
    assert 0 < ranker.checks_ < 57
    best = ranker.checks_
    expected = score(ranker, valid)
    alone = DNN(epochs=best, rate=0.02, batch=64, hidden=[64, 64]).fit(train)
    np.testing.assert_array_equal(score(alone, valid), expected)
    np.testing.assert_array_equal(score(ranker.refit(train), valid), expected)
    ranker.refit(Samples.concat([train, valid]))
    assert ranker.checks_ == best
    assert not np.array_equal(score(ranker, valid), expected)


def test_later_rows_that_cannot_tell_do_not_stop():
    train, later, said = made_up(300), made_up(300, 1), []
    later = replace(later, labels={"click": np.zeros(300, np.float32)})
    with listening(lambda name, fields: said.append(fields["message"]) if name == "warning" else None):
        assert FM(epochs=6, monitor="auc").fit(train, later).checks_ == 6
    assert "when to stop" in said[0]


@pytest.mark.parametrize("cls", DEEP)
def test_what_was_learned_is_plain_arrays(cls):
    samples = made_up(500)
    ranker = cls(epochs=1, seed=5).fit(samples)
    arrays = ranker.state()
    assert {"weights_.ragged.offsets", "weight_names_", "schema_table_.ragged.columns.value"} <= set(arrays)
    again = cls.restore(ranker.config(), arrays)
    np.testing.assert_array_equal(score(again, samples), score(ranker, samples))
    other = {**arrays, "weight_names_": arrays["weight_names_"][::-1]}
    with pytest.raises(InputError, match="weights are not those"):
        score(cls.restore(ranker.config(), other), samples)


def test_seeds_differ_and_fitting_again_forgets():
    samples, other = made_up(500), made_up(500, 9)
    ranker = DeepFM(epochs=1).fit(samples)
    first = score(ranker, samples)
    assert not np.array_equal(score(DeepFM(epochs=1, seed=1).fit(samples), samples), first)
    score(ranker.fit(other), samples)
    np.testing.assert_array_equal(score(ranker.fit(samples), samples), first)


def test_fitting_leaves_torch_as_it_was():
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    ranker = DNN(epochs=1, dropout=0.5).fit(made_up(200))
    ranker.net()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", ["fm", "deepfm", "dnn", "wide_deep"])
def test_batch_norm_free_rows_of_one(name):
    """One row alone scores as in its batch; so does none."""
    samples = made_up(300)
    ranker = find("rank", name)(epochs=1, **({} if name == "fm" else {"batch_norm": True})).fit(samples)
    whole = score(ranker, samples)
    one = samples.take(np.array([3]))
    np.testing.assert_allclose(score(ranker, one), whole[30:40], rtol=1e-5)
    assert score(ranker, samples.take(np.empty(0, np.int64))).shape == (0,)


@pytest.mark.parametrize("cls", DEEP)
def test_infinite_numbers_score_as_missing_ones(cls):
    samples = made_up(300)
    gap = np.isnan(samples.candidates["b"])
    b = np.where(gap, np.where(np.arange(300) % 2, np.inf, -np.inf), samples.candidates["b"]).astype(np.float32)
    far = replace(samples, candidates=samples.candidates.with_columns(b=b))
    ranker = cls(epochs=1).fit(samples)
    np.testing.assert_array_equal(score(ranker, far), score(ranker, samples))
    np.testing.assert_array_equal(score(cls(epochs=1).fit(far), far), score(ranker, samples))


def test_a_list_that_a_part_lacks_is_padding():
    row = Candidates(np.zeros(1, np.uint32), np.zeros(1, np.int32), {"tags": np.array([[3, 4]], np.int32)})
    joined = Candidates.concat([row, Candidates(row.request, row.item, {})])
    assert joined["tags"].tolist() == [[3, 4], [-1, -1]]
    assert joined.take(np.array([1, 0]))["tags"].tolist() == [[-1, -1], [3, 4]]


class Branded(FM):
    """FM whose history carries what it was told of items."""

    def attributes(self):
        return {"brand": np.arange(30, dtype=np.int32) % 2}


def test_a_history_carries_attributes_that_a_ranker_knows():
    """Of items that training never saw in a history, the attribute still tells."""
    train, test = asked(seed=0), asked(seed=1)
    past = train.requests.history
    hidden = Ragged(past.offsets, {**past.columns, "item": (past["item"] % 6).astype(np.int32)})
    train = replace(train, requests=replace(train.requests, history=hidden))
    config = {"ids": ["item"], "history": 1, "epochs": 15, "rate": 0.02, "batch": 64, "history_shares": "none"}
    ranker = Branded(**config, history_carries=["brand"]).fit(train)
    late = test.take(np.flatnonzero(test.requests.history["item"][1::2] >= 6))
    assert auc(late, score(ranker, late)) > 0.9
    assert auc(late, score(FM(**config).fit(train), late)) < 0.6
    again = Branded.restore(ranker.config(), ranker.state(), ranker.files())
    np.testing.assert_array_equal(score(again, late), score(ranker, late))


def test_a_ranker_may_add_to_what_it_learns():
    class Shrunk(FM):
        def loss(self, net, batch):
            return super().loss(net, batch) + net(batch.inputs).square().mean()

    samples = made_up(400)
    plain, shrunk = (cls(epochs=5, rate=0.02).fit(samples) for cls in (FM, Shrunk))
    read = plain.inputs(samples.requests, samples.candidates)
    assert np.square(shrunk.predict(read)).mean() < 0.5 * np.square(plain.predict(read)).mean()
