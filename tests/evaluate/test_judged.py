"""What scores are worth by themselves, what hard rules cost, how soon new items are shown: by plain definitions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.data import Dataset
from shortlist.evaluate import evaluate
from shortlist.evaluate._judged import Judged
from shortlist.pipeline import Trace
from shortlist.questions import is_target, questions_of
from shortlist.types import Candidates, Ragged


@pytest.fixture(scope="module")
def document(shop_run):
    return json.loads((shop_run.out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def opened(shop, shop_run):
    bundle = open_bundle(shop_run.out / "bundle")
    log: Dataset = train.load(bundle.recipe, shop)[0]
    return bundle, log, bundle.manifest["cuts"]["test"]


@pytest.fixture(scope="module")
def ranked(opened):
    """(label, score, request) of all rows that merge, ranker and one of those it averages ordered, all at once."""
    bundle, log, opens = opened
    state = log.state()
    questions = questions_of(log, state, bundle.recipe.evaluate, opens, None)
    questions = questions.answerable(bundle.pipeline.forbid(questions.requests, state).exclude)
    trace = Trace()
    recalled = bundle.pipeline.recalled(questions.requests, state, 6, trace)
    bundle.pipeline.ranked(recalled, state, 6, trace)
    alone = replace(bundle.pipeline, ranker=bundle.pipeline.ranker.rankers["trees"])
    trace.stages["rank.trees"] = alone.rank(recalled.requests, recalled.rows, state, Trace())
    return {
        stage: (is_target(trace.stages[stage], questions.targets), trace.stages[stage]["score"], rows.request)
        for stage, rows in trace.stages.items()
        if stage in ("merge", "rank", "rank.trees")
    }


@pytest.mark.parametrize("stage", ["merge", "rank", "rank.trees"])
def test_auc_is_over_all_rows_and_gauc_within_requests(ranked, document, stage):
    label, score, request = ranked[stage]
    told = document["stages"][stage]
    assert told["auc"] == pytest.approx(roc_auc_score(label, score), abs=1e-5)
    each, rows = [], []
    for r in np.unique(request):
        mine = request == r
        if 0 < label[mine].sum() < mine.sum():
            each.append(roc_auc_score(label[mine], score[mine]))
            rows.append(mine.sum())
    assert told["gauc"] == pytest.approx(np.average(each, weights=rows), abs=1e-5)


def test_only_a_ranker_of_labels_is_asked_for_probabilities(ranked, document):
    """The shop's rankers learn labels; scores of the merge, of lambdarank and of an average are no probabilities."""
    label, score, _ = ranked["rank.trees"]
    told = document["stages"]["rank.trees"]
    assert told["log_loss"] == pytest.approx(log_loss(label, score.astype(float)), abs=1e-5)
    assert told["calibration_ratio"] == pytest.approx(score.astype(float).sum() / label.sum(), abs=1e-4)
    assert 0 <= told["calibration_error"] <= 1
    for order in ("merge", "rank"):
        assert not {"log_loss", "calibration_ratio", "calibration_error"} & document["stages"][order].keys()
    assert not {"auc", "log_loss"} & document["channels"]["cf"].keys()


def test_rows_of_batches_are_judged_together():
    rows = Candidates(
        np.array([0, 0, 1], np.uint32), np.array([4, 5, 4], np.int32), {"score": np.array([1.0, 2, np.nan])}
    )
    targets = Ragged.of(np.array([0]), 2, item=np.array([5], np.int32))
    whole = Judged.concat([Judged.of(rows, targets, 0), Judged.of(rows, targets, 2)])
    assert whole.request.tolist() == [0, 0, 2, 2]  # a row without a score has none to judge
    assert whole.right.tolist() == [False, True, False, True]
    assert whole.figures(False) == {"auc": 1.0, "gauc": 1.0}


def test_a_hard_rules_price_is_the_slate_with_it_minus_without(opened, document):
    bundle, log, opens = opened
    spec, pipeline = bundle.recipe.evaluate, bundle.pipeline
    told = document["hard_rules"]
    assert list(told) == ["seen"]  # fill is soft
    state = log.state()
    questions = questions_of(log, state, spec, opens, None)
    questions = questions.answerable(pipeline.forbid(questions.requests, state).exclude)
    seen = [len(set(questions.requests.history.row(r)["item"].tolist())) for r in range(len(questions))]
    assert told["seen"]["forbids"] == pytest.approx(np.mean(seen), abs=1e-5)
    without = replace(pipeline, rules={n: rule for n, rule in pipeline.rules.items() if n != "seen"})
    hits = {}
    for name, asked in (("with", pipeline), ("without", without)):
        slate = asked.recommend(questions.requests, state, 6)[0]
        hits[name] = np.bincount(slate.request[is_target(slate, questions.targets)], minlength=len(questions))
    diff = np.mean((hits["with"] - hits["without"]) / questions.targets.lengths)
    assert diff > 0.05  # who has seen an item is not asked for it here
    assert told["seen"]["change"]["recall@6"]["diff"] == pytest.approx(diff, abs=1e-5)


def test_items_that_arrive_in_the_window_are_counted_and_timed(opened):
    """Three items are said to arrive in the window; their first places in anybody's list are looked up in the rows."""
    bundle, log, opens = opened
    found = evaluate(bundle.pipeline, log, bundle.recipe.evaluate, opens, seed=1).document["slate"]
    assert "delay_days@3" not in found  # the shop's items are all as old as its log
    last = int(log.events.time[-1])
    arrives = np.where(np.arange(log.n_items) < 3, (opens + last) // 2, opens - 2)
    later = replace(log, available_from=arrives)
    told = evaluate(bundle.pipeline, later, bundle.recipe.evaluate, opens, seed=1)
    rows = told.rows.filter((pl.col("stage") == "slate") & (pl.col("rank") <= 3))
    shown = [rows.filter(pl.col("item") == log.item_ids.ids[code])["time"].cast(pl.Int64).min() for code in range(3)]
    days = [(t - int(arrives[code])) / 86_400e6 for code, t in enumerate(shown) if t is not None]
    assert told.document["slate"]["new_shown@3"] == pytest.approx(len(days) / 3)
    assert days
    assert told.document["slate"]["delay_days@3"] == pytest.approx(np.mean(days), abs=1e-5)
