"""Every metric of lists against other people's code, and against loops, on lists as large as a test window's."""

from __future__ import annotations

import math
import warnings
from itertools import combinations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG
from scipy.stats import entropy
from sklearn.metrics import log_loss as sk_log_loss
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity, pairwise_distances

from shortlist.metrics import accuracy, beyond, ranking, timeliness, variety
from shortlist.metrics._slate import Slates
from shortlist.types import Candidates, Ragged

N, ITEMS, DEEPEST = 300, 400, 100
KS = (1, 5, 10, 50, 100)
DAY = 86_400_000_000


def ragged(rows, **columns):
    offsets = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return Ragged(offsets, {"item": np.array([i for row in rows for i in row], np.int32), **columns})


@pytest.fixture(scope="module")
def world():
    """(lists of 0 to 100 items, targets of 1 to 30, slates): lists of all lengths, hits on some of them."""
    rng = np.random.default_rng(5)
    lengths = np.where(rng.random(N) < 0.2, rng.integers(0, 100, N), DEEPEST)
    shown = [rng.permutation(ITEMS)[:n].tolist() for n in lengths]
    targets = [rng.permutation(ITEMS)[: rng.integers(1, 30)].tolist() for _ in range(N)]
    return shown, targets, slates(shown, targets)


def slates(shown, targets=None, k=DEEPEST):
    request = np.repeat(np.arange(len(shown), dtype=np.uint32), [len(row) for row in shown])
    rows = Candidates(request, np.array([i for row in shown for i in row], np.int32))
    return Slates.of(rows, ragged(targets or [[] for _ in shown]), k)


@pytest.mark.parametrize("k", KS)
def test_accuracy_is_that_of_ir_measures(world, k):
    shown, targets, judged = world
    qrels = [ir_measures.Qrel(str(r), str(i), 1) for r, row in enumerate(targets) for i in row]
    run = [
        ir_measures.ScoredDoc(str(r), str(i), float(-place))
        for r, row in enumerate(shown)
        for place, i in enumerate(row)
    ]
    measures = {nDCG @ k: "ndcg", R @ k: "recall", P @ k: "precision", Success @ k: "hit", RR @ k: "mrr", AP @ k: "map"}
    found = {name: np.zeros(N) for name in measures.values()}  # it leaves out what was answered with nothing
    for value in ir_measures.iter_calc(list(measures), qrels, run):
        found[measures[value.measure]][int(value.query_id)] = value.value
    # trec_eval divides AP@k by all relevant documents, the definition here by the most that k places can hold
    found["map"] *= [len(t) / min(k, len(t)) for t in targets]
    ours = accuracy.per_request(judged, [k])
    for name, expected in found.items():
        np.testing.assert_allclose(ours[f"{name}@{k}"], expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("k", KS)
def test_exposure_is_that_of_plain_counts(world, k):
    shown, _, judged = world
    exposure = np.bincount([i for row in shown for i in row[:k]], minlength=ITEMS)
    assert beyond.coverage(judged, k, ITEMS) == pytest.approx(np.count_nonzero(exposure) / ITEMS, abs=1e-9)
    gaps = np.abs(exposure[:, None] - exposure[None, :]).mean() / (2 * exposure.mean())
    assert beyond.gini(judged, k, ITEMS) == pytest.approx(gaps, abs=1e-9)
    np.testing.assert_array_equal(judged.exposure(k, ITEMS), exposure)


@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("codes", [12, 200])  # within one word of bits, and beyond it
def test_diversity_is_that_of_scikit_learn(world, k, codes):
    shown, _, judged = world
    rng = np.random.default_rng(codes)
    has = rng.random((ITEMS, codes)) < 3 / codes
    sets = [np.flatnonzero(row).tolist() for row in has]
    attributes = Ragged(np.cumsum([0, *map(len, sets)]), {"code": np.array([c for s in sets for c in s], np.int32)})
    some = has.any(axis=1)
    unlike = {"jaccard": pairwise_distances(has, metric="jaccard"), "cosine": 1 - cosine_similarity(has)}
    for kind, distance in unlike.items():
        expected = [_mean_of_pairs(distance, [i for i in row[:k] if some[i]]) for row in shown]
        found = variety.diversity(judged, k, attributes, kind)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=kind)


@pytest.mark.parametrize("k", KS)
def test_diversity_by_vectors_is_that_of_scikit_learn(world, k):
    shown, _, judged = world
    rng = np.random.default_rng(k)
    known = np.sort(rng.permutation(ITEMS)[:350])
    vectors = rng.normal(size=(350, 16)) * rng.choice([1e-3, 1, 1e3], (350, 1))
    vectors[7] = 0
    distance = np.full((ITEMS, ITEMS), np.nan)
    distance[np.ix_(known, known)] = 1 - cosine_similarity(vectors)
    told = set(known) - {known[7]}
    expected = [_mean_of_pairs(distance, [i for i in row[:k] if i in told]) for row in shown]
    np.testing.assert_allclose(variety.vector_diversity(judged, k, known, vectors), expected, rtol=0, atol=1e-9)


