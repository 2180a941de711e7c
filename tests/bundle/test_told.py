"""A funnel whose items and users the log describes: fitted, saved, opened, evaluated again, a person taken out."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from shortlist import answer, train
from shortlist import bundle as bundles
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data import described
from shortlist.recipe import read
from shortlist.serve import wire

RECIPE = """
name = "told"
seed = 3
[data]
split = { tune = 0.5, rank = 0.6, test = 0.8 }
[data.events]
path = "log.csv"
[data.events.derive]
band = { buckets = [2, 4], of = "value" }
[data.items]
path = "items.csv"
[data.items.columns]
title = "text"
price = { column = "value", kind = "number", how = "last" }
band = { how = "commonest" }
said = { column = "value", kind = "text", how = "last" }
[data.users]
from = "log"
columns = { mood = { column = "band", how = "last" }, since = { column = "time", kind = "time", how = "first" } }
[recall.hot]
type = "popular"
segment = ["mood"]
[merge]
type = "reciprocal_rank"
k = 20
[[features]]
type = "profile"
[[features]]
type = "affinity"
[[features]]
type = "segment"
attributes = ["mood"]
[rank]
type = "gbdt"
trees = 5
[[rules]]
type = "mmr"
by = ["band"]
[evaluate]
k = [3]
horizon = "30d"
"""


@pytest.fixture(scope="module")
def told(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    for name in ("log.csv", "items.csv"):
        (folder / name).write_bytes((shop / name).read_bytes())
    (folder / "told.toml").write_text(RECIPE)
    train.fit(read(folder / "told.toml"), root=folder, out=folder / "run")
    return folder


def test_opened_it_knows_what_the_log_told(told):
    bundle = open_bundle(told / "run" / "bundle")
    fitted = train.load(bundle.recipe, told)[0].until(bundle.manifest["fitted_until"] + 1)
    for table, names in (("items", ["price", "band", "said"]), ("users", ["mood", "since"])):
        mine, theirs = getattr(bundle.data, table), getattr(fitted, table)
        assert list(mine.dated) == names
        assert mine.columns() == theirs.columns()
        for name in names:
            one, other = mine.dated[name], theirs.dated[name]
            assert described.rows_of(name, one).equals(described.rows_of(name, other))
            assert one.offsets[-1] == len(one.times) < len(other.times)  # what came after the cut is not in the bundle
            levels = [dated.values.codes[name].levels for dated in (one, other) if name in dated.values.codes]
            assert levels in ([], [levels[0]] * 2 if levels else [])
    assert bundle.data.items.texts["said"].equals(fitted.items.texts["said"])
    assert bundle.data.items.texts["said"].null_count() == 0
    assert bundle.manifest["recipe"]["data"]["users"]["from"] == "log"  # as it is written
    state = bundle.data.state()
    requests = answer.requests_of(state, np.arange(-1, bundle.data.n_users), bundle.pipeline.fitted_until)
    rows = answer.recommend(bundle.pipeline, state, requests, 3).rows
    assert len(rows) == 3 * len(requests)


def test_evaluated_again_it_says_the_same(told, shortlist_command):
    again = told / "again.json"
    code, _, error = shortlist_command("evaluate", told / "run" / "bundle", "--data", told, "--json", again)
    assert (code, error.count("error")) == (0, 0)
    first = json.loads((told / "run" / "evaluation.json").read_text())
    assert json.loads(again.read_text())["slate"] == first["slate"]
    assert first["requests"] > 20


def test_a_person_takes_along_what_was_told_of_them_and_leaves_what_was_told_of_items(told, tmp_path):
    train.fit(read(told / "told.toml"), root=told, out=tmp_path / "run")
    path = (tmp_path / "run" / "bundle").resolve()
    before = open_bundle(path)
    code = before.data.user_ids.code("u03")
    assert bundles.forget(path, "u03") > 0
    after = open_bundle(path)
    assert after.hash == before.hash
    users = after.data.users
    assert np.diff(users.dated["mood"].offsets)[code] == np.diff(users.dated["since"].offsets)[code] == 0
    others = np.arange(before.data.n_users) != code
    for name, dated in before.data.users.dated.items():
        assert np.diff(users.dated[name].offsets)[others].tolist() == np.diff(dated.offsets)[others].tolist()
        assert np.diff(dated.offsets)[code] > 0
    for name, dated in before.data.items.dated.items():
        assert after.data.items.dated[name].times.tolist() == dated.times.tolist()


def test_a_level_that_nobody_else_has_goes_with_the_person(told, tmp_path):
    log = (told / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(log + "alone,i00,9,1600000000\n")
    (tmp_path / "items.csv").write_bytes((told / "items.csv").read_bytes())
    (tmp_path / "told.toml").write_text(RECIPE.replace("buckets = [2, 4]", "buckets = [2, 4, 8]"))
    train.fit(read(tmp_path / "told.toml"), root=tmp_path, out=tmp_path / "run")
    path = (tmp_path / "run" / "bundle").resolve()
    levels = open_bundle(path).data.users.dated["mood"].values.codes["mood"].levels
    assert levels == ("2 to 4", "4 to 8", "from 8")
    bundles.forget(path, "alone")
    assert open_bundle(path).data.users.dated["mood"].values.codes["mood"].levels == ("2 to 4", "4 to 8", "")


def test_a_changed_history_is_refused_by_name(told, tmp_path):
    train.fit(read(told / "told.toml"), root=told, out=tmp_path / "run")
    file = (tmp_path / "run" / "bundle").resolve() / "catalogue" / "told-0.parquet"
    pl.read_parquet(file).with_columns(pl.col("value") + 1).write_parquet(file)
    with pytest.raises(InputError, match=r"told-0\.parquet"):
        open_bundle(tmp_path / "run" / "bundle")


def test_a_filter_of_an_answer_takes_the_last_value(told):
    data = open_bundle(told / "run" / "bundle").data
    dear = wire.ruled_out({"band": "from 4"}, data)
    known, rows = data.items.known("band", np.arange(data.n_items))
    names = [known.codes["band"].levels[code] for code in known.codes["band"].first(rows)]
    assert [name == "from 4" for name in names] == [code not in set(dear.tolist()) for code in range(data.n_items)]
    assert 0 < len(dear) < data.n_items
    with pytest.raises(InputError, match=r"filter\.price: not a category or list .* which has band$"):
        wire.ruled_out({"price": "3"}, data)
