"""Explore: the chances are what they are said to be, and an id decides them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.rules._explore import best_normal, best_of, uniform
from shortlist.rules.explore import Explore
from shortlist.rules.fill import Fill
from shortlist.types import Candidates

from ._shop import ask, catalogue, rows_of

N = 12
TIMES = 6000


def many(config: dict, rows: Candidates, data=None, first: int = 0) -> Candidates:
    """The rule's answer to the same rows under many request ids."""
    data = catalogue({}, n_items=20) if data is None else data
    m = len(rows)
    asked = replace(ask(TIMES, user=[0] * TIMES), id=np.arange(first, first + TIMES, dtype=np.uint64) * 7919)
    columns = {name: np.tile(column, TIMES) for name, column in rows.columns.items()}
    copies = Candidates(np.repeat(np.arange(TIMES, dtype=np.uint32), m), np.tile(rows.item, TIMES), columns)
    return Explore(**config).fit(data).apply(asked, copies, data.state())


SHOWN = [(u % 3, item, 10 + u) for item in range(20) for u in range(6 * (item % 3))]
CLICKS = [(0, item, 1, 15) for item in (5, 5, 8, 9, 9, 9)]
CASES = [
    {"slots": [2], "n": 4, "epsilon": 0.3},
    {"slots": [4, 1], "n": 4, "epsilon": 0.5, "draw": "softmax", "temperature": 0.7},
    {"slots": [1, 2, 3], "n": 3, "epsilon": 1.0, "depth": 5},
    {"slots": [2, 3], "n": 4, "epsilon": 0.4, "pool": "fallback"},
    {"slots": [3], "n": 4, "epsilon": 0.6, "pool": "cf", "draw": "softmax"},
    {"slots": [1, 3], "n": 5, "epsilon": 0.8, "draw": "thompson", "prior_shown": 5.0},
    {"slots": [1, 4], "n": 5, "epsilon": 0.7, "draw": "posterior", "temperature": 1.5},
]


def table() -> Candidates:
    rows = rows_of([list(range(N))], [[14, 15, 16]])
    place, ranked = np.arange(len(rows)), np.arange(len(rows)) < N
    columns = {
        "cf.rank": np.where(place % 3 == 0, 1 + place, np.nan),
        "posterior.mean": np.where(ranked, np.cos(place), np.nan),
        "posterior.deviation": np.where(ranked, 0.2 + 0.1 * (place % 4), np.nan),
    }
    return rows.with_columns(**columns)


@pytest.mark.parametrize("config", CASES, ids=lambda c: f"{c.get('pool', 'ranked')}-{c.get('draw', 'uniform')}")
def test_rows_stand_where_they_stand_as_often_as_their_propensity_says(config):
    rows = table()
    data = catalogue({}, CLICKS, n_items=20, shown=SHOWN)
    out = many(config, rows, data)
    m = len(rows)
    item, chance = out.item.reshape(TIMES, m), out["propensity"].reshape(TIMES, m).astype(np.float64)
    assert (np.sort(item, axis=1) == np.sort(rows.item)).all()
    slots, free = sorted(config["slots"]), [p for p in range(config["n"]) if p + 1 not in config["slots"]]
    assert (item[:, free] == rows.item[free]).all()  # what is in no slot stays
    assert (chance[:, free] == 1).all()
    for slot in slots:
        place, total = slot - 1, 0.0
        for one in np.unique(item[:, place]):
            here = item[:, place] == one
            (said,) = np.unique(chance[here, place])  # the same row has the same chance whenever it comes
            error = np.sqrt(said * (1 - said) / TIMES)
            assert abs(here.mean() - said) < 4.5 * error + 1e-9, (slot, one)
            total += said
        assert total == pytest.approx(1, abs=0.02)  # but for what is so rare that it never came
        worth = np.cos(item[:, place])  # each row weighed by its chance: the sum over all that could have come
        pool = np.unique(item[:, place])
        estimates = worth / chance[:, place]
        assert abs(estimates.mean() - np.cos(pool).sum()) < 4.5 * estimates.std() / np.sqrt(TIMES) + 0.05
    behind = np.arange(config["n"], m)
    for place in behind:  # rows of the pool, too
        stayed = item[:, place] == rows.item[place]
        if not stayed.any():
            continue  # the only row of a pool that a slot always draws from
        (said,) = np.unique(chance[stayed, place])
        assert abs(stayed.mean() - said) < 4.5 * np.sqrt(said * (1 - said) / TIMES) + 1e-9
    drawn = (out["reason"] != "").reshape(TIMES, m)
    assert (drawn[:, [s - 1 for s in slots]] == (item != rows.item)[:, [s - 1 for s in slots]]).all()
    assert drawn[:, [s - 1 for s in slots]].sum() == drawn.sum() > 0


