"""What friends took, against its definition, and what only friends can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist import answer
from shortlist.component import InputError
from shortlist.merge.quota import Quota
from shortlist.pipeline import Pipeline
from shortlist.progress import listening
from shortlist.recall._collaborative import FAINT
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.popular import Popular
from shortlist.recall.social import Social
from shortlist.testing import worlds
from shortlist.types import Candidates, Ragged, Requests

HOUR = 60 * worlds.MINUTE


def tied(pairs, weight=None, time=None) -> pl.DataFrame:
    columns = {"user": [f"u{a}" for a, _ in pairs], "friend": [f"u{b}" for _, b in pairs]}
    schema = {"user": pl.String, "friend": pl.String}
    if weight is not None:
        columns["weight"], schema["weight"] = weight, pl.Float32
    if time is not None:
        columns["time"], schema["time"] = time, pl.Int64
    return pl.DataFrame(columns, schema=schema)


def asked(data, users, state=None, at=None, exclude=None) -> Requests:
    state = state or data.state()
    users = np.asarray(users, np.int32)
    times = np.full(len(users), state.last + 1 if at is None else at)
    requests = Requests.of(users, times, state.history(users, times))
    return requests if exclude is None else requests.excluding(exclude)


def plain_ties(channel: Social, data) -> np.ndarray:
    n = data.n_users
    tie, code = np.zeros((n, n)), {name: c for c, name in enumerate(data.user_ids.ids)}
    for row in data.ties.iter_rows(named=True):
        a, b = code.get(row["user"], -1), code.get(row["friend"], -1)
        began = row.get("time")
        if a >= 0 and b >= 0 and a != b and (began is None or began <= data.fitted_until):
            weight = row.get("weight", 1.0)
            tie[a, b] += 1.0 if weight is None else weight
    if not channel.directed:
        tie = np.maximum(tie, tie.T)
    near = [set(np.flatnonzero(tie[u])) | {u} for u in range(n)]
    took = [set(data.events.item[(data.events.user == u) & (data.events.weight > 0)].tolist()) for u in range(n)]
    for a, b in np.argwhere(tie):
        if channel.strength == "neighbours":
            tie[a, b] *= len(near[a] & near[b]) / len(near[a] | near[b])
        elif channel.strength == "items":
            tie[a, b] *= (len(took[a] & took[b]) + 1) / (len(took[a] | took[b]) + 1)
    total = tie.sum(axis=1, keepdims=True)
    q = np.divide(tie, total, out=np.zeros_like(tie), where=total > 0)
    p = q + channel.second * q @ q
    np.fill_diagonal(p, 0)
    for u in range(n):
        p[u, np.argsort(-p[u].astype(np.float32), kind="stable")[channel.friends :]] = 0
    return p


def plain(channel: Social, p: np.ndarray, data, user: int, at: int) -> dict[int, tuple[float, int]]:
    events, found = data.events, []
    for v in np.flatnonzero(p[user]):
        mine = np.flatnonzero((events.user == v) & (events.time <= at) & events.select(channel.event, data.behaviours))
        found += [(v, e) for e in mine[-channel.last :]]
    latest = max((events.time[e] for _, e in found), default=0)
    best: dict[tuple[int, int], float] = {}
    for v, e in found:
        w = events.weight[e] if events.weight[e] > 0 else data.behaviours.strengths[events.event[e]]
        fade = max(0.5 ** ((latest - events.time[e]) / channel.half_life), FAINT) if channel.half_life else 1
        best[int(events.item[e]), v] = max(best.get((int(events.item[e]), v), 0), w * fade)
    out: dict[int, tuple[float, int]] = {}
    for (item, v), worth in best.items():
        score, friends = out.get(item, (0.0, 0))
        out[item] = score + p[user, v] * worth, friends + 1
    return {item: told for item, told in out.items() if told[0] > 0}


def crowd(seed: int, weights=True, times=True):
    rng = np.random.default_rng(seed)
    n, m = 9, 70
    user, time = rng.integers(-1, n, m), np.sort(rng.integers(0, 60, m)) * HOUR
    event, value = rng.integers(0, 3, m), rng.integers(1, 6, m).astype(np.float32)
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, n + 2, (24, 2))]  # the last two are nobody; some are oneself
    ties = tied(
        pairs,
        [None if x == 0 else float(x) / 4 for x in rng.integers(0, 6, 24)] if weights else None,
        [None if x == 0 else int(x) * HOUR for x in rng.integers(0, 70, 24)] if times else None,
    )
    return worlds.dataset(
        user, rng.integers(0, 12, m), time, event, value, behaviours=worlds.SHOP, n_users=n, n_items=12, ties=ties
    )


OPTIONS = [
    {},
    {"directed": True, "second": 0.0},
    {"strength": "neighbours", "second": 1.0},
    {"strength": "items", "half_life": "5h", "last": 3},
    {"strength": "items", "directed": True, "event": "all"},
    {"friends": 2, "event": "view", "half_life": "1h"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_matches_the_definition(options, seed):
    whole = crowd(seed, weights=seed != 1, times=seed != 2)
    cut = 40 * HOUR
    channel = Social(**options).fit(whole.until(cut))
    p = plain_ties(channel, whole.until(cut))
    assert channel.ties_.toarray() == pytest.approx(p, abs=1e-6)
    state = whole.state()
    for at in (cut, 50 * HOUR, 70 * HOUR):  # what friends did after the fit counts as well, up to the moment
        requests = asked(whole, np.arange(9), state, at)
        rows = channel.retrieve(requests, state, 100)
        every = Candidates(np.repeat(np.arange(9), 12).astype(np.uint32), np.tile(np.arange(12), 9).astype(np.int32))
        scores = channel.score(requests, every, state).reshape(9, 12)
        said = np.array(channel.reasons(requests, every, state)).reshape(9, 12)
        for u in range(9):
            expected = plain(channel, p, whole, u, at)
            found = dict(zip(rows.item[rows.request == u].tolist(), rows["score"][rows.request == u], strict=True))
            assert found == pytest.approx({item: score for item, (score, _) in expected.items()}, rel=1e-5)
            for item in range(12):
                score, friends = expected.get(item, (0.0, 0))
                assert scores[u, item] == pytest.approx(score, rel=1e-5)
                if friends > 1:
                    assert said[u, item].startswith(f"{friends} ")
                else:
                    assert bool(said[u, item]) == bool(friends)


def test_friends_are_told_by_their_number_only():
    data = worlds.dataset([1, 2, 3], [0, 0, 1], [1, 2, 3], n_users=4, ties=tied([(0, 1), (0, 2), (0, 3)]))
    channel = Social(second=0).fit(data)
    rows = channel.retrieve(requests := asked(data, [0]), data.state(), 5)
    assert rows.item.tolist() == [0, 1]
    assert channel.reasons(requests, rows, data.state()) == ["2 friends took it", "a friend took it"]
    near = Social().fit(data)
    assert near.reasons(asked(data, [0]), rows, data.state()) == [
        "2 people near you took it",
        "one of the people near you took it",
    ]


def test_the_answer_says_so_where_friends_are_the_reason():
    data = worlds.dataset([1, 2, 3, 3], [0, 0, 1, 2], np.arange(4) * HOUR, n_users=4, ties=tied([(0, 1), (0, 2)]))
    recall = {"friends": Social(second=0), "cf": ItemCF(), "hot": Popular()}
    pipeline = Pipeline(recall=recall, merge=Quota(), rules={})
    pipeline.fit(data)
    state = data.state()
    found = answer.recommend(pipeline, state, answer.requests_of(state, np.array([0]), state.last + HOUR), 3)
    told = {line["item"]: line["reason"] for line in answer.tell(found, pipeline, data)[0]}
    assert told == {"i0": "2 friends took it", "i1": "found by hot", "i2": "found by hot"}
    assert all("u1" not in reason and "u2" not in reason for reason in told.values())


def test_a_live_event_of_a_friend_counts_at_once():
    data = worlds.dataset([1, 2], [0, 1], [1, 2], n_users=3, n_items=4, ties=tied([(0, 1)]))
    channel, state = Social().fit(data), data.state()
    requests = asked(data, [0], at=10)
    assert channel.retrieve(requests, state, 5).item.tolist() == [0]
    new = worlds.dataset([1], [3], [5], n_users=3, n_items=4).events
    state.append(new)
    assert sorted(channel.retrieve(requests, state, 5).item.tolist()) == [0, 3]  # the same batch, asked again
    state.forget(1, 10)
    assert len(channel.retrieve(asked(data, [0], at=10), state, 5)) == 0


def test_ties_bind_both_unless_they_are_directed_and_two_steps_reach_further():
    data = worlds.dataset([0, 1, 2], [0, 1, 2], [1, 2, 3], ties=tied([(0, 1), (1, 2)]))

    def items(user, **options):
        return sorted(Social(**options).fit(data).retrieve(asked(data, [user]), data.state(), 5).item.tolist())

    assert items(0, second=0) == [1]
    assert items(0) == [1, 2]
    assert items(2, second=0) == [1]
    assert items(2, second=0, directed=True) == items(2, directed=True) == []
    assert items(0, directed=True) == [1, 2]


def test_the_excluded_use_up_no_rows():
    data = worlds.dataset([1, 1, 1], [0, 1, 2], [1, 2, 3], n_users=2, ties=tied([(0, 1)]))
    gone = Ragged.of(np.array([0]), 1, item=np.array([0], np.int32))
    requests = asked(data, [0], exclude=gone)
    assert Social().fit(data).retrieve(requests, data.state(), 2).item.tolist() == [1, 2]


def test_what_cannot_be_is_refused_and_the_unknown_are_told():
    data = worlds.dataset([0], [0], [1], n_users=2)
    with pytest.raises(InputError, match=r"social: expected \[data\.ties\]"):
        Social().fit(data)
    with_ties = replace(data, ties=tied([(0, 1), (0, 7), (8, 9)]))
    with pytest.raises(InputError, match=r"social\.event: 'buy'"):
        Social(event="buy").fit(with_ties)
    heard = []
    with listening(lambda name, fields: heard.append(fields)):
        Social().fit(with_ties)
    assert any("2 of 3 ties name a user" in str(event) for event in heard)
    nobody = asked(data, [-1, 0, 5])
    assert len(Social().fit(replace(data, ties=tied([]))).retrieve(nobody, data.state(), 3)) == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.sampled_from(OPTIONS), later=st.integers(41, 80))
def test_later_events_change_nothing_and_a_batch_is_its_requests(seed, which, later):
    whole = crowd(seed)
    channel = Social(**which).fit(whole.until(40 * HOUR))
    now = whole.until(40 * HOUR).state()
    requests = asked(whole, np.arange(9), now, 40 * HOUR - 1)
    rows = channel.retrieve(requests, now, 20)
    grown = whole.until(later * HOUR).state()
    again = channel.retrieve(asked(whole, np.arange(9), grown, 40 * HOUR - 1), grown, 20)
    assert rows.item.tolist() == again.item.tolist()
    assert np.array_equal(rows["score"], again["score"])
    for u in range(9):
        one = channel.retrieve(requests.take([u]), now, 20)
        assert one.item.tolist() == rows.item[rows.request == u].tolist()
        assert one["score"] == pytest.approx(rows["score"][rows.request == u], rel=1e-6)


def test_friends_tell_of_people_without_a_history_what_nobody_else_can():
    """Circles of ten, each with twelve items of its own among those that all take alike; a tenth has no history."""
    rng = np.random.default_rng(0)
    n, c = 200, 240
    circle = np.arange(n) // 10
    new = np.arange(n) % 10 == 0
    users, items = [], []
    for u in np.flatnonzero(~new):
        own = circle[u] * 12 + rng.choice(12, 6, replace=False)
        users.append(np.full(6, u))
        items.append(own)
    user, item = np.concatenate(users), np.concatenate(items)
    order = rng.permutation(len(user))
    pairs = [(a, b) for k in range(20) for a in range(10 * k, 10 * k + 10) for b in rng.choice(10, 4) + 10 * k]
    ties = pl.DataFrame({"user": [f"u{a:03d}" for a, _ in pairs], "friend": [f"u{b:03d}" for _, b in pairs]})
    data = worlds.dataset(user[order], item[order], np.arange(len(user)) * HOUR, n_users=n, n_items=c, ties=ties)
    requests, state = asked(data, np.flatnonzero(new)), data.state()

    def right(channel):
        rows = channel.fit(data).retrieve(requests, state, 10)
        return (rows.item // 12 == circle[requests.user[rows.request]]).sum() / (10 * len(requests))

    assert right(Social()) > 0.9
    assert right(Popular()) < 0.2
    assert right(ItemCF()) == 0
