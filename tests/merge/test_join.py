"""The outer join of channels and the cut to the best, against dictionaries and Python's own sort."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.merge._join import _keys, best, join, weighted_sum
from shortlist.types import Candidates


def channel(rows):
    """(item, score) of each request, in the order given."""
    request = np.repeat(np.arange(len(rows), dtype=np.uint32), [len(row) for row in rows])
    item, score = (np.array([pair[at] for row in rows for pair in row]) for at in (0, 1))
    return Candidates(request, item.astype(np.int32), {"score": score.astype(np.float32)})


many = st.lists(st.tuples(st.integers(0, 60), st.floats(-9, 9, width=32)), max_size=40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(many, many), min_size=1, max_size=3))
def test_what_each_channel_said_first_of_each_item(requests):
    """Lists longer than the table's first size, and items named twice by one channel: the first place counts."""
    found = {"b": channel([b for b, _ in requests]), "a": channel([a for _, a in requests])}
    joined = join(found, len(requests), also=["silent"])
    assert joined.channels == ("a", "b", "silent")
    assert len(joined.offsets) == len(requests) + 1
    for r, (b, a) in enumerate(requests):
        low, high = joined.offsets[r : r + 2]
        said = [{}, {}, {}]
        for c, row in enumerate((a, b)):
            for place, (item, score) in enumerate(row, 1):
                said[c].setdefault(item, (place, score))
        items = joined.item[low:high].tolist()
        assert sorted(items) == sorted({*said[0], *said[1]})
        for c in range(3):
            for u, item in zip(range(low, high), items, strict=True):
                place, score = said[c].get(item, (math.nan, math.nan))
                np.testing.assert_equal(joined.rank[c, u], np.float32(place))
                np.testing.assert_equal(joined.score[c, u], np.float32(score))


def test_nothing_found_is_no_rows():
    joined = join({}, 3, also=["a"])
    assert joined.channels == ("a",)
    assert joined.offsets.tolist() == [0, 0, 0, 0]
    assert joined.item.tolist() == []
    assert joined.rank.shape == joined.score.shape == (1, 0)
    assert len(best(joined, np.empty(0, np.float32), 5)) == 0


scores = st.lists(
    st.tuples(st.one_of(st.floats(width=32), st.integers(-3, 3).map(float)), st.integers(0, 2**31 - 1)), max_size=20
)


@given(scores)
def test_keys_order_by_falling_score_then_by_item_what_is_not_finite_last(rows):
    score, item = np.array([s for s, _ in rows], np.float32), np.array([i for _, i in rows], np.int32)

    def place(row):
        return (-float(score[row]) if math.isfinite(score[row]) else math.inf, int(item[row]))

    expected = sorted(range(len(rows)), key=place)
    keys = _keys(score, item)
    assert [place(int(row)) for row in np.argsort(keys, kind="stable")] == [place(row) for row in expected]
    same = [place(a) == place(b) for a in range(len(rows)) for b in range(len(rows))]
    assert same == [keys[a] == keys[b] for a in range(len(rows)) for b in range(len(rows))]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), k=st.integers(1, 8))
def test_the_best_are_the_guaranteed_then_the_fill_in_the_order_of_the_score(data, k):
    n = data.draw(st.integers(1, 3))
    raw = [data.draw(st.lists(st.integers(0, 30), unique=True, max_size=10)) for _ in range(n)]
    joined = join({"x": channel([[(i, 0.0) for i in row] for row in raw])}, n)
    total = len(joined.item)
    score, fill = (
        np.array(data.draw(st.lists(st.integers(-2, 2), min_size=total, max_size=total)), np.float32) for _ in "12"
    )
    sure = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)), bool)
    plain, quota = best(joined, score, k), best(joined, score, k, ["x"], sure, fill)
    for r in range(n):
        rows = range(*joined.offsets[r : r + 2])
        first = sorted(rows, key=lambda u: (-score[u], joined.item[u]))
        assert plain.item[plain.request == r].tolist() == [int(joined.item[u]) for u in first[:k]]
        chosen = sorted(rows, key=lambda u: (not sure[u], -fill[u], joined.item[u]))[:k]
        ordered = [int(joined.item[u]) for u in first if u in chosen]
        assert quota.item[quota.request == r].tolist() == ordered
    names = best(
        join({"y": channel([[(1, 0.5)]]), "x": channel([[(2, 0.5)]])}, 1), np.zeros(2, np.float32), 5, ["y", "x"]
    )
    assert list(names.columns) == ["score", "y.score", "y.rank", "x.score", "x.rank"]


def test_a_weighted_sum_takes_silence_for_nothing():
    terms = np.array([[1.0, np.nan, 3.0], [10.0, 20.0, np.nan]], np.float32)
    assert weighted_sum([2.0, 0.5], terms).tolist() == [7.0, 10.0, 6.0]
    assert weighted_sum([2.0, 0.5], np.full((2, 1), np.nan, np.float32)).tolist() == [0.0]