def _mean_of_pairs(distance, items):
    pairs = [distance[a, b] for a, b in combinations(items, 2)]
    return np.mean(pairs) if pairs else np.nan


@pytest.mark.parametrize("k", KS)
def test_miscalibration_is_scipys_divergence(world, k):
    shown, _, judged = world
    rng = np.random.default_rng(2)
    sets = [rng.permutation(9)[: rng.integers(0, 4)].tolist() for _ in range(ITEMS)]
    attributes = Ragged(np.cumsum([0, *map(len, sets)]), {"code": np.array([c for s in sets for c in s], np.int32)})
    past = [rng.integers(0, ITEMS, rng.integers(0, 20)).tolist() for _ in range(N)]
    weight = rng.integers(0, 3, sum(map(len, past))).astype(np.float32)  # 0: no positive event, which says nothing
    history = ragged(past, weight=weight)
    share = np.zeros((ITEMS, 9))
    for i, codes in enumerate(sets):
        share[i, codes] = 1 / max(len(codes), 1)
    expected = []
    for r in range(N):
        mine = slice(history.offsets[r], history.offsets[r + 1])
        p = (share[history["item"][mine]] * weight[mine, None]).sum(0)
        q = share[shown[r][:k]].sum(0) if shown[r] else np.zeros(9)
        if p.sum() == 0 or q.sum() == 0:
            expected.append(np.nan)
        else:
            p, q = p / p.sum(), q / q.sum()
            expected.append(entropy(p, 0.99 * q + 0.01 * p))
    found = variety.miscalibration(judged, k, attributes, history)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    mirrored = slates([[i for i in row if sets[i]][:k] for row in shown], k=k)
    same = ragged([[i for i in row if sets[i]][:k] for row in shown])
    np.testing.assert_allclose(np.nan_to_num(variety.miscalibration(mirrored, k, attributes, same)), 0, atol=1e-12)


@pytest.mark.parametrize("k", KS)
def test_popularity_and_age_are_plain_means(world, k):
    shown, _, judged = world
    rng = np.random.default_rng(9)
    counts = rng.geometric(0.02, ITEMS) - 1
    order = sorted(range(ITEMS), key=lambda i: (-counts[i], i))
    tail, so_far = set(range(ITEMS)), 0
    for i in order:
        if so_far < 0.8 * counts.sum():
            tail.remove(i)
        so_far += counts[i]
    past = [rng.integers(0, ITEMS, rng.integers(0, 5)).tolist() for _ in range(N)]
    # microseconds since 1970, of which a mean of float64 would lose the last digits
    times = 1_700_000_000_000_000 + rng.integers(0, 30 * DAY, N)
    since = 1_700_000_000_000_000 + rng.integers(-90 * DAY, 30 * DAY, ITEMS)

    def mean(values):
        return float(np.mean(values)) if len(values) else math.nan

    def both(of):
        return [of(r, row[:k]) for r, row in enumerate(shown)]

    expected = both(lambda r, row: mean([counts[i] for i in row]))
    np.testing.assert_allclose(beyond.popularity(judged, k, counts), expected, rtol=1e-12)
    with warnings.catch_warnings(action="ignore"):
        lift = both(
            lambda r, row: mean([counts[i] for i in row]) / (mean([counts[i] for i in past[r]]) or math.nan) - 1
        )
    np.testing.assert_allclose(beyond.popularity_lift(judged, k, counts, ragged(past)), lift, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        beyond.tail_share(judged, k, counts), both(lambda r, row: mean([i in tail for i in row])), rtol=0, atol=1e-9
    )
    age = both(lambda r, row: mean([(int(times[r]) - int(since[i])) / DAY for i in row]))
    np.testing.assert_allclose(timeliness.age(judged, k, times, since), age, rtol=0, atol=1e-9)
    young = both(lambda r, row: mean([times[r] - since[i] < 20 * DAY for i in row]))
    found = timeliness.younger(judged, k, times, since, 20 * DAY)
    np.testing.assert_allclose(found, young, rtol=0, atol=1e-9)


