"""The evaluation document against plain definitions over rows.parquet and over the lists themselves."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.data import FOREVER, Dataset
from shortlist.data.protocol import Questions, replay
from shortlist.documents import dumps, jsonable
from shortlist.evaluate import evaluate
from shortlist.evaluate._figures import _by_popularity, _means, _paired
from shortlist.evaluate._newcomers import newcomers
from shortlist.evaluate.window import Run, _rows
from shortlist.merge.reciprocal_rank import ReciprocalRank
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.pipeline import Pipeline
from shortlist.questions import answerable, questions_of
from shortlist.recall.als import ALS
from shortlist.recall.fresh import Fresh
from shortlist.rules.available import Available
from shortlist.testing.worlds import random_log
from shortlist.types import HISTORY, Candidates, Ragged, Requests


@pytest.fixture(scope="module")
def document(shop_run):
    return json.loads((shop_run.out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def rows(shop_run):
    return pl.read_parquet(shop_run.out / "rows.parquet")


@pytest.fixture(scope="module")
def replayed(shop, shop_run):
    """(pipeline, questions, what each channel found): the funnel asked again, all at once."""
    opened = open_bundle(shop_run.out / "bundle")
    log: Dataset = train.load(opened.recipe, shop)[0]
    state = log.state()
    questions = questions_of(log, state, opened.recipe.evaluate, opened.manifest["cuts"]["test"], None)
    questions = questions.answerable(opened.pipeline.forbid(questions.requests, state).exclude)
    _, trace = opened.pipeline.recommend(questions.requests, state, 6)
    return opened.pipeline, questions, trace


def test_the_document_has_the_shape_scripts_rely_on(document):
    interval = {"mean", "low", "high"}
    assert document["requests"] > 20
    assert 0 < document["users"] <= 30
    metrics = {f"{m}@{k}" for m in ("ndcg", "recall", "precision", "hit", "mrr", "map") for k in (3, 6)}
    assert metrics <= document["slate"].keys()
    assert all(document["slate"][m].keys() == interval for m in metrics)
    assert set(document["channels"]) == {"cf", "hot"}
    for channel in document["channels"].values():
        assert metrics | {"unique_hits", "recall@all", "brings_nothing"} <= channel.keys()
        assert channel["unique_hits_per_request"].keys() == interval
        assert channel["ceiling_gain"].keys() == channel["gain"].keys() == {"diff", "low", "high", "p"}
    assert {"merge", "rank", "rules"} <= document["stages"].keys()
    assert list(document["stages"]["rules"]) == ["fill"]  # hard rules speak before retrieval
    assert document["stages"]["rank"]["change"]["ndcg@3"].keys() == {"diff", "low", "high", "p"}
    assert document["paired"]["cf"]["ndcg@3"].keys() == {"diff", "low", "high", "p"}
    assert document["protocol"]["requests"] == "replay"
    assert document["protocol"]["opens"].endswith("Z")
    assert set(document["slices"]) == {"requests", "targets"}


def test_rows_have_the_columns_scripts_rely_on(rows, document):
    assert dict(rows.schema) == {
        "request": pl.UInt64,
        "user": pl.String,
        "time": pl.Int64,
        "stage": pl.String,
        "rank": pl.Int32,
        "item": pl.String,
        "score": pl.Float32,
        "is_target": pl.Boolean,
        "targets": pl.Int32,
    }
    assert {"cf", "hot", "merge", "rank", "slate"} <= set(rows["stage"])
    assert rows.filter(pl.col("stage") == "slate")["request"].n_unique() == document["requests"]
    assert rows["rank"].max() == 6


def test_means_are_those_of_the_rows(rows, document):
    """NDCG of each stage from rows.parquet with nothing but its definition."""
    for stage in ("slate", "merge", "cf", "hot"):
        stated = document["slate"] if stage == "slate" else document["channels"].get(stage) or document["stages"][stage]
        values = []
        for _, request in rows.filter(stage=stage).group_by("request"):
            hits = request.filter(pl.col("is_target") & (pl.col("rank") <= 3))["rank"]
            ideal = sum(1 / math.log2(r + 1) for r in range(1, min(3, request["targets"][0]) + 1))
            values.append(sum(1 / math.log2(r + 1) for r in hits) / ideal)
        assert np.mean(values) == pytest.approx(stated["ndcg@3"]["mean"], abs=1e-6)


def test_unique_hits_and_hits_are_counted_as_defined(replayed, document):
    _, questions, trace = replayed
    wanted = {(r, int(i)) for r in range(len(questions)) for i in questions.targets.row(r)["item"]}
    found = {
        name: wanted & set(zip(rows.request.tolist(), rows.item.tolist(), strict=True))
        for name, rows in ((n, trace.stages[f"recall.{n}"]) for n in ("cf", "hot"))
    }
    assert document["targets"] == len(wanted)
    assert document["found_by_any"] == len(found["cf"] | found["hot"])
    assert document["channels"]["cf"]["hits"] == len(found["cf"])
    assert document["channels"]["cf"]["unique_hits"] == len(found["cf"] - found["hot"])
    assert document["channels"]["hot"]["unique_hits"] == len(found["hot"] - found["cf"])
    merged = trace.stages["merge"]
    kept = wanted & set(zip(merged.request.tolist(), merged.item.tolist(), strict=True))
    assert document["stages"]["merge"]["hits"] == len(kept)


def test_paired_is_slate_minus_channel(document):
    for name, channel in document["channels"].items():
        for metric in ("ndcg@3", "recall@6"):
            expected = document["slate"][metric]["mean"] - channel[metric]["mean"]
            assert document["paired"][name][metric]["diff"] == pytest.approx(expected, abs=2e-6)
    change = document["stages"]["rank"]["change"]["ndcg@3"]["diff"]
    expected = document["stages"]["rank"]["ndcg@3"]["mean"] - document["stages"]["merge"]["ndcg@3"]["mean"]
    assert change == pytest.approx(expected, abs=2e-6)


def test_one_bootstrap_over_all_stages_is_the_bootstrap_of_each(document):
    rng = np.random.default_rng(0)
    users = rng.integers(0, 9, 60)
    values = {stage: {m: rng.random(60) for m in ("ndcg@3", "recall@3")} for stage in ("slate", "cf")}
    values["cf"]["recall@3"][5] = np.nan
    for stage, metrics in _means(values, users, 4).items():
        for metric, found in metrics.items():
            alone = mean_interval(values[stage][metric], users, 4)
            assert (found["mean"], found["low"], found["high"]) == pytest.approx((alone.mean, alone.low, alone.high))
    found = _paired(values, [("slate", "cf")], users, 4)["slate", "cf"]["ndcg@3"]
    alone = paired_interval(values["slate"]["ndcg@3"], values["cf"]["ndcg@3"], users, 4)
    assert (found["diff"], found["low"], found["high"], found["p"]) == pytest.approx(
        (alone.diff, alone.low, alone.high, alone.p)
    )


def test_nobody_has_no_name_in_the_rows(replayed, shop, shop_run):
    _, questions, _ = replayed
    few = questions.take(np.arange(3))
    few = replace(few, requests=replace(few.requests, user=np.array([-1, 0, -1], np.int32)))
    lists = {"slate": Candidates(np.arange(3, dtype=np.uint32), np.zeros(3, np.int32), {"score": np.zeros(3)})}
    data = open_bundle(shop_run.out / "bundle").data
    rows = _rows(Run({}, lists, {}, {}, {}, 0, None, {}, {}), few, data)
    for stage in rows["stage"].unique():
        assert rows.filter(stage=stage)["user"].to_list() == [None, data.user_ids.ids[0], None]


def test_a_window_without_questions_is_a_document_of_nulls_not_an_error(replayed, shop, shop_run):
    opened = open_bundle(shop_run.out / "bundle")
    log = train.load(opened.recipe, shop)[0]
    empty = evaluate(opened.pipeline, log, opened.recipe.evaluate, int(log.events.time[-1]) + 1)
    assert empty.document["requests"] == 0
    assert len(empty.rows) == 0
    assert empty.rows.schema == pl.read_parquet(shop_run.out / "rows.parquet").schema
    json.loads(dumps(empty.document), parse_constant=pytest.fail)


def test_nan_is_null_everywhere_in_json():
    document = {"a": float("nan"), "b": [np.float32("inf"), {"c": np.nan}], "d": np.array([1.0, np.nan]), "e": (1, "x")}
    assert jsonable(document) == {"a": None, "b": [None, {"c": None}], "d": [1.0, None], "e": [1, "x"]}
    json.loads(dumps(document), parse_constant=pytest.fail)


def test_an_item_that_arrives_later_stays_in_the_denominator_under_the_rule_that_forbids_it():
    log = random_log(3, users=12, items=40, events=300, span=2000)
    first = np.full(log.n_items, FOREVER)
    np.minimum.at(first, log.events.item, log.events.time)
    log = replace(log, available_from=first)  # no catalogue: an item is known from its first event on
    state = log.state()
    asked = replay(log, state, log.cut(0.2), None)
    pipeline = Pipeline({}, ReciprocalRank(), rules={"available": Available().fit(log)})
    left = answerable(asked, pipeline, state)
    unknown = int((~asked.targets["known"]).sum())
    assert unknown > 0
    assert int((~left.targets["known"]).sum()) == unknown
    assert len(left) == len(asked)


def test_beyond_accuracy_has_age_and_serendipity_of_every_list(document):
    for values in (document["slate"], *document["channels"].values()):
        assert values["age_days@3"] >= 0
        assert 0 <= values["serendipity@3"] <= 1
    assert document["channels"]["hot"]["serendipity@3"] == 0  # popularity does not surprise itself
    assert document["channels"]["cf"]["serendipity@3"] > 0


def test_what_a_channel_brings_is_the_merge_with_it_minus_the_merge_without(replayed, document):
    pipeline, questions, trace = replayed
    found = {name: trace.stages[f"recall.{name}"] for name in ("cf", "hot")}
    users = questions.requests.user

    def merged(rows):
        lists = [rows.item[rows.request == r] for r in range(len(questions))]
        wanted = [questions.targets.row(r)["item"] for r in range(len(questions))]
        ceiling = [np.isin(w, mine).mean() for mine, w in zip(lists, wanted, strict=True)]
        gain = [
            sum(1 / math.log2(place + 2) for place, item in enumerate(mine[:3]) if item in w)
            / sum(1 / math.log2(place + 2) for place in range(min(3, len(w))))
            for mine, w in zip(lists, wanted, strict=True)
        ]
        return np.array(ceiling), np.array(gain)

    whole = merged(trace.stages["merge"])
    for name, other in (("cf", "hot"), ("hot", "cf")):
        without = merged(pipeline.merge.merge({other: found[other]}, len(questions)))
        stated = document["channels"][name]
        for at, key in enumerate(("ceiling_gain", "gain")):
            expected = paired_interval(whole[at], without[at], users, seed=3)
            assert [stated[key][b] for b in ("diff", "low", "high")] == pytest.approx(
                [expected.diff, expected.low, expected.high], abs=2e-6
            )
        assert stated["brings_nothing"] == (stated["ceiling_gain"]["low"] <= 0)
        per_request = stated["unique_hits_per_request"]
        assert per_request["mean"] * document["requests"] == pytest.approx(stated["unique_hits"], abs=1e-3)
        assert per_request["low"] <= per_request["mean"] <= per_request["high"]
    assert document["channels"]["cf"]["ceiling_gain"]["diff"] > 0


def test_a_channel_twice_brings_nothing_and_is_said_to(shop, shop_run):
    opened = open_bundle(shop_run.out / "bundle")
    log = train.load(opened.recipe, shop)[0]
    pipeline = opened.pipeline
    twice = replace(pipeline, recall={**pipeline.recall, "again": pipeline.recall["cf"]})
    cut = opened.manifest["cuts"]["test"]
    said = evaluate(twice, log, opened.recipe.evaluate, cut).document["channels"]
    for name in ("cf", "again"):  # either could go
        assert said[name]["brings_nothing"]
        assert said[name]["ceiling_gain"]["diff"] == 0
        assert said[name]["unique_hits"] == 0
    once = evaluate(pipeline, log, opened.recipe.evaluate, cut).document["channels"]
    assert not once["cf"]["brings_nothing"]


def test_serendipity_does_not_depend_on_the_order_of_channels(shop, shop_run):
    """Against the channel of the type popular, wherever it stands; without one, against the fallback."""
    opened = open_bundle(shop_run.out / "bundle")
    log, cut = train.load(opened.recipe, shop)[0], opened.manifest["cuts"]["test"]
    fresh, usual = Fresh(window="365d").fit(log.until(cut)), opened.pipeline.recall
    orders = [{"new": fresh, **usual}, {**usual, "new": fresh}, {"new": fresh, "cf": usual["cf"]}]
    found = []
    for recall in orders:
        pipeline = replace(opened.pipeline, recall=recall, ranker=None)
        found.append(evaluate(pipeline, log, opened.recipe.evaluate, cut).document["channels"])
    for name in ("cf", "new"):  # the fallback is of the same type
        assert len({channels[name]["serendipity@3"] for channels in found}) == 1
    assert found[0]["cf"]["serendipity@3"] > 0


def test_every_request_asked_is_in_the_rows(rows, document):
    asked = rows.filter(stage="asked")
    assert asked["request"].n_unique() == len(asked) == document["requests"]
    assert asked["item"].is_null().all()


def sliced(counts, asked, found):
    """``_by_popularity`` of one request with the targets ``asked``, shown ``found``, after a log with these counts."""
    targets = Ragged.of(np.zeros(len(asked), int), 1, item=np.array(asked, np.int32))
    slate = Candidates(np.zeros(len(found), np.uint32), np.array(found, np.int32), {})
    return _by_popularity(slate, targets, np.array(counts), [2, 10])


def test_tiers_are_of_the_most_popular_first_and_there_always_is_a_head():
    """Counts 10, 4, 3, 2, 1, 0: half of all 20 events is item 0 alone, four fifths reach to item 2."""
    table = sliced([1, 10, 3, 4, 0, 2], asked=[1, 3, 2, 5, 0, 4], found=[1, 2, 4])
    assert {name: part["targets"] for name, part in table.items()} == {"head": 1, "middle": 2, "tail": 2, "cold": 1}
    assert [part["recall@10"] for part in table.values()] == [1, 0.5, 0, 1]
    assert [part["recall@2"] for part in table.values()] == [1, 0.5, 0, 0]  # item 4 stands third
    giant = sliced([1, 9, 1], asked=[0, 1], found=[1])
    assert giant["head"] == {"targets": 1, "recall@2": 1, "recall@10": 1}


def test_novelty_and_tiers_count_what_was_before_the_window(shop, shop_run, document):
    opened = open_bundle(shop_run.out / "bundle")
    log: Dataset = train.load(opened.recipe, shop)[0]
    opens = opened.manifest["cuts"]["test"]
    spec = opened.recipe.evaluate
    counts = log.until(opens).item_counts("all") + 1.0
    slate = pl.read_parquet(shop_run.out / "rows.parquet").filter((pl.col("stage") == "slate") & (pl.col("rank") <= 3))
    codes = np.array([log.item_ids.code(item) for item in slate["item"]])
    bits = slate.with_columns(bits=pl.Series(-np.log2(counts[codes] / counts.sum())))
    stated = bits.group_by("request").agg(pl.col("bits").mean())["bits"].mean()
    assert min(spec.k) == 3
    assert document["slate"]["novelty@3"] == pytest.approx(stated)


def test_slices_have_every_metric_at_every_cut_off(rows, document):
    slate = rows.filter(stage="slate")
    hits = {k: slate.filter(pl.col("is_target") & (pl.col("rank") <= k)).group_by("request").len() for k in (3, 6)}
    asked = rows.filter(stage="asked").sort("request")
    found = {
        k: asked.join(one, on="request", how="left", maintain_order="left")["len"].fill_null(0).to_numpy()
        for k, one in hits.items()
    }
    whole, parts = len(asked), document["slices"]["requests"]
    known = [part for name, part in parts.items() if name.startswith("user ")]
    assert sum(part["requests"] for part in known) == whole
    for k in (3, 6):
        recall = np.mean(found[k] / asked["targets"].to_numpy())
        told = sum(part["requests"] * part["metrics"]["slate"][f"recall@{k}"]["mean"] for part in known) / whole
        assert told == pytest.approx(recall, abs=2e-6)
    for part in parts.values():
        assert part["metrics"]["slate"].keys() == part["metrics"]["merge"].keys() > {"ndcg@3", "map@6", "recall@all"}
        assert part["slate"] == part["metrics"]["slate"]["ndcg@3"]
    assert all({"recall@3", "recall@6"} <= part.keys() for part in document["slices"]["targets"].values())


def test_what_accuracy_does_not_see_is_told_of_the_slate_at_every_cut_off(rows, document):
    for k in (3, 6):
        shown = rows.filter((pl.col("stage") == "slate") & (pl.col("rank") <= k))
        assert document["slate"][f"coverage@{k}"] == pytest.approx(shown["item"].n_unique() / 24, abs=1e-6)
        assert document["slate"][f"empty@{k}"] == pytest.approx(1 - len(shown) / (k * document["requests"]), abs=1e-6)
        kinds = ("popularity", "popularity_lift", "tail_share", "younger", "serendipity", "miscalibration.genres")
        assert all(f"{kind}@{k}" in document["slate"] for kind in kinds)
    assert "coverage@3" in document["channels"]["cf"]
    assert "coverage@6" not in document["channels"]["cf"]
    assert document["slate"]["younger@3"] == 1  # the whole log is shorter than 30 days


def test_lists_are_as_varied_as_the_vectors_of_a_channel_say(shop, shop_run):
    opened = open_bundle(shop_run.out / "bundle")
    log, cut = train.load(opened.recipe, shop)[0], opened.manifest["cuts"]["test"]
    als = ALS(factors=4, seed=1).fit(log.until(cut))
    pipeline = replace(opened.pipeline, recall={**opened.pipeline.recall, "near": als})
    found = evaluate(pipeline, log, opened.recipe.evaluate, cut)
    items, vectors = als.item_vectors()
    place = {log.item_ids.ids[item]: row for row, item in enumerate(items.tolist())}
    values = []
    for _, one in found.rows.filter((pl.col("stage") == "slate") & (pl.col("rank") <= 3)).group_by("request"):
        known = [vectors[place[item]].astype(float) for item in one["item"] if item in place]
        unlike = [1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(known, 2)]
        values += [np.mean(unlike)] if unlike else []
    assert found.document["slate"]["vector_diversity.near@3"] == pytest.approx(np.mean(values), abs=1e-5)


def test_every_row_has_the_cold_items_and_the_people_without_a_history(document):
    every = [*document["channels"].values(), document["stages"]["merge"], document["stages"]["rank"], document["slate"]]
    every += document["stages"]["rules"].values()
    nobody = document["slices"]["requests"].get("history: none", {"requests": 0})["requests"]
    for figures in every:
        assert figures["cold_items"] == {"requests": 0, "targets": 0}  # every item of the shop was met before the cut
        assert figures["no_history"]["requests"] == nobody
        assert ("ndcg@3" in figures["no_history"]) == (nobody > 0)


@pytest.mark.parametrize("seed", range(5))
def test_cold_items_and_people_without_a_history_by_their_definition(seed):
    rng = np.random.default_rng(seed)
    n, c = 40, 12
    right = [rng.choice(c, rng.integers(1, 5), replace=False) for _ in range(n)]
    shown = [rng.choice(c, rng.integers(0, 8), replace=False) for _ in range(n)]
    known = rng.integers(0, 3, n)  # events in each history
    counts = rng.integers(0, 2, c)
    row = np.repeat(np.arange(n), known)
    history = Ragged.of(row, n, **{name: np.zeros(len(row), kind) for name, kind in HISTORY.items()})
    row, item = np.repeat(np.arange(n), [len(r) for r in right]), np.concatenate(right).astype(np.int32)
    targets = Ragged.of(row, n, item=item, known=np.ones(len(item), bool))
    asked = Questions(Requests.of(rng.integers(0, 9, n), np.zeros(n, np.int64), history), targets, targets)
    request = np.repeat(np.arange(n, dtype=np.uint32), [len(r) for r in shown])
    rows = Candidates(request, np.concatenate(shown).astype(np.int32))
    found = newcomers(rows, asked, counts, [3, 6], seed)
    cold = [{i for i in r.tolist() if counts[i] == 0} for r in right]
    nobody = [set(r.tolist()) if known[q] == 0 else set() for q, r in enumerate(right)]
    for key, wanted in (("cold_items", cold), ("no_history", nobody)):
        those = [q for q in range(n) if wanted[q]]
        assert found[key]["requests"] == len(those) > 0
        assert found[key]["targets"] == sum(len(wanted[q]) for q in those)
        for k in (3, 6):
            hits = [[int(i) in wanted[q] for i in shown[q][:k]] for q in those]
            recall = [sum(hit) / len(wanted[q]) for hit, q in zip(hits, those, strict=True)]
            gain = [sum(h / math.log2(p + 2) for p, h in enumerate(hit)) for hit in hits]
            ideal = [sum(1 / math.log2(p + 2) for p in range(min(k, len(wanted[q])))) for q in those]
            told = found[key][f"ndcg@{k}"]
            assert told["mean"] == pytest.approx(np.mean(np.divide(gain, ideal)), abs=2e-6)
            assert found[key][f"recall@{k}"]["mean"] == pytest.approx(np.mean(recall), abs=2e-6)
            assert told["low"] <= told["mean"] <= told["high"]


def test_where_nobody_is_new_the_row_says_so():
    targets = Ragged.of(np.array([0]), 1, item=np.array([1], np.int32), known=np.ones(1, bool))
    history = Ragged.of(np.zeros(1, np.int64), 1, **{name: np.zeros(1, kind) for name, kind in HISTORY.items()})
    asked = Questions(Requests.of(np.array([0]), np.array([5]), history), targets, targets)
    rows = Candidates(np.zeros(1, np.uint32), np.ones(1, np.int32), {"score": np.ones(1, np.float32)})
    none = {"requests": 0, "targets": 0}
    assert newcomers(rows, asked, np.array([3, 1]), [10], 0) == {"cold_items": none, "no_history": none}
    cold = newcomers(rows, asked, np.array([3, 0]), [10], 0)
    assert cold["cold_items"]["ndcg@10"]["mean"] == 1
    assert cold["no_history"] == none
