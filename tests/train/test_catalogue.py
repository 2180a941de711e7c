"""A ranker in a recipe knows the catalogue: the items of a history carry their attributes, from fit to slate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist import answer, train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.recipe import parse, read

pytest.importorskip("torch")


def recipe_of(shop, **rank):
    tables = read(shop / "shop.toml").model_dump(exclude_unset=True)
    tables["data"]["items"]["columns"]["seller"] = "category"
    tables["features"] = [{"type": "channel"}, {"type": "profile", "item": ["seller"]}]
    deep = {"type": "deepfm", "epochs": 2, "min_count": 1, "factors": 4, "history": 5, "ids": ["item"]}
    return parse({**tables, "name": "deep", "rank": {**deep, **rank}})


@pytest.fixture(scope="module")
def sellers(shop, tmp_path_factory):
    """The shop with a column of sellers."""
    folder = tmp_path_factory.mktemp("sellers")
    (folder / "log.csv").write_text((shop / "log.csv").read_text())
    head, *lines = (shop / "items.csv").read_text().splitlines()
    rows = [f"{head},seller", *(f"{line},s{number % 3}" for number, line in enumerate(lines))]
    (folder / "items.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_histories_carry_attributes_and_share_the_targets_vectors(shop, sellers, tmp_path):
    recipe = recipe_of(shop, history_carries=["event", "age", "genres", "seller"])
    fitted = train.fit(recipe, root=sellers, out=tmp_path)
    opened = open_bundle(fitted.out / "bundle")
    schema = opened.pipeline.ranker.schema_
    at = {name: number for number, name in enumerate(schema.names.tolist())}
    assert {"history", "history.event", "history.age", "history.genres", "history.seller"} <= set(at)
    assert schema.first[at["history"]] == schema.first[at["item"]]
    assert schema.first[at["history.seller"]] == schema.first[at["profile.item.seller"]]
    assert schema.width[at["history.seller"]] == 4  # three sellers, and what is none of them
    state = opened.data.state()
    requests = answer.requests_of(state, np.arange(opened.data.n_users), opened.pipeline.fitted_until)
    slate, _ = opened.pipeline.recommend(requests, state, 5)
    other = requests.history.take(np.roll(np.arange(len(requests)), 1))  # everybody with somebody else's past
    swapped, _ = opened.pipeline.recommend(type(requests).of(requests.user, requests.time, other), state, 5)
    assert len(slate)
    assert not np.array_equal(slate["score"][:20], swapped["score"][:20])


@pytest.mark.parametrize("name", ["din", "dien", "bst"])
def test_a_live_event_counts_as_one_of_the_log_and_moves_the_scores(shop, sellers, tmp_path, name):
    carried = ["event", "value", "age", "genres", "seller"]
    recipe = recipe_of(shop, type=name, history=8, history_carries=carried, recent=2, recent_within="30d")
    opened = open_bundle(train.fit(recipe, root=sellers, out=tmp_path).out / "bundle")
    data, state, everybody = opened.data, opened.data.state(), np.arange(opened.data.n_users)
    events, now = data.events, opened.pipeline.fitted_until + 60_000_000

    def slate(known):
        return opened.pipeline.recommend(answer.requests_of(known, everybody, now), known, 5)[0]

    before = slate(state)
    clicked = replace(events.take(slice(1)), time=np.array([now - 1]))
    state.append(clicked)
    live, replayed = slate(state), slate(replace(data, events=type(events).concat([events, clicked])).state())
    np.testing.assert_array_equal(live.item, replayed.item)
    np.testing.assert_array_equal(live["score"], replayed["score"])
    own = live.request == clicked.user[0]
    assert own.any()
    assert not np.array_equal(before["score"][before.request == clicked.user[0]], live["score"][own])


def test_a_pre_ranker_reads_the_catalogue_too(shop, sellers, tmp_path):
    tables = recipe_of(shop).model_dump(exclude_unset=True)
    tables["prerank"] = {**tables["rank"], "epochs": 1, "history_carries": ["seller"], "reads": ["channel"]}
    tables["rank"] = {"type": "logistic"}
    fitted = train.fit(parse({**tables, "keep": 5}), root=sellers, out=tmp_path)
    assert "history.seller" in open_bundle(fitted.out / "bundle").pipeline.prerank.schema_.names.tolist()


def test_what_the_catalogue_lacks_cannot_be_carried(shop, sellers, tmp_path):
    with pytest.raises(InputError, match=r"history: its entries cannot carry 'price'; there are event, value, age"):
        train.fit(recipe_of(shop, history_carries=["price"]), root=sellers, out=tmp_path)
