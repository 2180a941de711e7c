"""Candidates, Ragged, Requests and Samples against plain Python lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.types import Candidates, Ragged, Requests, Samples, spans

steady = settings(deadline=None, derandomize=True, max_examples=80)
scores = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, math.inf, -math.inf]), st.floats(width=32))


@st.composite
def candidates(draw, most=5, columns=("score",)):
    """Rows of up to ``most`` requests, items unique within a request, scores with every kind of nuisance."""
    n = draw(st.integers(0, most))
    rows = []
    for request in range(n):
        items = draw(st.lists(st.integers(0, 9), unique=True, max_size=7))
        rows += [(request, item, *(draw(scores) for _ in columns)) for item in items]
    request, item, *values = zip(*rows, strict=True) if rows else ((), (), *((),) * len(columns))
    named = {name: np.array(value, np.float32) for name, value in zip(columns, values, strict=True)}
    return Candidates(np.array(request, np.uint32), np.array(item, np.int32), named)


def lists(rows: Candidates, column: str = "score") -> dict[int, list[tuple[int, float]]]:
    """The rows of each request as (item, value), in their order."""
    out: dict[int, list[tuple[int, float]]] = {}
    for request, item, value in zip(rows.request.tolist(), rows.item.tolist(), rows[column].tolist(), strict=True):
        out.setdefault(request, []).append((item, value))
    return out


def best_first(entries: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The definition: falling score, what is not finite last, ties by item code."""
    return sorted(entries, key=lambda e: (-e[1] if math.isfinite(e[1]) else math.inf, e[0]))


def same(a, b):
    assert a.keys() == b.keys()
    for request in a:
        assert [item for item, _ in a[request]] == [item for item, _ in b[request]]
        np.testing.assert_array_equal([v for _, v in a[request]], [v for _, v in b[request]])


@steady
@given(candidates(), st.integers(0, 8))
def test_ranked_top_and_head(rows, k):
    plain = lists(rows)
    ranked = {request: best_first(entries) for request, entries in plain.items()}
    same(lists(rows.ranked()), ranked)
    same(lists(rows.top(k)), {r: e[:k] for r, e in ranked.items() if e[:k]})
    same(lists(rows.head(k)), {r: e[:k] for r, e in plain.items() if e[:k]})


@steady
@given(candidates(columns=("score", "other")))
def test_rank_by_another_column(rows):
    ranked = {request: best_first(entries) for request, entries in lists(rows, "other").items()}
    same(lists(rows.ranked("other"), "other"), ranked)
    places = {(r, item): place for r, entries in ranked.items() for place, (item, _) in enumerate(entries, 1)}
    expected = [places[pair] for pair in zip(rows.request.tolist(), rows.item.tolist(), strict=True)]
    assert rows.rank_of("other").tolist() == expected


@steady
@given(candidates())
def test_positions_and_offsets(rows):
    seen: dict[int, int] = {}
    expected = []
    for request in rows.request.tolist():
        expected.append(seen.get(request, 0))
        seen[request] = seen.get(request, 0) + 1
    assert rows.positions().tolist() == expected
    offsets = rows.offsets(6)
    assert offsets[0] == 0
    assert offsets[-1] == len(rows)
    assert np.diff(offsets).tolist() == [seen.get(r, 0) for r in range(6)]


