"""Blacklist, available and seen: what they forbid is what their definition says, before retrieval and after."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data import FOREVER, MISSING_TIME, State
from shortlist.progress import listening
from shortlist.rules.available import Available
from shortlist.rules.blacklist import Blacklist
from shortlist.rules.seen import Seen
from shortlist.testing import worlds
from shortlist.types import HISTORY, Ragged, Requests

from ._shop import ask, catalogue

N = 10


def forbidden(rule, requests: Requests, state: State) -> list[set[int]]:
    out = rule.forbids(requests, state)
    rows = [out.row(r)["item"].tolist() for r in range(len(out))]
    assert all(len(set(row)) == len(row) for row in rows)
    return [set(row) for row in rows]


def told(rule, data, requests, state=None) -> list[set[int]]:
    """What is forbidden, in a batch and alone."""
    state = data.state() if state is None else state
    rule.fit(data)
    said = forbidden(rule, requests, state)
    for r in range(len(requests)):
        assert forbidden(rule, requests.take([r]), state) == [said[r]]
    return said


def test_blacklist_by_id_value_and_user():
    data = catalogue(
        {"genres": "list", "seller": "category"},
        genres=[["Horror"], ["Horror", "War"], ["War"], [], ["Drama"], ["Drama"]],
        seller=["x", "y", "x", None, "z", "x"],
    )
    rule = Blacklist(
        items=["i3"],
        values={"genres": ["Horror"]},
        users={"u1": ["i3", "i4"], "u3": ["i2"]},
        user_values={"u2": {"seller": ["x", "z"]}},
    )
    requests = ask(7, user=[0, 1, 2, 3, 1, -1, 99])
    assert told(rule, data, requests) == [
        {0, 1, 3}, {0, 1, 3, 4}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3}, {0, 1, 3, 4}, {0, 1, 3}, {0, 1, 3},
    ]  # fmt: skip
    again = Blacklist.restore(rule.config(), rule.state())
    assert forbidden(again, requests, data.state()) == forbidden(rule, requests, data.state())


def test_blacklist_of_the_first_and_of_the_last_user():
    data = catalogue({}, n_items=N)
    rule = Blacklist(users={"u0": ["i1"], "u4": ["i2", "i0"]})
    assert told(rule, data, ask(6, user=[0, 1, 4, 5, -1, 0])) == [{1}, set(), {0, 2}, set(), set(), {1}]


def test_an_id_that_is_not_in_the_data_is_no_item():
    rule = Blacklist(items=["i99", "i1"], users={"u0": ["i99"]}).fit(catalogue({}, n_items=N))
    assert rule.items_.tolist() == [1]
    assert rule.user_items_["item"].tolist() == []


def test_blacklist_names_an_unknown_attribute_and_warns_of_ids_and_values_that_forbid_nothing():
    data = catalogue({"genres": "list"}, genres=[["Horror"], ["War"]])
    with pytest.raises(InputError, match=r"rules.blacklist.values: no item attribute 'genre'; .*: genres"):
        Blacklist(values={"genre": ["War"]}).fit(data)
    with pytest.raises(InputError, match=r"rules.blacklist.user_values.u1: no item attribute 'seller'"):
        Blacklist(user_values={"u1": {"seller": ["x"]}}).fit(data)
    said = []
    with listening(lambda name, fields: said.append((name, fields.get("message", "")))):
        Blacklist(items=["i9"], values={"genres": ["Horor"]}, users={"nobody": ["i0"]}).fit(data)
    assert [(name, line.split(" is ")[0]) for name, line in said] == [
        ("warning", "rules.blacklist.items: 'i9'"),
        ("warning", "rules.blacklist.values.genres: 'Horor'"),
        ("warning", "rules.blacklist.users: 'nobody'"),
    ]


moments = st.sampled_from([MISSING_TIME, 0, 1, 2, 5, 8, FOREVER])


@settings(max_examples=80, deadline=None)
@given(
    start=st.lists(moments, min_size=N, max_size=N),
    end=st.lists(st.sampled_from([None, 1, 2, 5, 8]), min_size=N, max_size=N),
    times=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    use_end=st.booleans(),
)
def test_available_is_its_definition(start, end, times, use_end):
    data = catalogue({"gone": "time"}, available_from=start, gone=end)
    rule = Available(until="gone" if use_end else None)
    said = told(rule, data, ask(len(times), time=times))
    for t, row in zip(times, said, strict=True):
        ends = [e if use_end and e is not None else FOREVER for e in end]
        assert row == {i for i in range(N) if not (start[i] <= t < ends[i])}


def test_available_does_not_list_what_a_log_without_a_catalogue_is_still_to_bring():
    """Nobody can have heard of such an item; if a row of it came all the same, it would not be shown."""
    data = worlds.dataset(np.zeros(3, int), np.arange(3), np.array([1, 5, 9]), n_users=5, available_from=[1, 5, 9])
    rule, asked = Available().fit(data), ask(2, time=[3, 9])
    assert rule.forbids(asked, data.state()).lengths.tolist() == [0, 0]


@pytest.mark.parametrize("times", [[3], [3, 6, 9]])
def test_available_bears_a_catalogue_and_a_log_of_other_lengths(times):
    """Items met live stand behind the catalogue's and are never barred; what no start is known of is there."""
    data = catalogue({"gone": "time"}, available_from=[5, 5, 0, 0], gone=[None, 8, None, 4])
    rule, state = Available(until="gone").fit(data), data.state()
    expected = {3: {0, 1}, 6: {3}, 9: {1, 3}}
    assert forbidden(rule, ask(len(times), time=times), state) == [expected[t] for t in times]
    state.available_from = np.append(state.available_from, [99, 99, 99])
    assert forbidden(rule, ask(len(times), time=times), state) == [expected[t] for t in times]
    state.available_from = np.array([5], np.int64)
    assert forbidden(rule, ask(len(times), time=times), state) == [
        expected[t] - ({1} if t < 5 else set()) for t in times
    ]


