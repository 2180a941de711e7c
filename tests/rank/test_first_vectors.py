"""``deviation``: the vectors of every net's fields begin as far from zero as it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shortlist.registry import find, names

from ._pasts import bought_lately

NETS = [name for name in names("rank") if "deviation" in find("rank", name).model_fields]


def test_all_nets_are_here():
    assert {"afm", "bst", "dnn", "esmm", "ffm", "fnn", "wide_deep"} <= set(NETS)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("deviation", [0.5, 0.001])
def test_vectors_begin_as_far_from_zero_as_asked(name, deviation):
    samples = bought_lately(200)
    samples = replace(samples, labels={**samples.labels, "again": samples.labels["click"]})
    config = {"ids": ["item"], "columns": ["noise"], "epochs": 1, "rate": 1e-12, "deviation": deviation}
    kind = find("rank", name)
    if "labels" in kind.model_fields:
        config["labels"] = ["click", "again"]
    elif "label" in kind.model_fields:
        config["label"] = "click"
    ranker = kind(**config).fit(samples)
    (table,) = (tensor for part, tensor in ranker.net().state_dict().items() if part.endswith("fields.table"))
    assert table[table.abs().sum(1) > 0].std().item() == pytest.approx(deviation, rel=0.15)
