"""The order many requests share, against a sorted list from which each takes what it may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.recall._kernels import ordered
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.types import Ragged, Requests

steady = settings(deadline=None, derandomize=True, max_examples=40)
TICK = 4
OPTIONS = [
    ("popular", {"refresh": TICK, "half_life": 5}),
    ("popular", {"refresh": TICK, "half_life": None, "segment": ["team"]}),
    ("fresh", {"refresh": TICK, "half_life": 5, "window": 12, "explore": 0.3}),
]


def plain_read(lists, which, exclude, k):
    return [
        (r, item, score)
        for r, w in enumerate(which)
        for item, score in [pair for pair in lists[w] if pair[0] not in exclude[r]][:k]
    ]


@steady
@given(st.integers(0, 10_000), st.integers(0, 6))
def test_read(seed: int, k: int):
    rng = np.random.default_rng(seed)
    lists = [[(int(i), float(i)) for i in rng.permutation(9)[: rng.integers(0, 10)]] for _ in range(3)]
    which = rng.integers(0, 3, 5)
    exclude = [np.sort(rng.permutation(12)[: rng.integers(0, 8)]) for _ in which]
    flat = [pair for one in lists for pair in one]
    got = ordered.read(
        which, np.cumsum([0, *map(len, lists)]), np.array([i for i, _ in flat], np.int32),
        np.array([s for _, s in flat], np.float32), np.cumsum([0, *map(len, exclude)]),
        np.concatenate(exclude).astype(np.int32), max((i for i, _ in flat), default=-1) + 1, k,
    )  # fmt: skip
    assert list(zip(*(part.tolist() for part in got), strict=True)) == plain_read(lists, which, exclude, k)


@steady
@given(st.lists(st.integers(0, 4), max_size=20), st.integers(1, 25))
def test_the_foremost_and_their_equals(scores: list[int], depth: int):
    found = ordered.foremost(np.array(scores, np.float32), depth)
    least = sorted(scores, reverse=True)[:depth][-1] if scores else 0
    assert found.tolist() == [i for i, score in enumerate(scores) if score >= least]


def asking(data, state, seed: int, n: int = 6) -> Requests:
    rng = np.random.default_rng(seed)
    users, times = rng.integers(-1, data.n_users, n).astype(np.int32), rng.integers(0, 24, n)
    requests = Requests.of(users, times, state.history(users, times))
    rows = np.sort(rng.integers(0, n, 30))
    return requests.excluding(Ragged.of(rows, n, item=rng.integers(0, data.n_items + 2, 30).astype(np.int32)))


def world(seed: int, part: slice = slice(None)):
    """A random log of 25 moments whose users have a team."""
    log = worlds.random_log(seed, users=9, items=12, events=90)
    events = log.events.take(part)
    team = worlds.dataset(
        np.zeros(1), np.zeros(1), np.zeros(1), n_users=9,
        users=pl.DataFrame({"user": [f"u{u}" for u in range(9)], "team": [*"aabbccc", None, None]}),
        kinds={"team": "category"},
    )  # fmt: skip
    return replace(log, events=events, users=team.users)


def same(one, other) -> bool:
    return np.array_equal(one.keys, other.keys) and np.array_equal(one["score"], other["score"])


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_changes_no_answer(name: str, options: dict, seed: int, monkeypatch: pytest.MonkeyPatch):
    data = world(seed)
    channel = find("recall", name).from_config(options).fit(data)  # type: ignore[attr-defined]
    requests = asking(data, data.state(), seed)
    whole = channel.retrieve(requests, data.state(), 100)
    monkeypatch.setattr(ordered, "SHORTEST", 1)
    used = data.state()
    for k in (1, 3, 2, 100, 4):
        mine = [whole.take(whole.request == r) for r in range(len(requests))]
        expected = type(whole).concat([part.take(np.arange(min(k, len(part)))) for part in mine])
        assert same(channel.retrieve(requests, used, k), expected)
        assert same(channel.retrieve(requests, data.state(), k), expected)
        for r in range(len(requests)):
            for state in (used, data.state()):
                one = channel.retrieve(requests.take([r]), state, k)
                assert one.item.tolist() == expected.item[expected.request == r].tolist()


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_live_events_show_where_they_belong(name: str, options: dict, seed: int):
    data, early = world(seed), world(seed, slice(0, 60))
    channel = find("recall", name).from_config(options).fit(early)  # type: ignore[attr-defined]
    state, known = early.state(), data.state()
    requests = asking(data, known, seed, 20)
    before = channel.retrieve(requests, state, 5)
    live = data.events.take(slice(60, None))
    state.append(live)
    after = channel.retrieve(requests, state, 5)
    assert same(after, channel.retrieve(requests, known, 5))
    untouched = requests.time // TICK * TICK < live.time[0]
    assert same(before.take(untouched[before.request]), after.take(untouched[after.request]))
    assert not same(before, after)


def test_a_channel_fitted_anew_has_its_own_lists():
    data = world(1)
    state, requests = data.state(), asking(data, data.state(), 1)
    channel = find("recall", "fresh").from_config({"refresh": TICK, "window": 12})  # type: ignore[attr-defined]
    channel.fit(data).retrieve(requests, state, 5)
    other = replace(data, available_from=np.arange(data.n_items))
    again = channel.fit(other).retrieve(requests, state, 5)
    assert same(again, channel.retrieve(requests, data.state(), 5))
