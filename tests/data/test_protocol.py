"""Who asks and what is right, against the protocol's text restated in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.protocol import HISTORY_LENGTH, replay, start
from shortlist.testing.worlds import MINUTE, SHOP, START, VIEW, checkerboard, dataset, random_log
from shortlist.types import Ragged

steady = settings(deadline=None, derandomize=True, max_examples=120)
DAY = 1440 * MINUTE


def plain_log(data):
    columns = (data.events.user, data.events.item, data.events.time, data.events.weight)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def plain_replay(data, opens, closes, moments, ahead, horizon, min_gap):
    """Every (user, time, targets, known, history) the text asks for, and how many had no target.

    A request's time is 1 microsecond before an event of the window. Events of one user with equal timestamps are one
    moment. At most ``moments`` distinct moments a user, evenly spaced by index, first and last included. Targets are
    the distinct positive items among the events from that moment on: ``ahead`` events, extended to whole moments,
    within ``horizon`` and the window. Requests without targets are dropped and counted.
    """
    log = plain_log(data)
    asked, dropped = [], 0
    for user in sorted({u for u, *_ in log if u >= 0}):
        mine = [(time, item, weight) for u, item, time, weight in log if u == user]
        window = [event for event in mine if event[0] >= opens and (closes is None or event[0] < closes)]
        stamps = sorted({time for time, *_ in window})
        if min_gap:
            stamps = [t for t in stamps if not any(t - min_gap < time < t for time, *_ in mine)]
        if moments is not None and len(stamps) > moments:
            step = (len(stamps) - 1) / max(moments - 1, 1)
            stamps = [stamps[round(place * step)] for place in range(moments)]
        for stamp in stamps:
            coming = [event for event in window if event[0] >= stamp]
            if len(coming) > ahead:
                last = coming[ahead - 1][0]
                coming = [event for event in coming if event[0] <= last]
            targets = list(
                dict.fromkeys(item for time, item, weight in coming if weight > 0 and time - stamp <= horizon)
            )
            history = [item for time, item, _ in mine if time <= stamp - 1][-HISTORY_LENGTH:]
            if targets:
                known = [int(data.available_from[item]) <= stamp - 1 for item in targets]
                asked.append((user, stamp - 1, targets, known, history))
            else:
                dropped += 1
    return asked, dropped


def told(questions):
    """What a function of the package says, in the same form, whatever its order."""
    requests, targets = questions.requests, questions.targets
    rows = []
    for r in range(len(questions)):
        row, past = targets.row(r), requests.history.row(r)
        rows.append(
            (
                int(requests.user[r]),
                int(requests.time[r]),
                row["item"].tolist(),
                row["known"].tolist(),
                past["item"].tolist(),
            )
        )
    return sorted(rows), questions.dropped


@steady
@given(
    seed=st.integers(0, 10_000),
    users=st.sampled_from([1, 3, 8]),
    span=st.sampled_from([6, 20, 200]),
    window=st.tuples(st.integers(0, 20), st.integers(0, 22)),
    open_end=st.booleans(),
    moments=st.sampled_from([None, 1, 2, 3, 5, 10]),
    ahead=st.sampled_from([1, 2, 5, 20]),
    horizon=st.sampled_from([0, 1, 5, 1000]),
    min_gap=st.sampled_from([0, 0, 1, 2, 5]),
)
def test_replay(seed, users, span, window, open_end, moments, ahead, horizon, min_gap):
    data = random_log(seed, users=users, span=span)
    scale = span // 6 if span > 20 else 1
    opens, closes = min(window) * scale, None if open_end else max(window) * scale
    got = replay(data, data.state(), opens, closes, moments=moments, ahead=ahead, horizon=horizon, min_gap=min_gap)
    expected, dropped = plain_replay(data, opens, closes, moments, ahead, horizon, min_gap)
    assert told(got) == (sorted(expected), dropped)
    assert (np.diff(got.requests.time) >= 0).all()
    assert len(np.unique(got.requests.id)) == len(got)


@steady
@given(st.integers(0, 10_000), st.tuples(st.integers(0, 20), st.integers(0, 22)), st.booleans())
def test_start(seed, window, open_end):
    """One request per known user at the opening; targets: all positives of the window among known items."""
    data = random_log(seed)
    opens, closes = min(window), None if open_end else max(window)
    log = plain_log(data)
    expected = []
    for user in sorted({u for u, _, time, _ in log if u >= 0 and time < opens}):
        good = [item for u, item, time, weight in log if u == user and weight > 0 and time >= opens
                and (closes is None or time < closes) and int(data.available_from[item]) < opens]  # fmt: skip
        targets = list(dict.fromkeys(good))
        history = [item for u, item, time, _ in log if u == user and time < opens]
        if targets:
            expected.append((user, opens - 1, targets, [True] * len(targets), history))
    assert told(start(data, data.state(), opens, closes))[0] == expected


@steady
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_answerable_takes_excluded_items_out_of_the_targets_but_for_those_nobody_could_know(seed, other):
    data = random_log(seed)
    questions = replay(data, data.state(), 5, None)
    rng = np.random.default_rng(other)
    n = len(questions)
    banned = [np.unique(rng.integers(0, data.n_items, rng.integers(0, 8))) for _ in range(n)]
    counts = [len(b) for b in banned]
    items = np.concatenate(banned).astype(np.int32) if banned else np.empty(0, np.int32)
    exclude = Ragged.of(np.repeat(np.arange(n), counts), n, item=items)
    left = questions.answerable(exclude)
    expected = []
    for (user, time, targets, known, history), ban in zip(_in_order(questions), banned, strict=True):
        kept = [(item, k) for item, k in zip(targets, known, strict=True) if not (item in ban and k)]
        if kept:
            expected.append((user, time, [i for i, _ in kept], [k for _, k in kept], history))
    assert told(left)[0] == sorted(expected)
    assert left.dropped == questions.dropped + n - len(expected)


def _in_order(questions):
    return [told(questions.take(np.array([r])))[0][0] for r in range(len(questions))]


@steady
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 3), st.sampled_from([replay, start]))
def test_at_most_draws_some_of_the_same_questions(seed, at_most, draw, ask):
    data = random_log(seed)
    every, dropped = told(ask(data, data.state(), 8, None))
    some, less = told(ask(data, data.state(), 8, None, at_most=at_most, seed=draw))
    assert len(some) <= at_most
    assert all(question in every for question in some)
    if ask is replay:  # drawn before those without a target are dropped
        assert len(some) + less == min(at_most, len(every) + dropped)
    else:
        assert len(some) == min(at_most, len(every))
    assert told(ask(data, data.state(), 8, None, at_most=at_most, seed=draw))[0] == some


def test_events_of_one_moment_are_never_split():
    """Thirty events in one microsecond are one question whose targets are all thirty, beyond the ahead of twenty."""
    data = dataset(np.zeros(31, int), np.arange(31), np.array([START] * 30 + [START + DAY]))
    got = replay(data, data.state(), START, None)
    assert got.targets.lengths.tolist() == [30, 1]
    assert got.requests.history.lengths.tolist() == [0, 30]


def test_depth_counts_events_of_every_kind_and_stops_at_the_horizon():
    event = np.array([0] * 19 + [1, 1])  # views are never positive
    time = START + np.arange(21) * MINUTE
    data = dataset(np.zeros(21, int), np.arange(21), time, event, behaviours=SHOP)
    first = replay(data, data.state(), START, None, moments=1)
    assert first.targets.row(0)["item"].tolist() == [19]
    near = replay(data, data.state(), START, None, moments=1, horizon=18 * MINUTE)
    assert len(near) == 0
    assert near.dropped == 1


def test_moments_are_evenly_spaced_with_first_and_last():
    data = dataset(np.zeros(100, int), np.arange(100), START + np.arange(100) * DAY)
    got = replay(data, data.state(), START, None)
    asked = (got.requests.time + 1 - START) // DAY
    assert len(got) == 10
    assert asked[0] == 0
    assert asked[-1] == 99
    assert set(np.diff(asked)) <= {11}


def test_one_question_a_sitting():
    """Sittings of the checkerboard begin after more than half an hour of silence, the log's past included."""
    data = checkerboard(n_users=4)
    opens = data.cut(0.5)
    got = replay(data, data.state(), opens, None, moments=None, min_gap=30 * MINUTE)
    for user, time in zip(got.requests.user, got.requests.time, strict=True):
        mine = np.sort(data.events.time[data.events.user == user])
        before = mine[mine <= time]
        assert not len(before) or time + 1 - before[-1] >= 30 * MINUTE


