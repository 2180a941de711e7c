"""What a component owes, the assembled funnel owes too: batch equals one at a time, the future changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from shortlist import report
from shortlist.cli.leaderboards import leaderboard
from shortlist.component import Feature, InputError, Retriever, Rule
from shortlist.data.protocol import replay
from shortlist.evaluate import evaluate
from shortlist.pipeline import Pipeline
from shortlist.recipe import POSITIVE, EvaluateSpec, parse
from shortlist.testing import worlds
from shortlist.testing._shared import agree
from shortlist.testing.case import HOUR, case, pick
from shortlist.train import rankers as ranking
from shortlist.train.samples import from_funnel
from shortlist.types import Candidates, keys

TABLES = {
    "name": "board",
    "depth": 20,
    "data": {"source": "tables", "events": {"path": "log.csv"}, "split": {"tune": 0.5, "rank": 0.6, "test": 0.8}},
    "recall": {"cf": {"type": "item_cf"}, "near": {"type": "user_cf"}, "hot": {"type": "popular"}},
    "fallback": {"type": "popular"},
    "merge": {"type": "quota", "k": 30},
    "features": [{"type": "channel"}, {"type": "counts", "windows": ["7d"]}, {"type": "profile"}],
    "rank": {"type": "gbdt", "trees": 20},
    "rules": [
        {"type": "seen"},
        {"type": "scatter", "most": {"tags": 2}},
        {"type": "mmr", "by": ["tags"]},
        {"type": "fill"},
    ],
}


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard(n_users=30, unseen=6)


@pytest.fixture(scope="module")
def pipeline(board) -> Pipeline:
    """The recipe's funnel as ``fit`` leaves it: ranked on the middle of the log, refitted at the test cut."""
    recipe = parse(TABLES)
    built = recipe.pipeline()
    rankers, _ = ranking.fit_rankers(built, recipe, board, board.state(), board.cut(0.6), board.cut(0.8))
    built.fit(board.until(board.cut(0.8)))
    built.ranker = rankers["gbdt"]
    return built


@pytest.fixture(scope="module")
def asked(board):
    users = np.array([0, 1, 2, -1, 3, 4, board.n_users + 5, 5, 29])
    return case(board, users, board.state(), board.cut(0.9), exclude_history=False)


def test_a_batch_answers_as_its_requests_alone(pipeline, asked):
    whole, _ = pipeline.recommend(asked.requests, asked.state)
    for r in range(len(asked.requests)):
        chosen = np.array([r])
        alone, _ = pipeline.recommend(asked.requests.take(chosen), asked.state)
        agree(pick(whole, chosen), alone, f"request {r} of a batch and alone")


def test_no_slate_is_short_and_none_repeats_what_was_seen(pipeline, asked):
    slate, trace = pipeline.recommend(asked.requests, asked.state, 10)
    assert not trace.failed
    assert np.bincount(slate.request, minlength=len(asked.requests)).tolist() == [10] * len(asked.requests)
    seen = asked.requests.history.rows << 32 | asked.requests.history["item"]
    assert not np.isin(slate.request.astype(np.int64) << 32 | slate.item, seen).any()


def test_ranked_rows_have_the_colour_of_the_user(pipeline, board, asked):
    """Six items of the own colour are left to each user: they lead the slate."""
    slate, _ = pipeline.recommend(asked.requests, asked.state, 3)
    user = asked.requests.user[slate.request]
    known = (user >= 0) & (user < board.n_users)
    own = worlds.colour_of(slate.item) == worlds.colour_of(user)
    assert own[known].mean() > 0.9


def test_later_events_change_no_slate(pipeline, board, asked):
    now = int(asked.requests.time[0])
    expected, _ = pipeline.recommend(asked.requests, asked.state)
    ended = board.until(now + 1).state()
    grown = board.until(now + 1).state()
    later = board.events.between(now + 1, None)
    grown.append(later)
    grown.append(replace(later, item=later.item + board.n_items, time=later.time + HOUR))
    for state in (ended, grown):
        agree(pipeline.recommend(asked.requests, state)[0], expected, "another future", exact=True)


