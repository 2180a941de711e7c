"""What a rule costs and brings, against the whole funnel asked again without it and plain definitions."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from shortlist.documents import dumps
from shortlist.evaluate import evaluate
from shortlist.merge.reciprocal_rank import ReciprocalRank
from shortlist.metrics.interval import paired_interval
from shortlist.pipeline import Pipeline
from shortlist.questions import questions_of
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.popular import Popular
from shortlist.recipe import EvaluateSpec
from shortlist.rules.dedupe import Dedupe
from shortlist.rules.fill import Fill
from shortlist.rules.mmr import MMR
from shortlist.rules.scatter import Scatter
from shortlist.rules.seen import Seen
from shortlist.testing.worlds import dataset
from shortlist.types import Candidates

K, DEEPEST, DAY = 3, 6, 86_400_000_000


@pytest.fixture(scope="module")
def ruled():
    """(pipeline with four soft rules and a hard one, log, state, its document, questions) of a log with tastes."""
    rng = np.random.default_rng(8)
    n_users, n_items, events = 40, 60, 1500
    taste, kind = rng.integers(0, 3, n_users), rng.integers(0, 3, n_items)
    user = rng.integers(0, n_users, events)
    liked = [
        rng.choice(n_items, p=np.where(kind == taste[u], 4, 1) / np.where(kind == taste[u], 4, 1).sum()) for u in user
    ]
    time = np.sort(rng.integers(0, 60 * 24 * 30, events)) * 60_000_000
    frame = pl.DataFrame(
        {
            "item": [f"i{i:02}" for i in range(n_items)],
            "genres": [
                [f"g{kind[i]}", *(f"h{g}" for g in np.flatnonzero(rng.random(6) < 0.3))] for i in range(n_items)
            ],
        }
    )
    log = dataset(user, np.array(liked), time, n_users=n_users, n_items=n_items, items=frame, kinds={"genres": "list"})
    opens = log.cut(0.8)
    known = log.until(opens)
    rules = {
        "seen": Seen(events={"view": "5d"}),
        "mmr": MMR(by=["genres"], trade_off=0.4),
        "scatter": Scatter(most={"genres": 1}, window=3),
        "scatter.3": Scatter(most={"genres": 4}, window=4),  # does nothing behind the first
        "fill": Fill(),
    }
    pipeline = Pipeline(
        {"cf": ItemCF(), "hot": Popular()}, ReciprocalRank(k=30), fallback=Popular(), rules=rules, depth=20
    )
    pipeline.fit(known)
    spec = EvaluateSpec(k=[K, DEEPEST], moments=4)
    document = evaluate(pipeline, log, spec, opens, seed=2).document
    state = log.state()
    questions = questions_of(log, state, spec, opens, None)
    return pipeline, log, state, document, questions.answerable(pipeline.forbid(questions.requests, state).exclude)


def without(pipeline, name):
    return replace(pipeline, rules={n: rule for n, rule in pipeline.rules.items() if n != name})


def slates_of(pipeline, questions, state, n=DEEPEST):
    slate = pipeline.recommend(questions.requests, state, n)[0]
    return [slate.item[slate.request == r].tolist() for r in range(len(questions))]


def genres_of(log):
    codes = log.items.codes["genres"].values
    return [set(codes.row(i)["code"].tolist()) for i in range(log.n_items)]


def test_the_table_has_every_rule_and_what_was_asked_for(ruled):
    pipeline, _, _, document, _ = ruled
    prices = document["prices"]
    assert list(prices) == list(pipeline.rules)
    wanted = {"ndcg@3", "recall@6", "coverage@3", "gini@3", "novelty@3", "age_days@3", "diversity.genres@3"}
    for told in prices.values():
        assert wanted <= told["change"].keys()
        assert told["change"]["ndcg@3"].keys() == told["change"]["gini@3"].keys() == {"diff", "low", "high", "p"}
    assert [name for name, told in prices.items() if told["kind"] == "hard"] == ["seen"] == list(document["hard_rules"])
    json.loads(dumps(prices), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", ["seen", "scatter", "mmr", "scatter.3", "fill"])
def test_a_price_is_the_slate_minus_the_slate_of_the_funnel_without_the_rule(ruled, name):
    pipeline, log, state, document, questions = ruled
    told, genres = document["prices"][name], genres_of(log)
    on, off = (slates_of(one, questions, state) for one in (pipeline, without(pipeline, name)))
    assert told["moved"] == pytest.approx(np.mean([a[:K] != b[:K] for a, b in zip(on, off, strict=True)]), abs=1e-6)
    wanted = [set(questions.targets.row(r)["item"].tolist()) for r in range(len(questions))]

    def recall(lists):
        return np.array([len(w & set(row)) / len(w) for w, row in zip(wanted, lists, strict=True)])

    def diversity(lists):
        found = []
        for row in lists:
            pairs = [1 - len(genres[a] & genres[b]) / len(genres[a] | genres[b]) for a, b in combinations(row[:K], 2)]
            found.append(np.mean(pairs) if pairs else np.nan)
        return np.array(found)

    users = questions.requests.user
    for metric, of in (("recall@6", recall), ("diversity.genres@3", diversity)):
        expected = paired_interval(of(on), of(off), users, 2)
        found = told["change"][metric]
        for bound in ("diff", "low", "high"):
            assert found[bound] == pytest.approx(getattr(expected, bound), abs=2e-6), (metric, bound)
        assert told["off"][metric] == pytest.approx(np.nanmean(of(off)), abs=2e-6)
    covered = [len({i for row in lists for i in row[:K]}) / log.n_items for lists in (on, off)]
    change = told["change"]["coverage@3"]
    assert change["diff"] == pytest.approx(covered[0] - covered[1], abs=1e-6)
    assert change["low"] <= change["diff"] <= change["high"]


def test_aims_are_told_with_the_rule_and_without_it(ruled):
    pipeline, log, state, document, questions = ruled
    prices, genres = document["prices"], genres_of(log)

    def excess(rows):
        count, total = Counter(), 0
        for place in range(len(rows)):
            count = Counter(g for i in rows[max(0, place - 2) : place + 1] for g in genres[i])
            total += sum(max(0, count[g] - 1) for g in genres[rows[place]])
        return total

    def alike(rows):
        pairs = [len(genres[a] & genres[b]) / len(genres[a] | genres[b]) for a, b in combinations(rows, 2)]
        return np.mean(pairs) if pairs else np.nan

    def met(rows, r):
        now = questions.requests.time[[r]]
        past = state.history(questions.requests.user[[r]], now)
        recent = set(past["item"][now - past["time"] < 5 * DAY].tolist())
        return np.mean([i in recent for i in rows]) if rows else np.nan

    for name, what, of in (
        ("scatter", "rows too many in the windows", lambda rows, r: excess(rows)),
        ("mmr", "the mean similarity of two rows", lambda rows, r: alike(rows)),
        ("seen", "the share of a slate that it forbids", met),
        ("fill", "the share of places that nothing stands at", lambda rows, r: 1 - len(rows) / K),
    ):
        told = prices[name]["aim"]
        assert what in told["what"]
        for side, one in (("with", pipeline), ("without", without(pipeline, name))):
            lists = [row[:K] for row in slates_of(one, questions, state)]
            assert told[side] == pytest.approx(np.nanmean([of(row, r) for r, row in enumerate(lists)]), abs=2e-6), name
        assert told["diff"] == pytest.approx(told["with"] - told["without"], abs=2e-6)
    assert prices["seen"]["aim"]["with"] == 0 < prices["seen"]["aim"]["without"]
    assert prices["fill"]["aim"]["with"] == 0
    assert prices["scatter"]["aim"]["high"] < 0  # it does what it is for, more than chance


def test_what_changes_nothing_costs_nothing(ruled):
    told = ruled[3]["prices"]["scatter.3"]
    assert told["moved"] == 0
    assert all(not change["diff"] for change in told["change"].values())
    assert told["change"]["ndcg@3"] == {"diff": 0, "low": 0, "high": 0, "p": 1}
    assert told["change"]["coverage@3"] == {"diff": 0, "low": 0, "high": 0, "p": 1}


@pytest.mark.parametrize("n", [3, 6, 25])  # 25: more than there is to rank, so that the fallback is looked up deeper
def test_a_revised_answer_is_that_of_the_funnel_asked_again(ruled, n):
    pipeline, log, state, _, questions = ruled
    few, genre = questions.take(np.arange(20)), Dedupe(by="genres").fit(log)  # leaves so few that slates run short
    pipeline = replace(pipeline, rules={"dedupe": genre, **pipeline.rules} if n == 25 else pipeline.rules)
    slate, trace = pipeline.recommend(few.requests, state, n)
    for name in [key for key in pipeline.rules if key != "seen"]:
        again = without(pipeline, name).recommend(few.requests, state, n)[0]
        _same(pipeline.revised(trace, name, None, state, n), again)
        _same(pipeline.revised(trace, name, pipeline.rules[name], state, n), slate)
    other = MMR(by=["genres"], trade_off=0.9).fit(log)
    expected = replace(pipeline, rules={**pipeline.rules, "mmr": other}).recommend(few.requests, state, n)[0]
    _same(pipeline.revised(trace, "mmr", other, state, n), expected)


def _same(a: Candidates, b: Candidates):
    np.testing.assert_array_equal(a.keys, b.keys)
    np.testing.assert_array_equal(a["score"], b["score"])
    assert set(a.columns) == set(b.columns)


def test_nothing_of_recall_or_ranking_is_done_again_for_a_soft_rule(ruled, monkeypatch):
    pipeline, _, state, _, questions = ruled
    few = questions.take(np.arange(4))
    trace = pipeline.recommend(few.requests, state, K)[1]
    for part in ("found", "scored", "rank"):
        monkeypatch.setattr(type(pipeline), part, lambda *_, **__: pytest.fail("asked again"))
    for name in ("scatter", "mmr"):
        pipeline.revised(trace, name, None, state, K)


def test_no_request_no_price(ruled):
    pipeline, log, _, _, _ = ruled
    found = evaluate(pipeline, log, EvaluateSpec(k=[3, 6]), int(log.events.time[-1]) + 1)
    assert found.document["prices"] == {}
