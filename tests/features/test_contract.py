"""What every feature owes, whatever it computes."""

import numpy as np
import pytest

from shortlist.data import Events
from shortlist.registry import find, names
from shortlist.types import Candidates, Requests

from .conftest import DAY, START, empty, log, make, without_history

NAMES = names("features")


def same(a: dict, b: dict) -> None:
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture(params=NAMES)
def feature(request, world):
    return make(request.param).fit(world.data)


def test_columns_are_named_typed_and_full(feature, world):
    columns = world.columns(feature)
    assert columns
    prefix = type(feature).__module__.rpartition(".")[2] + "."
    for name, column in columns.items():
        assert name.startswith(prefix)
        assert column.dtype in (np.float32, np.int32), name
        assert column.shape == (len(world.candidates),), name
        assert not np.isinf(column).any(), name
        if column.dtype == np.int32:
            assert column.min() >= -1


def test_batch_is_one_at_a_time(feature, world):
    batch = world.columns(feature)
    offsets = world.candidates.offsets(len(world.requests))
    for q in range(len(world.requests)):
        rows = np.arange(offsets[q], offsets[q + 1])
        one = world.candidates.take(rows)
        one = Candidates(np.zeros(len(rows), np.uint32), one.item, one.columns)
        alone = feature.compute(world.requests.take([q]), one, world.state)
        same(alone, {name: column[rows] for name, column in batch.items()})


def test_later_events_change_nothing(feature, world):
    before = world.columns(feature)
    rng = np.random.default_rng(9)
    events = world.state.events
    later = log(rng, 300, start=int(world.requests.time.max()) + 1)
    grown = world.data.until(10**18)
    state = type(world.state)(
        world.state.behaviours,
        grown.users,
        grown.items,
        grown.available_from,
        Events.concat([events, later]),
    )
    same(before, world.columns(feature, state))


def test_a_live_tail_answers_as_one_log(feature, world):
    events = world.state.events
    half = int(events.time[len(events) // 2])
    state = world.data.until(half).state()
    state = type(state)(state.behaviours, state.users, state.items, state.available_from, events.between(None, half))
    tail = events.between(half, None)
    for part in range(0, len(tail), 50):
        state.append(tail.take(slice(part, part + 50)))
    same(world.columns(feature), world.columns(feature, state))


def test_saved_and_restored(feature, world):
    again = type(feature).restore(feature.config(), feature.state(), feature.files())
    same(world.columns(feature), world.columns(again))


def test_fit_keeps_only_learned_attributes(feature):
    fields = set(type(feature).model_fields)
    assert all(name in fields or name.endswith("_") for name in feature.__dict__)


def test_an_empty_log_and_no_history(feature, world):
    nothing = empty(world)
    columns = (
        make(type(feature).__module__.rpartition(".")[2])
        .fit(nothing)
        .compute(without_history(world.requests), world.candidates, nothing.state())
    )
    assert all(len(column) == len(world.candidates) for column in columns.values())


def test_no_rows_keep_their_columns(feature, world):
    rows = world.candidates.take(np.empty(0, np.int64))
    assert list(feature.compute(world.requests, rows, world.state)) == list(world.columns(feature))
    none = Requests.of(np.empty(0), np.empty(0))
    assert list(feature.compute(none, rows, world.state)) == list(world.columns(feature))


def test_a_history_with_new_items_is_read(feature, world):
    history = world.requests.history
    history["item"][::3] += 1000
    assert all(len(column) == len(world.candidates) for column in world.columns(feature).values())


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_does(name):
    doc = find("features", name).__doc__
    assert doc is not None
    assert "\n    Source: " in doc
    assert find("features", name).from_config({}).config() is not None


def test_the_world_has_a_past_and_a_future(world):
    assert len(world.state.events) > len(world.data.events) > 0
    assert world.requests.history.lengths.max() > 3
    assert START < world.requests.time.min() < world.requests.time.max() < START + 80 * DAY
