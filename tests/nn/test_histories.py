"""Blocks over histories against plain definitions in numpy, and finite differences; batches cut to their longest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shortlist.component import InputError
from shortlist.encode.history import Window
from shortlist.encode.inputs import Inputs
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.nn.activation import ActivationUnit, Interest, shares
from shortlist.nn.augru import AUGRU, NextEntry
from shortlist.nn.behaviour import BehaviourLayer
from shortlist.nn.dice import EPSILON, Dice
from shortlist.nn.histories import Entries, Histories
from shortlist.nn.loop import initialise
from shortlist.nn.rows import Rows, tensors_of
from shortlist.rank.dien import _Evolution
from shortlist.types import HISTORY, Candidates, Ragged, Requests

N, M, W, S, K = 3, 5, 4, 2, 5


def drawn(net, seed=0, *, dtype=torch.double):
    """With weights that are all of some size, tables and slopes too."""
    initialise(net, torch.Generator().manual_seed(seed), 0.5)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return net.to(dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def past():
    """Entries of three requests, of 0, 2 and 4 events, and five rows of theirs with their targets."""
    generator = torch.Generator().manual_seed(7)
    known = torch.tensor([[False] * 4, [False, False, True, True], [True] * 4])
    vectors = torch.randn(N, W, K, generator=generator, dtype=torch.double) * known[..., None]
    target = torch.randn(M, S, generator=generator, dtype=torch.double)
    return Entries(vectors, S, known, torch.tensor([0, 1, 1, 2, 2])), target


def plain(net):
    return {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}


def test_dice_is_its_formula():
    dice, x = drawn(Dice(3)), torch.randn(2, 5, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    counted = x.flatten(0, 1).numpy()
    mean, variance, slope = counted.mean(0), counted.var(0), plain(dice)["slope"]
    p = sigmoid((x.numpy() - mean) / np.sqrt(variance + EPSILON))
    expected = p * x.numpy() + (1 - p) * slope * x.numpy()
    np.testing.assert_allclose(dice(x).detach(), expected)
    np.testing.assert_allclose(dice.mean, 0.1 * mean)
    np.testing.assert_allclose(dice.variance, 0.9 + 0.1 * variance * 10 / 9)  # the running one is unbiased
    before = plain(dice)
    assert dice(x[:0]).shape == (0, 5, 3)
    assert dice(x[0, :1]).isfinite().all()
    for name in ("mean", "variance"):  # nothing came in, or one row, which does not vary
        np.testing.assert_array_equal(plain(dice)[name], before[name])
    p = sigmoid((x.numpy() - before["mean"]) / np.sqrt(before["variance"] + EPSILON))
    np.testing.assert_allclose(dice.eval()(x).detach(), p * x.numpy() + (1 - p) * slope * x.numpy())


@pytest.mark.parametrize("hidden", [[6], [6, 3]])
def test_the_activation_unit_is_a_perceptron_over_entry_target_difference_and_product(past, hidden):
    entries, target = past
    unit = drawn(ActivationUnit(K, S, hidden, "tanh"))
    weights, found = plain(unit), unit(entries, target).detach()
    for row, request in enumerate(entries.of.tolist()):
        for place in range(W):
            k, q = entries.vectors[request, place].numpy(), target[row].numpy()
            h = np.concatenate([k, q, k[:S] - q, k[:S] * q])
            for layer in range(len(hidden)):
                h = np.tanh(weights[f"layers.{layer}.weight"] @ h + weights[f"layers.{layer}.bias"])
            a = weights["out.weight"][0] @ h + weights["out.bias"][0]
            assert found[row, place].item() == pytest.approx(a)


def test_an_interest_is_the_sum_of_entries_or_their_mean_by_share(past):
    entries, target = past
    unit = drawn(ActivationUnit(K, S, [4], "tanh"))
    a = unit(entries, target).detach().numpy()
    for share in (False, True):
        found = Interest(unit, share=share)(entries, target).detach()
        for row, request in enumerate(entries.of.tolist()):
            there = entries.known[request].numpy()
            weight = np.exp(a[row]) * there if share else a[row] * there
            weight = weight / max(weight.sum(), 1e-30) if share else weight
            np.testing.assert_allclose(found[row], weight @ entries.vectors[request].numpy(), atol=1e-12)
    assert (Interest(unit, share=True)(entries, target)[0] == 0).all()  # nothing was done


def test_pairs_are_each_row_with_the_entries_that_are_there(past):
    entries, target = past
    pairs = entries.pairs()
    k, places = entries.vectors, [(row, place) for place in range(W) for row in (3, 4, 1, 2, 0)]
    expected = [(row, place) for row, place in places if entries.known[entries.of[row], place]]
    assert list(zip(pairs.row.tolist(), pairs.place.tolist(), strict=True)) == expected
    there = torch.stack([k[entries.of[row], place] for row, place in expected])
    assert torch.equal(pairs.entries[pairs.entry], there)
    assert pairs.counts() == [2, 2, 4, 4]
    unit = drawn(ActivationUnit(K, S, [6, 3], "tanh"))
    at = (pairs.row, pairs.place)
    of_pairs = unit.of_pairs(pairs.entries[pairs.entry], target[pairs.row])
    torch.testing.assert_close(of_pairs, unit(entries, target)[at])
    a = torch.randn(M, W, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(pairs.shares(a[at]), shares(a, entries.known[entries.of])[at])


def test_parts_are_each_row_once_by_length_of_its_history(past):
    entries, _ = past
    found = entries.parts()
    assert [rows.tolist() for rows, _ in found] == [[3, 4], [1, 2], [0]]
    for (rows, part), (request, w) in zip(found, [(2, 4), (1, 2), (0, 1)], strict=True):
        assert part.of.tolist() == [0] * len(rows)
        assert torch.equal(part.vectors, entries.vectors[request : request + 1, W - w :])
        assert torch.equal(part.known, entries.known[request : request + 1, W - w :])


@pytest.mark.parametrize("hidden", [[6], [6, 3]])
def test_dice_folded_into_the_products_around_it_is_dice(past, hidden):
    entries, target = past
    unit = drawn(ActivationUnit(K, S, hidden, "dice")).eval()
    for bend in unit.bends:
        bend.mean += torch.linspace(-1, 1, len(bend.mean))
        bend.variance += 0.5
    rows = torch.arange(M).repeat_interleave(W)
    k = entries.vectors.index_select(0, entries.of).flatten(0, 1)
    torch.testing.assert_close(unit(entries, target).flatten(), unit.of_pairs(k, target.index_select(0, rows)))


@pytest.mark.parametrize("share", [False, True])
def test_an_interest_is_the_same_in_training_and_padding_has_no_part_in_its_moments(past, share):
    entries, target = past
    same = drawn(Interest(ActivationUnit(K, S, [6], "tanh"), share=share))
    torch.testing.assert_close(same.train()(entries, target), same.eval()(entries, target))
    interest = drawn(Interest(ActivationUnit(K, S, [6], "dice"), share=share)).train()
    vectors, known = (torch.cat([part * 0, part], 1) for part in (entries.vectors, entries.known))
    wide = entries._replace(vectors=vectors, known=known.bool())
    torch.testing.assert_close(interest(wide, target), interest(entries, target))
    nothing = entries._replace(known=torch.zeros_like(entries.known))
    assert (interest(nothing, target) == 0).all()


def test_augru_is_its_formula_and_of_full_attention_a_gru(past):
    entries, _ = past
    net = drawn(AUGRU(K, 3))
    attention = torch.rand(M, W, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    found = torch.stack(net(entries.vectors, attention, entries.of), 1).detach()
    weights = plain(net)
    for row, request in enumerate(entries.of.tolist()):
        h = np.zeros(3)
        for t in range(W):
            x = weights["entry.weight"] @ entries.vectors[request, t].numpy() + weights["entry.bias"]
            r, u = (sigmoid(x[at] + weights["state.weight"][at] @ h) for at in (slice(0, 3), slice(3, 6)))
            new = np.tanh(x[6:] + r * (weights["state.weight"][6:] @ h))
            u = attention[row, t].item() * u
            h = (1 - u) * h + u * new
            np.testing.assert_allclose(found[row, t], h)
    gru = nn.GRU(K, 3, batch_first=True, dtype=torch.double)  # its update gate keeps what ours renews
    with torch.no_grad():
        sign = torch.tensor([1.0] * 3 + [-1.0] * 3 + [1.0] * 3, dtype=torch.double)
        gru.weight_ih_l0.copy_(net.entry.weight * sign[:, None])
        gru.weight_hh_l0.copy_(net.state.weight * sign[:, None])
        gru.bias_ih_l0.copy_(net.entry.bias * sign)
        gru.bias_hh_l0.zero_()
    ones = torch.ones(N, W, dtype=torch.double)
    torch.testing.assert_close(torch.stack(net(entries.vectors, ones), 1), gru(entries.vectors)[0])


def test_augru_of_pairs_begins_each_row_with_its_first_entry(past):
    entries, _ = past
    net, pairs = drawn(AUGRU(K, 3)), entries.pairs()
    a = torch.rand(M, W, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    whole = net(entries.vectors, a * entries.known[entries.of], entries.of)
    found = net.of_pairs(pairs.entries, a[pairs.row, pairs.place], pairs)
    torch.testing.assert_close(found, torch.stack(whole)[pairs.place, pairs.row])


def test_dien_learns_of_pairs_what_it_scores(past):
    entries, target = past
    net = drawn(_Evolution(K, S))
    h = net.train().interests(entries)
    torch.testing.assert_close(h, net.eval().interests(entries)[entries.known])
    whole = net(entries, net.interests(entries), target)
    net.train()
    torch.testing.assert_close(net(entries, h, target), whole)
    nobody = entries._replace(known=torch.zeros_like(entries.known))
    assert (net(nobody, net.interests(nobody), target) == 0).all()


def test_in_half_precision_states_stay_whole(past):
    entries, target = past
    entries, target = entries._replace(vectors=entries.vectors.float()), target.float()
    blocks = _Evolution(K, S), Interest(ActivationUnit(K, S, [4], "dice"), share=True)
    net, interest = (drawn(block, dtype=torch.float) for block in blocks)
    with torch.autocast("cpu", torch.bfloat16):
        for training in (True, False):
            net.train(training), interest.train(training)
            evolved = net(entries, net.interests(entries), target)
            assert evolved.dtype == torch.float
            assert evolved.isfinite().all()
            assert interest(entries, target).isfinite().all()
            for before in (False, True):
                layer = drawn(BehaviourLayer(4, 2, 0.0, before=before), dtype=torch.float).train(training)
                x, q = entries.vectors[..., :4], torch.ones(M, 4)
                assert layer.beside(x, entries.known, q, entries.of).isfinite().all()
                assert layer.target(x, entries.known, q, entries.of).isfinite().all()


def test_an_entry_without_attention_leaves_the_state(past):
    entries, _ = past
    net = drawn(AUGRU(K, 3))
    whole = torch.stack(net(entries.vectors, entries.known.double()), 1)
    short = torch.stack(net(entries.vectors[1:2, 2:], torch.ones(1, 2, dtype=torch.double)), 1)
    torch.testing.assert_close(whole[1:2, 2:], short)
    assert (whole[0] == 0).all()
    assert (whole[1, :2] == 0).all()


def test_the_auxiliary_loss_is_its_formula(past):
    entries, _ = past
    states = torch.randn(N, W, S, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    told = NextEntry()
    told.generator = torch.Generator().manual_seed(4)
    e, there = entries.vectors[..., :S], entries.known
    request = there.nonzero()[:, 0]
    found = told(states[there], e[there], request).item()
    pairs = [(request, t) for request in range(N) for t in range(W - 1) if entries.known[request, t]]
    drawn_ = torch.randint(6, (len(pairs),), generator=torch.Generator().manual_seed(4)).tolist()
    every, losses = e[entries.known], []
    for (request, t), wrong in zip(pairs, drawn_, strict=True):
        h = states[request, t]
        right = sigmoid(float(h @ e[request, t + 1]))
        losses.append(-np.log(right) - np.log(1 - sigmoid(float(h @ every[wrong]))))
    assert found == pytest.approx(np.mean(losses))
    assert told(states[0], e[0], torch.arange(W)).item() == 0


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_a_layer_beside_its_target_is_the_layer_over_both(past, heads, before):
    """The attention among events is worked out once a request, and the answer is that of each row on its own."""
    entries, _ = past
    layer = drawn(BehaviourLayer(4, heads, 0.0, before=before))
    x, target = entries.vectors[..., :4], torch.randn(M, 4, dtype=torch.double)
    found = layer.beside(x, entries.known, target, entries.of)
    of = entries.of
    known = torch.cat([entries.known[of], torch.ones(M, 1, dtype=torch.bool)], 1)
    whole = layer(torch.cat([x[of], target[:, None]], 1), known)
    torch.testing.assert_close(found[known], whole[known])
    assert found.isfinite().all()
    short = layer.beside(x[1:2, 2:], entries.known[1:2, 2:], target[1:3], torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(found[1:3, 2:], short)  # padding changes nothing
    torch.testing.assert_close(layer.target(x, entries.known, target, of), found[:, -1])


def test_norms_stand_behind_what_a_layer_adds_or_before(past):
    entries, _ = past
    x, known = entries.vectors[..., :4], torch.ones_like(entries.known)
    for before in (False, True):
        layer = drawn(BehaviourLayer(4, 1, 0.0, before=before))
        first, second, bias = layer.first, layer.second, torch.zeros(1, dtype=torch.double)
        seen = layer.attention(first(x) if before else x, bias)
        y = x + seen if before else first(x + seen)
        expected = y + layer.feed(second(y)) if before else second(y + layer.feed(y))
        torch.testing.assert_close(layer(x, known), expected)


def test_shares_of_nothing_are_zero():
    a, known = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), torch.tensor([[False] * 3, [True, True, False]])
    found = shares(a, known)
    assert found[0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found[1], [*np.exp([1, 2]) / np.exp([1, 2]).sum(), 0], rtol=1e-6)


def test_gradients_are_the_finite_differences(past):
    entries, target = past
    vectors, target = entries.vectors.requires_grad_(), target.requires_grad_()
    check = torch.autograd.gradcheck
    dice, interest = drawn(Dice(K)), drawn(Interest(ActivationUnit(K, S, [3], "dice"), share=False))
    augru, layer = drawn(AUGRU(K, 2)), drawn(BehaviourLayer(4, 2, 0.0, before=True))
    attention = torch.rand(M, W, dtype=torch.double, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert check(dice, (vectors,))
    assert check(lambda v, q: interest(entries._replace(vectors=v), q), (vectors, target))
    assert check(lambda v, a: augru(v, a, entries.of)[-1], (vectors, attention))
    pairs = entries.pairs()
    k, a = (x.detach().clone().requires_grad_() for x in (pairs.entries, attention[pairs.row, pairs.place]))
    assert check(lambda k, a: augru.of_pairs(k, a, pairs), (k, a))
    four = torch.randn(M, 4, dtype=torch.double, generator=torch.Generator().manual_seed(5), requires_grad=True)
    assert check(lambda v, q: layer.beside(v[..., :4], entries.known, q, entries.of), (vectors, four))
    assert check(lambda v, q: layer.target(v[..., :4], entries.known, q, entries.of), (vectors, four))
    for net, call in (
        (dice, lambda: dice(vectors)),
        (interest, lambda: interest(entries, target)),
        (augru, lambda: augru(vectors, attention, entries.of)[-1]),
        (augru, lambda: augru.of_pairs(k, a, pairs)),
        (layer, lambda: layer.beside(vectors[..., :4], entries.known, four, entries.of)),
    ):
        for name, weight in net.named_parameters():
            (auto,) = torch.autograd.grad(call().square().sum(), weight)
            for at in range(0, weight.numel(), max(1, weight.numel() // 5)):
                values = []
                for step in (1e-6, -1e-6):
                    with torch.no_grad():
                        weight.view(-1)[at] += step
                        values.append(call().square().sum().item())
                        weight.view(-1)[at] -= step
                difference = (values[0] - values[1]) / 2e-6
                assert auto.flatten()[at].item() == pytest.approx(difference, abs=1e-5, rel=1e-4), name


BRAND = np.array([3, 3, 5, -1, 5, 7], np.int32)


def read(columns, carries=("event", "brand", "age")):
    """(schema, windows, tensors) of six rows of two requests, whose entries carry a brand."""
    history = Ragged(np.array([0, 2, 5]), {name: np.zeros(5, dtype) for name, dtype in HISTORY.items()})
    history.columns["item"][:] = [0, 2, 1, 4, 3]
    requests = Requests.of(np.zeros(2), np.full(2, 100), history)
    rows = Candidates(np.array([0, 0, 0, 1, 1, 1], np.uint32), np.arange(6, dtype=np.int32), columns)
    windows = [Window("history", 3, carries), Window("recent", 2, carries)]

    class Read(Options):
        def windows(self):
            return windows

    schema = learn_schema(["item", *columns], requests, rows, Read(min_count=1), {"brand": BRAND})
    return schema, windows, tensors_of(schema.encode(requests, rows))


@pytest.mark.parametrize("name", ["brand", "profile.item.brand"])
def test_target_and_entries_have_the_same_vectors(name):
    """A brand is a code of the row, or one of a list: then the target has the mean of its."""
    codes, lists = BRAND, np.stack([BRAND, np.roll(BRAND, 1)], 1)
    for column in (codes, lists):
        schema, windows, x = read({"other": np.tile(np.int32([1, 2]), (6, 1)), name: column})
        net = drawn(Histories(schema, 4, "quantile", windows), dtype=torch.float)
        table = net.flat.fields.table.detach()
        q = net.item(x).detach()
        assert (net.target, net.entry) == (8, 16)
        entries = net.entries(x, "history")
        assert entries.shared == 8
        assert entries.known.tolist() == [[False, True, True], [True, True, True]]
        place = {"item": x["codes"][:, schema.coded("item")]}
        for event, item in ((0, 1), (1, 4), (2, 3)):
            assert torch.equal(entries.vectors[1, event, :4], table[place["item"][item]])
            assert torch.equal(q[item, :4], table[place["item"][item]])
            if column is codes:
                assert torch.equal(entries.vectors[1, event, 4:8], q[item, 4:])
        if column is lists:
            first = net.entries(x, "history").vectors
            brand = {3: first[1, 0, 4:8], 5: first[1, 1, 4:8]}  # items 1 and 4
            torch.testing.assert_close(q[2, 4:], (brand[5] + brand[3]) / 2)  # row 2 has 5 and 3
        recent = net.entries(x, "recent")
        assert torch.equal(recent.vectors[..., :8], entries.vectors[:, 1:, :8])
        assert not torch.equal(recent.vectors[..., 8:], entries.vectors[:, 1:, 8:])  # of behaviours and ages its own
        assert net.row(x).shape == (6, net.size)


def test_an_attribute_that_the_row_lacks_is_the_entries_alone():
    schema, windows, _ = read({"price": np.ones(6, np.float32)})
    net = Histories(schema, 4, "quantile", windows)
    assert (net.target, net.entry) == (4, 16)
    with pytest.raises(InputError, match="ids: expected the target among the columns, found no codes 'name'"):
        Histories(schema, 4, "quantile", [Window("history", 3, (), "name")])


def test_batches_are_cut_to_the_longest_history():
    rng = np.random.default_rng(0)
    n, each, w = 400, 3, 20
    lengths = rng.integers(0, w + 1, n)
    codes = np.where(np.arange(w) >= w - lengths[:, None], 1 + np.arange(n)[:, None], 0).astype(np.int32)
    request = np.repeat(np.arange(n), each)
    asked = {"history": codes, "history.age": codes + 7 * (codes > 0), "recent": codes[:, -5:]}
    inputs = Inputs({"row": np.arange(n * each)}, asked, request)
    for offsets in (None, np.arange(n + 1) * each):
        label = np.zeros(n * each, np.float32)
        rows = Rows(inputs, label, label + 1, offsets, ["history", "recent"])
        met, widths = [], set()
        batches = list(rows.epoch(300, torch.Generator().manual_seed(1)))
        again = list(rows.epoch(300, torch.Generator().manual_seed(1)))
        for batch, same in zip(batches, again, strict=True):
            x = batch.inputs
            assert torch.equal(x["row"], same.inputs["row"])
            met += x["row"].tolist()
            own = torch.from_numpy(request)[x["row"]]
            longest = max(1, lengths[own].max())
            widths.add(longest)
            assert x["history"].shape == x["history.age"].shape == (len(own.unique()), longest)
            assert x["recent"].shape[1] == min(5, longest)
            last = x["history"].index_select(0, x["request"])[:, -1]
            assert torch.equal(last, torch.where(torch.from_numpy(lengths)[own] > 0, 1 + own, 0).int())
        assert sorted(met) == list(range(n * each))
        assert [b.inputs["row"].tolist() for b in batches] != [b.inputs["row"].tolist() for b in
                rows.epoch(300, torch.Generator().manual_seed(2))]  # fmt: skip
        assert len(widths) > 5
