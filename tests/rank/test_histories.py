"""DIN, DIEN and BST: worlds that only attention, evolution or order reveals; padding, two windows, what runs once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from shortlist.component import InputError
from shortlist.nn.rows import Rows, auc, predict, tensors_of
from shortlist.registry import find
from shortlist.types import Ragged, Requests

from ._pasts import DAY, bought_lately, drifted, last_word
from ._tables import score

WORLDS = {"din": bought_lately, "dien": drifted, "bst": last_word}
READERS = list(WORLDS)
ALONE = {"norm": "before", "pooling": "target"}
FORMS = [
    *((name, {}) for name in READERS),
    ("bst", ALONE),
    ("bst", {**ALONE, "blocks": 2}),
    ("bst", {"norm": "before"}),
    ("bst", {"blocks": 2}),
]
# the vectors of worlds so small are held as those of other nets: held at .01, what drifts was found less well
SMALL = {"columns": ["noise"], "batch": 256, "buckets": 12, "history": 10, "rate": 0.01, "embedding_l2": 1e-4}


@cache
def learned(name, world=bought_lately, epochs=12, n=1500, **config):
    """A ranker of that world; its keywords are those of ``SMALL`` and ``config``."""
    config = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
    ranker = find("rank", name)(**{**SMALL, "ids": ["item"], "history_carries": ["event", "age"], **config})
    return ranker.model_copy(update={"epochs": epochs}).fit(world(n))


def reached(name, world, **config):
    """Its AUC on rows that it has not seen."""
    test = world(500, seed=1)
    return auc(test.labels["click"], score(learned(name, world, **config), test))


def quick(name, **config):
    """Learned a little: for what holds whatever was learned."""
    return learned(name, epochs=1, n=200, **config)


def test_attention_finds_what_a_mean_hides():
    attention, mean = reached("din", bought_lately), reached("dnn", bought_lately)
    assert attention > 0.95  # .999
    assert attention > mean + 0.2  # .674


def test_an_interest_that_drifts_is_followed():
    evolved, attention = reached("dien", drifted), reached("din", drifted, weights="sum")
    assert evolved > 0.95  # .991
    assert attention > reached("dnn", drifted) + 0.02  # .65 to .87 by seed against .621: ages say some of it
    assert evolved > attention + 0.08
    assert evolved > reached("din", drifted) + 0.04  # .914


def test_order_is_read():
    order, attention = reached("bst", last_word), reached("din", last_word, weights="sum")
    assert order > 0.95  # .999
    assert order > attention + 0.08  # .868
    assert reached("dnn", last_word) < 0.6  # .510: each of both was met once


@pytest.mark.slow
def test_an_interest_by_shares_follows_better_than_a_sum():
    share, total = (reached("din", drifted, weights=weights) for weights in ("share", "sum"))
    assert share > total + 0.1  # .914 and .686


def test_what_was_bought_is_read_at_the_targets_place_and_order_only_at_every_place():
    assert reached("bst", bought_lately, **ALONE) > 0.95  # 1.0
    assert reached("bst", last_word, **ALONE) < 0.6  # .510


@pytest.mark.slow
def test_more_layers_do_not_say_the_order_at_the_targets_place():
    assert reached("bst", last_word, **ALONE, blocks=2) < 0.6  # .506: a place is its age, and ages are alike


@pytest.mark.slow
def test_norms_before_what_a_layer_adds_let_more_of_a_history_through():
    for world in (bought_lately, drifted):
        before, after = (reached("bst", world, norm=norm) for norm in ("before", "after"))
        assert before > after + 0.1  # .999 and .805, .902 and .518


@pytest.mark.slow
def test_behaviours_and_ages_are_read():
    """Without what was done, and without how long ago."""
    assert reached("din", bought_lately, history_carries=()) < 0.85
    assert 0.8 < reached("din", bought_lately, history_carries=("event",)) < 0.94


@pytest.mark.parametrize("name", READERS)
def test_padding_never_changes_a_score(name):
    """A history of two is the same in a window of two and of ten."""
    ranker, test = quick(name), bought_lately(30, w=2, seed=2)
    inputs = ranker.inputs(test.requests, test.candidates)
    short = replace(inputs, asked={field: array[:, -2:] for field, array in inputs.asked.items()})
    assert (inputs.asked["history"][:, :-2] == 0).all()
    np.testing.assert_allclose(predict(ranker.net(), short), predict(ranker.net(), inputs), atol=1e-5)


def of_all_lengths(samples, w=10):
    """The same with histories of 0 to ``w`` events."""
    past = samples.requests.history
    length = np.random.default_rng(5).integers(0, w + 1, len(samples.requests))
    mask = np.tile(np.arange(w), len(length)) >= w - np.repeat(length, w)
    return replace(samples, requests=replace(samples.requests, history=past.keep(mask)))


@pytest.mark.parametrize("objective", ["pointwise", "softmax"])
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_histories_of_all_lengths_are_learned_from_as_they_are_scored(name, form, objective):
    """Read as in training, rows have the logits that they have with padding."""
    config = {**form, "activation": "tanh", "recent": 4, "recent_within": "2d", "objective": objective, "batch": 64}
    train, test = of_all_lengths(bought_lately(100)), of_all_lengths(bought_lately(40, seed=2))
    ranker = find("rank", name)(
        **{**SMALL, "ids": ["item"], "history_carries": ["event", "age"], "epochs": 2, **config}
    )
    ranker = ranker.fit(train, test)
    read = ranker.inputs(test.requests, test.candidates)
    known = (read.asked["history"] > 0).sum(1)
    assert known.min() == 0
    assert known.max() == 10
    whole = predict(ranker.net(), read)
    assert np.isfinite(whole).all()
    with torch.inference_mode():
        learning = ranker.net().train()(tensors_of(read)).numpy()
    ranker.net().eval()
    np.testing.assert_allclose(learning, whole, atol=1e-5)


@pytest.mark.parametrize("name", READERS)
def test_what_stops_training_is_read_by_length_and_is_what_is_scored(name, monkeypatch):
    ranker, test = quick(name), bought_lately(20, seed=2)
    inputs = ranker.inputs(test.requests, test.candidates)
    there = np.arange(10) >= 10 - np.random.default_rng(0).integers(0, 11, 20)[:, None]
    inputs = replace(inputs, asked={field: np.where(there, array, 0) for field, array in inputs.asked.items()})
    whole = predict(ranker.net(), inputs)
    monkeypatch.setattr("shortlist.nn.rows.CHUNK", 24)
    read, net = [], ranker.net()
    hook = net.register_forward_pre_hook(lambda _, given: read.append(given[0]["history"].shape[1]))
    none = np.zeros(len(whole), np.float32)
    found = Rows(inputs, none, none, windows=["history"]).answers(net)
    hook.remove()
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert read == sorted(read)
    assert read[0] <= 2


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_rows_score_alone_as_together_and_onnxruntime_as_torch(name, form):
    ranker, test = quick(name, **form), bought_lately(20, seed=2)
    whole, z = score(ranker, test), ranker.inputs(test.requests, test.candidates)
    np.testing.assert_allclose(ranker.predict(z), predict(ranker.net(), z), atol=1e-5)
    for row in (0, 7, 119):
        alone = ranker.score(test.requests, test.candidates.take(np.array([row])))["score"]
        np.testing.assert_allclose(alone, whole[[row]], atol=1e-5)


@pytest.mark.parametrize("name", READERS)
def test_one_more_event_moves_the_scores_and_a_stranger_has_some(name):
    world = WORLDS[name]
    ranker, test = learned(name, world), world(20, seed=2)
    before, past, w = score(ranker, test), test.requests.history, int(test.requests.history.lengths[0])
    rows = np.arange(20)
    clicked = {field: np.concatenate([past[field], past[field][::w]]) for field in past.columns}
    clicked["time"][len(past["time"]) :] = test.requests.time - 1000
    order = np.argsort(np.concatenate([past.rows, rows]), kind="stable")
    later = Ragged(np.arange(21) * (w + 1), {field: column[order] for field, column in clicked.items()})
    moved = ranker.score(replace(test.requests, history=later), test.candidates)["score"]
    apart = np.abs(moved - before)
    assert apart.max() > 0.1
    assert (apart > 1e-5).reshape(20, -1).any(1).mean() > 0.4  # of the requests; a sure score stays sure
    nobody = ranker.score(Requests.of(np.full(20, -1), test.requests.time), test.candidates)["score"]
    assert ((nobody > 0) & (nobody < 1)).all()


@pytest.mark.parametrize("name", READERS)
def test_a_short_window_is_a_sequence_of_its_own(name):
    ranker, test = quick(name, recent=3, recent_within="2d"), bought_lately(20, seed=2)
    read = ranker.inputs(test.requests, test.candidates)
    recent = {field: array.shape for field, array in read.asked.items() if field.startswith("recent")}
    assert recent == dict.fromkeys(("recent", "recent.event", "recent.age"), (20, 3))
    past = test.requests.history
    age = (test.requests.time[past.rows] - past["time"]).reshape(20, 10)[:, -3:]
    np.testing.assert_array_equal(read.asked["recent"] > 0, age <= 2 * DAY)
    schema = ranker.schema_
    first = dict(zip(schema.names.tolist(), schema.first.tolist(), strict=True))
    assert first["recent"] == first["history"] == first["item"]
    weights = [name for name in ranker.weight_names_.tolist() if ".recent." in name]
    assert len(weights) == len([name for name in ranker.weight_names_.tolist() if ".history." in name]) > 0
    before = score(ranker, test)
    blank = replace(read, asked={**read.asked, **{field: np.zeros_like(read.asked[field]) for field in recent}})
    assert not np.allclose(ranker.predict(blank), ranker.predict(read))
    again = type(ranker).restore(ranker.config(), ranker.state(), ranker.files())
    np.testing.assert_array_equal(score(again, test), before)


@pytest.mark.parametrize(
    ("name", "block"), [("dien", "evolutions.history.extract.entry"), ("bst", "sequences.history.event")]
)
def test_a_history_is_encoded_once(name, block):
    """Not once a row: 20 requests, 120 rows."""
    ranker, test = quick(name), bought_lately(20, seed=2)
    shapes, net = [], ranker.net()
    hook = net.get_submodule(block).register_forward_hook(lambda _, given, out: shapes.append(given[0].shape[0]))
    z = predict(net, ranker.inputs(test.requests, test.candidates))
    hook.remove()
    assert len(z) == 120
    assert shapes == [20]


def test_the_auxiliary_loss_teaches_what_comes_next():
    """Told of a state, the next event is nearer than another's; without the loss it is not."""
    test = drifted(200, seed=1)
    found = {}
    for weight in (0.0, 1.0):
        ranker = learned("dien", drifted, epochs=6, n=600, auxiliary=weight)
        net = ranker.net()
        net._modules["evolutions"]["history"].next.generator = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            z, told = net.told(tensors_of(ranker.inputs(test.requests, test.candidates)))
        found[weight] = float(told)
        np.testing.assert_allclose(z, ranker.predict(ranker.inputs(test.requests, test.candidates)), atol=1e-5)
    assert found[1.0] < 2 * np.log(2) - 0.1 < found[0.0] + 0.1


def test_the_target_must_be_there():
    with pytest.raises(InputError, match="ids: expected the target among the columns, found no codes 'item'"):
        find("rank", "din")(**SMALL, ids=[]).fit(bought_lately(20))


def test_heads_divide_the_width():
    with pytest.raises(InputError, match="heads: expected a divisor of width, found 3 and 16"):
        find("rank", "bst")(heads=3)
