"""Windows of sequences, what is held out of them, and what a net reads of a history."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.nn.sequences import ENOUGH, Windows, held, read
from shortlist.types import Ragged

lengths = st.lists(st.integers(0, 14), min_size=1, max_size=12)


def log_of(sizes: list[int], seed: int = 0) -> Ragged:
    """Users with so many events each; an entry's item is its place in the log, so that it is known again."""
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    m = int(offsets[-1])
    time = np.concatenate([np.sort(np.random.default_rng(seed + n).integers(0, 100, n)) for n in sizes] or [[]])
    return Ragged(
        offsets,
        {
            "item": np.arange(m, dtype=np.int32),
            "time": (time * 1_000_000).astype(np.int64),
            "event": np.zeros(m, np.int16),
            "weight": np.ones(m, np.float32),
        },
    )


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 6), st.integers(1, 7))
def test_every_event_but_a_user_s_first_is_a_target_once(sizes, width, batch):
    log = log_of(sizes)
    windows = Windows(log, width, ("age",), None, "sequence")
    steps = windows.steps(batch)
    told: list[int] = []
    for step in windows.epoch(steps, torch.Generator().manual_seed(0)):
        item, target = step.inputs["item"].numpy() - 1, step.target.numpy()
        assert item.shape[1] <= width
        there = target >= 0
        assert (there == (item >= 0)).all()
        np.testing.assert_array_equal(target[there], item[there] + 1)  # what follows each entry in the log
        assert (step.inputs["age"].numpy()[there] >= 0).all()
        told += target[there].tolist()
    wanted = sorted(set(range(sum(sizes))) - set(log.offsets[:-1].tolist()))
    assert sorted(told) == (wanted if steps else [])
    assert steps or len(wanted) < 2


@settings(max_examples=60, deadline=None)
@given(lengths, st.sampled_from([0.1, 0.3, 0.9]))
def test_what_is_held_out_is_later_and_asked_for_with_all_that_its_user_did_before(sizes, share):
    log = log_of(sizes)
    early, asked = held(log, share, counts=np.ones(len(log["item"]), bool), order_only=False, at_most=100, seed=0)
    assert len(early) == len(log)
    if len(early["time"]) and len(asked):
        assert early["time"].max() < log["time"][asked.end].min()
    for row, start, end in zip(asked.row, asked.start, asked.end, strict=True):
        assert log.offsets[row] == start < end < log.offsets[row + 1]
        assert end - start >= early.lengths[row]
    assert len(set(asked.end.tolist())) == len(asked)


@pytest.mark.parametrize("users", [40, 1_500])
def test_a_user_is_asked_once_where_that_is_enough_and_more_often_where_it_is_not(users):
    log = log_of([8] * users)
    _, asked = held(log, 0.5, counts=np.ones(len(log["item"]), bool), order_only=False, at_most=4_000, seed=0)
    often = np.bincount(asked.row, minlength=users)
    if users < ENOUGH:
        assert len(asked) == ((np.sort(log["time"])[4 * users] <= log["time"]) & (np.arange(8 * users) % 8 > 0)).sum()
    else:
        assert often.max() == 1
    firsts = asked.end[np.unique(asked.row, return_index=True)[1]]
    assert (log["time"][firsts - 1] < np.sort(log["time"])[4 * users]).mean() > 0.9  # what came first after the cut


def test_people_who_come_once_say_when_to_stop():
    """Nobody is there on both sides of a moment, yet there are questions, and of histories that had begun."""
    log = log_of([10] * 30)
    column = log["time"] + np.repeat(np.arange(30), 10) * 1_000_000_000
    log = Ragged(log.offsets, {**log.columns, "time": column})
    _, asked = held(log, 0.2, counts=np.ones(len(log["item"]), bool), order_only=False, at_most=4_000, seed=0)
    assert sorted(set(asked.row.tolist())) == [24, 25, 26, 27, 28, 29]
    assert len(asked) == 6 * 9


def test_without_times_each_user_s_last_event_is_asked_for():
    log = log_of([2, 0, 5, 3])
    early, asked = held(log, 0.1, counts=np.ones(len(log["item"]), bool), order_only=True, at_most=100, seed=0)
    assert asked.row.tolist() == [2, 3]
    assert asked.target.tolist() == [6, 9]
    assert early.lengths.tolist() == [2, 0, 4, 2]


def test_at_most_so_many_are_asked_and_none_where_nothing_is_held():
    log = log_of([6] * 30)
    assert len(held(log, 0.5, counts=np.ones(len(log["item"]), bool), order_only=True, at_most=7, seed=0)[1]) == 7
    early, asked = held(log, 0, counts=np.ones(len(log["item"]), bool), order_only=False, at_most=7, seed=0)
    assert early is log
    assert len(asked) == 0


def test_a_history_is_read_from_the_right_with_ages_before_the_request():
    log = log_of([3, 1])
    found = read(log, log.offsets[:-1], log.offsets[1:], np.array([200_000_000, 300_000_000]), 2, ("event", "age"))
    assert found["item"].tolist() == [[2, 3], [0, 4]]
    assert found["event"].tolist() == [[1, 1], [0, 1]]
    time = log["time"] / 1e6
    np.testing.assert_allclose(found["age"], [[200 - time[1], 200 - time[2]], [0, 300 - time[3]]])
