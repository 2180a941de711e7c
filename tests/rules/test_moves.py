"""Boosts and sinks: what they move, by how much, and that nothing else moves."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.progress import listening
from shortlist.rules._moved import move
from shortlist.rules.boost import Boost
from shortlist.rules.bought_recently import BoughtRecently
from shortlist.rules.fatigue import Fatigue
from shortlist.rules.intent import Intent
from shortlist.rules.mismatch import Mismatch
from shortlist.rules.price_gap import PriceGap
from shortlist.types import Candidates

from ._shop import ask, catalogue, rows_of

N = 10
NOW = 1000


def plain_move(scores: list[float], change: list[float]) -> tuple[list[int], list[float]]:
    """Places in the new order, and the scores there: rows go where the scores, laid along the list, put them."""
    own = [s for s in scores if math.isfinite(s)]
    spread = statistics.pstdev(own) if len(set(own)) > 1 else max([1.0, *(abs(s) for s in own[:1])])
    falling, key = sorted(own, reverse=True), []
    for at, s in enumerate(scores):
        behind = sum(math.isfinite(t) for t in scores[:at])
        laid = falling[behind] if behind < len(falling) else -math.inf
        key.append(laid + change[at] * spread if math.isfinite(s) else laid)
    order = sorted(range(len(scores)), key=lambda at: -key[at])
    return order, [scores[at] + (change[at] * spread if math.isfinite(scores[at]) else 0) for at in order]


numbers = st.sampled_from([*(x / 8 for x in range(-16, 17)), float("nan")])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(numbers, st.sampled_from([0.0, 0.0, 0.4, 1.3, -0.7, -2.1])), max_size=9),
    st.lists(st.tuples(numbers, st.sampled_from([0.0, 0.6, -0.6])), max_size=4),
)
def test_a_move_is_its_definition(one, two):
    """Also of lists that an earlier rule has placed against their scores, and of rows without a score."""
    lists, changes = [[s for s, _ in part] for part in (one, two)], [[c for _, c in part] for part in (one, two)]
    rows = rows_of([list(range(len(part))) for part in lists], scores=lists)
    change = np.array([*changes[0], *changes[1]])
    out = move(rows, 2, change != 0, change, "moved")
    for r in (0, 1):
        got, (order, scores) = out.take(out.request == r), plain_move(lists[r], changes[r])
        assert got.item.tolist() == order
        np.testing.assert_allclose(got["score"], scores, rtol=1e-5, atol=1e-6)
        told = [changes[r][at] != 0 and math.isfinite(lists[r][at]) for at in order]
        assert (got["reason"] == "moved").tolist() == told
        still = [at for at in order if changes[r][at] == 0]
        assert still == sorted(still)  # who is not moved stays in order


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.sampled_from([0.0, 0.37, -1.13])), min_size=1, max_size=9))
def test_on_what_scale_scores_are_does_not_matter(given_):
    """The same order of logits and of what is four times as far apart; and a list in order stays one."""
    scores, change = sorted((s / 4 for s, _ in given_), reverse=True), np.array([c for _, c in given_])
    one, other = (rows_of([list(range(len(scores)))], scores=[row]) for row in (scores, [4 * s - 3 for s in scores]))
    if len(set(scores)) == 1:
        return  # without a spread any amount decides
    moved = move(one, 1, change != 0, change, "")
    assert move(other, 1, change != 0, change, "").item.tolist() == moved.item.tolist()
    assert (np.diff(moved["score"]) <= 1e-6).all()


def test_equal_scores_have_no_spread_and_any_amount_decides():
    for score in (0.0, 0.5, 1e6):
        rows = rows_of([[0, 1, 2]], scores=[[score] * 3])
        assert move(rows, 1, np.array([False, False, True]), 0.01, "").item.tolist() == [2, 0, 1]


def test_without_a_score_the_place_is_one_and_the_fallback_stays_behind():
    bare = Candidates(np.zeros(4, np.uint32), np.arange(4, dtype=np.int32), {"fallback": np.arange(4) == 3})
    out = move(bare, 1, np.array([True, False, False, True]), -5.0, "sunk")
    assert out.item.tolist() == [1, 2, 0, 3]
    assert out["reason"].tolist() == ["", "", "sunk", ""]


def test_two_moves_add_up_and_both_say_why():
    rows = rows_of([[0, 1, 2, 3]], scores=[[4, 3, 2, 1]])
    up = move(rows, 1, np.arange(4) == 3, 1.2, "liked")
    assert up.item.tolist() == [0, 1, 3, 2]
    both = move(up, 1, up.item == 3, 1.2, "in fashion")
    assert both.item.tolist() == [0, 3, 1, 2]
    assert both["reason"].tolist() == ["", "liked; in fashion", "", ""]


def outcome(rule, data, rows, requests, state=None):
    """(the rows out, which items of each request moved, spread of each request), after what all moves must hold to."""
    state = data.state() if state is None else state
    rule.fit(data)
    out = rule.apply(requests, rows, state)
    moved: list[dict[int, float]] = []
    for r in range(len(requests)):
        before, after = rows.take(rows.request == r), out.take(out.request == r)
        single = rule.apply(requests.take([r]), replace(before, request=np.zeros(len(before), np.uint32)), state)
        assert single.item.tolist() == after.item.tolist()
        np.testing.assert_array_equal(single["score"], after["score"])
        old = dict(zip(before.item.tolist(), before["score"].tolist(), strict=True))
        spread = statistics.pstdev(old.values()) if len(set(old.values())) > 1 else 1.0
        changes = {i: (s - old[i]) / spread for i, s in zip(after.item.tolist(), after["score"].tolist(), strict=True)}
        moved.append({i: c for i, c in changes.items() if c != 0})
        assert sorted(after.item.tolist()) == sorted(before.item.tolist())
        still = [i for i in after.item.tolist() if i not in moved[-1]]
        assert still == [i for i in before.item.tolist() if i not in moved[-1]]
        assert (after["reason"] != "").tolist() == [i in moved[-1] for i in after.item.tolist()]
    return out, moved


def amounts(moved: list[dict[int, float]], amount: float) -> list[set[int]]:
    """The items that moved, every one by the amount."""
    for changes in moved:
        np.testing.assert_allclose(list(changes.values()), amount, rtol=1e-4)
    return [set(changes) for changes in moved]


KINDS = {"brand": "category", "tags": "list", "price": "number", "team": "category", "likes": "list", "age": "number"}
brands = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=N, max_size=N)
tags = st.lists(st.lists(st.sampled_from("wxyz"), max_size=3, unique=True), min_size=N, max_size=N)
people = st.fixed_dictionaries(
    {
        "team": st.lists(st.sampled_from(["a", "b", "d", None]), min_size=5, max_size=5),
        "likes": st.lists(st.lists(st.sampled_from("wxv"), max_size=2, unique=True), min_size=5, max_size=5),
        "age": st.lists(st.sampled_from([5.0, 30.0, 64.5, None]), min_size=5, max_size=5),
    }
)
USERS = [0, 1, 2, -1, 9, 3]
EVERY = [list(range(N))] * len(USERS)
GROUPS = {"young": (0, 30), "old": (30, 100), "older": (60, 100)}


@settings(max_examples=60, deadline=None)
@given(brand=brands, tag=tags, users=people, shape=st.sampled_from(["same", "list", "named", "groups"]))
def test_boost_is_its_definition(brand, tag, users, shape):
    data = catalogue(KINDS, brand=brand, tags=tag, users=users)
    likes = {"named": {"a": ["b", "c"], "d": ["a"], "nobody": ["a"]}, "groups": {"young": ["x", "y"], "older": ["w"]}}
    config = {
        "same": {"user": "team", "item": "brand"},
        "list": {"user": "likes", "item": "tags"},
        "named": {"user": "team", "item": "brand", "likes": likes["named"]},
        "groups": {"user": "age", "item": "tags", "likes": likes["groups"], "groups": GROUPS},
    }[shape]
    rule = Boost(**config, amount=0.75)
    requests = ask(len(USERS), NOW, USERS)
    out, moved = outcome(rule, data, rows_of(EVERY), requests)

    def wanted(user: int) -> set[str]:
        if not 0 <= user < 5:
            return set()
        if shape == "groups":
            age = users["age"][user]
            mine = [] if age is None else [name for name, (low, high) in GROUPS.items() if low <= age < high]
        else:
            mine = users["likes"][user] if shape == "list" else [users["team"][user]]
        named = likes.get(shape)
        return {value for own in mine if own is not None for value in (named.get(own, []) if named else [own])}

    values = [set(t) for t in tag] if shape in ("list", "groups") else [{b} - {None} for b in brand]
    expected = [{i for i in range(N) if wanted(user) & values[i]} for user in USERS]
    assert amounts(moved, 0.75) == expected
    share = [1 - len(found) / N if wanted(user) else np.nan for found, user in zip(expected, USERS, strict=True)]
    known = {value for one in values for value in one}
    share = [s if wanted(user) & known else np.nan for s, user in zip(share, USERS, strict=True)]
    np.testing.assert_allclose(rule.missed(requests, out, data.state()), share)


@settings(max_examples=60, deadline=None)
@given(brand=brands, tag=tags, users=people, shape=st.sampled_from(["same", "named", "groups"]))
def test_mismatch_is_its_definition(brand, tag, users, shape):
    data = catalogue(KINDS, brand=brand, tags=tag, users=users)
    named = {"same": None, "named": {"a": ["a", "b"], "b": ["b"]}, "groups": {"young": ["x", "y"], "old": ["y", "z"]}}
    suits = named[shape]
    config = (
        {"user": "age", "item": "tags", "groups": GROUPS} if shape == "groups" else {"user": "team", "item": "brand"}
    )
    rule = Mismatch(**config, **({"suits": suits} if suits else {}), amount=1.5)
    requests = ask(len(USERS), NOW, USERS)
    out, moved = outcome(rule, data, rows_of(EVERY), requests)
    values = [set(t) for t in tag] if shape == "groups" else [{b} - {None} for b in brand]
    known = {value for one in values for value in one}
    if suits is None:
        suits = {team: [team] for team in {*users["team"]} - {None}}
    if shape != "groups":
        suits = {team: made for team, made in suits.items() if team in users["team"]}  # of nobody's it says nothing
    suits = {group: set(made) & known for group, made in suits.items()}
    suits = {group: made for group, made in suits.items() if made}
    named_at_all = {value for made in suits.values() for value in made}

    def wrong(user: int, item: int) -> bool:
        if not 0 <= user < 5:
            return False
        age = users["age"][user]
        mine = [users["team"][user]] if shape != "groups" else []
        if shape == "groups" and age is not None:
            mine = [name for name, (low, high) in GROUPS.items() if low <= age < high]
        mine = [group for group in mine if group in suits]
        if not mine or not values[item]:
            return False
        fits = {value for group in mine for value in suits[group]}
        return not any(value in fits or value not in named_at_all for value in values[item])

    expected = [{i for i in range(N) if wrong(user, i)} for user in USERS]
    assert amounts(moved, -1.5) == expected
    np.testing.assert_allclose(rule.missed(requests, out, data.state()), [len(found) / N for found in expected])


def test_attributes_and_words_that_are_not_there_are_named():
    data = catalogue(KINDS, brand=["a"] * N, price=[1.0] * N, users={"team": ["a"] * 5, "age": [3.0] * 5})
    for rule, line in [
        (Boost(user="sex", item="brand"), "rules.boost.user: no user attribute 'sex'; .*: age, team"),
        (Boost(user="team", item="price"), "rules.boost.item: 'price' is of kind number"),
        (Mismatch(user="age", item="brand"), "rules.mismatch.groups: 'age' needs groups"),
        (Mismatch(user="team", item="brand", groups={"x": (0, 1)}), "rules.mismatch.groups: 'team' is no number"),
        (PriceGap(price="brand"), "rules.price_gap.price: no item attribute 'brand' of kind number; there are: price"),
        (PriceGap(price="price", by="colour"), "rules.price_gap.by: no item attribute 'colour'"),
        (PriceGap(price="price", events="click"), "rules.price_gap.events: the log has no event 'click'; .* view, buy"),
        (BoughtRecently(events="click"), "rules.bought_recently.events: the log has no event"),
        (BoughtRecently(by="price"), "rules.bought_recently.by: 'price' is of kind number"),
        (Fatigue(events="click"), "rules.fatigue.events: the log has no event"),
        (Intent(by=["genre"]), "rules.intent.by: no item attribute 'genre'"),
    ]:
        with pytest.raises(InputError, match=line):
            rule.fit(data)
    said = []
    with listening(lambda name, fields: said.append(fields.get("message", ""))):
        Boost(user="team", item="brand", likes={"a": ["q"], "z": ["a"]}).fit(data)
    assert said == [
        "rules.boost.likes.a: no item is 'q'; it says nothing",
        "rules.boost.likes: no user is 'z'; it says nothing",
    ]


events = st.lists(
    st.tuples(st.integers(-1, 4), st.integers(0, N - 1), st.integers(0, 1), st.integers(0, NOW + 50)), max_size=60
)


def history(data, requests):
    return replace(requests, history=data.state().history(requests.user, requests.time))


@settings(max_examples=80, deadline=None)
@given(
    log=events,
    prices=st.lists(st.sampled_from([None, -1.0, 1.0, 2.0, 4.0, 9.0, 50.0]), min_size=N, max_size=N),
    brand=brands,
    by=st.sampled_from([None, "brand"]),
    which=st.sampled_from(["positive", "all", "view"]),
    side=st.sampled_from(["both", "above", "below"]),
    width=st.sampled_from([0.3, 1.0, 2.0]),
    prior=st.sampled_from([0.0, 3.0]),
)
def test_price_gap_is_its_definition(log, prices, brand, by, which, side, width, prior):
    data = catalogue(KINDS, log, price=prices, brand=brand)
    rule = PriceGap(price="price", by=by, events=which, side=side, width=width, prior=prior, half_life=300, evidence=2)
    requests = history(data, ask(len(USERS), NOW, USERS))
    out, moved = outcome(rule, data, rows_of(EVERY), requests)
    known = [p is not None and p > 0 for p in prices]
    logs = [math.log(p) if ok else None for p, ok in zip(prices, known, strict=True)]
    middle = {None: float(np.median([x for x in logs if x is not None])) if any(known) else 0.0}
    for level in {*brand} - {None} if by else ():
        own = [x for x, b in zip(logs, brand, strict=True) if x is not None and b == level]
        middle[level] = float(np.median(own)) if own else middle[None]
    x = [None if v is None else v - middle[b if by else None] for v, b in zip(logs, brand, strict=True)]
    spread = statistics.pstdev([v for v in x if v is not None]) if any(known) else 0.0
    expected = []
    for user in USERS:
        mine = sorted(
            ((t, i) for u, i, e, t in log if u == user != -1 and t <= NOW and which in ("all", ("view", "positive")[e]))
        )
        # of SHOP views are never positive and purchases always
        paid = [(t, x[i]) for t, i in mine if x[i] is not None]
        if len(paid) < 2:
            expected.append(set())
            continue
        weights = [0.5 ** ((paid[-1][0] - t) / 300) for t, _ in paid]
        mean = sum(w * v for w, (_, v) in zip(weights, paid, strict=True)) / sum(weights)
        square = sum(w * (v - mean) ** 2 for w, (_, v) in zip(weights, paid, strict=True))
        reach = width * math.sqrt((square + prior * spread**2) / (sum(weights) + prior))
        gaps = {i: v - mean for i, v in enumerate(x) if v is not None}
        near = [i for i, gap in gaps.items() if abs(abs(gap) - reach) < 1e-5]
        if near:
            return  # on the very edge of the band
        far = {i for i, gap in gaps.items() if abs(gap) > reach}
        expected.append({i for i in far if side == "both" or (gaps[i] > 0) == (side == "above")})
    assert amounts(moved, -1.0) == expected
    low, _ = rule.band(requests, data.state())
    share = [np.nan if np.isnan(b) else len(found) / N for b, found in zip(low, expected, strict=True)]
    np.testing.assert_allclose(rule.missed(requests, out, data.state()), share)


@settings(max_examples=80, deadline=None)
@given(log=events, brand=brands, by=st.sampled_from([None, "brand"]), evidence=st.integers(1, 3))
def test_bought_recently_is_its_definition(log, brand, by, evidence):
    data = catalogue(KINDS, log, brand=brand)
    known = data.until(NOW)
    rule = BoughtRecently(events="buy", by=by, evidence=evidence, cycle=200, back=0.5)
    requests = history(data, ask(len(USERS), NOW + 20, USERS))
    out, moved = outcome(rule, known, rows_of(EVERY), requests, data.state())
    gaps: dict[object, list[int]] = {}
    for user in range(5):
        for item in range(N):
            times = sorted({t for u, i, e, t in log if (u, i, e) == (user, item, 1) and t < NOW})
            for before, after in pairwise(times):
                gaps.setdefault(item, []).append(after - before)
                if brand[item] is not None:
                    gaps.setdefault(brand[item], []).append(after - before)

    def cycle(item: int) -> int:
        for key in [item, *([brand[item]] if by else [])]:
            own = sorted(gaps.get(key, []))
            if len(own) >= evidence:
                return own[(len(own) - 1) // 2]
        return 200

    expected = []
    for user in USERS:
        last = (
            {
                i: max(t for u, j, e, t in log if (u, j, e) == (user, i, 1) and t <= NOW + 20)
                for i in range(N)
                if any((u, j, e) == (user, i, 1) and t <= NOW + 20 for u, j, e, t in log)
            }
            if user >= 0
            else {}
        )
        expected.append({i for i, t in last.items() if NOW + 20 - t < 0.5 * cycle(i)})
    assert amounts(moved, -3.0) == expected
    np.testing.assert_allclose(rule.missed(requests, out, data.state()), [len(found) / N for found in expected])


def test_what_was_bought_comes_back_when_it_is_used_up():
    """Bread every 40, milk every 10; soap was bought again once only, as its kind was, and has the default."""
    log = [(u, item, 1, gap * k) for u in range(3) for item, gap in ((0, 40), (1, 10)) for k in range(200 // gap)]
    log += [(0, 2, 1, 0), (0, 2, 1, 150), (0, 0, 0, 165), (0, 1, 0, 220)]  # and looked at, which is no purchase
    data = catalogue({"kind": "category"}, log, n_items=3, kind=["food", "food", "soap"])
    rule = BoughtRecently(events="buy", by="kind", evidence=4, cycle=100, back=0.75).fit(data)
    assert rule.cycle_of(np.array([0, 1, 2, 7]), np.full(4, 200), data.state()).tolist() == [40, 10, 100, 100]
    rows = rows_of([[2, 1, 0]])
    lists = [rule.apply(ask(1, t, [0]), rows, data.state()).item.tolist() for t in (168, 191, 198, 226)]
    # bought last: bread at 160, milk at 160 and 190, soap at 150; back after 30, 7.5 and 75
    assert lists == [[1, 2, 0], [0, 2, 1], [1, 0, 2], [2, 1, 0]]
    assert rule.missed(ask(2, [168, 226], [0, 0]), rows_of([[2, 1], [2, 1]]), data.state()).tolist() == [0.5, 0]


@settings(max_examples=80, deadline=None)
@given(log=events, brand=brands, tag=tags, last=st.integers(1, 4), idle=st.sampled_from([None, 30, 200]))
def test_intent_is_its_definition(log, brand, tag, last, idle):
    data = catalogue(KINDS, log, brand=brand, tags=tag)
    rule = Intent(by=["brand", "tags"], last=last, idle=idle, amount=2.0)
    requests = history(data, ask(len(USERS), NOW, USERS))
    _, moved = outcome(rule, data, rows_of(EVERY), requests)
    values = [{("tags", t) for t in tag[i]} | ({("brand", brand[i])} - {("brand", None)}) for i in range(N)]
    usual: dict[tuple[str, str], float] = {}
    for _, i, _, _ in log:
        for value in values[i]:
            usual[value] = usual.get(value, 0) + 1 / len(log)
    for user, changes in zip(USERS, moved, strict=True):
        mine = sorted((t, at) for at, (u, _, _, t) in enumerate(log) if u == user != -1 and t <= NOW)
        session: list[int] = []
        later = NOW
        for t, at in reversed(mine):
            if len(session) == last or (idle is not None and later - t > idle):
                break
            session.append(log[at][1])
            later = t
        gain = {}
        for i in range(N):
            lifts = [0.0]
            for value in values[i]:
                p, q = sum(value in values[j] for j in session) / max(1, len(session)), usual.get(value, 0.0)
                lifts.append((p - q) / (1 - q) if p > q + 1e-9 else 0.0)
            gain[i] = 2.0 * max(lifts)
        assert all(abs(changes.get(i, 0.0) - amount) < 1e-4 for i, amount in gain.items())


def test_a_dear_pen_and_a_dear_desk_are_one_price_level():
    """Who pays twice the middle price of pens and of desks is not offered cheap ones of either."""
    kinds = {"price": "number", "kind": "category"}
    prices, kind = [1.0, 2.0, 4.0, 100.0, 200.0, 400.0], ["pen"] * 3 + ["desk"] * 3
    data = catalogue(kinds, [(0, 2, 1, 10), (0, 5, 1, 20), (0, 2, 1, 30), (0, 0, 0, 40)], price=prices, kind=kind)
    rule = PriceGap(price="price", by="kind", prior=0, width=1).fit(data)
    requests = history(data, ask(1, 100, [0]))
    rows = rows_of([list(range(6))], scores=[[0, 1, 2, 3, 4, 5]])
    out = rule.apply(requests, rows, data.state())
    assert {i for i, said in zip(out.item.tolist(), out["reason"].tolist(), strict=True) if not said} == {2, 5}
    assert rule.missed(requests, rows, data.state()).tolist() == [4 / 6]
    whole = PriceGap(price="price", prior=0, width=1).fit(data)
    low, high = (np.exp(bound[0] + whole.middles_[0]) for bound in whole.band(requests, data.state()))
    assert low < 4 < 100 < high < 400  # over the whole catalogue such a person has no level to speak of


def test_intent_takes_an_empty_log_for_one_in_which_nothing_is_usual():
    rule = Intent(by=["brand"]).fit(catalogue(KINDS, brand=["a", "b"] * 5))
    assert rule.usual_["share"].tolist() == [0, 0]


def test_intent_has_no_opinion_without_a_session():
    data = catalogue(KINDS, [(0, 1, 0, 10)], brand=["a", "b"] * 5)
    rule = Intent(by=["brand"], idle=100)
    requests = history(data, ask(2, [500, 50], [0, 0]))
    out, moved = outcome(rule, data, rows_of([[0, 1], [0, 1]]), requests)
    assert moved == [{}, {}]  # a log of brand b alone: its session says nothing new
    assert np.isnan(rule.missed(requests, out, data.state())).tolist() == [True, False]


@settings(max_examples=80, deadline=None)
@given(
    log=events,
    shown=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(0, NOW + 50)), max_size=60),
    which=st.sampled_from(["all", "buy"]),
    most=st.integers(1, 3),
    window=st.sampled_from([100, 5000]),
    does=st.sampled_from(["sink", "drop"]),
)
def test_fatigue_is_its_definition(log, shown, which, most, window, does):
    data = catalogue(KINDS, log, shown=shown, brand=["a"] * N)
    rule = Fatigue(events=which, most=most, window=window, does=does)
    requests = ask(len(USERS), NOW, USERS)  # without a history: the state knows it
    expected = []
    for user in USERS:
        tired = set()
        for item in range(N):
            acted = [t for u, i, e, t in log if (u, i) == (user, item) and t <= NOW and (which == "all" or e == 1)]
            since = max([NOW - window, *acted])
            seen = [t for u, i, t in shown if (u, i) == (user, item) and since < t <= NOW]
            tired |= {item} if user >= 0 and len(seen) >= most else set()
        expected.append(tired)
    if does == "sink":
        out, moved = outcome(rule, data, rows_of(EVERY), requests)
        assert amounts(moved, -2.0) == expected
        np.testing.assert_allclose(rule.missed(requests, out, data.state()), [len(found) / N for found in expected])
    else:
        rows = rule.fit(data).apply(requests, rows_of(EVERY), data.state())
        left = [rows.item[rows.request == r].tolist() for r in range(len(USERS))]
        assert left == [[i for i in range(N) if i not in tired] for tired in expected]
