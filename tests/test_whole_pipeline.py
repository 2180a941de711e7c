"""What a component owes, the assembled funnel owes too: batch equals one at a time, the future changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import Retriever
from shortlist.pipeline import Pipeline
from shortlist.recipe import parse
from shortlist.testing import worlds
from shortlist.testing._shared import agree
from shortlist.testing.case import HOUR, case, pick
from shortlist.train import rankers as ranking
from shortlist.types import Candidates

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


def test_no_requests_no_rows(pipeline, asked):
    slate, _ = pipeline.recommend(asked.requests.take(np.empty(0, np.int64)), asked.state)
    assert isinstance(slate, Candidates)
    assert len(slate) == 0
