"""State against plain Python: what was known at a time, from one log or from a snapshot and what came after."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import State, _decayed
from shortlist.testing.worlds import checkerboard, empty, random_log

steady = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 10_000)
WHICH = ["all", "positive", "view", "buy", "rating", "no such behaviour"]


def rows_of(events):
    """The log as plain rows, in its order."""
    names = ("user", "item", "event", "value", "time", "weight")
    return [
        dict(zip(names, row, strict=True)) for row in zip(*(getattr(events, n).tolist() for n in names), strict=True)
    ]


def chosen(row, which, behaviours):
    if which in ("all", "positive"):
        return which == "all" or row["weight"] > 0
    return which in behaviours.names and row["event"] == behaviours.names.index(which)


def questions(data, seed, n=12):
    """Known and unknown ids, and moments before, inside and after the log."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(-1, max(data.n_users, data.n_items) + 3, n)
    return ids.astype(np.int32), rng.integers(-2, 25, n)


def in_parts(data, cuts, log=None):
    """A state that had ``data`` until the first cut and was told the rest in pieces."""
    events = data.events if log is None else log
    bounds = [0, *sorted(min(c, len(events)) for c in cuts), len(events)]
    first, *rest = [events.take(slice(a, b)) for a, b in pairwise(bounds)]
    state = State(data.behaviours, data.users, data.items, data.available_from, first)
    for piece in rest:
        state.append(piece)
    return state


cuts = st.lists(st.integers(0, 80), min_size=1, max_size=5)


@steady
@given(seeds, cuts, st.sampled_from(WHICH), st.sampled_from([None, 1, 3]))
def test_history(seed, at, which, n):
    data = random_log(seed)
    users, times = questions(data, seed)
    log = rows_of(data.events)
    for state in (data.state(), in_parts(data, at)):
        got = state.history(users, times, n, which)
        assert len(got) == len(users)
        for r, (user, time) in enumerate(zip(users.tolist(), times.tolist(), strict=True)):
            mine = [
                x for x in log if x["user"] == user >= 0 and x["time"] <= time and chosen(x, which, data.behaviours)
            ]
            mine = mine if n is None else mine[-n:]
            row = got.row(r)
            for name in ("item", "event", "time", "weight", "value"):
                np.testing.assert_array_equal(row[name], np.array([x[name] for x in mine]))


@steady
@given(seeds, cuts, st.sampled_from(["user", "item"]))
def test_counts_and_last_seen(seed, at, entity):
    data = random_log(seed)
    ids, times = questions(data, seed)
    windows = [1, 4, None]
    log = rows_of(data.events)
    pieces = [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(len(data.events)), 3)]
    late = State(data.behaviours, data.users, data.items, data.available_from, data.events.take(pieces[0]))
    for piece in pieces[1:]:  # live events that arrive out of order
        late.append(data.events.take(piece))
    for state in (data.state(), in_parts(data, at), late):
        counts = state.counts(entity, ids, times, WHICH, windows)
        assert counts.shape == (len(ids), len(WHICH), len(windows))
        for e, which in enumerate(WHICH):
            seen = state.last_seen(entity, ids, times, which)
            for r, (one, time) in enumerate(zip(ids.tolist(), times.tolist(), strict=True)):
                stamps = [
                    x["time"]
                    for x in log
                    if x[entity] == one >= 0 and x["time"] <= time and chosen(x, which, data.behaviours)
                ]
                assert seen[r] == max(stamps, default=-1)
                for w, window in enumerate(windows):
                    assert counts[r, e, w] == sum(window is None or t > time - window for t in stamps)


@steady
@given(seeds, cuts, st.sampled_from(WHICH[:-1]), st.sampled_from([None, 2, 7]), st.booleans())
def test_decayed(seed, at, which, half_life, by_item):
    data = random_log(seed)
    entity = "item" if by_item else "user"
    n = data.n_items if by_item else data.n_users
    log = [x for x in rows_of(data.events) if chosen(x, which, data.behaviours) and x[entity] >= 0]
    times = np.random.default_rng(seed).integers(-2, 25, 6)
    expected = np.zeros((len(times), n))
    for t, time in enumerate(times.tolist()):
        past = [x for x in log if x["time"] <= time]
        reference = max((x["time"] for x in past), default=0)
        for x in past:
            weight = x["weight"] if x["weight"] > 0 else 1
            expected[t, x[entity]] += weight * (0.5 ** ((reference - x["time"]) / half_life) if half_life else 1)
    for state in (data.state(), in_parts(data, at)):
        np.testing.assert_allclose(state.decayed(entity, times, which, half_life), expected, rtol=1e-5)
        for t in range(len(times)):
            np.testing.assert_allclose(
                state.decayed(entity, times[t : t + 1], which, half_life)[0], expected[t], rtol=1e-5
            )


