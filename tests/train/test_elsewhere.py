"""Channels that start from what another bundle knows."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data.elsewhere import matched
from shortlist.recipe import read

NET = ["recall.net.type=sasrec", "recall.net.factors=8", "recall.net.epochs=1", "recall.net.hold=0.0"]


@pytest.fixture(scope="module")
def first(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("first")
    return train.fit(read(shop / "shop.toml", NET), root=shop, out=out)


def warm(shop, bundle, *more: str):
    return read(shop / "shop.toml", [*NET, f"recall.net.warm_start={bundle}", "recall.net.rate=1e-9", *more])


def cosines(a, b) -> np.ndarray:
    """Of the same items in two bundles."""
    ours, theirs = a.pipeline.recall["net"], b.pipeline.recall["net"]
    one = dict(zip(a.data.item_ids.decode(ours.items_), ours.item_vectors()[1], strict=True))
    two = dict(zip(b.data.item_ids.decode(theirs.items_), theirs.item_vectors()[1], strict=True))
    return np.array([one[item] @ two[item] for item in one.keys() & two.keys()])


@pytest.mark.parametrize("by", [[], ["recall.net.warm_by=title"]], ids=["ids", "title"])
def test_items_begin_with_the_vectors_of_the_other_bundle(shop, first, tmp_path, by):
    from_nothing = train.fit(read(shop / "shop.toml", [*NET, "recall.net.seed=5"]), root=shop, out=tmp_path / "cold")
    started = train.fit(warm(shop, first.out / "bundle", *by), root=shop, out=tmp_path / "warm")
    known, cold, ours = (open_bundle(run.out / "bundle") for run in (first, from_nothing, started))
    assert (cosines(known, ours) > 0.999).all()
    assert np.abs(cosines(known, cold)).mean() < 0.9


def test_figures_that_know_the_future_say_so(shop, first, tmp_path, shortlist_command):
    same = train.fit(warm(shop, first.out / "bundle"), root=shop, out=tmp_path / "same")
    assert "label" not in json.loads((same.out / "evaluation.json").read_text())["protocol"]
    later = train.fit(read(shop / "shop.toml", NET), root=shop, out=tmp_path / "later", final=True)
    ours = train.fit(warm(shop, later.out / "bundle"), root=shop, out=tmp_path / "ours")
    assert json.loads((ours.out / "evaluation.json").read_text())["protocol"]["label"] == "not time-true"
    code, _, said = shortlist_command(
        "evaluate", ours.out / "bundle", "--data", shop, "--json", tmp_path / "again.json"
    )
    assert code == 0, said
    assert json.loads((tmp_path / "again.json").read_text())["protocol"]["label"] == "not time-true"


def test_what_cannot_be_started_from_is_named(shop, shop_run, first, tmp_path):
    for more, said in (
        ([f"recall.net.warm_start={tmp_path / 'none'}"], "recall.net.warm_start: "),
        ([f"recall.net.warm_start={shop_run.out / 'bundle'}"], "has no channel with item vectors; it has "),
        ([f"recall.net.warm_start={first.out / 'bundle'}", "recall.net.factors=4"], "expected vectors of 4 factors"),
        ([f"recall.net.warm_start={first.out / 'bundle'}", "recall.net.warm_by=colours"], "no text or category"),
    ):
        with pytest.raises(InputError, match=said):
            train.fit(read(shop / "shop.toml", [*NET, *more]), root=shop, out=tmp_path / "run")
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_texts_are_matched_once_and_without_regard_to_case_and_spaces():
    own, theirs = matched(["Heat (1995)", None, "Up", "Up", " a  b"], ["A b", "up", "heat (1995)", None])
    assert sorted(zip(own.tolist(), theirs.tolist(), strict=True)) == [(0, 2), (4, 0)]


@pytest.mark.parametrize("kind", ["lightgcn", "youtube_dnn", "bert4rec"])
def test_every_channel_whose_items_have_vectors_may_start_so(shop, first, tmp_path, kind):
    ours = train.fit(warm(shop, first.out / "bundle", f"recall.net.type={kind}"), root=shop, out=tmp_path)
    found = cosines(open_bundle(first.out / "bundle"), open_bundle(ours.out / "bundle"))
    assert (found > (0.3 if kind == "lightgcn" else 0.999)).all()  # spread over the graph, they lean to each other
