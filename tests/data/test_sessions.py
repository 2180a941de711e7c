"""Sessions: their numbers, and that all who cut a log into them cut alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data.build import dataset
from shortlist.data.sessions import sessions
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.features.session import Session
from shortlist.questions import questions_of, silence
from shortlist.recall._item_graph import item_graph
from shortlist.recall._kernels.sentences import sentences
from shortlist.recall.deepwalk import DeepWalk
from shortlist.recall.item2vec import Item2Vec
from shortlist.recipe import EvaluateSpec, parse
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests

MINUTE = worlds.MINUTE


def plain(user, time, gap):
    last, number, out = {}, {}, []
    for u, t in zip(user.tolist(), time.tolist(), strict=True):
        if u < 0:
            out.append(-1)
            continue
        number[u] = number.get(u, -1) + (u not in last or t - last[u] > gap)
        last[u] = t
        out.append(number[u])
    return out


logs = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 30)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(log=logs, gap=st.integers(1, 8))
def test_numbers_and_that_later_events_change_none(log, gap):
    log = sorted(log, key=lambda row: row[1])
    user, time = np.array([u for u, _ in log], int), np.array([t for _, t in log], int)
    found = sessions(user, time, gap)
    assert found.dtype == np.int32
    assert found.tolist() == plain(user, time, gap)
    for m in range(len(log)):
        assert sessions(user[:m], time[:m], gap).tolist() == found[:m].tolist()


def of_minutes(user, minute, gap=30, **more):
    """A log that is cut where more than ``gap`` minutes pass; items are numbered through unless given."""
    items = more.pop("items", np.arange(len(user)))
    data = worlds.dataset(np.array(user), np.array(items), np.array(minute) * MINUTE, **more)
    events = data.events
    return replace(
        data, session_gap=gap * MINUTE, events=replace(events, session=sessions(events.user, events.time, gap * MINUTE))
    )


def test_sequences_have_them_and_a_window_keeps_them():
    data = of_minutes([0, 0, 1, 0, 0], [0, 30, 31, 61, 65])
    assert data.sequences().row(0)["session"].tolist() == [0, 0, 1, 1]
    assert data.sequences(n=2).row(0)["session"].tolist() == [1, 1]
    assert data.until(61 * MINUTE).sequences().row(0)["session"].tolist() == [0, 0]
    assert data.between(61 * MINUTE, None).sequences().row(0)["session"].tolist() == [1, 1]
    assert "session" not in replace(data, events=replace(data.events, session=None)).sequences().columns


def test_a_recipe_numbers_them_when_the_log_is_built(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,time\nb,x,0\na,y,10\na,z,1811\nb,y,1800\n", encoding="utf-8")
    tables = {"events": {"path": "log.csv", "time_unit": "s"}, "sessions": {"gap": "30m"}}
    spec = DataSpec.model_validate(tables)
    data = dataset(source("tables")(spec, tmp_path), spec)
    assert data.session_gap == 30 * MINUTE
    assert data.events.session.tolist() == [0, 0, 0, 1]  # b's pause is 30 minutes, a's one second longer
    spec = DataSpec.model_validate({"events": tables["events"]})
    assert dataset(source("tables")(spec, tmp_path), spec).events.session is None


@pytest.mark.parametrize("events", [{"path": "x", "layout": "sequences"}, {"path": "x", "time": "row"}])
def test_a_log_without_times_has_none(events):
    with pytest.raises(ValueError, match=r"sessions: .*order only"):
        DataSpec.model_validate({"events": events, "sessions": {"gap": "30m"}})


def test_sentences_and_graphs_are_cut_where_sessions_are():
    user, session = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0])
    token, time, worth = np.array([5, 6, 7, 8]), np.array([0, 1, 2, 3]), np.ones(4)
    _, offsets, _ = sentences(user, token, time, worth, None, "once", session)
    assert offsets.tolist() == [0, 2, 3, 4]
    graph = item_graph(user, np.array([0, 1, 2, 3]), time, 4, session=session)
    assert np.argwhere(graph.toarray()).tolist() == [[0, 1]]


@pytest.mark.parametrize("cls", [Item2Vec, DeepWalk])
def test_a_channel_without_a_gap_takes_the_sessions_of_the_recipe(cls):
    rng = np.random.default_rng(0)
    user, minute = np.repeat(np.arange(8), 20), np.concatenate([np.cumsum(rng.integers(1, 60, 20)) for _ in range(8)])
    data = of_minutes(user, minute, items=rng.integers(0, 12, 160))
    whole = replace(data, session_gap=None, events=replace(data.events, session=None))

    def vectors(given, **options):
        return cls.from_config({"factors": 4, **options}).fit(given).vectors_

    assert np.array_equal(vectors(data), vectors(whole, gap="30m"))  # all events count, so the cuts are the same
    assert not np.array_equal(vectors(data), vectors(whole))
    assert np.array_equal(vectors(data, gap="10m"), vectors(whole, gap="10m"))


def test_an_event_that_does_not_count_goes_on_with_a_session():
    shop = worlds.SHOP  # views are not positive
    data = of_minutes([0, 0, 0], [0, 20, 40], event=np.array([1, 0, 1], np.int16), behaviours=shop)
    graph = DeepWalk()._graph(data)
    assert graph.nnz == 1  # 40 minutes lie between the purchases, and a view within
    assert DeepWalk(gap="30m")._graph(data).nnz == 0


@settings(max_examples=40, deadline=None)
@given(log=logs, gap=st.integers(1, 8), at=st.integers(0, 40))
def test_the_feature_tells_how_far_the_session_is(log, gap, at):
    log = sorted((u, t) for u, t in log if u >= 0)
    data = of_minutes([u for u, _ in log], [t for _, t in log], gap)
    users = np.arange(4, dtype=np.int32)
    times = np.full(4, at * MINUTE)
    asked = Requests.of(users, times, data.state().history(users, times))
    rows = Candidates(np.arange(4, dtype=np.uint32), np.zeros(4, np.int32))
    found = Session().fit(data).compute(asked, rows, data.state())
    for u in range(4):
        known = [t for v, t in log if v == u and t <= at]
        mine, before = [], at
        while known and before - known[-1] <= gap:
            before = known.pop()
            mine.append(before)
        assert np.exp(found["session.position"][u]) == pytest.approx(len(set(mine)) + 1)
        assert np.expm1(found["session.events"][u]) == pytest.approx(len(mine), abs=1e-5)
        seconds = 60 * (at - mine[-1]) if mine else 0
        assert np.expm1(found["session.seconds"][u]) == pytest.approx(seconds, rel=1e-4, abs=1e-4)


def test_the_features_cut_is_its_own_then_the_recipes_then_half_an_hour():
    data = of_minutes([0], [0], gap=7)
    assert Session(gap="5m").fit(data).gap_ == 5 * MINUTE
    assert Session().fit(data).gap_ == 7 * MINUTE
    assert Session().fit(replace(data, session_gap=None)).gap_ == 30 * MINUTE


def test_one_request_a_session():
    minute = [0, 10, 41, 71, 72, 200]  # 41 is 31 minutes after 10, 71 exactly 30 after 41
    data = of_minutes([0] * 6, minute)
    spec = EvaluateSpec(min_gap="session", horizon="1d")
    asked = questions_of(data, data.state(), spec, 0, None)
    assert (asked.requests.time + 1).tolist() == [m * MINUTE for m in (0, 41, 200)]
    opens = np.flatnonzero(np.diff(data.events.session, prepend=-1))
    assert len(asked) == len(opens)
    assert silence(data, EvaluateSpec(min_gap="20m")) == 20 * MINUTE
    assert silence(data, EvaluateSpec()) == 0


RECIPE = {
    "name": "x",
    "data": {"events": {"path": "log.csv"}, "split": {"test": 0.9}},
    "recall": {"hot": {"type": "popular"}},
}


def test_sessions_asked_for_must_be_said():
    with pytest.raises(InputError, match=r'evaluate\.min_gap: "session" needs \[data\.sessions\]'):
        parse({**RECIPE, "evaluate": {"min_gap": "session"}})
    with_them = {**RECIPE, "data": {**RECIPE["data"], "sessions": {"gap": "30m"}}, "evaluate": {"min_gap": "session"}}
    assert parse(with_them).evaluate.min_gap == "session"
    for wrong in ({"gap": "soon"}, {"gap": 0}, {}, {"pause": "30m"}):
        with pytest.raises(InputError, match=r"data\.sessions"):
            parse({**RECIPE, "data": {**RECIPE["data"], "sessions": wrong}})
    with pytest.raises(InputError, match=r"evaluate\.min_gap"):
        parse({**RECIPE, "evaluate": {"min_gap": "sitting"}})
