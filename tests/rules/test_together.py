"""All rules in one recipe: none breaks a hard rule, a later one does not undo an earlier one, no slate is short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist import answer
from shortlist.component import Aims, InputError, able
from shortlist.pipeline import Pipeline
from shortlist.recipe import parse
from shortlist.registry import find
from shortlist.rules._moved import score_of
from shortlist.testing import worlds
from shortlist.testing._shared import agree
from shortlist.testing.case import HOUR, case, pick
from shortlist.types import Candidates, keys

USERS = np.array([0, 1, 2, -1, 7, 44, 5])
MOVES = [
    {"type": "boost", "user": "team", "item": "colour", "likes": {"odd": ["even"]}},
    {"type": "intent", "by": ["colour", "tags"], "idle": "none"},
    {"type": "price_gap", "price": "price", "by": "colour", "width": 0.2},
    {"type": "mismatch", "user": "team", "item": "colour", "amount": 0.7},
    {"type": "bought_recently", "by": "colour"},
    {"type": "fatigue", "most": 1, "window": "90d"},
]
ORDERS = [
    {"type": "channel_order", "channels": ["cf", "hot"], "across": "turns"},
    {"type": "quota", "bounds": {"colour": {"odd": [0.3, 0.5]}}, "most": {"tags": 0.6}},
    {"type": "scatter", "most": {"tags": 2}, "window": 3},
    {"type": "mmr", "by": ["tags"]},
    {"type": "dpp", "by": ["tags", "colour"]},
]
LAST = [{"type": "explore", "slots": [3, 7], "epsilon": 0.5}, {"type": "fill"}]
HARD = [{"type": "seen"}, {"type": "blacklist", "values": {"tags": ["long"]}, "users": {"u01": ["i03", "i04"]}}]


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard(n_users=40, n_items=60, unseen=12)


def funnel(board, rules, fallback: bool = True, depth: int = 40) -> Pipeline:
    tables = {
        "name": "board", "data": {"source": "none"}, "depth": depth,
        "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}}, "rules": rules,
    }  # fmt: skip
    pipeline = parse(tables | ({"fallback": {"type": "fresh"}} if fallback else {})).pipeline()
    pipeline.fit_recall(board.until(board.cut(0.8)))
    return pipeline


@settings(max_examples=40, deadline=None)
@given(
    soft=st.permutations([*MOVES, *ORDERS]).flatmap(lambda order: st.integers(0, len(order)).map(lambda k: order[:k])),
    ends=st.sampled_from([[], LAST[1:], LAST]),
    fallback=st.booleans(),
    depth=st.sampled_from([5, 40]),
)
def test_rules_in_any_order_keep_to_what_all_rules_owe(board, soft, ends, fallback, depth):
    pipeline = funnel(board, [*HARD, *soft, *ends], fallback, depth)
    state = board.state()
    asked = case(board, USERS, state, board.cut(0.95), exclude_history=False)
    slate, trace = pipeline.recommend(asked.requests, state, 8)
    assert not trace.failed
    forbidden = pipeline.forbid(asked.requests, state).exclude
    assert not np.isin(slate.keys, keys(forbidden.rows, forbidden["item"])).any()
    assert len(np.unique(slate.keys)) == len(slate)
    # no slate is short while candidates or the fallback's rows remain
    own = np.bincount(trace.stages["merge"].request, minlength=len(USERS))
    left = 60 - np.diff(forbidden.offsets)
    size = np.bincount(slate.request, minlength=len(USERS))
    assert (size >= np.minimum(8, own)).all()
    assert not fallback or (size == np.minimum(8, left)).all()
    for name, rule in pipeline.rules.items():
        if f"rules.{name}" in trace.stages and able(rule, Aims):
            missed = rule.missed(asked.requests, slate, state)
            assert missed.shape == (len(USERS),)
            assert not (missed < 0).any()
    for r in range(len(USERS)):
        chosen = np.array([r])
        alone, _ = pipeline.recommend(asked.requests.take(chosen), state, 8)
        agree(pick(slate, chosen), alone, f"request {r} of a batch and alone")


def test_every_row_that_moved_says_why(board):
    pipeline = funnel(board, [*HARD, *MOVES, *ORDERS, *LAST])
    state = board.state()
    asked = case(board, USERS, state, board.cut(0.95), exclude_history=False)
    _, trace = pipeline.recommend(asked.requests, state, 8)
    said = set()
    rows = trace.stages["merge"]
    for name, rule in pipeline.rules.items():
        if f"rules.{name}" not in trace.stages:
            continue
        out = trace.stages[f"rules.{name}"]
        before = {key: (score, reason) for key, score, reason in told(rows)}
        for key, score, reason in told(out):
            old = before.get(key, (score, ""))
            said |= {*reason.split("; ")}
            assert reason.startswith(old[1])
            assert type(rule).__name__ == "ChannelOrder" or score == old[0] or reason != old[1]
        rows = out
    assert said >= {
        "", "colour suits team", "what you look at now", "price far from the usual", "colour for another team",
        "shown often without a click", "by channel cf", "brought forward for variety", "held back: much alike above",
        "shown to learn about it",
    }  # fmt: skip


def told(rows: Candidates):
    reason = rows["reason"].tolist() if "reason" in rows else [""] * len(rows)
    return zip(rows.keys.tolist(), np.nan_to_num(rows["score"], nan=-1).tolist(), reason, strict=True)


def ordered(data, rules, rows: Candidates, requests, state):
    rows = rows.with_columns(ranked=rows["score"])  # as the pipeline hands them to the first rule
    for section in rules:
        config = {key: value for key, value in section.items() if key != "type"}
        rows = find("rules", section["type"])(**config).fit(data).apply(requests, rows, state)
    return rows


@pytest.mark.parametrize("later", [*ORDERS[2:], *MOVES], ids=lambda section: section["type"])
@pytest.mark.parametrize(
    "earlier", [MOVES[0] | {"amount": 50.0}, MOVES[3] | {"amount": 50.0}], ids=["boost", "mismatch"]
)
def test_a_later_rule_does_not_undo_a_large_move(board, earlier, later):
    """What a boost put above all others stays there: rules that place rows ask the score, others move by theirs."""
    later = later | {"mmr": {"trade_off": 0.95}, "dpp": {"trade_off": 0.97}}.get(later["type"], {})
    if later["type"] == "scatter":
        later = later | {"most": {"tags": 9}}  # nothing to break up
    state = board.state()
    asked = case(board, USERS, state, exclude_history=False)
    rows = asked.rows.take(~asked.rows["fallback"]).with_columns()
    rows = replace(rows, columns={name: c for name, c in rows.columns.items() if name != "fallback"})
    first = ordered(board, [earlier], rows, asked.requests, state)
    both = ordered(board, [earlier, later], rows, asked.requests, state)
    words = "suits" if earlier["type"] == "boost" else "for another"
    for r in range(len(USERS)):
        one, two = first.take(first.request == r), both.take(both.request == r)
        moved = {i for i, reason in zip(one.item.tolist(), one["reason"].tolist(), strict=True) if words in reason}
        k = len(moved)
        if not k:
            continue
        chosen = two.item[:k] if earlier["type"] == "boost" else two.item[len(two) - k :]
        assert set(chosen.tolist()) == moved


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(MOVES), wide=st.booleans())
def test_amounts_add_up_in_whatever_order_the_rules_stand(board, order, wide):
    """Each measures by the scores before any rule, so that none makes another one's amount larger."""
    state = board.state()
    asked = case(board, USERS, state, exclude_history=False)
    rows = asked.rows.ranked() if not wide else asked.rows.with_columns(score=7 * asked.rows["score"] - 3).ranked()
    outcomes = [ordered(board, rules, rows, asked.requests, state) for rules in (MOVES, order)]
    one, two = (out.take(np.lexsort((out.item, out.request))) for out in outcomes)
    np.testing.assert_allclose(one["score"], two["score"], rtol=1e-4, atol=1e-5)
    for out in outcomes:
        falls = (np.diff(out["score"]) <= 1e-6) | (np.diff(out.request) > 0) | np.isnan(out["score"][1:])
        assert falls.all()