@settings(max_examples=60, deadline=None)
@given(
    lists=st.lists(st.integers(0, N), min_size=1, max_size=4),
    slots=st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True),
    epsilon=st.floats(0, 1),
    draw=st.sampled_from(["uniform", "softmax", "thompson"]),
    pool=st.sampled_from(["ranked", "fallback", "cf", "gone"]),
    depth=st.integers(1, 5),
    ids=st.integers(0, 2**64 - 10),
)
def test_a_request_is_answered_alike_whenever_and_with_whomever_it_is_asked(
    lists, slots, epsilon, draw, pool, depth, ids
):
    data = catalogue({}, CLICKS, n_items=20, shown=SHOWN)
    rows = rows_of([list(range(n)) for n in lists], [[14, 15]] * len(lists))
    asked = replace(ask(len(lists)), id=ids + np.arange(len(lists), dtype=np.uint64))
    rule = Explore(slots=slots, n=6, epsilon=epsilon, draw=draw, pool=pool, depth=depth).fit(data)
    state = data.state()
    out = rule.apply(asked, rows, state)
    assert ((out["propensity"] >= 0) & (out["propensity"] <= 1)).all()
    assert (out["propensity"][out["reason"] != ""] > 0).all()
    for r in range(len(lists)):
        mine = rows.take(rows.request == r)
        alone = rule.apply(asked.take([r]), replace(mine, request=np.zeros(len(mine), np.uint32)), state)
        whole = out.take(out.request == r)
        assert alone.item.tolist() == whole.item.tolist()
        assert alone["propensity"].tolist() == whole["propensity"].tolist()
        moved = np.flatnonzero(whole.item != mine.item)
        assert all(p + 1 in slots for p in moved if p < 6)
        assert len(moved) % 2 == 0
        if epsilon == 0:
            assert not len(moved)


def test_a_draw_is_the_same_on_every_machine_and_in_every_version():
    """A slate of last year can be worked out anew only if this never changes."""
    assert uniform(np.uint64(1), 0, 2) == 0.15378565058932603
    assert uniform(np.uint64(2**64 - 1), 7, 11) == 0.33640241222185197


def test_another_seed_draws_other_rows():
    first, other = (many({**CASES[0], "seed": seed}, table()) for seed in (0, 1))
    assert 0.1 < (first.item != other.item).reshape(TIMES, -1).any(1).mean() < 0.6


def test_the_best_of_a_posterior_is_as_likely_as_draws_of_it_say():
    rng = np.random.default_rng(3)
    for mean, deviation in (
        ([0.1, 0.3, 0.2, -1.0], [0.2, 0.1, 0.4, 0.05]),
        ([0.0, 0.5, 0.49], [1.0, 0.0, 0.0]),  # two are certain, and one of them can never be the best
        ([2.0, 2.0, -9.0], [0.3, 0.3, 0.3]),
    ):
        draws = rng.normal(mean, deviation, (200_000, len(mean)))
        expected = np.bincount(draws.argmax(1), minlength=len(mean)) / len(draws)
        found = best_normal(np.array(mean), np.array(deviation))
        np.testing.assert_allclose(found, expected, atol=0.005 if min(deviation) else 0.01)  # a step in one cell
        assert found.sum() == pytest.approx(1)
    np.testing.assert_array_equal(best_normal(np.array([1.0, 3.0, 3.0]), np.zeros(3)), [0, 0.5, 0.5])


def test_a_posterior_is_asked_only_of_who_has_one():
    with pytest.raises(InputError, match=r'draw: "posterior" needs a ranker that says how sure it is of a row: linucb'):
        many({"slots": [1], "n": 3, "draw": "posterior"}, rows_of([list(range(N))], [[14]]))
    with pytest.raises(InputError, match=r'pool: "fallback" has rows that no ranker believes anything of'):
        many({"slots": [1], "n": 3, "draw": "posterior", "pool": "fallback"}, table())


