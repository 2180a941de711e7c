"""The kernels of features at their edges: no rows, one row, equal values, values that are not numbers, a bound met."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.exposures import SHOWN_AT
from shortlist.features import _history, _neighbours, _rows
from shortlist.features._taste import distances

from .conftest import make

NAN, INF = np.nan, np.inf
numbers = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=20)


@settings(deadline=None, derandomize=True)
@given(numbers, st.data())
def test_sorted_and_the_kth_largest(values, data):
    k = data.draw(st.integers(1, len(values)))
    assert _neighbours._largest(np.array(values, np.float32), k) == sorted(values)[-k]
    array = np.array(values)
    _neighbours._sort(array)
    assert array.tolist() == sorted(values)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=4))
def test_where_each_item_stands_first_in_each_sequence(sequences):
    offsets = np.cumsum([0, *map(len, sequences)])
    items = np.array([i for row in sequences for i in row], np.int64)
    starts, sequence, place = _neighbours._by_item(offsets, items, 5)
    for i in range(5):
        first = [(u, int(offsets[u]) + row.index(i)) for u, row in enumerate(sequences) if i in row]
        own = slice(starts[i], starts[i + 1])
        assert list(zip(sequence[own].tolist(), place[own].tolist(), strict=True)) == first


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 4), max_size=7), max_size=4), st.integers(1, 7), st.integers(1, 5))
def test_nearest_are_the_largest_cosines(sequences, window, k):
    offsets = np.cumsum([0, *map(len, sequences)])
    items = np.array([i for row in sequences for i in row], np.int64)
    near = _neighbours.nearest(offsets, items, 5, window, k)
    n = [sum(i in row for row in sequences) for i in range(5)]
    for i in range(5):
        pairs = [0] * 5
        for row in sequences:
            if i in row:
                at = row.index(i)
                for j in set(row[max(0, at - window) : at + window + 1]) - {i}:
                    pairs[j] += 1
        cosine = {j: pairs[j] / math.sqrt(n[i] * n[j]) for j in range(5) if pairs[j]}
        own = slice(near.starts[i], near.starts[i + 1])
        codes, values = near.codes[own].tolist(), near.cosine[own].tolist()
        assert codes == sorted(set(codes))
        assert values == pytest.approx([cosine[j] for j in codes])
        assert sorted(values) == pytest.approx(sorted(cosine.values())[-k:])


def test_room_is_made_for_every_pair_that_is_kept():
    rows = np.array([np.random.default_rng(u).permutation(70)[:40] for u in range(12)])
    near = _neighbours.nearest(np.arange(13) * 40, rows.ravel(), 70, 99, 99)
    met = np.zeros((12, 70))
    met[np.arange(12)[:, None], rows] = 1
    both, n = met.T @ met, met.sum(0)
    expected = both / np.sqrt(np.maximum(np.outer(n, n), 1))
    np.fill_diagonal(expected, 0)
    assert len(near.codes) == len(near.cosine) == near.starts[-1] == (expected > 0).sum() > 2048
    found = np.zeros((70, 70))
    found[np.repeat(np.arange(70), np.diff(near.starts)), near.codes] = near.cosine
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("n", [15, 40, 200])
def test_long_rows_are_sorted_too(n):
    array = np.random.default_rng(n).permutation(n)
    _neighbours._sort(array)
    assert array.tolist() == list(range(n))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.one_of(st.floats(width=32, allow_infinity=False), st.just(-0.0)), max_size=9), max_size=4))
def test_percentile_is_the_share_below_and_half_of_the_same(lists):
    offsets = np.cumsum([0, *map(len, lists)])
    values = np.array([[v for row in lists for v in row], [-v for row in lists for v in row]], np.float32)
    out = np.full(values.shape, 9, np.float32)
    _rows.percentiles(offsets, values, out)
    for sign, found in zip((1, -1), out, strict=True):
        for row, own in zip(lists, np.split(found, offsets[1:-1]), strict=True) if lists else ():
            known = np.array([sign * v for v in row if v == v])
            place = [
                ((known < sign * v).sum() + (known == sign * v).sum() / 2) / len(known) if v == v else NAN for v in row
            ]
            np.testing.assert_allclose(own, place, rtol=1e-6)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from([-2.0, 0.0, 1.0, 3.0, NAN]), max_size=6), max_size=4))
def test_ratio_to_the_best_and_distance_from_the_mean(lists):
    offsets = np.cumsum([0, *map(len, lists)])
    values = np.array([v for row in lists for v in row], np.float32)
    ratio, z = np.full((2, len(values)), 9, np.float32)
    _rows.of_best(offsets, values, ratio)
    _rows.standardised(offsets, values, z)
    at = 0
    for row in lists:
        known = [v for v in row if v == v]
        best, mean = max(known, default=-INF), float(np.mean(known)) if known else NAN
        sd = float(np.std(known)) if known else NAN
        for v in row:
            np.testing.assert_allclose(ratio[at], v / best if best > 0 else NAN, rtol=1e-6)
            np.testing.assert_allclose(z[at], (v - mean) / sd if sd > 0 else 0 * v, rtol=1e-5, atol=1e-6)
            at += 1


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 70, 5000]), max_size=5), max_size=4), st.integers(0, 9))
def test_popularity_of_every_request_by_itself(lists, total):
    offsets = np.cumsum([0, *map(len, lists)])
    counts = np.array([c for row in lists for c in row], np.float32)
    views, none = np.full((1, 1, 3, len(counts)), 9, np.float32), np.empty((1, 0, len(counts)), np.float32)
    of_log = np.full((len(lists), 1, 1), float(total))
    _rows.popularities(offsets, counts[:, None, None], of_log, np.empty(0), views, none)
    out = views[0, 0]
    place = [((np.array(row) < c).sum() + (np.array(row) == c).sum() / 2) / len(row) for row in lists for c in row]
    np.testing.assert_allclose(out[0], np.log1p(counts), rtol=1e-6)
    np.testing.assert_allclose(out[1], counts / total if total else np.full(len(counts), NAN), rtol=1e-6)
    np.testing.assert_allclose(out[2], np.array(place), rtol=1e-6)


def test_trends_compare_each_window_with_the_next():
    counts = np.array([[[1, 4, 9, 20]], [[0, 0, 2, 2]]], np.float32)  # [m, E, W], the last is the whole past
    views, trends = np.empty((1, 4, 3, 2), np.float32), np.empty((1, 2, 2), np.float32)
    _rows.popularities(np.array([0, 2]), counts, np.full((1, 1, 4), 100.0), np.array([3.0, 2.0]), views, trends)
    assert trends[0, 0].tolist() == pytest.approx([math.log2((1 * 3 + 1) / 5), math.log2(1 / 1)])
    assert trends[0, 1].tolist() == pytest.approx([math.log2((4 * 2 + 1) / 10), math.log2(1 / 3)])
    for w in range(4):
        assert views[0, w, 0].tolist() == pytest.approx(np.log1p(counts[:, 0, w]).tolist())


def test_lift_is_none_without_a_group_and_nothing_where_nobody_chose():
    share, lift = np.full((2, 4), 9, np.float32)
    of_item, of_all = np.array([3.0, 0.0, 1.0, 2.0]), np.array([7.0, 5.0])
    overall = np.array([0.25, 0.0, 0.5, 0.5], np.float32)
    request, bucket = np.array([0, 0, 1, 1]), np.array([0, -1])
    _rows.lifts(of_item, of_all, overall, bucket, request, 8.0, share, lift)
    assert share[:2].tolist() == pytest.approx([(3 + 2) / 15, 0.0])
    assert lift[:2].tolist() == pytest.approx([math.log2((5 / 15) / 0.25), 0.0])
    assert np.isnan([share[2:], lift[2:]]).all()
    _rows.lifts(of_item, of_all, overall, np.array([2, 0]), request, 8.0, share, lift)
    assert share[2:].tolist() == pytest.approx([(1 + 4) / 13, (2 + 4) / 13])


def test_hours_since_count_no_time_to_come():
    out = np.empty(4, np.float32)
    _rows.hours(np.array([10, 10, 10, 10]), np.array([4, 10, 15, -1]), -1, 2.0, out)
    assert out[:3].tolist() == pytest.approx([math.log1p(3), 0, 0])
    assert np.isnan(out[3])


@pytest.mark.parametrize("n", [0, 1, 2, 9, 10, 11, 14])
def test_pace_of_histories_of_every_length(n):
    times = np.array([3 * t * t for t in range(n)], np.int64)
    now = 3 * n * n + 5
    windows = np.array([now - times[-1], now - times[-1] + 1, now + 1] if n else [1, 2, 3], np.int64)
    out = np.empty((5, 1), np.float32)
    _history.pace(np.array([0, n]), times, np.array([now]), windows, 2.0, out)
    since = math.log1p((now - times[-1]) / 2) if n else NAN
    gap = math.log1p(np.diff(times[-10:]).mean() / 2) if n > 1 else NAN
    np.testing.assert_allclose(out[:2, 0], [since, gap], rtol=1e-6)
    # half-open: an event exactly a window ago is out of it
    assert out[2:, 0].tolist() == pytest.approx([0, math.log1p(1), math.log1p(n)] if n else [0, 0, 0])


def test_a_sitting_goes_on_as_long_as_no_pause_is_longer():
    def summary(times, now, values=None, weights=None):
        n, out = len(times), np.empty((7, 1), np.float32)
        given = np.array(times, np.int64), np.array(values or [NAN] * n), np.array(weights or [1.0] * n)
        _history.summary(np.array([0, n]), *given, np.array([now]), 10, 100, out)
        return out[:, 0]

    for times, now, sitting, days in (
        ([0, 10, 20], 30, 3, 1),  # pauses of exactly ``idle``
        ([0, 11, 21], 31, 2, 1),
        ([0, 10, 20], 31, 0, 1),
        ([99, 100, 101, 299], 299, 1, 3),
        ([95, 105], 105, 2, 2),
        ([], 5, 0, 0),
    ):
        got = summary(times, now)
        assert got[0] == pytest.approx(math.log1p(len(times)))
        assert got[4] == pytest.approx(math.log1p(days))
        assert got[5] == pytest.approx(math.log1p(sitting))
        np.testing.assert_allclose(got[6], math.log1p((now - times[0]) / 100) if times else NAN, rtol=1e-6)
        assert np.isnan(got[2:4]).all()
    got = summary([1, 2, 3, 4], 5, [2.0, NAN, 5.0, 5.0], [1.0, 0.0, 2.0, -1.0])
    assert got[1:4].tolist() == pytest.approx([0.5, 4.0, math.sqrt(2)])
    assert summary([1, 2], 5, [3.0, NAN])[2] == 3
    assert np.isnan(summary([1, 2], 5, [3.0, NAN])[3])  # one value has no spread


def test_own_past_with_each_candidate():
    past = _history.Past(
        np.array([0, 4, 4, 6]), np.array([5, 3, 5, 9, 3, 3]), np.array([0, 2, 4, 6, 1, 3]), np.zeros(6),
        np.array([1.0, 1.0, 0.0, 1.0, 0.0, 2.0]),
    )  # fmt: skip
    out = np.empty((4, 6), np.float32)
    first, rows = np.array([0, 3, 4, 6]), np.array([5, 7, 9, 5, 3, 1])
    _history.own(past, np.array([8, 8, 2]), 2.0, 4.0, first, rows, out)
    assert out[0].tolist() == pytest.approx(np.log1p([2, 0, 1, 0, 2, 0]).tolist())
    assert out[1].tolist() == pytest.approx(np.log1p([1, 0, 1, 0, 1, 0]).tolist())
    assert out[2].tolist() == pytest.approx([2**-4 + 2**-2, 0, 0.5, 0, 2**-0.5 + 2**0.5, 0])
    last = [math.log1p(4 / 4), NAN, math.log1p(2 / 4), NAN, 0, NAN]  # the last: of an event to come, nothing
    np.testing.assert_allclose(out[3], last, rtol=1e-6)


def test_distances_of_numbers_with_and_without_a_prior():
    past = _history.Past(
        np.array([0, 3, 3, 4]),
        np.zeros(4, np.int64),
        np.array([0, 2, 4, 0]),
        np.zeros(4),
        np.array([1.0, 1.0, 0.0, 2.0]),
    )
    out, rows = np.empty((2, 3), np.float32), np.array([5.0, 5.0, 5.0])
    given = past, np.array([1.0, 3.0, 99.0, 4.0]), 2.0, 2.0
    distances(*given, 3.0, np.array([0, 1, 2, 3]), rows, out)
    w = np.array([2**-2, 2**-1])
    mean = (w * [1, 3]).sum() / w.sum()
    sd = math.sqrt(((w * (np.array([1, 3]) - mean) ** 2).sum() + 3 * 4) / (w.sum() + 3))
    np.testing.assert_allclose(out[0], [5 - mean, NAN, 1], rtol=1e-6)
    np.testing.assert_allclose(out[1], [(5 - mean) / sd, NAN, 1 / math.sqrt(12 / 5)], rtol=1e-6)
    distances(*given, 0.0, np.array([0, 1, 2, 3]), rows, out)
    assert out[1, 0] == pytest.approx((5 - mean) / math.sqrt((w * (np.array([1, 3]) - mean) ** 2).sum() / w.sum()))
    assert np.isnan(out[1, 1:]).all()  # nothing known, and one value without a spread


def test_the_position_is_the_displays_or_the_one_to_serve_as(world):
    feature = make("position", serve_as=3)
    plain = world.columns(feature)["position.shown"]
    assert plain.dtype == np.float32
    assert plain.tolist() == pytest.approx([math.log(3)] * len(plain))
    shown = np.resize([1.0, 2.0, 0.5, NAN, 0.0], len(plain))
    rows = world.candidates.with_columns(**{SHOWN_AT: shown})
    found = feature.compute(world.requests, rows, world.state)["position.shown"]
    assert found[:5].tolist() == pytest.approx([0, math.log(2), *[math.log(3)] * 3])


def test_every_channels_own_columns_and_those_of_all_together(world):
    columns, rows = world.columns(make("channel")), world.candidates
    ranks = {name: rows[f"{name}.rank"] for name in ("cf", "hot")}
    for name, rank in ranks.items():
        np.testing.assert_array_equal(columns[f"channel.{name}.found"], ~np.isnan(rank))
        np.testing.assert_array_equal(columns[f"channel.{name}.rank"], rank)
    both = np.stack(list(ranks.values()))
    np.testing.assert_array_equal(columns["channel.best_rank"], np.fmin(*both))
    place, length = rows.positions() + 1, np.bincount(rows.request)[rows.request]
    np.testing.assert_allclose(columns["channel.merge.percentile"], 1 - (place - 0.5) / length, rtol=1e-6)
    best = np.array([rows["score"][rows.request == q].max() for q in rows.request])
    np.testing.assert_allclose(columns["channel.merge.ratio"], rows["score"] / best, rtol=1e-6)
