"""From a log in a file to a published bundle, its evaluation, and a refit for serving."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from shortlist import answer, train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.evaluate import evaluate
from shortlist.recipe import parse, read
from shortlist.train import samples


def test_fit_leaves_bundle_evaluation_rows_and_rejected(shop_run):
    names = {path.name for path in shop_run.out.iterdir()}
    assert names == {"bundle", "bundles", "evaluation.json", "rows.parquet", "rejected.parquet"}
    assert (shop_run.out / "bundle").is_symlink()
    written = json.loads((shop_run.out / "evaluation.json").read_text())
    assert written["data"]["dropped"] == {"events: user in drop": 2}
    assert pl.read_parquet(shop_run.out / "rejected.parquet").height == 2
    assert written["ranker"] == "trees+line"  # nothing tells them apart
    assert set(written["validation"]) == {"merge", "trees", "line", "trees+line"}
    assert {"python", "numpy"} <= set(written["versions"])


def test_the_manifest_says_what_was_fitted_when_and_on_what(shop_run):
    manifest = shop_run.manifest
    cuts = manifest["cuts"]
    assert cuts["tune"] < cuts["rank"] < cuts["test"]
    assert manifest["fitted_until"] == cuts["test"] - 1
    assert manifest["watermark"] < cuts["test"]
    assert manifest["final"] is False
    assert manifest["recipe"]["name"] == "shop"
    assert len(manifest["data"]["fingerprint"]) == 64
    assert manifest["peak_memory_bytes"] > 0


def test_evaluating_the_bundle_reproduces_the_evaluation_of_fit_exactly(shop, shop_run):
    opened = open_bundle(shop_run.out / "bundle")
    log, _ = train.load(opened.recipe, shop)
    again = evaluate(
        opened.pipeline, log, opened.recipe.evaluate, opened.manifest["cuts"]["test"], seed=opened.recipe.seed
    )
    first = json.loads((shop_run.out / "evaluation.json").read_text())
    alone = ["rank.trees", "rank.line"]
    for name in alone:  # in the bundle they are parts of one
        del first["stages"][name], first["paired"][name]
    for name in again.document.keys() - {"seconds"}:
        assert again.document[name] == first[name], name
    rows = pl.read_parquet(shop_run.out / "rows.parquet").filter(~pl.col("stage").is_in(alone))
    assert rows.equals(again.rows)


def test_the_same_recipe_gives_the_same_hash_and_figures(shop, shop_run, tmp_path):
    again = train.fit(read(shop / "shop.toml"), root=shop, out=tmp_path / "again")
    assert again.manifest["hash"] == shop_run.manifest["hash"]
    assert again.evaluation.rows.equals(shop_run.evaluation.rows)


def test_final_refits_channels_at_the_end_of_the_log_and_says_so(shop, shop_run, tmp_path):
    final = train.fit(read(shop / "shop.toml"), root=shop, out=tmp_path / "final", final=True)
    assert final.manifest["final"] is True
    assert final.manifest["fitted_until"] == final.manifest["watermark"] > shop_run.manifest["fitted_until"]
    assert final.evaluation.rows.equals(shop_run.evaluation.rows)  # figures are of the funnel before the refit
    served, tested = open_bundle(tmp_path / "final/bundle"), open_bundle(shop_run.out / "bundle")
    assert len(served.data.events) > len(tested.data.events)
    assert served.hash != tested.hash


def test_the_funnel_beats_popularity_where_there_are_two_tastes(shop_run):
    document = shop_run.evaluation.document
    assert document["paired"]["hot"]["ndcg@3"]["low"] > 0


def test_a_recipe_without_a_split_is_refused_at_its_path(shop, tmp_path):
    text = (shop / "shop.toml").read_text().replace("split =", "# split =")
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(InputError, match=r"data\.split: missing; expected \{ tune = 0.7"):
        train.fit(read(tmp_path / "r.toml"), root=shop, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_rank_cut_no_ranker_is_trained(shop, tmp_path):
    recipe = read(shop / "shop.toml", ["data.split={ tune = 0.5, test = 0.8 }"])
    fitted = train.fit(recipe, root=shop, out=tmp_path / "out")
    assert fitted.evaluation.document["ranker"] is None
    assert "rank" not in fitted.evaluation.document["stages"]
    assert open_bundle(tmp_path / "out/bundle").pipeline.ranker is None


def test_a_pre_ranker_stands_and_falls_with_the_rankers(shop, tmp_path):
    tables = read(shop / "shop.toml").model_dump(exclude_unset=True)
    tables["prerank"] = {"type": "logistic"}
    with pytest.raises(InputError, match=r"prerank: hands its best rows to a ranker, and the recipe has none"):
        parse({name: part for name, part in tables.items() if name != "rank"})
    tables["data"]["split"] = {"tune": 0.5, "test": 0.8}
    fitted = train.fit(parse(tables), root=shop, out=tmp_path / "out")
    assert not {"prerank", "rank"} & fitted.evaluation.document["stages"].keys()
    bundle = open_bundle(tmp_path / "out/bundle")
    assert bundle.pipeline.prerank is None
    requests = answer.requests_of(bundle.data.state(), np.arange(3), bundle.pipeline.fitted_until)
    assert len(bundle.pipeline.recommend(requests, bundle.data.state())[0])


def test_a_funnel_that_finds_no_target_has_nothing_to_rank_and_says_so(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "is_target", lambda rows, targets: np.zeros(len(rows), bool))
    with pytest.raises(InputError, match=r"samples: no channel found a target for any of the \d+ requests"):
        train.fit(read(shop / "shop.toml"), root=shop, out=tmp_path)


def test_start_requests_train_a_ranker_on_start_requests(shop, tmp_path):
    """All are asked at one moment, so validation keeps a fifth of the people, not of the time."""
    recipe = read(shop / "shop.toml", ["evaluate.requests=start"])
    document = train.fit(recipe, root=shop, out=tmp_path / "out").evaluation.document
    assert document["ranker"] in ("trees", "line", "trees+line")
    assert document["requests"] == document["users"] > 20
    assert all(0 < value <= 1 for value in document["validation"].values())


def test_the_memory_of_who_started_a_process_is_not_its_own():
    """A child of a process of many pages says what it took itself."""
    ask = "from shortlist.train import peak_memory; print(peak_memory())"
    start = f"import subprocess, sys; kept = b'x' * 800_000_000; subprocess.run([sys.executable, '-c', {ask!r}])"
    run = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True)
    assert 50_000_000 < int(run.stdout) < 700_000_000
