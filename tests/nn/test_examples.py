"""Rows of (history, next item): nothing of a target's own moment is in its history."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Table
from shortlist.nn.examples import Examples, known, latest
from shortlist.nn.rivals import Rivals
from shortlist.nn.sequences import held
from shortlist.types import Ragged


def log_of(users: list[list[tuple[int, int]]]) -> Ragged:
    """From each user's (time, item), item -1 = history of another kind."""
    rows = [sorted(user, key=lambda event: event[0]) for user in users]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    flat = [event for row in rows for event in row]
    time = np.array([t for t, _ in flat], np.int64)
    return Ragged(offsets, {"time": time, "item": np.array([i for _, i in flat], np.int32)})


def reads(log, start, end, now, who, users, width):
    return {"item": latest(log["item"], start, end, width), "who": who, "now": now}


logs = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 8)), max_size=8), max_size=6).map(log_of)


def examples(log: Ragged, width: int, *, empty: bool) -> Examples:
    return Examples(log, Table(len(log)), width, None, "batch", reads, log["item"] >= 0, empty)


@settings(deadline=None)
@given(logs, st.integers(1, 4), st.booleans(), st.integers(1, 5))
def test_each_target_once_with_what_its_user_had_done_before_its_moment(log, width, empty, batch):
    made = examples(log, width, empty=empty)
    steps = made.steps(batch)
    told = []
    for step in made.epoch(steps, torch.Generator().manual_seed(0)) if steps else []:
        for history, who, now, target in zip(
            *map(torch.Tensor.tolist, step.inputs.values()), step.target.tolist(), strict=True
        ):
            told.append((who, now, target, [i - 1 for i in history if i]))
    expected = []
    for u in range(len(log)):
        row = log.row(u)
        for time, item in zip(row["time"].tolist(), row["item"].tolist(), strict=True):
            before = [i for t, i in zip(row["time"].tolist(), row["item"].tolist(), strict=True) if t < time]
            if item >= 0 and (before or empty):
                expected.append((u, time, item, [i for i in before if i >= 0][-width:]))
    if len(expected) > 1:
        assert sorted(told) == sorted(expected)
    else:
        assert not told


def test_a_history_of_one_kind_is_not_pushed_out_by_the_other():
    log = log_of([[(0, 4), *((t, -1) for t in range(1, 9))]])
    assert latest(log["item"], np.array([0]), np.array([9]), 2).tolist() == [[0, 5]]
    assert known(log_of([[(1, 1), (1, 2), (3, 0)], [], [(3, 1)]])).tolist() == [0, 0, 2, 3]


def test_an_epoch_is_drawn_anew_and_by_its_seed():
    log = log_of([[(t, t) for t in range(9)] for _ in range(20)])
    made = Examples(log, Table(20), 3, Rivals(np.ones(9), "uniform", 4), "sequence", reads, log["item"] >= 0)
    first, again = (torch.cat([s.target for s in made.epoch(5, torch.Generator().manual_seed(1))]) for _ in range(2))
    other = torch.cat([s.target for s in made.epoch(5, torch.Generator().manual_seed(2))])
    assert first.tolist() == again.tolist() != other.tolist()
    step = next(iter(made.epoch(5, torch.Generator().manual_seed(1))))
    assert step.rivals.shape == (len(step), 4)


@settings(deadline=None)
@given(logs, st.sampled_from([0.2, 0.5]), st.booleans())
def test_only_what_counts_is_held_out(log, share, order_only):
    counts = log["item"] >= 0
    early, asked = held(log, share, counts=counts, order_only=order_only, at_most=100, seed=0)
    assert counts[asked.end].all()
    assert (asked.start < asked.end).all()
    if order_only or not len(log["item"]):
        return
    time = log["time"]
    cut = np.sort(time)[int(len(time) * (1 - share))]
    assert (early["time"] < cut).all()
    for row, end in zip(asked.row, asked.end, strict=True):
        own = np.arange(log.offsets[row], log.offsets[row + 1])
        assert end in own[(time[own] >= cut) & counts[own]]
