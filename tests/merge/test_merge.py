"""Every merge against a plain definition, and what must hold of all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.merge._ascent import Task, hits, task
from shortlist.merge._coverage import greedy
from shortlist.merge._join import join
from shortlist.merge.weighted import logistic_weights, normalised
from shortlist.registry import find
from shortlist.types import Candidates, Ragged

NAMES = ("quota", "reciprocal_rank", "weighted")


def channel(rows: list[list[tuple[int, float]]]) -> Candidates:
    """One list of (item, score) a request."""
    request = [r for r, row in enumerate(rows) for _ in row]
    item = [i for row in rows for i, _ in row]
    score = [s for row in rows for _, s in row]
    return Candidates(np.array(request, np.uint32), np.array(item, np.int32), {"score": np.array(score, np.float32)})


def lists(n: int):
    scored = st.lists(
        st.tuples(st.integers(0, 30), st.integers(-5, 5).map(float)), max_size=12, unique_by=lambda x: x[0]
    )
    return st.lists(scored.map(lambda row: sorted(row, key=lambda x: -x[1])), min_size=n, max_size=n)


@st.composite
def worlds(draw):
    n = draw(st.integers(1, 4))
    return n, {name: draw(lists(n)) for name in draw(st.sampled_from([("a",), ("b", "a"), ("c", "a", "b", "d")]))}


def targets_of(rows: list[list[int]]) -> Ragged:
    return Ragged.of(
        np.array([r for r, row in enumerate(rows) for _ in row], int),
        len(rows),
        item=np.array([i for row in rows for i in row], np.int32),
    )


def merged(name: str, found: dict[str, Candidates], n: int, **config) -> Candidates:
    return find("merge", name).from_config(config).merge(found, n)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(world=worlds(), k=st.integers(1, 40))
def test_one_row_for_each_item_with_who_found_it(name, world, k):
    n, raw = world
    out = merged(name, {c: channel(rows) for c, rows in raw.items()}, n, k=k)
    assert (np.diff(out.request.astype(int)) >= 0).all()
    assert set(out.columns) == {"score"} | {f"{c}.{part}" for c in raw for part in ("score", "rank")}
    for r in range(n):
        mine = out.take(out.request == r)
        union = {i for rows in raw.values() for i, _ in rows[r]}
        items = mine.item.tolist()
        assert len(set(items)) == len(items) == min(k, len(union))  # each once, nothing lost below k
        assert set(items) <= union  # nothing invented
        assert (np.diff(mine["score"]) <= 0).all()
        for c, rows in raw.items():
            place = {i: (at, s) for at, (i, s) in enumerate(rows[r], 1)}
            for row, i in enumerate(items):
                rank, score = place.get(i, (math.nan, math.nan))
                np.testing.assert_equal(mine[f"{c}.rank"][row], np.float32(rank))
                np.testing.assert_equal(mine[f"{c}.score"][row], np.float32(score))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(world=worlds(), k=st.integers(1, 40))
def test_batch_equals_one_at_a_time_and_the_order_of_channels_is_nothing(name, world, k):
    n, raw = world
    found = {c: channel(rows) for c, rows in raw.items()}
    whole = merged(name, found, n, k=k)
    turned = merged(name, dict(reversed(found.items())), n, k=k)
    assert whole.columns.keys() == turned.columns.keys()
    for column in whole.columns:
        np.testing.assert_array_equal(whole[column], turned[column])
    for r in range(n):
        one = merged(name, {c: channel([rows[r]]) for c, rows in raw.items()}, 1, k=k)
        mine = whole.take(whole.request == r)
        np.testing.assert_array_equal(mine.item, one.item)
        for column in whole.columns:
            np.testing.assert_array_equal(mine[column], one[column])


@settings(max_examples=60, deadline=None)
@given(world=worlds(), k=st.integers(1, 40), c0=st.sampled_from([0.0, 10.0, 60.0]))
def test_reciprocal_rank_is_its_formula(world, k, c0):
    n, raw = world
    weights = {"a": 2.0, "c": 0.5}
    out = merged("reciprocal_rank", {c: channel(rows) for c, rows in raw.items()}, n, k=k, c0=c0, weights=weights)
    for r in range(n):
        score: dict[int, float] = {}
        for c, rows in raw.items():
            for rank, (i, _) in enumerate(rows[r], 1):
                score[i] = score.get(i, 0) + weights.get(c, 1) / (c0 + rank)
        mine = out.take(out.request == r)
        for i, s in zip(mine.item.tolist(), mine["score"].tolist(), strict=True):
            assert s == pytest.approx(score[i], rel=1e-5)
        left_out = [s for i, s in score.items() if i not in mine.item]
        assert not left_out or max(left_out) <= min(score[i] for i in mine.item.tolist()) * (1 + 1e-5)


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data())
def test_quota_keeps_what_it_guarantees(world, data):
    n, raw = world
    quotas = {c: data.draw(st.integers(0, 6)) for c in raw}
    k = max(1, sum(quotas.values()) + data.draw(st.integers(0, 5)))
    out = merged("quota", {c: channel(rows) for c, rows in raw.items()}, n, k=k, quotas=quotas)
    for r in range(n):
        items = set(out.item[out.request == r].tolist())
        sure = {i for c, rows in raw.items() for i, _ in rows[r][: quotas[c]]}
        assert sure <= items
        score: dict[int, float] = {}
        for rows in raw.values():
            for rank, (i, _) in enumerate(rows[r], 1):
                score[i] = score.get(i, 0) + 1 / (60 + rank)
        fill = [score[i] for i in items - sure]
        gone = [s for i, s in score.items() if i not in items]
        assert not fill or not gone or min(fill) >= max(gone) * (1 - 1e-5)


def test_weighted_scales_are_their_formulas():
    found = {"a": channel([[(1, 9.0), (2, 5.0), (3, 1.0)], [(7, 2.0)]]), "b": channel([[(3, 0.5), (4, np.nan)], []])}
    joined = join(found, 2)
    at = {(r, i): row for r in range(2) for row in range(*joined.offsets[r : r + 2]) for i in [int(joined.item[row])]}
    minmax, z, percentile = (normalised(joined.score, joined.rank, joined.offsets, how) for how in range(3))
    rows = [at[0, 1], at[0, 2], at[0, 3], at[0, 4], at[1, 7]]
    np.testing.assert_allclose(minmax[0, rows], [1, 0.5, 0, np.nan, 1])
    np.testing.assert_allclose(minmax[1, rows], [np.nan, np.nan, 1, 0, np.nan])
    sd = np.std([9.0, 5.0, 1.0])
    np.testing.assert_allclose(z[0, rows], [8 / sd, 4 / sd, 0, np.nan, 1], rtol=1e-6)
    np.testing.assert_allclose(percentile[0, rows], [1, 2 / 3, 1 / 3, np.nan, 1], rtol=1e-6)
    np.testing.assert_allclose(percentile[1, rows], [np.nan, np.nan, 1, 0.5, np.nan])
    out = merged("weighted", found, 2, weights={"a": 1.0, "b": 3.0})
    assert dict(zip(out.item.tolist(), out["score"].tolist(), strict=True)) == {3: 3.0, 1: 1.0, 2: 0.5, 4: 0.0, 7: 1.0}


def plain_ndcg(scores: dict[int, float], right: list[int], at: int) -> float:
    order = sorted(scores, key=lambda i: (-scores[i], i))[:at]
    gain = sum(1 / math.log2(order.index(i) + 2) for i in right if i in order)
    return gain / sum(1 / math.log2(p + 2) for p in range(min(len(right), at)))


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data(), at=st.integers(1, 10))
def test_the_learned_quality_is_ndcg_and_recall_of_the_merge_order(world, data, at):
    n, raw = world
    right = [data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True)) for _ in range(n)]
    found = {c: channel(rows) for c, rows in raw.items()}
    merge = find("merge", "weighted").from_config({"scale": "percentile"})
    learning: Task = task(found, targets_of(right), merge._terms, 100, 0)
    # quarters of integers: sums are exact, so that ties are ties in both
    weights = np.array([data.draw(st.integers(1, 8)) / 4 for _ in raw])
    learning_exact = Task(
        learning.offsets,
        learning.item,
        np.round(learning.terms * 4),
        learning.hit_offsets,
        learning.hits,
        learning.targets,
    )
    ndcg, recall = [], []
    for r in range(n):
        scores: dict[int, float] = {}
        for w, c in zip(weights, sorted(raw), strict=True):
            for rank, (i, _) in enumerate(raw[c][r], 1):
                x = np.round(np.float32(1 - np.float32(rank - 1) / len(raw[c][r])) * 4)
                scores[i] = scores.get(i, 0) + w * x
        ndcg.append(plain_ndcg(scores, right[r], at))
        top = sorted(scores, key=lambda i: (-scores[i], i))[:at]
        recall.append(len(set(top) & set(right[r])) / len(right[r]))
    assert learning_exact.quality(weights, "ndcg", at) == pytest.approx(np.mean(ndcg))
    assert learning_exact.quality(weights, "recall", at) == pytest.approx(np.mean(recall))


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data(), at=st.integers(1, 6))
def test_rows_that_can_never_be_among_the_first_may_be_left_out(world, data, at):
    n, raw = world
    right = [data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True)) for _ in range(n)]
    merge = find("merge", "reciprocal_rank")()
    whole = task({c: channel(rows) for c, rows in raw.items()}, targets_of(right), merge._terms, 100, 0)
    few = whole.pruned(at)
    assert len(few.item) <= len(whole.item)
    weights = np.random.default_rng(data.draw(st.integers(0, 99))).random(len(raw)) + 0.1
    for measure in ("ndcg", "recall"):
        assert few.quality(weights, measure, at) == whole.quality(weights, measure, at)


def test_long_lists_are_pruned_to_the_contenders():
    found, targets, _ = planted(5)
    whole = task(found, targets, find("merge", "reciprocal_rank")()._terms, 100, 0)
    assert len(whole.item) == 5 * 120
    assert len(whole.pruned(10).item) == 5 * 30  # disjoint lists: the first ten of each


def planted(n: int = 60, seed: int = 0):
    """A channel that is right at the top, one that is right further down, and one that never is."""
    rng = np.random.default_rng(seed)
    good, late, bad, right = [], [], [], []
    for _ in range(n):
        items = rng.permutation(200)
        score = np.sort(rng.random(40))[::-1]
        good.append(list(zip(items[:40].tolist(), score.tolist(), strict=True)))
        late.append(list(zip(items[40:80].tolist(), score.tolist(), strict=True)))
        bad.append(list(zip(items[80:120].tolist(), score.tolist(), strict=True)))
        right.append([int(items[rng.integers(0, 5)]), int(items[60 + rng.integers(0, 5)])])
    return {"good": channel(good), "late": channel(late), "bad": channel(bad)}, targets_of(right), right


@pytest.mark.parametrize(
    ("name", "config"),
    [("reciprocal_rank", {}), ("weighted", {}), ("weighted", {"learn": "logistic"}), ("weighted", {"scale": "z"})],
)
def test_learned_weights_favour_the_channel_that_is_right(name, config):
    found, targets, right = planted()
    merge = find("merge", name).from_config(config)
    before = merge.merge(found, len(right))
    merge.fit(found, targets)
    after = merge.merge(found, len(right))

    def quality(out: Candidates) -> float:
        return float(
            np.mean(
                [
                    plain_ndcg({int(i): -p for p, i in enumerate(out.item[out.request == r])}, right[r], 10)
                    for r in range(len(right))
                ]
            )
        )

    weights = dict(zip(merge.channels_.tolist(), merge.weights_.tolist(), strict=True))
    assert weights["good"] == max(weights.values())
    assert weights["bad"] < weights["good"]
    assert quality(after) > quality(before) + 0.02


def test_learned_quotas_cover_more_targets_and_skip_the_useless_channel():
    found, targets, right = planted()
    plain = merged("reciprocal_rank", found, len(right), k=35)
    merge = find("merge", "quota").from_config({"k": 35, "block": 5}).fit(found, targets)
    out = merge.merge(found, len(right))

    def covered(rows: Candidates) -> int:
        return sum(len(set(rows.item[rows.request == r].tolist()) & set(right[r])) for r in range(len(right)))

    quotas = dict(zip(merge.channels_.tolist(), merge.quotas_.tolist(), strict=True))
    assert quotas == {"good": 5, "late": 25, "bad": 0}  # by hand: places 1-5 of the one, 21-25 of the other
    assert covered(out) == 2 * len(right) > covered(plain)
    # the order is learned, what is kept is not ordered by it
    weights = dict(zip(merge.channels_.tolist(), merge.weights_.tolist(), strict=True))
    assert weights["good"] == max(weights.values())
    unordered = find("merge", "quota").from_config({"k": 35, "block": 5, "learn": "none"}).fit(found, targets)
    other = unordered.merge(found, len(right))
    for r in range(len(right)):
        assert set(out.item[out.request == r]) == set(other.item[other.request == r])
        assert (out["good.rank"][out.request == r][:5] == [1, 2, 3, 4, 5]).all()


def test_greedy_looks_past_a_barren_stretch_and_stops_at_k():
    nan = np.nan
    rank = np.array([[1, 25, 25, 26, nan], [nan, nan, nan, nan, 9]], np.float32)
    assert [q.tolist() for q in greedy(rank, 40, 10)] == [[0, 0], [30, 0], [30, 10]]
    assert greedy(rank, 5, 10)[-1].tolist() == [5, 0]


def test_logistic_weights_are_those_of_a_peer():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    x = rng.random((3, 500))
    label = (rng.random(500) < 1 / (1 + np.exp(-(2 * x[0] - x[1])))).astype(float)
    peer = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x.T, label)
    np.testing.assert_allclose(logistic_weights(x, label, 1.0), peer.coef_[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_fitted_merge_bears_failed_and_unknown_channels_and_comes_back_from_arrays(name):
    found, targets, right = planted()
    cls = find("merge", name)
    merge = cls.from_config({"k": 30}).fit(found, targets)
    without = merge.merge({"late": found["late"]}, len(right))
    assert np.isnan(without["good.rank"]).all()
    assert len(without) == 30 * len(right)
    extra = merge.merge({**found, "new": found["good"]}, len(right))
    assert np.isfinite(extra["new.rank"]).any()
    assert np.isfinite(extra["score"]).all()
    again = cls.restore(merge.config(), merge.state()).merge(found, len(right))
    first = merge.merge(found, len(right))
    np.testing.assert_array_equal(first.item, again.item)
    np.testing.assert_array_equal(first["score"], again["score"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_found_is_no_rows(name):
    empty = channel([[], []])
    merge = find("merge", name)()
    assert len(merge.merge({}, 2)) == 0
    out = merge.fit({"a": empty}, targets_of([[1], [2]])).merge({"a": empty}, 2)
    assert len(out) == 0
    assert set(out.columns) == {"score", "a.score", "a.rank"}
    assert len(merge.fit({"a": empty}, targets_of([])).merge({}, 0)) == 0


@pytest.mark.parametrize(
    ("name", "field"), [("quota", "quotas"), ("reciprocal_rank", "weights"), ("weighted", "weights")]
)
def test_a_channel_that_is_not_there_is_named(name, field):
    found, targets, _ = planted(3)
    with pytest.raises(InputError, match=f"merge.{field}.god: no such recall channel; there are bad, good, late"):
        find("merge", name).from_config({field: {"god": 1}}).fit(found, targets)


def test_quotas_above_k_are_refused():
    with pytest.raises(ValueError, match="at most k = 10, not 12"):
        find("merge", "quota").from_config({"k": 10, "quotas": {"a": 12}})


def test_hits_are_the_rows_of_targets():
    found = {"a": channel([[(5, 1.0), (6, 0.5)], [(6, 1.0)]])}
    joined = join(found, 2)
    rows, offsets = hits(joined.offsets, joined.item, targets_of([[6, 9], [5]]))
    assert joined.item[rows].tolist() == [6]
    assert offsets.tolist() == [0, 1, 1]