def test_a_live_event_changes_the_next_answer_of_that_user(pipeline, board):
    state = board.state()
    now = state.last + HOUR
    before = case(board, np.array([2]), state, now, exclude_history=False)
    first, _ = pipeline.recommend(before.requests, state)
    event = board.events.take(slice(-1, None))
    chosen = first.item[:1]
    state.append(replace(event, user=np.array([2], np.int32), item=chosen, time=np.array([now])))
    after = case(board, np.array([2]), state, now + 1, exclude_history=False)
    second, _ = pipeline.recommend(after.requests, state)
    assert chosen[0] not in second.item
    assert chosen[0] in after.requests.history["item"]


class Failing(Retriever):
    """A channel that is down.

    Source: this test.
    """

    def fit(self, data):
        return self

    def retrieve(self, requests, state, k):
        raise RuntimeError("down")

    def score(self, requests, candidates, state):
        raise RuntimeError("down")


def test_a_channel_that_fails_costs_its_own_rows_only(pipeline, asked):
    usual, _ = pipeline.recommend(asked.requests, asked.state)
    broken = replace(pipeline, recall={**pipeline.recall, "near": Failing()})
    slate, trace = broken.recommend(asked.requests, asked.state)
    assert trace.failed == {"near": "RuntimeError: down"}
    assert len(slate) == len(usual)
    nothing = replace(pipeline, recall=dict.fromkeys(pipeline.recall, Failing()))
    slate, trace = nothing.recommend(asked.requests, asked.state)
    assert set(trace.failed) == set(pipeline.recall)
    assert slate["fallback"].all()
    assert len(slate) == len(usual)


class Rude(Retriever):
    """Answers with what is forbidden.

    Source: this test.
    """

    def retrieve(self, requests, state, k):
        barred = requests.exclude
        return Candidates(barred.rows.astype(np.uint32), barred["item"], {"score": np.ones(len(barred.rows))}).head(k)


def test_what_is_forbidden_is_not_shown_whatever_a_channel_says(pipeline, asked):
    rude = replace(pipeline, recall={**pipeline.recall, "near": Rude()}, ranker=None)
    slate, trace = rude.recommend(asked.requests, asked.state)
    barred = trace.recalled.requests.exclude
    found = trace.stages["merge"].keys
    assert np.isin(keys(barred.rows, barred["item"]), found).any()
    assert not np.isin(slate.keys, keys(barred.rows, barred["item"])).any()
    assert "forbidden rows came back" in trace.failed["exclude"]


def test_no_requests_no_rows(pipeline, asked):
    slate, _ = pipeline.recommend(asked.requests.take(np.empty(0, np.int64)), asked.state)
    assert isinstance(slate, Candidates)
    assert len(slate) == 0


# the pre-ranker


class Costly(Feature):
    """Remembers how many rows of a request it was asked about.

    Source: this test.
    """

    asked: ClassVar[list[int]] = []

    def compute(self, requests, candidates, state):
        self.asked.append(int(np.bincount(candidates.request).max(initial=0)))
        return {"costly.code": candidates.item.astype(np.float32)}


COARSE = {
    **TABLES,
    "keep": 8,
    "features": [
        {"type": f"{__name__}:Costly"},
        {"type": "channel"},
        {"type": "counts", "windows": ["7d"]},
    ],
    "prerank": {"type": "logistic"},
}


@pytest.fixture(scope="module")
def coarse(board):
    recipe = parse(COARSE)
    built = recipe.pipeline()
    Costly.asked.clear()
    rankers, _ = ranking.fit_rankers(built, recipe, board, board.state(), board.cut(0.6), board.cut(0.8))
    trained = list(Costly.asked)
    built.fit(board.until(board.cut(0.8)))
    built.ranker = rankers["gbdt"]
    return built, trained


