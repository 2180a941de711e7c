"""What merges learn from: the requests drawn, the quality climbed, the quotas chosen; each against its definition."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.merge._ascent import FLOOR, Task, drawn, learn_weights, task
from shortlist.merge._channels import weights_of
from shortlist.merge._coverage import greedy, learn_quotas, within
from shortlist.merge._join import join
from shortlist.merge.weighted import logistic_weights, normalised
from shortlist.registry import find
from shortlist.types import Candidates, Ragged


def channel(rows):
    """Items of each request, best first; a score that falls by one a place."""
    request = np.repeat(np.arange(len(rows), dtype=np.uint32), [len(row) for row in rows])
    item = np.array([i for row in rows for i in row], np.int32)
    return Candidates(request, item, {"score": np.array([-p for row in rows for p in range(len(row))], np.float32)})


def targets_of(rows):
    request = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Ragged.of(request, len(rows), item=np.array([i for row in rows for i in row], np.int32))


def lists(size, low=0):
    return st.lists(st.integers(0, 20), min_size=low, max_size=size, unique=True)


@st.composite
def worlds(draw):
    n = draw(st.integers(1, 5))
    raw = {name: [draw(lists(12)) for _ in range(n)] for name in ("a", "b", "c")[: draw(st.integers(1, 3))]}
    return raw, [draw(lists(5, 1)) for _ in range(n)]


def by_request(rows, n):
    return [rows.item[rows.request == r].tolist() for r in range(n)]


def test_a_draw_keeps_every_request_whole():
    raw = {"a": [[r, r + 100] for r in range(40)], "b": [[r + 200] if r % 2 else [] for r in range(40)]}
    targets = targets_of([[r, r + 100][: 1 + r % 2] for r in range(40)])
    found = {name: channel(rows) for name, rows in raw.items()}
    some, right = drawn(found, targets, 9, seed=1)
    asked = [row[0] for row in by_request(some["a"], 9)]  # the first item is the request's own number
    assert asked == sorted(set(asked))
    assert len(right) == len(asked) == 9
    assert by_request(some["a"], 9) == [raw["a"][r] for r in asked]
    assert by_request(some["b"], 9) == [raw["b"][r] for r in asked]
    assert some["b"].request.dtype == np.uint32
    assert [right["item"][a:b].tolist() for a, b in pairwise(right.offsets)] == [
        [r, r + 100][: 1 + r % 2] for r in asked
    ]
    again, other = drawn(found, targets, 9, seed=1)[0], drawn(found, targets, 9, seed=2)[0]
    assert again["a"].item.tolist() == some["a"].item.tolist() != other["a"].item.tolist()
    assert drawn(found, targets, 40, seed=1) == (found, targets)  # as many as there are: all, in their order


@settings(max_examples=80, deadline=None, derandomize=True)
@given(world=worlds(), at=st.integers(1, 6), measure=st.sampled_from(["ndcg", "recall"]))
def test_learned_weights_are_no_worse_than_equal_ones_and_than_any_channel_alone(world, at, measure):
    raw, right = world
    found, targets = {name: channel(rows) for name, rows in raw.items()}, targets_of(right)
    terms = find("merge", "reciprocal_rank")()._terms
    weights = learn_weights(found, targets, terms, measure, at, 100, 0)
    assert len(weights) == len(found)
    assert (weights >= FLOOR).all()
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    judge: Task = task(found, targets, terms, 100, 0)
    reached = judge.quality(weights, measure, at)
    for other in (np.ones(len(found)), *np.maximum(np.eye(len(found)), FLOOR)):
        assert reached >= judge.quality(other, measure, at) - 1e-6


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), at=st.integers(1, 4))
def test_pruned_are_the_rows_with_enough_others_that_are_nowhere_worse_and_somewhere_better(data, at):
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=3))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    row = st.tuples(*[st.integers(0, 2)] * data.draw(st.integers(1, 3)))
    terms = data.draw(st.lists(row, min_size=sum(lengths), max_size=sum(lengths)))
    hits = [data.draw(st.integers(a, b - 1)) for a, b in pairwise(offsets.tolist()) if b > a]
    hit_offsets = np.concatenate([[0], np.cumsum(np.array(lengths) > 0)])
    columns = np.array(terms, np.float32).reshape(len(terms), -1).T if terms else np.empty((1, 0), np.float32)
    whole = Task(
        offsets, np.arange(len(terms)), columns, hit_offsets, np.array(hits, np.int64), np.ones(len(lengths), np.int64)
    )
    few = whole.pruned(at)
    kept = []
    for a, b in pairwise(offsets.tolist()):
        for own in range(a, b):
            pairs = [list(zip(terms[other], terms[own], strict=True)) for other in range(a, b)]
            ahead = sum(all(x >= y for x, y in pair) and any(x > y for x, y in pair) for pair in pairs)
            kept += [own] if ahead < at else []
    assert few.item.tolist() == kept
    assert np.array_equal(few.terms, columns[:, kept])
    assert few.item[few.hits].tolist() == [row for row in hits if row in kept]
    for r, (a, b) in enumerate(pairwise(offsets.tolist())):
        assert few.item[few.offsets[r] : few.offsets[r + 1]].tolist() == [row for row in kept if a <= row < b]
        mine = few.item[few.hits[few.hit_offsets[r] : few.hit_offsets[r + 1]]].tolist()
        assert mine == [row for row in hits if a <= row < b and row in kept]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(world=worlds(), at=st.integers(1, 6), data=st.data())
def test_an_ascent_says_how_good_it_is(world, at, data):
    raw, right = world
    found = {name: channel(rows) for name, rows in raw.items()}
    learning = task(found, targets_of(right), find("merge", "reciprocal_rank")()._terms, 100, 0)
    start = np.array([data.draw(st.integers(1, 5)) for _ in raw], float)
    weights, value = learning.ascend(start, "ndcg", at)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert value == pytest.approx(learning.quality(weights, "ndcg", at), abs=1e-6)
    assert value >= learning.quality(start, "ndcg", at) - 1e-6


def test_an_ascent_finds_the_channel_that_is_right():
    n, wrong = 12, [[100 + r, 200 + r, 300 + r] for r in range(12)]
    good = [[r] for r in range(n)]
    found = {"bad": channel(wrong), "good": channel(good), "worse": channel(wrong)}
    terms = find("merge", "reciprocal_rank")()._terms
    learning = task(found, targets_of(good), terms, 100, 0)
    assert learning.quality(np.ones(3), "ndcg", 3) < 1  # the two that are wrong agree with each other
    weights, value = learning.ascend(np.ones(3), "ndcg", 1)
    assert value == 1
    assert weights[1] >= weights[0] + weights[2]  # of equals the lower item comes first, the right one
    assert learn_weights(found, targets_of(good), terms, "ndcg", 1, 100, 0).argmax() == 1


def test_nothing_to_learn_from_is_equal_weights():
    terms = find("merge", "reciprocal_rank")()._terms
    found = {"a": channel([[1, 2]]), "b": channel([[2, 3]])}
    assert learn_weights(found, targets_of([[9]]), terms, "ndcg", 5, 100, 0).tolist() == [1, 1]
    assert learn_weights({}, targets_of([[9]]), terms, "ndcg", 5, 100, 0).tolist() == []


@settings(max_examples=80, deadline=None, derandomize=True)
@given(world=worlds(), k=st.integers(1, 12), block=st.integers(1, 4))
def test_learned_quotas_are_the_best_of_their_path(world, k, block):
    raw, right = world
    found, targets = {name: channel(rows) for name, rows in raw.items()}, targets_of(right)
    merge = find("merge", "quota")

    def covered(quotas):
        names = dict(zip(sorted(raw), map(int, quotas), strict=True))
        rows = merge.from_config({"k": k, "quotas": names}).merge(found, len(right))
        return sum(len(set(row) & set(asked)) for row, asked in zip(by_request(rows, len(right)), right, strict=True))

    joined = join(found, len(right))
    place = {
        (r, int(i)): u for r in range(len(right)) for u in range(*joined.offsets[r : r + 2]) for i in [joined.item[u]]
    }
    rows = [place[r, i] for r, asked in enumerate(right) for i in asked if (r, i) in place]
    path = [quotas.tolist() for quotas in greedy(joined.rank[:, rows], k, block)]
    assert path[0] == [0] * len(raw)
    for before, after in pairwise(path):
        grown = [b - a for a, b in zip(before, after, strict=True)]
        assert sorted(grown)[:-1] == [0] * (len(raw) - 1)
        assert max(grown) > 0
        assert max(grown) % block == 0 or sum(after) == k
    kept = [covered(quotas) for quotas in path]
    found_quotas = learn_quotas(found, targets, merge()._fill, k, block, 100, 0).tolist()
    assert found_quotas == path[kept.index(max(kept))]  # the first of the best: the fewest guarantees


def plain_greedy(rank, k, block):
    """At each step the channel and the number of its next rows that cover most new targets a row."""
    quotas, covered, path = [0] * len(rank), set(), [[0] * len(rank)]
    while sum(quotas) < k:
        left, best = k - sum(quotas), (0.0, None)
        for c, places in enumerate(rank):
            for more in [*range(block, left, block), left]:
                new = {t for t, p in enumerate(places) if quotas[c] < p <= quotas[c] + more} - covered
                best = max(best, (len(new) / more, (c, more, new)), key=lambda found: found[0])  # the first of equals
        if best[1] is None:
            break
        c, more, new = best[1]
        quotas[c] += more
        covered |= new
        path.append(list(quotas))
    return path


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), k=st.integers(1, 12), block=st.integers(1, 4))
def test_greedy_is_its_definition(data, k, block):
    places = st.lists(st.one_of(st.none(), st.integers(1, 12)), min_size=6, max_size=6)
    raw = data.draw(st.lists(places, min_size=1, max_size=3))
    rank = np.array([[np.nan if p is None else p for p in row] for row in raw], np.float32)
    assert [q.tolist() for q in greedy(rank, k, block)] == plain_greedy(rank.tolist(), k, block)


def test_no_channel_no_quota():
    assert [q.tolist() for q in greedy(np.empty((0, 0), np.float32), 5, 2)] == [[]]


def test_within_is_the_rows_a_channel_ranks_no_later_than_its_quota():
    rank = np.array([[1, 2, 3, np.nan], [np.nan, 3, 2, 1]], np.float32)
    assert within(rank, np.array([2, 0])).tolist() == [True, True, False, False]
    assert within(rank, np.array([0, 2])).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("learned", "given", "expected"),
    [
        (None, {}, [1, 1, 1]),
        (None, {"a": 0.5}, [0.5, 1, 1]),
        ([0.2, 1.0], {}, [0.2, 1.0, 0.6]),  # a channel nobody learned a weight for: the mean
        ([0.2, 1.0], {"a": 0.2}, [0.2, 1.0, 1.0]),  # weights given: 1 for those left out
    ],
)
def test_a_weight_is_learned_or_given_or_the_mean_or_one(learned, given, expected):
    known = [] if learned is None else ["a", "b"]
    array = None if learned is None else np.array(learned)
    assert weights_of(["a", "b", "new"], known, array, given).tolist() == pytest.approx(expected)
    if learned is not None:
        assert weights_of(["b"], known, array, given).tolist() == [1.0]  # the others failed
        assert weights_of(["a", "b"], known, array, given).tolist() == learned


def test_each_scale_and_each_way_to_learn_is_the_one_named():
    found = {"a": channel([[3, 4, 5], [6]]), "b": channel([[5, 7], [8, 6]])}
    joined = join(found, 2)
    for number, scale in enumerate(("minmax", "z", "percentile")):
        merge = find("merge", "weighted").from_config({"scale": scale, "weights": {}})
        x = normalised(joined.score, joined.rank, joined.offsets, number)
        expected = dict(zip(joined.item.tolist()[:4], np.nansum(x, axis=0).tolist()[:4], strict=True))
        out = merge.merge(found, 2)
        first = out.request == 0
        assert dict(zip(out.item[first].tolist(), out["score"][first].tolist(), strict=True)) == pytest.approx(expected)
    targets = targets_of([[4], [6]])
    learned = find("merge", "weighted").from_config({"learn": "logistic", "l2": 0.3}).fit(found, targets)
    x = np.nan_to_num(normalised(joined.score, joined.rank, joined.offsets, 0)).astype(float)
    label = (joined.item == 4) | (joined.item == 6)
    assert learned.weights_.tolist() == pytest.approx(logistic_weights(x, label.astype(float), 0.3).tolist())
    nothing = find("merge", "weighted").from_config({"learn": "logistic"}).fit(found, targets_of([[99], [99]]))
    assert nothing.weights_.tolist() == [1, 1]


def test_logistic_weights_stop_where_their_gradient_is_zero():
    rng = np.random.default_rng(0)
    x, label = rng.random((2, 300)), np.zeros(300)
    label[:290] = x[0, :290] > 0.5
    for l2 in (0.1, 5.0):
        w = logistic_weights(x, label, l2)

        def loss(w, b, l2=l2):
            z = w @ x + b
            return np.sum(np.log1p(np.exp(z)) - label * z) + l2 / 2 * np.sum(w**2)

        def best(w):  # over the free intercept
            return min(loss(w, b) for b in np.linspace(-15, 15, 3001))

        assert best(w) <= min(best(w + step) for step in 0.2 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]))
    assert logistic_weights(x, np.ones(300), 1.0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert not any(math.isnan(v) for v in logistic_weights(x, np.zeros(300), 1.0))


@pytest.mark.parametrize("name", ["quota", "reciprocal_rank", "weighted"])
def test_weights_that_are_given_or_not_wanted_are_not_learned(name):
    found = {"bad": channel([[1, 2]] * 3), "good": channel([[7, 8]] * 3)}  # of equals the lower item comes first
    targets = targets_of([[7]] * 3)
    cls = find("merge", name)
    assert cls.from_config({"weights": {"bad": 3.0}}).fit(found, targets).weights_.tolist() == [3, 1]
    assert cls.from_config({"learn": "none"}).fit(found, targets).weights_.tolist() == [1, 1]
    learned = cls().fit(found, targets).weights_
    assert learned[0] < learned[1]


def test_quotas_that_are_given_stay():
    found = {"a": channel([[1, 2, 3]]), "b": channel([[1, 2, 3]]), "c": channel([[9, 8, 7]])}
    merge = find("merge", "quota").from_config({"k": 3, "quotas": {"c": 2}}).fit(found, targets_of([[1]]))
    assert merge.quotas_.tolist() == [0, 0, 2]
    assert set(merge.merge(found, 1).item.tolist()) == {9, 8, 1}


def test_quotas_not_yet_learned_are_equal_shares():
    found = {"a": channel([[1, 2, 3]]), "b": channel([[1, 2, 3]]), "c": channel([[9, 8, 7]])}
    merge = find("merge", "quota").from_config({"k": 3})
    assert set(merge.merge(found, 1).item.tolist()) == {1, 9, 2}  # one of each channel, then what two channels found
    assert set(find("merge", "quota").from_config({"k": 2}).merge(found, 1).item.tolist()) == {1, 2}