def test_row_by_row_predictions_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    y, p = rng.random(5000) < 0.1, np.round(rng.random(5000), 3)
    groups = rng.integers(0, 60, 5000)
    assert ranking.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-9)
    assert ranking.log_loss(y, p) == pytest.approx(sk_log_loss(y, p), abs=1e-9)
    each = [(np.sum(groups == g), y[groups == g], p[groups == g]) for g in range(60)]
    both = [(n, roc_auc_score(a, b)) for n, a, b in each if 0 < a.sum() < len(a)]
    expected = np.average([value for _, value in both], weights=[n for n, _ in both])
    assert ranking.gauc(y, p, groups) == pytest.approx(expected, abs=1e-9)


exposures = st.lists(st.lists(st.integers(0, 8), unique=True, min_size=1, max_size=4), min_size=2, max_size=9)


@settings(deadline=None)
@given(shown=exposures, owners=st.lists(st.integers(0, 3), min_size=9, max_size=9))
def test_pulls_are_what_a_user_does_to_the_whole(shown, owners):
    judged, cluster = slates(shown), np.array(owners[: len(shown)])
    n, items, k = 4, 9, 4

    def without(u):
        return slates([row for row, owner in zip(shown, cluster, strict=True) if owner != u])

    left = np.array([beyond.coverage(without(u), k, items) for u in range(n)])
    jackknife = (n - 1) / n * np.sum((left - left.mean()) ** 2)
    assert np.sum(beyond.coverage_pulls(judged, k, items, cluster, n) ** 2) == pytest.approx(jackknife, abs=1e-12)

    pulls = beyond.gini_pulls(judged, k, items, cluster, n)
    assert pulls.sum() == pytest.approx(0, abs=1e-12)  # twice of everybody changes nothing

    def weighted(weights):  # with weights that are no whole numbers, by its definition
        x = np.zeros(items)
        for row, owner in zip(shown, cluster, strict=True):
            x[row] += weights[owner]
        return np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean())

    for u in range(n):
        up, down = np.ones(n), np.ones(n)
        up[u], down[u] = 1 + 1e-6, 1 - 1e-6
        assert pulls[u] == pytest.approx((weighted(up) - weighted(down)) / 2e-6, abs=1e-4)


def test_intervals_from_pulls_hold_what_other_users_would_say():
    """Of 300 users drawn from a known many, the true difference lies inside about as often as it should."""
    rng = np.random.default_rng(0)
    chances = [weight / weight.sum() for weight in (1 / np.arange(1, 151) ** power for power in (0.5, 1))]

    def draw(n):
        return [slates([rng.choice(150, 5, replace=False, p=p).tolist() for _ in range(n)]) for p in chances]

    users, n, k = np.arange(300), 300, 5
    cells = [(beyond.gini, beyond.gini_pulls), (beyond.coverage, beyond.coverage_pulls)]
    told = [[], []]
    for _ in range(100):
        a, b = draw(n)
        for (value, pulls), kept in zip(cells, told, strict=True):
            error = np.sqrt(np.sum((pulls(a, k, 150, users, n) - pulls(b, k, 150, users, n)) ** 2))
            kept.append((value(a, k, 150) - value(b, k, 150), error))
    for kept in told:
        difference, error = np.array(kept).T
        assert np.mean(np.abs(difference - difference.mean()) <= 1.96 * error) >= 0.9
        assert error.mean() <= 2.5 * difference.std()  # on the safe side, but no further


def test_items_nobody_described_are_refused():
    judged = slates([[3]])
    for call in (
        lambda: beyond.novelty(judged, 1, np.ones(3)),
        lambda: variety.diversity(judged, 1, Ragged.empty(3, code=np.int32)),
        lambda: variety.miscalibration(judged, 1, Ragged.empty(3, code=np.int32), ragged([[1]])),
        lambda: timeliness.younger(judged, 1, np.array([5]), np.zeros(3, np.int64), DAY),
        lambda: timeliness.delay(judged, 1, np.array([5]), np.zeros(3, np.int64)),
    ):
        with pytest.raises(ValueError, match="item 3 is listed"):
            call()


def test_nothing_at_all_is_no_error():
    judged, none = slates([[], []]), Ragged.empty(5, code=np.int32)
    assert np.isnan(variety.diversity(judged, 3, none)).all()
    assert np.isnan(variety.vector_diversity(judged, 3, np.empty(0), np.empty((0, 4)))).all()
    assert np.isnan(variety.miscalibration(judged, 3, none, ragged([[], []]))).all()
    assert np.isnan(timeliness.younger(judged, 3, np.zeros(2, np.int64), np.zeros(5, np.int64), DAY)).all()
    assert np.isnan(beyond.popularity_lift(judged, 3, np.ones(5), ragged([[], [1]]))).all()
    assert np.isnan(beyond.gini(judged, 3, 5))
    empty = slates([])
    assert len(timeliness.age(empty, 3, np.empty(0, np.int64), np.zeros(5, np.int64))) == 0
    assert len(beyond.tail_share(empty, 3, np.ones(5))) == 0