def test_available_names_an_unknown_attribute():
    data = catalogue({"gone": "time", "price": "number"}, gone=[1], price=[2.0])
    with pytest.raises(InputError, match=r"rules.available.until: no item attribute 'price' of kind time; .*: gone"):
        Available(until="price").fit(data)


events = st.tuples(st.integers(-1, 4), st.integers(0, N - 1), st.integers(0, 2), st.integers(0, 30))


@settings(max_examples=100, deadline=None)
@given(
    log=st.lists(events, max_size=40),
    config=st.sampled_from(
        [None, {}, {"buy": 10}, {"buy": "ever", "view": 3}, {"view": 1, "buy": 5, "rating": "ever"}]
    ),
    requests=st.lists(st.tuples(st.integers(-1, 6), st.integers(0, 35)), min_size=1, max_size=4),
    live=st.lists(st.tuples(st.integers(0, N + 1), st.integers(-1, 3), st.integers(0, 40)), max_size=5),
)
def test_seen_is_its_definition(log, config, requests, live):
    names = ("view", "buy", "rating")
    data = catalogue({}, log, n_items=N)
    asked = ask(len(requests), time=[t for _, t in requests], user=[u for u, _ in requests])
    columns = {"item": [i for i, _, _ in live], "event": [e for _, e, _ in live], "time": [t for _, _, t in live]}
    history = Ragged.of(
        np.zeros(len(live), int), len(requests),
        **{name: np.array(columns.get(name, [0] * len(live)), dtype) for name, dtype in HISTORY.items()},
    )  # fmt: skip
    asked = replace(asked, history=history)  # the first request brings a history of its own
    said = told(Seen(events=config), data, asked)

    def counts(event: int, age: int) -> bool:
        if age < 0:
            return False
        if config is None:
            return True
        window = config.get(names[event]) if 0 <= event < 3 else None
        return window == "ever" or (window is not None and age < window)

    for r, (user, now) in enumerate(requests):
        wanted = {i for u, i, e, t in log if u == user != -1 and counts(e, now - t)}
        if r == 0:
            wanted |= {i for i, e, t in live if counts(e, now - t)}
        assert said[r] == wanted


def test_an_event_of_no_known_kind_is_not_among_those_named():
    columns = {"item": [1, 2, 3, 4], "event": [-1, 3, 0, 1], "time": [50, 50, 50, 49]}
    history = Ragged.of(
        np.zeros(4, int), 1, **{name: np.array(columns.get(name, [0] * 4), dtype) for name, dtype in HISTORY.items()}
    )
    asked = replace(ask(1, time=50, user=[-1]), history=history)
    data = catalogue({}, n_items=N)
    assert told(Seen(events={"view": 1, "buy": 1}), data, asked) == [{3}]  # of a window's length ago is no longer
    assert told(Seen(), data, asked) == [{1, 2, 3, 4}]
    alone = worlds.dataset(np.zeros(1, int), np.zeros(1, int), np.array([1]), n_items=N)  # a log of views only
    assert told(Seen(events={"view": 2}), alone, asked) == [{3}]


def test_seen_looks_beyond_the_history_of_the_request_and_at_live_events():
    data = catalogue({}, [(0, 1, 0, 10), (0, 2, 1, 20)], n_items=N)
    state = data.state()
    state.append(replace(data.events, item=data.events.item + 5, time=data.events.time + 20))
    assert told(Seen(), data, ask(1, time=100), state) == [{1, 2, 6, 7}]
    assert told(Seen(), data, ask(1, time=35), state) == [{1, 2, 6}]


def test_seen_reads_durations_and_names_an_unknown_event():
    assert Seen(events={"buy": "30d"}).events == {"buy": 30 * worlds.DAY}
    again = Seen.from_config(Seen(events={"buy": "30d", "view": "ever"}).config())
    assert again.events == {"buy": 30 * worlds.DAY, "view": "ever"}
    with pytest.raises(InputError, match=r"rules.seen.events.click: the log has no such event; there are view, buy"):
        Seen(events={"click": "1d"}).fit(catalogue({}, n_items=N))
    with pytest.raises(InputError, match=r"Seen.events.buy: expected a duration .*, found .soon.$"):
        Seen(events={"buy": "soon"})
