"""A sequence channel on ``Trained``: its contract, masks drawn anew at each step, the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.progress import listening
from shortlist.testing import contract, worlds

from ._masked import MASK, Masked, Sequences

CONFIG = {"epochs": 60, "batch": 16, "rate": 0.02, "l2": 0.01}


@pytest.fixture(scope="module")
def subject():
    return contract.Subject("recall", Masked, CONFIG)


@pytest.mark.parametrize("owed", contract.checks("recall"), ids=lambda check: check.__name__)
def test_it_keeps_the_contract(owed, subject):
    owed(subject)


def drawn(batches):
    return torch.cat([batch.inputs["history"] == MASK for batch in batches])


def test_masks_are_drawn_anew_each_epoch_and_by_the_generator_alone():
    sequences = Sequences(np.arange(2, 2 + 40 * 12).reshape(40, 12), 0.3)
    generator = torch.Generator().manual_seed(0)
    epochs = [list(sequences.epoch(4, generator)) for _ in range(3)]
    items = [torch.cat([batch.target.amax(1) for batch in epoch]) for epoch in epochs]  # the last: always masked
    masks = [drawn(epoch)[item.argsort()] for epoch, item in zip(epochs, items, strict=True)]  # in one order
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert 0.2 < (masks[a] != masks[b]).float().mean() < 0.5
    again = [list(sequences.epoch(4, torch.Generator().manual_seed(seed))) for seed in (0, 1)]
    assert torch.equal(drawn(again[0]), drawn(epochs[0]))
    assert not torch.equal(drawn(again[1]), drawn(epochs[0]))


def test_what_training_meets_is_masked_anew(monkeypatch):
    met = []
    loss = Masked.loss

    def watched(self, net, batch):
        met.append(batch.target.clone())
        return loss(self, net, batch)

    monkeypatch.setattr(Masked, "loss", watched)
    Masked(epochs=5, batch=64).fit(worlds.checkerboard())  # all sequences in one step: an epoch is a step
    assert len(met) == 5
    for n, one in enumerate(met):
        assert not any(torch.equal(one.sort(0)[0], other.sort(0)[0]) for other in met[:n])


def test_the_seed_decides():
    world = worlds.checkerboard()
    a, b, c = (Masked(epochs=3, seed=seed).fit(world).weights_["value"] for seed in (4, 4, 5))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_training_tells_how_quick_it_is():
    said = []
    with listening(lambda name, fields: said.append((name, fields))):
        Masked(epochs=3).fit(worlds.checkerboard())
    checks = [fields for name, fields in said if name == "check"]
    assert [fields["number"] for fields in checks] == [1, 2, 3]
    for fields in checks:
        assert fields["rows_per_second"] > 0
        assert fields["loss"] > 0
    assert checks[0]["seconds_left"] > checks[2]["seconds_left"] == 0
    bars = [fields for name, fields in said if name == "advance"]
    assert [(bar["title"], bar["done"], bar["total"]) for bar in bars] == [("train", n, 3) for n in (1, 2, 3)]
    assert "rows a second" in bars[0]["note"]