@steady
@given(candidates(), st.data())
def test_take_by_number_and_by_mask(rows, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    by_mask, by_number = rows.take(mask), rows.take(np.flatnonzero(mask))
    for taken in (by_mask, by_number):
        assert taken.item.tolist() == [i for i, kept in zip(rows.item.tolist(), mask, strict=True) if kept]
        np.testing.assert_array_equal(taken["score"], rows["score"][mask])
        assert (np.diff(taken.request.astype(int)) >= 0).all()


@steady
@given(st.lists(candidates(columns=("score", "a")) | candidates(columns=("b",)), max_size=4))
def test_concat_keeps_every_row_once_and_earlier_parts_first(parts):
    whole = Candidates.concat(parts) if parts else Candidates.empty()
    plain = [
        (r, p, row, i, {name: part[name][row] for name in part.columns})
        for p, part in enumerate(parts)
        for row, (r, i) in enumerate(zip(part.request.tolist(), part.item.tolist(), strict=True))
    ]
    plain.sort(key=lambda row: row[:3])
    assert whole.request.tolist() == [r for r, *_ in plain]
    assert whole.item.tolist() == [row[3] for row in plain]
    for name in {name for part in parts for name in part.columns}:
        np.testing.assert_array_equal(whole[name], np.array([row[4].get(name, np.nan) for row in plain], np.float32))


def test_concat_fills_flags_with_false_and_keeps_dtypes():
    flagged = Candidates(np.array([1], np.uint32), np.array([7], np.int32), {"flag": np.array([True])})
    scored = Candidates(np.array([0], np.uint32), np.array([3], np.int32), {"score": np.ones(1, np.float32)})
    whole = Candidates.concat([flagged, scored])
    assert whole["flag"].tolist() == [False, True]
    assert whole["flag"].dtype == bool
    assert whole["score"].dtype == np.float32
    assert np.isnan(whole["score"][1])


def test_nothing_goes_above_a_number():
    rows = Candidates(np.zeros(4, np.uint32), np.arange(4, dtype=np.int32), {})
    rows = rows.with_columns(score=np.array([np.nan, np.inf, -1e30, 0], np.float32))
    assert rows.ranked().item.tolist() == [3, 2, 0, 1]


def test_columns_must_fit():
    rows = Candidates.empty(score=np.float32)
    with pytest.raises(ValueError, match="'x' has 3 values for 0 rows"):
        rows.with_columns(x=np.zeros(3))
    assert rows.with_columns(x=np.zeros(0)).select(["x"]).columns.keys() == {"x"}


def test_frame_has_every_column():
    rows = Candidates(np.zeros(2, np.uint32), np.array([4, 5], np.int32), {"score": np.array([1, 2], np.float32)})
    assert rows.frame().rows() == [(0, 4, 1.0), (0, 5, 2.0)]


@st.composite
def ragged(draw, most=6):
    rows = draw(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=most))
    return rows, ragged_of(rows)


def ragged_of(rows: list[list[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Ragged(offsets, {"item": np.array([x for row in rows for x in row], np.int32)})


def unragged(r: Ragged) -> list[list[int]]:
    return [r.row(i)["item"].tolist() for i in range(len(r))]


@steady
@given(ragged(), st.data())
def test_ragged_take_and_keep(pair, data):
    rows, whole = pair
    assert unragged(whole) == rows
    assert whole.lengths.tolist() == [len(row) for row in rows]
    assert whole.rows.tolist() == [r for r, row in enumerate(rows) for _ in row]
    chosen = data.draw(st.lists(st.integers(0, max(len(rows) - 1, 0)), max_size=6 if rows else 0))
    assert unragged(whole.take(chosen)) == [rows[c] for c in chosen]
    odd = whole["item"] % 2 == 1
    assert unragged(whole.keep(odd)) == [[x for x in row if x % 2] for row in rows]
    assert unragged(Ragged.of(whole.rows, len(rows), item=whole["item"])) == rows
    assert len(Ragged.empty(3, item=np.int32)) == 3


@steady
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_spans(pairs):
    expected = [x for start, end in pairs for x in range(start, end)]
    assert spans([s for s, _ in pairs], [e for _, e in pairs]).tolist() == expected


@steady
@given(st.lists(st.tuples(*[st.lists(st.integers(0, 9), max_size=4)] * 3), max_size=4))
def test_excluding_adds_sorted_and_unique(rows):
    first, second, third = ([row[part] for row in rows] for part in range(3))
    n = len(rows)
    requests = Requests.of(np.arange(n), np.arange(n)).excluding(ragged_of(first))
    joined = requests.excluding(ragged_of(second), ragged_of(third))
    assert unragged(joined.exclude) == [sorted({*a, *b, *c}) for a, b, c in rows]
    assert joined.exclude["item"].dtype == np.int32


@steady
@given(st.data())
def test_requests_and_samples_take(data):
    n = data.draw(st.integers(1, 5))
    rows = data.draw(candidates(most=n))
    rows = rows.take(rows.request < n)
    history = [data.draw(st.lists(st.integers(0, 9), max_size=3)) for _ in range(n)]
    requests = Requests.of(np.arange(n) + 10, np.arange(n), ragged_of(history), place=np.arange(n) * 2)
    chosen = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    some = requests.take(chosen)
    assert some.user.tolist() == [c + 10 for c in chosen]
    assert some.context["place"].tolist() == [2 * c for c in chosen]
    assert unragged(some.history) == [history[c] for c in chosen]
    label = np.arange(len(rows), dtype=np.float32)
    samples = Samples(requests, rows, {"click": label}, label + 1).take(chosen)
    kept = [row for row, request in enumerate(rows.request.tolist()) if request in chosen]
    assert samples.candidates.item.tolist() == rows.item[kept].tolist()
    assert samples.candidates.request.tolist() == [chosen.index(r) for r in rows.request[kept].tolist()]
    assert samples.labels["click"].tolist() == kept
    assert samples.weight.tolist() == [k + 1 for k in kept]
    assert len(samples) == len(kept)
