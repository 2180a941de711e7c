"""Segment popularity against the plain definition."""

from dataclasses import replace

import numpy as np
import pytest

from shortlist.types import Candidates, Requests

from .conftest import DAY, USERS, make


@pytest.mark.parametrize("window", [None, "10d"])
def test_share_and_lift(world, window):
    feature = make("segment", window=window, prior=5, buckets=3).fit(world.data)
    columns = world.columns(feature)
    assert set(columns) == {f"segment.{name}.{kind}" for name in ("gender", "age") for kind in ("share", "lift")}
    events, users = world.state.events, world.state.users
    active = np.unique(world.data.events.user[world.data.events.user >= 0])
    edges = np.unique(np.quantile(users.numbers["age"][active], [1 / 3, 2 / 3]))
    groups = {
        "gender": users.codes["gender"].first(np.arange(users.n)),
        "age": np.searchsorted(edges, users.numbers["age"], side="right"),
    }
    for name, group in groups.items():
        group_of = np.where(events.user >= 0, group[events.user], -1)
        for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
            user, now = world.requests.user[q], world.requests.time[q]
            share, lift = columns[f"segment.{name}.share"][r], columns[f"segment.{name}.lift"][r]
            mine = group[user] if 0 <= user < USERS else -1
            if mine < 0:
                assert np.isnan(share)
                assert np.isnan(lift)
                continue
            past = (events.time <= now) & (events.weight > 0)
            if window:
                past &= events.time > now - 10 * DAY
            s = (past & (events.item == i)).sum() / max(past.sum(), 1)
            alike = past & (group_of == mine)
            expected = ((alike & (events.item == i)).sum() + 5 * s) / (alike.sum() + 5)
            assert share == pytest.approx(expected, rel=1e-5, abs=1e-8)
            assert lift == pytest.approx(np.log2(expected / s) if s else 0, abs=1e-5)


def test_categories_of_many_levels_only_when_named(world):
    assert list(make("segment", levels=2, attributes=["gender"]).fit(world.data).names_) == ["gender"]
    users = world.data.users
    many = type(users.codes["gender"])(users.codes["gender"].values, ("F", "M", "X"))
    users.codes["gender"] = many
    assert list(make("segment", levels=2).fit(world.data).names_) == ["age"]


def test_one_event_is_a_share_of_one(world):
    """The only event of a log: its item has all of it, and its user's group as well."""
    events = world.data.events
    good = np.flatnonzero((events.weight > 0) & (events.user == 0))[:1]
    data = replace(world.data, events=events.take(good))
    feature = make("segment", attributes=["age"], prior=3).fit(data)
    now = world.requests.time[:1] + 1
    requests, item = Requests.of(np.zeros(1, np.int32), now), events.item[good]
    rows = Candidates(np.zeros(2, np.uint32), np.append(item, (item + 1) % 20))
    columns = feature.compute(requests, rows, data.state())
    assert columns["segment.age.share"].tolist() == [1, 0]
    assert columns["segment.age.lift"].tolist() == [0, 0]