@steady
@given(seeds, cuts, st.sampled_from(WHICH[:-1]), st.sampled_from([None, 2, 7]), st.booleans())
def test_decayed_is_the_same_whatever_was_asked_before(seed, at, which, half_life, whole):
    """Sums are carried on from block to block: to the last bit they are those of a state that was never asked."""
    data = random_log(seed)
    data = replace(data, events=replace(data.events, time=data.events.time - 10))  # before 1970 as well as after
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        plain = {t: data.state().decayed("item", np.array([t]), which, half_life)[0] for t in range(-12, 13)}
        patch.setattr(_decayed, "BLOCK", 7)
        used = data.state() if whole else in_parts(data, at)
        for _ in range(6):
            times = rng.integers(-12, 13, rng.integers(1, 4))
            fresh = data.state() if whole else in_parts(data, at)
            got = used.decayed("item", times, which, half_life)
            np.testing.assert_array_equal(got, fresh.decayed("item", times, which, half_life))
            np.testing.assert_allclose(got, np.array([plain[t] for t in times.tolist()]), rtol=1e-5)


def test_decayed_reads_a_log_once_however_many_moments_follow_each_other(monkeypatch):
    data = random_log(1, events=500, span=400)
    monkeypatch.setattr(_decayed, "BLOCK", 50)
    state, read = data.state(), []
    counted = _decayed.DecayedSums._counted
    monkeypatch.setattr(_decayed.DecayedSums, "_counted", lambda *a: (read.append(len(a[2])), counted(*a))[1])
    for time in range(0, 400, 4):
        state.decayed("item", np.array([time]), "all", 5)
    assert sum(read) <= 500 + 100 * 50  # the log once, and for each question at most what is left of a block


def test_decayed_of_a_segment_counts_its_users_only():
    data = checkerboard()
    now = np.array([data.state().last])
    team = data.users.codes["team"]
    for code, level in enumerate(team.levels):
        counts = data.state().decayed("item", now, "positive", None, ("team", code))[0]
        other = np.arange(data.n_items) % 2 != ("even", "odd").index(level)
        assert (counts[other] == 0).all()
        assert (counts[~other] > 0).all()


@pytest.mark.parametrize("delay", [0, 5])
def test_an_event_that_arrives_after_the_question_counts_in_the_next_answer(delay):
    """Live events come late: one at or before a moment already asked about must count when it is asked again."""
    data = random_log(3)
    state = data.state()
    now = np.array([state.last])
    before = state.decayed("item", now, "all").copy()
    late = data.events.take(slice(-1, None))
    state.append(type(late)(late.user, late.item, late.event, late.value, late.time - delay, late.weight))
    after = state.decayed("item", now, "all")
    assert after[0, late.item[0]] > before[0, late.item[0]]


def test_asking_does_not_lend_out_what_is_remembered():
    state = random_log(5).state()
    now = np.array([state.last])
    first = state.decayed("item", now)
    kept = first.copy()
    if first.flags.writeable:
        first[:] = -1
    np.testing.assert_array_equal(state.decayed("item", now), kept)


@steady
@given(seeds, st.integers(0, 22), st.sampled_from(WHICH))
def test_later_events_change_nothing(seed, now, which):
    data = random_log(seed)
    ids, times = questions(data, seed)
    times = np.minimum(times, now)
    known, whole = data.until(now + 1).state(), data.state()
    grown = data.until(now + 1).state()
    grown.append(data.events.between(now + 1, None))
    for state in (whole, grown):
        mine, theirs = known.history(ids, times, 4, which), state.history(ids, times, 4, which)
        np.testing.assert_array_equal(mine.offsets, theirs.offsets)
        for name in mine.columns:
            np.testing.assert_array_equal(mine[name], theirs[name])
        for entity in ("user", "item"):
            for ask in (
                lambda s, e=entity: s.counts(e, ids, times, [which], [3, None]),
                lambda s, e=entity: s.last_seen(e, ids, times, which),
                lambda s, e=entity: s.first_seen(e, ids, times, which),
                lambda s, e=entity: s.decayed(e, times, which, 3),
                lambda s, e=entity: s.decayed(e, times[:1], which, 3),
                lambda s, e=entity: np.stack(s.sums(e, ids, times, which)),
            ):
                np.testing.assert_array_equal(ask(known), ask(state))


def test_many_small_tails_stay_few_segments():
    data = random_log(7, events=300)
    state = data.until(0).state()
    for row in range(300):
        state.append(data.events.take(slice(row, row + 1)))
    assert len(state.events) == 300
    assert len(state._segments) <= 2 + np.log2(300)
    assert state.last == int(data.events.time[-1])


def test_an_empty_log_answers():
    state = empty().state()
    ids, times = np.array([-1, 0, 99], np.int32), np.array([0, 5, 5])
    assert state.last == 0
    assert state.history(ids, times).lengths.tolist() == [0, 0, 0]
    assert not state.counts("item", ids, times, ["all"], [None]).any()
    assert state.last_seen("user", ids, times).tolist() == [-1, -1, -1]
    assert not state.decayed("item", times).any()


def test_new_ids_met_live_have_histories_and_counts():
    data = random_log(1)
    state = data.state()
    some = data.events.take(slice(-2, None))
    user, item = data.n_users + 3, data.n_items + 5
    state.append(
        type(some)(
            np.full(2, user, np.int32), np.full(2, item, np.int32), some.event, some.value, some.time, some.weight
        )
    )
    now = np.array([state.last])
    assert state.history(np.array([user], np.int32), now)["item"].tolist() == [item, item]
    assert state.counts("item", np.array([item]), now, ["all"], [None]).item() == 2
    assert state.decayed("item", now, "all").shape[1] == item + 1
