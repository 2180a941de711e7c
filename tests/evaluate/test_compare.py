"""Pairing two experiments on their rows."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.evaluate.compare import compare, compare_rows
from shortlist.metrics.significance import holm


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


def run_at(folder, name, lists, **more):
    """A run's folder: the lists of its slate, at cut-off 2."""
    folder.mkdir(parents=True)
    rows(lists).write_parquet(folder / "rows.parquet")
    asked = {"requests": len(lists), "users": len({user for user, _ in lists}), "slate": {}}
    document = {"name": name, "protocol": {"k": [2], "requests": "replay"}, **asked, **more}
    (folder / "evaluation.json").write_text(json.dumps(document))
    return folder


def lists_of(chance, seed=0, users=40, times=5):
    """Everybody asks five times for one item, which is first with a chance that some users have more of."""
    rng = np.random.default_rng(seed)
    liking = np.random.default_rng(1).uniform(-0.2, 0.2, users)
    return {
        (f"u{user}", time): ([bool(rng.random() < chance + liking[user]), False], 1)
        for user in range(users)
        for time in range(times)
    }


def test_all_runs_stand_in_groups_that_nothing_tells_apart(tmp_path):
    chances = {"poor": 0.3, "good": 0.7, "as good": 0.7}
    runs = [run_at(tmp_path / name, name, lists_of(c, seed)) for seed, (name, c) in enumerate(chances.items())]
    found = compare(runs)
    board = found["leaderboard"]
    assert (board["metric"], board["stage"], board["requests"], board["users"]) == ("ndcg@2", "slate", 200, 40)
    assert {run["name"]: run["group"] for run in board["runs"]} == {"good": "a", "as good": "a", "poor": "b"}
    assert [run["mean"] for run in board["runs"]] == sorted((run["mean"] for run in board["runs"]), reverse=True)
    cells = [pair["stages"]["slate"]["ndcg@2"] for pair in found["pairs"]]
    assert [cell["p_holm"] for cell in cells] == pytest.approx(holm([cell["p_t"] for cell in cells]), abs=2e-6)
    assert cells[0]["t"] == pytest.approx(cells[0]["diff"] / cells[0]["error"], rel=1e-3)
    assert 3 < cells[0]["users_needed"] < 40
    assert (found["seeds"], cells[0]["seed_deviation"]) == (1, None)


def test_runs_that_share_nothing_all_together_stand_in_no_row(tmp_path):
    everything = lists_of(0.5)
    half = [dict(list(everything.items())[part]) for part in (slice(100), slice(100, None))]
    runs = [run_at(tmp_path / n, n, lists) for n, lists in zip("abc", [everything, *half], strict=True)]
    found = compare(runs)
    assert found["leaderboard"] is None
    assert "no request was asked of all runs, so they stand in no row" in found["notes"]
    assert [pair["requests"] for pair in found["pairs"]] == [100, 100]


def test_seeds_are_drawn_as_users_are(tmp_path):
    """One system wins by luck of its seeds: over users alone that is sure, over seeds it is not."""
    bases = [run_at(tmp_path / f"a{s}", "a", lists_of(0.5, s)) for s in range(4)]
    lucky = [run_at(tmp_path / f"b{s}", "b", lists_of(c, s + 10)) for s, c in enumerate((0.8, 0.45, 0.75, 0.35))]
    alone = compare([bases[0], lucky[0]])["pairs"][0]["stages"]["slate"]["ndcg@2"]
    assert alone["low"] > 0
    found = compare([bases, lucky])
    cell = found["pairs"][0]["stages"]["slate"]["ndcg@2"]
    assert found["seeds"] == 4
    assert cell["low"] < 0 < cell["diff"] < cell["high"]
    assert cell["p"] == cell["p_t"] > 0.05
    assert cell["df"] < 10
    assert cell["seed_deviation"] == pytest.approx(0.22, abs=0.1)
    assert cell["diff"] == pytest.approx(cell["run"]["mean"] - cell["baseline"]["mean"], abs=2e-6)
    assert {run["group"] for run in found["leaderboard"]["runs"]} == {"a"}
    with pytest.raises(InputError, match="as many seeds for each run"):
        compare([bases, lucky[:2]])


def test_the_same_run_with_every_seed_is_no_better_than_itself(tmp_path):
    runs = [run_at(tmp_path / f"a{s}", "a", lists_of(0.5, s)) for s in range(3)]
    cell = compare([runs, runs])["pairs"][0]["stages"]["slate"]["ndcg@2"]
    assert (cell["diff"], cell["low"], cell["high"], cell["p"], cell["users_needed"]) == (0, 0, 0, 1, None)


def test_rolling_windows_are_compared_one_by_one(tmp_path):
    windows = {"windows": [{"opens": f"1970-01-01T00:00:00.00000{at}Z", "requests": 100} for at in (0, 3)]}
    a = run_at(tmp_path / "a", "a", lists_of(0.5, 0), **windows)
    b = run_at(tmp_path / "b", "b", lists_of(0.6, 1), **windows)
    told = compare([a, b])["pairs"][0]["windows"]
    assert (told["metric"], told["stage"], told["windows"]) == ("ndcg@2", "slate", 2)
    assert [one["requests"] for one in told["each"]] == [120, 80]  # moments 0, 1, 2 and 3, 4
    values = {
        n: np.array([lists[0][0] for lists in lists_of(c, s).values()], float)
        for n, c, s in (("a", 0.5, 0), ("b", 0.6, 1))
    }
    times = np.tile(np.arange(5), 40)
    wanted = [float((values["b"] - values["a"])[mask].mean()) for mask in (times < 3, times >= 3)]
    assert [one["diff"] for one in told["each"]] == pytest.approx(wanted, abs=2e-6)
    assert told["mean"] == pytest.approx(np.mean(wanted), abs=2e-6)
    assert told["deviation"] == pytest.approx(np.std(wanted, ddof=1), abs=2e-6)
    other = run_at(tmp_path / "c", "c", lists_of(0.6, 1))
    assert "windows" not in compare([a, other])["pairs"][0]
