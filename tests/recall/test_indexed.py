"""Channels that search by lists: in a bundle, by the contract, set by requests; and as before where they are exact."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.index import auto
from shortlist.recall.als import ALS
from shortlist.recall.item2vec import Item2Vec
from shortlist.recipe import read
from shortlist.testing import contract, worlds
from shortlist.testing.case import case

pytest.importorskip("faiss", reason="the extra 'index' is not installed")
KINDS = pytest.mark.parametrize("kind", ["ivf", "ivf_pq"])


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard()


@KINDS
def test_the_contract_holds(kind):
    contract.check("recall", ALS, {"index": kind, "factors": 8, "index_recall": 1.0})


@KINDS
@pytest.mark.parametrize("channel", [ALS(factors=8), Item2Vec(factors=8, epochs=2)])
def test_lists_answer_as_all_products_do(board, kind, channel):
    """All that ``index_recall`` 1 promises for the people of a small log, who are those asked for it at the fit."""
    plain = channel.model_copy(update={"index": "exact"}).fit(board)
    listed = channel.model_copy(update={"index": kind, "index_recall": 1.0}).fit(board)
    assert plain.measured() == {}
    assert listed.measured()["recall@100"] == 1.0
    assert listed.measured()["queries_per_second"] > 0
    asked = case(board, np.arange(board.n_users), board.state(), exclude_history=True).requests
    found, right = (one.retrieve(asked, board.state(), 10) for one in (listed, plain))
    assert np.array_equal(found.item, right.item)
    assert np.array_equal(found["score"], right["score"])
    assert np.array_equal(*(one.score(asked, right, board.state()) for one in (listed, plain)))


def test_what_an_earlier_fit_built_is_gone(board):
    channel = ALS(factors=8, index="ivf").fit(board)
    assert "index_grouped_" in channel.state()
    channel.index = "exact"
    assert not any(name.startswith("index_") for name in channel.fit(board).state())
    assert channel.measured() == {}


def test_items_nobody_met_are_found_by_their_vectors(board):
    """A copy knows them; the channel itself does not."""
    channel = ALS(factors=8, index="ivf").fit(board)
    new = np.array([board.n_items, board.n_items + 3], np.int32)
    more = channel.with_items(new, 3 * channel.table_[[4, 7]])
    asked = case(board, np.arange(5), board.state(), exclude_history=False).requests
    p = channel.vectors(asked, board.state())[:, 0]
    found = more.retrieve(asked, board.state(), 60)
    for r in range(5):
        expected = [int(code) for code, j in zip(new, (4, 7), strict=True) if p[r] @ channel.table_[j] > 0]
        assert sorted(set(found.item[found.request == r].tolist()) & set(new.tolist())) == expected
    assert not set(channel.retrieve(asked, board.state(), 60).item.tolist()) & set(new.tolist())
    for codes, vectors, message in [
        ([int(channel.items_[0])], channel.table_[:1], "not known yet"),
        ([90, 90], channel.table_[:2], "each once"),
        ([90], channel.table_[:1, :3], r"expected \[1, 8\], got \[1, 3\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            channel.with_items(np.array(codes), vectors)


def test_a_setting_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"ALS.index: .*'ivf'.*; found 'hnsw'"):
        ALS(index="hnsw")
    with pytest.raises(InputError, match=r"ALS\.index_recall"):
        ALS(index_recall=0)


def test_a_bundle_holds_the_lists_and_the_manifest_what_they_are_worth(shop, tmp_path):
    recipe = read(shop / "shop.toml", ["recall.als.type=als", "recall.als.index=ivf", "recall.als.factors=4"])
    runs = [train.fit(recipe, root=shop, out=tmp_path / name) for name in ("one", "other")]
    told = [run.manifest["index"]["als"] for run in runs]
    assert told[0]["recall@100"] >= 0.97
    assert told[0]["queries_per_second"] > 0
    assert runs[0].manifest["hash"] == runs[1].manifest["hash"]  # timings lie outside it
    opened = open_bundle(runs[0].out / "bundle")
    channel = opened.pipeline.recall["als"]
    assert "index_grouped_" in channel.state()
    assert channel.table_.flags.c_contiguous


def test_auto_is_exact_and_costs_nothing_below_its_size(board, monkeypatch):
    monkeypatch.setattr(ALS, "_asking", lambda *_: 1 / 0)
    channel = ALS(factors=8).fit(board)
    assert not any(name.startswith("index_") for name in channel.state())
    monkeypatch.setattr(auto, "FEW", 10)
    with pytest.raises(ZeroDivisionError):
        channel.fit(board)
