"""linucb and thompson against the paper's formulas, and chances against many draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.rank import _bandit
from shortlist.rank._draws import chances, firsts, places
from shortlist.rank.linucb import LinUCB
from shortlist.rank.thompson import Thompson
from shortlist.testing import contract
from shortlist.types import Candidates, Requests, Samples

FORMS = ("shared", "disjoint", "hybrid")


def world(n=60, each=8, items=12, seed=0, first=0):
    """Requests over a few items with two numbers and a code; the reward hangs on all of them and on the item."""
    rng = np.random.default_rng(seed)
    item = np.concatenate([rng.permutation(items)[:each] for _ in range(n)]).astype(np.int32) + first
    m = len(item)
    a, b = rng.normal(size=(2, m)).astype(np.float32)
    kind = rng.integers(0, 3, m).astype(np.int32)
    request = np.repeat(np.arange(n, dtype=np.uint32), each)
    reward = 0.3 * a - 0.2 * b * (item % 3) + 0.1 * kind + 0.2 * (item % 2) + rng.normal(0, 0.1, m)
    rows = Candidates(request, item, {"a": a, "b": b, "kind": kind})
    weight = rng.uniform(0.5, 2, m).astype(np.float32)
    return Samples(Requests.of(np.zeros(n, np.int32), np.arange(n)), rows, {"click": reward.astype(np.float32)}, weight)


def whole(samples, ranker):
    """z [m, d] as the ranker encodes it, reward, weight."""
    table = ranker.table(samples.candidates)
    z = np.hstack([ranker.design().matrix(table).toarray(), np.ones((len(samples), 1))])
    return z, samples.labels["click"].astype(float), samples.weight.astype(float)


def score(ranker, samples):
    return ranker.score(samples.requests, samples.candidates)["score"]


@pytest.mark.parametrize("parameters", FORMS)
@pytest.mark.parametrize("own", [None, [], ["b"]])
@pytest.mark.parametrize("cls", [LinUCB, Thompson])
def test_every_form_keeps_the_contract(cls, parameters, own):
    if parameters != "shared" or own is None:
        contract.check("rank", cls, {"parameters": parameters, "own": own and ["gap"]})


def test_shared_is_the_ridge_solution_with_its_deviation():
    train, later = world(), world(seed=1)
    ranker = LinUCB(alpha=0.7, l2=2.0).fit(train)
    z, y, w = whole(train, ranker)
    a = (z.T * w) @ z + 2 * np.eye(z.shape[1])
    theta = np.linalg.solve(a, (z.T * w) @ y)
    z = whole(later, ranker)[0]
    expected = z @ theta + 0.7 * np.sqrt(np.einsum("mi,ij,mj->m", z, np.linalg.inv(a), z))
    np.testing.assert_allclose(score(ranker, later), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("own", "e"), [(None, 7), (["a", "kind"], 6), ([], 1)])  # kind: three and the unknown one
def test_hybrid_is_the_papers_algorithm(own, e):
    """Algorithm 2 of Li et al. (2010), one observation after the other, and its s for the deviation."""
    train, later = world(), world(seed=1, items=15)
    ranker = LinUCB(parameters="hybrid", own=own, alpha=1.5).fit(train)
    z, y, w = whole(train, ranker)
    inside = np.flatnonzero(ranker.at_ >= 0)
    d = z.shape[1]
    assert len(inside) == e
    a0, b0, a, b, cross = np.eye(d), np.zeros(d), {}, {}, {}
    for row, item in enumerate(train.candidates.item.tolist()):
        a.setdefault(item, np.eye(e)), b.setdefault(item, np.zeros(e)), cross.setdefault(item, np.zeros((e, d)))
        x, seen = z[row, inside], np.linalg.inv(a[item])
        a0 += cross[item].T @ seen @ cross[item]
        b0 += cross[item].T @ seen @ b[item]
        a[item] += w[row] * np.outer(x, x)
        cross[item] += w[row] * np.outer(x, z[row])
        b[item] += w[row] * y[row] * x
        seen = np.linalg.inv(a[item])
        a0 += w[row] * np.outer(z[row], z[row]) - cross[item].T @ seen @ cross[item]
        b0 += w[row] * y[row] * z[row] - cross[item].T @ seen @ b[item]
    beta, inverse = np.linalg.solve(a0, b0), np.linalg.inv(a0)
    expected = []
    for row, item in zip(whole(later, ranker)[0], later.candidates.item.tolist(), strict=True):
        x, seen = row[inside], np.linalg.inv(a.get(item, np.eye(e)))
        mixed = cross.get(item, np.zeros((e, d)))
        theta = seen @ (b.get(item, np.zeros(e)) - mixed @ beta)
        s = row @ inverse @ row - 2 * row @ inverse @ mixed.T @ seen @ x + x @ seen @ x
        s += x @ seen @ mixed @ inverse @ mixed.T @ seen @ x
        expected.append(row @ beta + x @ theta + 1.5 * np.sqrt(s))
    np.testing.assert_allclose(score(ranker, later), expected, rtol=2e-5, atol=2e-6)


def test_disjoint_items_have_parameters_of_their_own_and_new_ones_what_all_share():
    train, later = world(), world(seed=1, items=15)  # items 12, 13 and 14 were never met
    ranker, plain = LinUCB(parameters="disjoint", alpha=0.5).fit(train), LinUCB(alpha=0).fit(train)
    new = later.candidates.item >= 12
    z = whole(later, ranker)[0]
    fallback = score(plain, later) + 0.5 * np.sqrt((z**2).sum(1))
    np.testing.assert_allclose(score(ranker, later)[new], fallback[new], rtol=1e-5)
    rows, y, w = whole(train, ranker)
    mine = train.candidates.item == 5
    a = (rows[mine].T * w[mine]) @ rows[mine] + np.eye(z.shape[1])
    theta = np.linalg.solve(a, (rows[mine].T * w[mine]) @ y[mine] + plain.mean_)  # prior N(β, 1)
    five = later.candidates.item == 5
    expected = z[five] @ theta + 0.5 * np.sqrt(np.einsum("mi,ij,mj->m", z[five], np.linalg.inv(a), z[five]))
    np.testing.assert_allclose(score(ranker, later)[five], expected, rtol=2e-5, atol=1e-6)
    assert not np.allclose(score(ranker, later)[five], fallback[five], rtol=1e-2)


@pytest.mark.parametrize("parameters", FORMS)
def test_rows_that_come_later_count_as_if_they_had_been_there(parameters):
    early, late = world(n=30), world(n=30, seed=1, items=9, first=8)
    every = Samples.concat([early, late])
    ranker = Thompson(parameters=parameters).fit(early)
    fresh = Thompson(parameters=parameters).fit(early)
    for name in ("sums_", "rewards_", "own_sums_", "own_rewards_"):  # the columns as they were read, nothing else
        setattr(fresh, name, np.zeros_like(getattr(fresh, name)))
    before, held = score(ranker, late), ranker.sums_
    kept = held.copy()
    ranker.update(late)
    fresh.update(every)
    for name, array in ranker.state().items():
        np.testing.assert_array_equal(array, fresh.state()[name], err_msg=name)
    assert not np.allclose(before, score(ranker, late))
    np.testing.assert_array_equal(held, kept)  # whoever still asks the old sums is not disturbed
    if parameters != "shared":
        assert set(ranker.items_) == set(every.candidates.item)


def test_unknown_rewards_and_rows_without_weight_change_nothing():
    early, late = world(n=30), world(n=30, seed=1)
    ranker = LinUCB(parameters="hybrid").fit(early)
    before = {name: array.copy() for name, array in ranker.state().items()}
    ranker.update(replace(late, labels={"click": np.full(len(late), np.nan, np.float32)}))
    ranker.update(replace(late, weight=np.zeros(len(late), np.float32)))
    for name, array in ranker.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("parameters", FORMS)
def test_a_chance_is_how_often_the_row_stands_there_over_all_request_ids(parameters):
    ranker = Thompson(parameters=parameters, scale=1.0, draws=16).fit(world(n=20))
    few = world(n=1, each=8, seed=3)
    n = 4_000
    rows = few.candidates.take(np.tile(np.arange(8), n))
    rows = replace(rows, request=np.repeat(np.arange(n, dtype=np.uint32), 8))
    requests = Requests.of(np.zeros(n, np.int32), np.zeros(n))
    slate = rows.with_columns(**ranker.score(requests, rows)).ranked()
    seen = np.zeros((12, 8))
    np.add.at(seen, (slate.item, slate.positions()), 1 / n)
    told = np.full((12, 8), np.nan)
    told[slate.item, slate.positions()] = slate["propensity"]
    here = seen > 0
    assert here.sum() > 15
    assert np.abs(seen[here] - told[here]).max() < 4 * 0.5 / np.sqrt(n)
    first = ranker.chances(few.requests, few.candidates)
    assert first.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.nan_to_num(told[few.candidates.item, 0]), first, atol=1e-6)


@pytest.mark.parametrize("parameters", FORMS)
def test_the_pool_agrees_with_a_large_monte_carlo(parameters):
    """Many draws of β and δ by numpy alone; with 4,096 sets the pool is as near as chance lets it be."""
    train, few = world(n=20), world(n=1, each=8, seed=3, items=14)
    ranker = Thompson(parameters=parameters, scale=3.0, draws=4096).fit(train)
    z = whole(few, ranker)[0]
    rows, y, w = whole(train, ranker)
    d, rng, many = z.shape[1], np.random.default_rng(0), 50_000
    item, seen = few.candidates.item, train.candidates.item
    weighed = rows * w[:, None]
    if parameters == "shared":
        features, every = z, rows
    else:  # one regression over (β, δ_0 ... δ_13), each item's part in its own place
        place = np.zeros((len(rows), 14 * d)), np.zeros((8, 14 * d))
        for block, source, of in ((place[0], rows, seen), (place[1], z, item)):
            for row, code in enumerate(of):
                block[row, code * d : (code + 1) * d] = source[row]
        beta = np.linalg.solve(weighed.T @ rows + np.eye(d), weighed.T @ y)
        features, every = place[::-1]
        if parameters == "hybrid":
            features, every = np.hstack([z, features]), np.hstack([rows, every])
    target = y - rows @ beta if parameters == "disjoint" else y
    precision = (every.T * w) @ every + np.eye(every.shape[1])
    mean, covariance = features @ np.linalg.solve(precision, (every.T * w) @ target), np.linalg.inv(precision)
    mean = mean + z @ beta if parameters == "disjoint" else mean
    draws = rng.multivariate_normal(mean, 9 * features @ covariance @ features.T, many, method="eigh")
    expected = np.bincount(draws.argmax(1), minlength=8) / many
    found = ranker.chances(few.requests, few.candidates)
    assert (expected > 0.02).sum() >= 3
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 4096)


def test_the_request_id_decides_and_nothing_else():
    ranker, later = Thompson(scale=1.0).fit(world(n=20)), world(seed=1)
    again = replace(later.requests, time=later.requests.time + 9)
    other = replace(later.requests, id=later.requests.id + np.uint64(1 << 40))
    first = ranker.score(later.requests, later.candidates)
    np.testing.assert_array_equal(ranker.score(again, later.candidates)["score"], first["score"])
    assert not np.allclose(ranker.score(other, later.candidates)["score"], first["score"])
    sure = Thompson(scale=0.0).fit(world(n=20)).score(later.requests, later.candidates)
    assert (sure["propensity"] == 1).all()
    np.testing.assert_allclose(sure["score"], score(LinUCB(alpha=0.0).fit(world(n=20)), later), rtol=1e-5, atol=1e-6)


def test_ties_stand_in_the_order_that_candidates_give_them():
    value = np.array([[0.0, -0.0, 1.0, -2.5], [3.0, 3.0, 3.0, 3.0]], np.float32)
    item = np.array([7, 3, 9, 1], np.int32)
    keys = places(value, item)
    for draw in range(2):
        rows = Candidates(np.zeros(4, np.uint32), item, {"score": value[draw]}).ranked()
        assert item[np.argsort(keys[draw])].tolist() == rows.item.tolist()
    np.testing.assert_array_equal(chances(keys, 0), [1, 1, 0.5, 0.5])  # 3 is the second in both, 7 the third
    np.testing.assert_array_equal(firsts(keys), [0, 0, 0.5, 0.5])


def test_what_cannot_be_learned_is_said(monkeypatch):
    train = world()
    with pytest.raises(InputError, match=r"own: no column 'c'; there are a, b, kind"):
        LinUCB(parameters="hybrid", own=["c"]).fit(train)
    with pytest.raises(InputError, match=r"calibration: expected none"):
        Thompson(calibration="closed").fit(train)
    monkeypatch.setattr(_bandit, "MOST", 12 * 7 * 7 - 1)
    with pytest.raises(InputError, match=r"parameters: disjoint needs 12 × 7 × 7 sums, more than 587"):
        LinUCB(parameters="disjoint").fit(train)
    LinUCB(parameters="disjoint", own=[]).fit(train)