def test_the_dear_features_see_only_what_the_pre_ranker_keeps(coarse, asked):
    pipeline, trained = coarse
    assert trained
    assert max(trained) <= 8  # in training as in use
    Costly.asked.clear()
    _, trace = pipeline.recommend(asked.requests, asked.state, 5)
    assert Costly.asked == [8]
    merged, kept, ranked = (trace.stages[stage] for stage in ("merge", "prerank", "rank"))
    assert np.bincount(merged.request).max() > 8
    assert np.bincount(kept.request).max() == 8
    assert sorted(ranked.keys) == sorted(kept.keys)
    assert trace.seconds["prerank"] > 0
    coarse_columns = [name for name in pipeline.prerank.columns_.tolist() if not name.startswith("channel.")]
    assert coarse_columns == []
    assert "costly.code" in pipeline.ranker.columns_
    agree(kept, kept.ranked(), "the pre-ranked list and its own order")


def test_a_pre_ranker_that_keeps_few_leaves_room_for_the_fallback(coarse, asked):
    """Eight rows are too few for rules to choose five from, however many the channels found."""
    pipeline, _ = coarse
    for few, spare in ((replace(pipeline, keep=8), True), (replace(pipeline, prerank=None), False)):
        _, trace = few.recommend(asked.requests.take([0]), asked.state, 5)
        assert len(trace.stages["merge"]) >= 20
        assert (len(trace.recalled.spare) > 0) == spare


def test_the_pre_ranker_stands_in_the_evaluation(coarse, board):
    pipeline, _ = coarse
    found = evaluate(pipeline, board, EvaluateSpec(k=[5]), board.cut(0.8)).document
    stages = found["stages"]
    assert list(stages)[:3] == ["merge", "prerank", "rank"]
    assert stages["prerank"]["recall@all"]["mean"] <= stages["merge"]["recall@all"]["mean"]
    assert stages["rank"]["recall@all"]["mean"] == stages["prerank"]["recall@all"]["mean"]
    assert "ndcg@5" in stages["prerank"]["change"]
    assert "prerank" in found["seconds"]


def test_what_pre_ranking_loses_and_saves_is_told(coarse, board):
    """It is the slate minus the slate of the same funnel without its pre-ranker, which is asked by itself here."""
    pipeline, _ = coarse
    with_it, without = (
        evaluate(one, board, EvaluateSpec(k=[5]), board.cut(0.8)).document
        for one in (pipeline, replace(pipeline, prerank=None))
    )
    told = with_it["prerank"]
    assert "prerank" not in without
    assert set(told["off"]) >= {"ndcg@5", "recall@5"}
    for metric, off in told["off"].items():
        assert off == pytest.approx(without["slate"][metric]["mean"])
        assert off + told["change"][metric]["diff"] == pytest.approx(with_it["slate"][metric]["mean"])
    assert told["change"]["ndcg@5"]["diff"] != 0
    assert told["rows"]["with"] == 8 < told["rows"]["without"]
    assert min(told["seconds"].values()) > 0
    document = {**with_it, "name": "board"}
    told["seconds"] = {"with": 0.25 * with_it["requests"], "without": with_it["requests"]}
    change, off = told["change"]["ndcg@5"]["diff"], told["off"]["ndcg@5"]
    caption = " ".join(leaderboard(document).caption.split())
    assert f"{100 * (off + change) / off:.1f} % of it; 8 of {told['rows']['without']:.0f} rows a request" in caption
    assert "in 250.0 of 1000.0 ms (25 %)" in caption
    page = report.page(document)
    assert "What pre-ranking loses and saves" in page
    assert f"{change:+.3f}".replace("-", "−") in page.partition("What pre-ranking")[2]
    assert "What pre-ranking" not in report.page({**without, "name": "board"})


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        (["channel", "chanel"], "no feature 'chanel' for it to read; there are channel"),
        ([], "expected a list of features"),
        ("channel", "expected a list of features"),
    ],
)
def test_what_a_pre_ranker_reads_must_be_there(reads, said):
    tables = {**TABLES, "features": [{"type": "channel"}], "prerank": {"type": "logistic", "reads": reads}}
    with pytest.raises(InputError, match=rf"prerank\.reads: .*{said}"):
        parse(tables)