def test_numbers_are_even_and_do_not_hang_together():
    u = np.array([[uniform(r, 3, k) for k in range(4)] for r in range(5000)])
    assert (u >= 0).all()
    assert (u < 1).all()
    counts = np.array([np.histogram(column, 20, (0, 1))[0] for column in u.T])
    assert (((counts - 250) ** 2 / 250).sum(1) < 50).all()  # χ² with 19 degrees of freedom: 5e-4 beyond 44
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 0.06
    assert np.abs(np.corrcoef(u[1:, 0], u[:-1, 0])[0, 1]) < 0.06


@pytest.mark.parametrize(
    ("hits", "misses"),
    [
        ([1, 1, 1], [19, 19, 19]),
        ([3, 1, 8], [20, 2, 90]),
        ([1.0], [5.0]),
        ([0.5, 400], [0.5, 9000]),
        ([5000, 5010], [5000, 5000]),
    ],
)
def test_the_chance_to_be_best_is_that_of_thompson_sampling(hits, misses):
    hits, misses = np.array(hits, np.float64), np.array(misses, np.float64)
    chance = best_of(hits, misses)
    draws = np.random.default_rng(1).beta(hits, misses, (200_000, len(hits)))
    wins = np.bincount(draws.argmax(1), minlength=len(hits)) / len(draws)
    assert chance.sum() == pytest.approx(1)
    np.testing.assert_allclose(chance, wins, atol=0.006)


def test_a_drawn_row_of_the_fallback_stays_when_the_slate_is_filled():
    rows = rows_of([list(range(6))], [[14, 15, 16]])
    data = catalogue({}, n_items=20)
    out = Explore(slots=[2], n=4, epsilon=1.0, pool="fallback").fit(data).apply(ask(1), rows, data.state())
    assert out["fallback"][1]
    filled = Fill(n=4).apply(ask(1), out, data.state())
    assert filled.item[:4].tolist() == out.item[:4].tolist()
    assert filled["reason"][1] == "shown to learn about it"


def test_a_row_without_a_score_is_as_likely_as_the_lowest():
    rows = rows_of([list(range(6))], scores=[[3, 2.5, 2, 1, np.nan, 1]])
    out = many({"slots": [1], "n": 3, "epsilon": 1.0, "draw": "softmax"}, rows)
    assert np.unique(out["propensity"].reshape(TIMES, 6)[:, 0]).tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"slots": [11]}, r"rules.explore.slots: expected distinct places up to n = 10, found \[11\]"),
        ({"slots": [2, 2]}, "rules.explore.slots: expected distinct places"),
        ({"slots": [1], "prior_shown": 1.0}, "rules.explore.prior_shown: expected more than prior_clicks = 1, found 1"),
        ({"slots": [1], "clicks": "tap"}, "rules.explore.clicks: the log has no event 'tap'"),
    ],
)
def test_what_cannot_be_is_named(config, line):
    with pytest.raises(InputError, match=line):
        Explore(**config).fit(catalogue({}, n_items=3))


def test_one_rule_has_all_slots():
    data, rows = catalogue({}, n_items=20), table()
    rule = Explore(slots=[1]).fit(data)
    once = rule.apply(ask(1), rows, data.state())
    with pytest.raises(InputError, match=r"rules.explore: the rows have a propensity already"):
        rule.apply(ask(1), once, data.state())
    assert Explore(slots=[1], pool="fresh").needed() == ["fresh.rank"]
    assert Explore(slots=[1]).needed() == ()


def test_missed_is_what_chance_did_not_fill_of_its_slots():
    rows, config = table(), {"slots": [4, 1], "n": 4, "epsilon": 0.3}
    out = many(config, rows)
    asked = ask(TIMES, user=[0] * TIMES)
    m, data = len(rows), catalogue({}, n_items=20)
    rule = Explore(**config).fit(data)
    changed = (out.item.reshape(TIMES, m)[:, [0, 3]] != rows.item[[0, 3]]).mean(axis=1)
    missed = rule.missed(asked, out.head(4), data.state())
    np.testing.assert_allclose(missed, 0.3 - changed, atol=1e-12)
    assert abs(missed.mean()) < 4.5 * np.sqrt(0.3 * 0.7 / 2 / TIMES)
    assert rule.missed(ask(1), rows.head(4), data.state()).tolist() == [0.3]  # without the rule: all of it