def test_a_boost_after_rules_that_placed_rows_leaves_the_rest_as_they_placed_it(board):
    state = board.state()
    asked = case(board, USERS, state, exclude_history=False)
    placed = ordered(board, ORDERS[2:], asked.rows, asked.requests, state)
    boosted = ordered(board, [*ORDERS[2:], *MOVES[:1]], asked.rows, asked.requests, state)
    for r in range(len(USERS)):
        one, two = placed.take(placed.request == r), boosted.take(boosted.request == r)
        moved = set(two.item[np.strings.find(two["reason"], "suits") >= 0].tolist())
        assert [i for i in one.item.tolist() if i not in moved] == [i for i in two.item.tolist() if i not in moved]


def test_channel_order_is_what_later_rules_hold_rows_for(board):
    """With everything for worth, MMR changes nothing of an order by channels, though the scores said otherwise."""
    state = board.state()
    asked = case(board, USERS, state, exclude_history=False)
    first = ordered(board, ORDERS[:1], asked.rows, asked.requests, state)
    both = ordered(
        board, [ORDERS[0], {"type": "mmr", "by": ["tags"], "trade_off": 1.0}], asked.rows, asked.requests, state
    )
    assert both.item.tolist() == first.item.tolist() != asked.rows.item.tolist()
    score = score_of(first)
    falls = (np.diff(score) <= 0) | (np.diff(first.request) > 0) | np.isnan(score[1:])
    assert falls.all()


def test_a_channel_that_no_recipe_has_is_named(board):
    pipeline = funnel(board, [{"type": "channel_order", "channels": ["cff"]}])
    asked = case(board, USERS, board.state(), board.cut(0.95), exclude_history=False)
    with pytest.raises(InputError, match=r"rules.channel_order: needs the column 'cff.rank', .*did you mean cf.rank"):
        pipeline.recommend(asked.requests, board.state())


def test_without_a_ranker_the_ranks_of_channels_cost_no_features(board):
    """Nobody works out dense scores for a rule that reads what channels said anyhow."""
    pipeline = funnel(board, ORDERS[:1])
    asked = case(board, USERS, board.state(), board.state().last + HOUR, exclude_history=False)
    slate, trace = pipeline.recommend(asked.requests, board.state())
    assert not any(name.endswith(".dense") for name in trace.recalled.rows.columns)
    assert len(slate)


def test_an_answer_says_what_rules_did_and_how_likely_it_was(board):
    pipeline = funnel(board, [MOVES[0], *LAST])
    asked = case(board, USERS, board.state(), board.cut(0.95), exclude_history=False)
    found = answer.recommend(pipeline, board.state(), asked.requests, 8)
    told = [line for lines in answer.tell(found, pipeline, board) for line in lines]
    said = found.rows["reason"].tolist()
    assert [line.get("moved", "") for line in told] == said
    assert {"colour suits team", "shown to learn about it"} <= {part for line in said for part in line.split("; ")}
    assert [line["propensity"] for line in told] == found.rows["propensity"].tolist()
    plain = funnel(board, [{"type": "fill"}])
    bare = answer.tell(answer.recommend(plain, board.state(), asked.requests, 8), plain, board)
    assert all("propensity" not in line for lines in bare for line in lines)