# what rides on, and who listens


class Needy(Rule):
    """Puts the rows that are most often taken last.

    Source: this test.
    """

    needs: ClassVar[Sequence[str]] = ["counts.item.positive.7d", "near.dense"]

    def apply(self, requests, candidates, state):
        taken = candidates["counts.item.positive.7d"]
        assert np.isfinite(taken[~candidates["fallback"]]).all()
        assert np.isfinite(candidates["near.dense"][~candidates["fallback"]]).all()
        return candidates.with_columns(score=-taken).ranked()


@pytest.mark.parametrize("ranked", [True, False])
def test_the_columns_that_a_rule_needs_ride_on_to_it(pipeline, asked, ranked):
    needy = replace(pipeline, ranker=pipeline.ranker if ranked else None, rules={"needy": Needy()})
    slate, trace = needy.recommend(asked.requests, asked.state)
    own = slate.take(~slate["fallback"])
    assert (np.diff(own["counts.item.positive.7d"])[np.diff(own.request) == 0] >= 0).all()
    assert ("rank" in trace.stages) == ranked
    others = [
        name for name in slate.columns if name.startswith(("counts.", "profile.", "channel.")) or ".dense" in name
    ]
    assert sorted(others) == sorted(Needy.needs)


@pytest.mark.parametrize("column", ["near.score", "near.rank", "near.dense"])
def test_what_a_rule_needs_of_a_channel_that_fails_is_empty(pipeline, asked, column):
    class Wanting(Needy):
        needs: ClassVar[Sequence[str]] = [column]

        def apply(self, requests, candidates, state):
            assert np.isnan(candidates[column]).all()
            return candidates

    broken = replace(pipeline, recall={**pipeline.recall, "near": Failing()}, rules={"wanting": Wanting()})
    slate, trace = broken.recommend(asked.requests, asked.state)
    assert list(trace.failed) == ["near"]
    assert len(slate)


def test_a_rule_that_needs_what_nobody_makes_is_told(pipeline, asked):
    class Lost(Needy):
        needs: ClassVar[Sequence[str]] = ["counts.gone"]

    with pytest.raises(InputError, match=r"rules\.lost: needs the column 'counts\.gone', .*did you mean counts"):
        replace(pipeline, rules={"lost": Lost()}).recommend(asked.requests, asked.state)


def test_observers_hear_of_every_answer_after_the_slate(pipeline, asked):
    heard = []
    listening = replace(pipeline, observers=[lambda *said: heard.append(said), lambda *said: heard.append(said)])
    slate, trace = listening.recommend(asked.requests, asked.state, 4)
    assert len(heard) == 2
    requests, shown, told = heard[0]
    assert shown is slate
    assert told is trace
    assert requests.exclude.lengths.sum() > asked.requests.exclude.lengths.sum()  # with what the hard rules forbid


def variants(n_variants: int = 200):
    """One parent with so many variants, all of them more popular than thirty single products."""
    items = n_variants + 30
    item = np.concatenate([np.repeat(np.arange(n_variants), 3), np.arange(n_variants, items)])
    time = worlds.START + np.arange(len(item)) * worlds.MINUTE
    parent = np.where(np.arange(items) < n_variants, "one", np.char.add("p", np.arange(items).astype(str)))
    ids = [f"i{code:03}" for code in range(items)]
    table = pl.DataFrame({"item": ids, "parent": parent})
    return worlds.dataset(np.arange(len(item)) % 40, item, time, items=table, kinds={"parent": "category"})


