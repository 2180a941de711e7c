"""The kernels of the as-of questions against loops that look at every entry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import _asof
from shortlist.data.vocab import Vocab, codes_of

quick = settings(deadline=None, derandomize=True)
stamps = st.lists(st.integers(0, 9), max_size=12).map(sorted)
groups = st.lists(stamps, max_size=5)


def laid(rows, dtype=np.int64):
    return np.cumsum([0, *map(len, rows)]), np.array([t for row in rows for t in row], dtype)


@quick
@given(stamps, st.data(), st.integers(-1, 10))
def test_upper_is_the_first_place_after(times, data, t):
    low = data.draw(st.integers(0, len(times)))
    high = data.draw(st.integers(low, len(times)))
    expected = low + sum(time <= t for time in times[low:high])
    array = np.array(times, np.int64)
    assert _asof.upper(array, low, high, t) == expected
    assert _asof.upper_back(array, low, high, t) == expected


@quick
@given(st.lists(st.integers(0, 4), max_size=12), st.data())
def test_grouped_keeps_the_order_within_a_group(codes, data):
    rows = data.draw(st.lists(st.integers(0, max(len(codes) - 1, 0)), max_size=len(codes), unique=True))
    offsets, out = _asof.grouped(np.array(codes, np.int32), np.array(rows, np.int64), 6)
    for code in range(6):
        assert out[offsets[code] : offsets[code + 1]].tolist() == [row for row in rows if codes[row] == code]
    assert (len(offsets), offsets[0], offsets[-1]) == (7, 0, len(rows))


asked = st.lists(st.tuples(st.integers(-2, 6), st.integers(-1, 10)), min_size=1, max_size=6)


@quick
@given(groups, asked, st.lists(st.integers(-1, 11), min_size=1, max_size=4))
def test_windows_are_open_at_their_beginning(rows, questions, windows):
    """Windows may come in any order; one below 0 has no beginning. What was counted before stays."""
    offsets, times = laid(rows)
    ids, at = (np.array(column) for column in zip(*questions, strict=True))
    start, end = _asof.ends(offsets, times, ids, at)
    out = np.full((len(ids), len(windows)), 100, np.float32)
    _asof.window_counts(offsets, times, ids, at, np.array(windows), out)
    for r, (i, t) in enumerate(questions):
        mine = rows[i] if 0 <= i < len(rows) else []
        past = [time for time in mine if time <= t]
        assert end[r] - start[r] == len(past)
        if mine:
            assert start[r] == offsets[i]
        counts = [len(past) if w < 0 else sum(time > t - w for time in past) for w in windows]
        assert out[r].tolist() == [100 + count for count in counts]


@quick
@given(st.lists(st.dictionaries(st.integers(0, 4), stamps.filter(len), max_size=3), max_size=4), st.data())
def test_crossed_counts_look_at_one_bucket_of_one_id(ids, data):
    starts = np.cumsum([0, *map(len, ids)])
    buckets = np.array([b for own in ids for b in sorted(own)], np.int64)
    offsets, times = laid([own[b] for own in ids for b in sorted(own)])
    row = st.tuples(st.integers(-1, 5), st.integers(-1, 5), st.integers(-1, 10))
    questions = data.draw(st.lists(row, min_size=1, max_size=6))
    columns = [np.array(column) for column in zip(*questions, strict=True)]
    for window in (-1, 0, 1, 4):
        out = np.full(len(questions), 7, np.float32)
        _asof.crossed_counts(starts, buckets, offsets, times, *columns, window, out)
        expected = [
            7
            + sum(
                t - (window if window >= 0 else 99) < time <= t
                for time in (ids[i].get(b, []) if 0 <= i < len(ids) else [])
            )
            for i, b, t in questions
        ]
        assert out.tolist() == expected


@quick
@given(st.lists(st.lists(st.sampled_from([1.0, 2.0, 5.0, np.nan]), max_size=5), max_size=4))
def test_running_minimum_begins_anew_in_every_group(rows):
    offsets, values = laid(rows, np.float32)
    expected = [np.nanmin(row[: at + 1]) if known else np.nan for row in rows for at in range(len(row))
                for known in [not np.isnan(row[: at + 1]).all()]]  # fmt: skip
    np.testing.assert_array_equal(_asof.running_minimum(offsets, values), np.array(expected, np.float32))
    np.testing.assert_array_equal(values, laid(rows, np.float32)[1])  # what was given is as it was


@quick
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=10),
    st.lists(st.integers(-1, 11), min_size=1, max_size=4).map(sorted),
    st.sampled_from([0.0, 0.5]),
)
def test_decayed_sums_are_of_the_last_event_at_or_before_the_tick(events, ticks, rate):
    events = sorted(events, key=lambda e: e[2])
    ids, weights, times = (np.array([e[at] for e in events], np.int64) for at in range(3))
    out, running = np.empty((len(ticks), 3), np.float32), np.zeros(3)
    reference = _asof.decayed_counts(
        ids.astype(np.int32), weights.astype(np.float32), times, np.array(ticks), rate, running, _asof.NEVER, out
    )
    for t, tick in enumerate(ticks):
        past = [e for e in events if e[2] <= tick]
        now = max((e[2] for e in past), default=None)
        for i in range(3):
            assert out[t, i] == pytest.approx(sum(w * 2 ** (-rate * (now - time)) for j, w, time in past if j == i))
    past = [e[2] for e in events if e[2] <= ticks[-1]]
    assert reference == (past[-1] if past else _asof.NEVER)
    np.testing.assert_allclose(running, out[-1], rtol=1e-6)


def test_a_sum_that_was_there_never_vanishes():
    out, running = np.empty((1, 2), np.float32), np.array([1e-3, 0.0])
    one = np.array([1], np.int32), np.ones(1, np.float32), np.array([10**6])
    _asof.decayed_counts(*one, np.array([10**6]), 0.01, running, 0, out)
    assert out[0].tolist() == [np.float32(_asof.LEAST), 1.0]
    weak = np.zeros(1, np.int32), np.full(1, 1e-45, np.float32), np.array([5])
    running = np.zeros(2)
    _asof.decayed_counts(*weak, np.array([5]), 0.01, running, 0, out)
    assert out[0].tolist() == [np.float32(_asof.LEAST), 0.0]


def test_sums_go_on_from_where_they_ended():
    ids, weights, times = np.array([0, 1, 0], np.int32), np.array([1, 2, 4], np.float32), np.array([0, 2, 5])
    whole, parts = np.empty((1, 2), np.float32), np.empty((1, 2), np.float32)
    _asof.decayed_counts(ids, weights, times, np.array([5]), 0.5, np.zeros(2), _asof.NEVER, whole)
    running = np.zeros(2)
    reference = _asof.decayed_counts(ids[:2], weights[:2], times[:2], np.array([4]), 0.5, running, _asof.NEVER, parts)
    assert reference == 2
    assert _asof.decayed_counts(ids[2:], weights[2:], times[2:], np.array([5]), 0.5, running, reference, parts) == 5
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


def test_a_vocabulary_gives_each_id_a_code_and_takes_it_back_for_good():
    vocab = Vocab(["a", "b", "c"])
    assert (len(vocab), vocab.code("b"), vocab.code("x")) == (3, 1, -1)
    assert (vocab.add("b"), vocab.add("x"), vocab.add("x"), vocab.add("y")) == (1, 3, 3, 4)
    assert vocab.ids == ["a", "b", "c", "x", "y"]
    assert vocab.decode([3, 0]) == ["x", "a"]
    assert (vocab.forget("a"), vocab.forget("a"), vocab.forget("none")) == (0, -1, -1)
    assert (vocab.code("a"), vocab.code("")) == (-1, -1)
    assert vocab.ids == ["", "b", "c", "x", "y"]
    assert vocab.add("a") == 5  # not the code it had
    assert Vocab(["", "b"]).code("") == -1
    assert codes_of(np.array([-5, -1, 0, 2, 3, 9]), 3).tolist() == [-1, -1, 0, 2, -1, -1]