def test_histories_keep_what_was_last_known():
    m = HISTORY_LENGTH + 50
    data = dataset(np.zeros(m, int), np.arange(m), START + np.arange(m))
    got = replay(data, data.state(), START + m - 1, None)
    assert got.requests.history.row(0)["item"].tolist() == list(range(49, m - 1))


def test_new_items_stay_in_the_denominator_and_are_marked():
    known = np.array([START - 1, START + 5])
    data = dataset(np.zeros(2, int), np.arange(2), np.array([START, START + 1]), available_from=known)
    got = replay(data, data.state(), START, None, moments=1)
    assert got.targets.row(0)["item"].tolist() == [0, 1]
    assert got.targets.row(0)["known"].tolist() == [True, False]


@pytest.mark.parametrize("ask", [replay, start])
def test_empty_windows_ask_nothing(ask):
    data = random_log(0)
    for opens, closes in ((1000, None), (5, 5), (-10, 0)):
        questions = ask(data, data.state(), opens, closes)
        assert len(questions) == 0
        assert len(questions.answerable(questions.requests.exclude)) == 0
    nobody = dataset(np.full(3, -1), np.arange(3), np.arange(3), behaviours=VIEW, n_users=2)
    assert len(ask(nobody, nobody.state(), 0, None)) == 0
