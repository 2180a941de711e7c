"""Odd logs through the whole: read, fitted, evaluated, published, opened and asked; no crash, no gap, no leak."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest

from shortlist import answer, train
from shortlist.bundle import open_bundle
from shortlist.evaluate import evaluate
from shortlist.recipe import parse
from shortlist.testing import odd

RECIPE = {
    "name": "odd",
    "seed": 3,
    "depth": 30,
    "data": {
        "source": "tables",
        "events": {"path": "log.csv", "strengths": {"view": 0.001, "cart": 1, "buy": 1000}},
        "items": {
            "path": "items.csv",
            "columns": {"kind": "category", "tags": "list", "price": "number", "name": "text", "parent": "category"},
        },
        "split": {"tune": 0.6, "rank": 0.7, "test": 0.85},
    },
    "recall": {
        "cf": {"type": "item_cf"},
        "near": {"type": "user_cf"},
        "pairs": {"type": "association", "log_half_life": "7d"},
        "als": {"type": "als", "factors": 8},
        "lfm": {"type": "lfm", "factors": 8, "epochs": 5},
        "words": {"type": "item2vec", "factors": 8, "epochs": 3, "weighted": True},
        "walks": {"type": "personal_rank"},
        "new": {"type": "fresh", "window": "30d"},
        "hot": {"type": "popular", "half_life": "1d"},
    },
    "fallback": {"type": "popular"},
    "merge": {"type": "weighted", "k": 30},
    "features": [{"type": name} for name in ("channel", "counts", "profile", "affinity", "recency", "repeat")],
    "samples": {"negatives": 10, "unseen": 2},
    "rank": {"trees": {"type": "gbdt", "trees": 10}, "line": {"type": "logistic"}},
    "rules": [
        {"type": "available"},
        {"type": "seen"},
        {"type": "dedupe", "by": "parent"},
        {"type": "scatter", "most": {"kind": 2, "tags": 3}},
        {"type": "mmr", "by": ["tags"]},
        {"type": "fill", "n": 10},
    ],
    "evaluate": {"k": [5, 10], "horizon": "30d"},
}


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 40))])
def test_an_odd_log_through_the_whole(tmp_path, seed):
    log, catalogue = odd.odd_log(seed)
    odd.write(log, catalogue, tmp_path)
    recipe = parse(RECIPE)
    fitted = train.fit(recipe, root=tmp_path, out=tmp_path / "run")
    document = json.loads((tmp_path / "run/evaluation.json").read_text(), parse_constant=pytest.fail)
    assert document["requests"] > 0
    rows = pl.read_parquet(tmp_path / "run/rows.parquet").filter(pl.col("stage") != "asked")
    scored = rows.filter(pl.col("stage") != "slate")  # the fallback's rows have no score
    assert scored["score"].is_finite().all()
    assert rows.filter(pl.struct("request", "stage", "item").is_duplicated()).is_empty()
    data, _ = train.load(recipe, tmp_path)
    assert set(log["item"]) <= set(data.item_ids.ids)
    assert set(log["user"].drop_nulls()) <= set(data.user_ids.ids)
    slate = rows.filter(stage="slate")
    item = np.array([data.item_ids.code(name) for name in slate["item"]])
    assert (data.available_from[item] <= slate["time"].to_numpy()).all()
    first = log.filter(pl.col("user").is_not_null()).group_by("user", "item").agg(pl.col("time").min() * 1_000_000)
    met = slate.join(first, on=["user", "item"], suffix="_met").filter(pl.col("time_met") <= pl.col("time"))
    assert met.is_empty()
    opened = open_bundle(tmp_path / "run/bundle")
    again = evaluate(opened.pipeline, data, recipe.evaluate, opened.manifest["cuts"]["test"], seed=recipe.seed)
    assert again.document["slate"] == document["slate"]
    whole = slate.group_by("request").len()["len"]
    state = opened.data.state()
    known = np.flatnonzero(data.until(opened.manifest["cuts"]["test"]).item_counts("positive") > 0)
    parents = dict(catalogue.select("item", "parent").filter(pl.col("parent") != "").iter_rows())
    pool = len({parents.get(name, name) for name in data.item_ids.decode(known)})  # of one parent one is shown
    taken = max(len(set(names)) for names in log.group_by("user").agg("item")["item"])
    assert whole.min() >= min(10, pool - taken)
    if pool > taken:  # else there is somebody who knows them all
        assert slate["request"].n_unique() == document["requests"]
    now = max(state.last, opened.pipeline.fitted_until)
    users = np.array([opened.data.user_ids.code(user) for user in opened.data.user_ids.ids[:5]] + [-1], np.int32)
    for code in users:
        found = answer.recommend(opened.pipeline, state, answer.requests_of(state, np.array([code]), now), 10)
        told = answer.tell(found, opened.pipeline, opened.data, True)[0]
        assert len(told) >= min(10, pool - taken)
        assert all(math.isfinite(line["score"]) for line in told if line["score"] is not None)
    assert fitted.out == tmp_path / "run"