@pytest.mark.parametrize(("keeps", "length"), [(10, 10), (4, 4)])
def test_a_slate_that_rules_left_short_gets_more_of_the_fallback(keeps, length):
    """Fetched before dedupe speaks, the fallback's rows are all variants of one parent."""
    data = variants()
    recipe = {
        "name": "variants",
        "data": {"source": "tables", "events": {"path": "log.csv"}, "split": {"test": 0.8}},
        "recall": {"hot": {"type": "popular", "half_life": "1000d"}},
        "fallback": {"type": "popular", "half_life": "1000d"},
        "depth": 20,
        "rules": [{"type": "dedupe", "by": "parent"}, {"type": "fill", "n": keeps}],
    }
    pipeline = parse(recipe).pipeline()
    pipeline.fit(data)
    asked = case(data, np.array([0, -1, 3]), data.state(), exclude_history=False)
    slate, trace = pipeline.recommend(asked.requests, asked.state, 10)
    assert not trace.failed
    assert np.bincount(slate.request).tolist() == [length] * 3
    assert len(set(data.items.codes["parent"].first(slate.item[slate.request == 1]))) == length
    for r in range(3):
        chosen = np.array([r])
        alone, _ = pipeline.recommend(asked.requests.take(chosen), asked.state, 10)
        agree(pick(slate, chosen), alone, f"request {r} of a batch and alone")


def test_full_slates_ask_the_fallback_once(pipeline, asked, monkeypatch):
    calls = []
    retrieve = type(pipeline.fallback).retrieve
    monkeypatch.setattr(
        type(pipeline.fallback),
        "retrieve",
        lambda self, *a: calls.append(self is pipeline.fallback) or retrieve(self, *a),
    )
    pipeline.recommend(asked.requests, asked.state, 10)
    assert sum(calls) == 1


class Forgetful(Retriever):
    """Forgets what is excluded."""

    def fit(self, data):
        return self

    def retrieve(self, requests, state, k):
        n = len(requests)
        rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), 6), np.tile(np.arange(6, dtype=np.int32), n))
        return rows.with_columns(score=1 - rows.item.astype(np.float32) / 10)


def test_forbidden_rows_are_reported_and_taken_out(board):
    pipeline = replace(parse(TABLES).pipeline(), recall={"bad": Forgetful()}, fallback=None, features=(), rules={})
    pipeline.fit(board)
    asked = case(board, np.array([0, 1]), board.state()).requests
    slate, trace = pipeline.recommend(asked, board.state(), 6)
    assert "forbidden rows" in trace.failed["exclude"]
    barred = asked.exclude.rows << 32 | asked.exclude["item"]
    left = slate.request.astype(np.int64) << 32 | slate.item
    assert not np.isin(left, barred).any()
    assert len(slate) == 12 - np.isin(barred, [r << 32 | i for r in range(2) for i in range(6)]).sum()


def test_unseen_popular_negatives_are_scored_by_every_channel(pipeline, board):
    state, opens = board.state(), board.cut(0.8)
    questions = replay(board, state, opens, None)
    plain = from_funnel(pipeline, questions, state, negatives=5)
    more = from_funnel(pipeline, questions, state, negatives=5, unseen=3)
    new = np.flatnonzero(~np.isin(more.candidates.keys, from_funnel(pipeline, questions, state).candidates.keys))
    assert len(new) > 0
    assert np.bincount(more.candidates.request[new]).max() <= 3
    assert set(more.candidates.request.tolist()) == set(plain.candidates.request.tolist())
    assert not more.labels[POSITIVE][new].any()
    rows = more.candidates.take(new)
    history = questions.requests.history
    met = np.concatenate([history.rows << 32 | history["item"], questions.after.rows << 32 | questions.after["item"]])
    assert not np.isin(rows.keys, met).any()
    assert (rows["channel.found"] == 0).all()
    for name in ("cf", "near", "hot"):
        assert np.isfinite(rows[f"channel.{name}.dense.percentile"]).all(), name
    assert more.rate > plain.rate
