"""Pairing two experiments on their rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.evaluate.compare import compare_rows


def rows(lists, first_request=0, stage="slate"):
    """``{(user, time): ([is_target, ...], targets)}`` as rows.parquet has them."""
    table = [
        (first_request + number, user, time, stage, rank, f"i{rank}", 1.0 / rank, hit, targets)
        for number, ((user, time), (hits, targets)) in enumerate(lists.items())
        for rank, hit in enumerate(hits, 1)
    ]
    schema = {"request": pl.UInt64, "user": pl.String, "time": pl.Int64, "stage": pl.String, "rank": pl.Int32}
    schema |= {"item": pl.String, "score": pl.Float32, "is_target": pl.Boolean, "targets": pl.Int32}
    return pl.DataFrame(table, schema=schema, orient="row")


A = {("u", 1): ([True, False], 1), ("u", 2): ([False, True], 2), ("v", 1): ([False, False], 1)}
B = {("v", 1): ([True, True], 2), ("u", 1): ([False, False], 1), ("w", 5): ([True, True], 2)}


def test_pairs_by_user_and_time_whatever_the_numbers_and_the_order():
    found = compare_rows(rows(A), rows(B, first_request=70), "recall", 2)
    assert (found.requests, found.users, found.only_a, found.only_b) == (2, 2, 1, 1)
    assert found.different_targets == 1
    assert found.metric == "recall@2"
    assert found.a.mean == pytest.approx((1 + 0) / 2)
    assert found.b.mean == pytest.approx((0 + 1) / 2)
    assert found.difference.diff == pytest.approx(0)
    assert (found.difference.low, found.difference.high) == (-1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_in_the_file_does_not_matter(seed):
    a, b = (rows(lists).sample(fraction=1, shuffle=True, seed=seed) for lists in (A, B))
    assert compare_rows(a, b, "map", 2) == compare_rows(rows(A), rows(B), "map", 2)


def test_a_better_system_is_told_from_chance_and_turning_round_changes_the_sign():
    rng = np.random.default_rng(0)
    good, poor = {}, {}
    for user in range(40):
        for time in range(5):
            hit = bool(rng.random() < 0.5)
            good[f"u{user}", time] = ([hit, True], 2)
            poor[f"u{user}", time] = ([hit, False], 2)
    found = compare_rows(rows(good), rows(poor), "recall", 2)
    assert found.difference.diff == pytest.approx(0.5)
    assert found.difference.low > 0
    assert found.difference.p < 0.01
    assert compare_rows(rows(poor), rows(good), "recall", 2).difference.diff == pytest.approx(-0.5)


def test_a_request_with_an_empty_slate_is_missed_not_forgotten():
    merged = rows({("x", 9): ([True], 1)}, first_request=50, stage="merge")
    with_gap = pl.concat([rows(A), merged])
    full = rows({**A, ("x", 9): ([True, False], 1)})
    found = compare_rows(with_gap, full, "hit", 2)
    assert found.requests == 4
    assert found.difference.diff == pytest.approx(-1 / 4)


def test_other_stages_can_be_compared():
    a, b = pl.concat([rows(A), rows(A, stage="ease")]), rows(A, stage="ease")
    assert compare_rows(a, b, "ndcg", 1, stage="ease").difference.p == 1


@pytest.mark.parametrize(
    ("a", "b", "metric", "k", "message"),
    [
        (
            rows(A),
            rows({("z", 1_000_000): ([True, True], 2)}),
            "ndcg",
            2,
            "share no request .* 1 from 1970-01-01 00:00",
        ),
        (rows(A), rows(B), "ndgc", 2, "'ndgc' cannot be compared; there are ndcg, recall"),
        (rows(A), rows(B), "ndcg", 3, "first experiment: k must be from 1 to 2"),
        (rows(A), rows(B).drop("is_target"), "ndcg", 2, "second experiment: rows without the column 'is_target'"),
        (rows(A), rows(B, stage="merge"), "ndcg", 2, "second experiment: no stage 'slate'; there are merge"),
        (pl.concat([rows(A), rows(A, first_request=9)]), rows(B), "ndcg", 2, "asks 2 requests at the same time"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(a, b, metric, k, message):
    with pytest.raises(InputError, match=message) as refused:
        compare_rows(a, b, metric, k)
    assert "\n" not in str(refused.value)


def test_an_unanswered_request_is_missed_and_does_not_vanish():
    """200 requests with one right answer: one run answers all, the other leaves every third without a row."""
    everything = rows({(f"u{n}", n): ([True], 1) for n in range(200)})
    asked = rows({(f"u{n}", n): ([False], 1) for n in range(200)}, stage="asked").with_columns(
        rank=pl.lit(0, pl.Int32), item=pl.lit(None, pl.String)
    )
    a, b = (pl.concat([lists, asked]) for lists in (everything, everything.filter(pl.col("time") % 3 > 0)))
    found = compare_rows(a, b, "recall", 1)
    assert (found.requests, found.only_a, found.only_b) == (200, 0, 0)
    assert found.a.mean == 1
    assert found.b.mean == pytest.approx(133 / 200)
    assert found.different_targets == 0
