"""Experiments from Python: the same folder and figures as the command line's, as frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import shortlist as sl

ROOT = Path(__file__).parents[2]
ONLY_CF = {
    "name": "only-cf",
    "recall": {"cf": {"type": "item_cf"}},
    "rules": [{"type": "seen"}],
    "evaluate": {"moments": 2},
}


@pytest.fixture(scope="module")
def other(films, desk) -> sl.Run:
    return sl.fit(ONLY_CF, data=films, set={"recall.cf.neighbours": 20}, out=desk / "other", progress=False)


def test_a_run_is_the_folder_that_fit_leaves(run):
    assert run.name == "movielens-100k"
    assert run.bundle.is_symlink()
    assert {path.name for path in run.path.iterdir()} >= {"evaluation.json", "rows.parquet", "report.html"}
    again = sl.Run(run.path)
    assert again.evaluation == run.evaluation == json.loads((run.path / "evaluation.json").read_text())
    assert again.leaderboard().equals(run.leaderboard())


def test_the_leaderboard_has_the_figures_of_the_evaluation(run):
    board = run.leaderboard()
    assert board["row"].to_list() == ["cf", "hot", "merge", "rank", "slate"]
    assert board["kind"].to_list() == ["channel", "channel", "stage", "stage", "slate"]
    document = run.evaluation
    last = board.row(-1, named=True)
    assert last["ndcg@10"] == document["slate"]["ndcg@10"]["mean"]
    assert (last["ndcg@10_low"], last["ndcg@10_high"]) == tuple(
        document["slate"]["ndcg@10"][b] for b in ("low", "high")
    )
    first = board.row(0, named=True)
    assert first["slate_minus"] == document["paired"]["cf"]["ndcg@10"]["diff"]
    assert first["only_it"] == document["channels"]["cf"]["unique_hits"]
    assert {"recall@50", "recall@all", "coverage@10"} <= set(board.columns)
    assert f"{last['ndcg@10']:.4f}" in repr(run)
    assert "<table" in run._repr_html_()


def test_rows_and_report(run, tmp_path):
    assert set(run.rows()["stage"]) == {"asked", "cf", "hot", "merge", "rank", "slate"}
    assert "<html" in run.report(tmp_path / "new" / "page.html").read_text()
    assert run.report() == run.path / "report.html"


def test_a_dict_and_a_log_are_a_recipe(other, films):
    manifest = json.loads((other.bundle / "manifest.json").read_text())
    assert manifest["overrides"] == ["recall.cf.neighbours=20"]
    assert manifest["recipe"]["recall"]["cf"]["neighbours"] == 20
    assert manifest["recipe"]["data"]["positive"] == {"rating": 4.0}
    assert ONLY_CF["recall"] == {"cf": {"type": "item_cf"}}  # the caller's own is left alone
    assert other.leaderboard()["row"].to_list() == ["cf", "merge", "slate"]


def test_a_frame_is_kept_beside_the_run_so_that_it_can_be_evaluated_again(films, tmp_path, shortlist_command):
    frame = films.events.select("user", "item", "time", "value")
    run = sl.fit({**ONLY_CF, "name": "framed"}, data=sl.read(frame), out=tmp_path / "run", progress=False)
    assert len(pl.read_parquet(tmp_path / "run/data/events.parquet")) == 100_000
    code, _, _ = shortlist_command("evaluate", run.bundle, "--json", tmp_path / "again.json")
    assert code == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["slate"]["ndcg@10"] == run.evaluation["slate"]["ndcg@10"]


def test_a_recipes_own_split_and_positive_stand_before_the_logs(desk, films, tmp_path):
    recipe = desk / "recipes/movielens-100k.toml"
    run = sl.fit(recipe, data=films, out=tmp_path, set={"data.positive.rating": 5, "rank": {}}, progress=False)
    data = json.loads((run.bundle / "manifest.json").read_text())["recipe"]["data"]
    assert data["positive"] == {"rating": 5.0}
    assert data["source"] == "movielens-100k"


def test_compare_pairs_request_by_request(run, other):
    frame = sl.compare(run, other)
    assert set(frame["requests"]) == {231}  # only-cf found nothing at all for 75 of them: misses, not left out
    compared = ["diff", "low", "high", "p", "p_holm", "users_needed", "requests"]
    assert frame.columns == ["run", "stage", "metric", "baseline", "value", *compared]
    line = frame.filter((pl.col("stage") == "slate") & (pl.col("metric") == "ndcg@10")).row(0, named=True)
    assert line["run"] == "only-cf"
    assert line["diff"] == pytest.approx(line["value"] - line["baseline"], abs=1e-5)
    assert line["low"] <= line["diff"] <= line["high"]
    mirrored = sl.compare(other.path, str(run.path))
    back = mirrored.filter((pl.col("stage") == "slate") & (pl.col("metric") == "ndcg@10")).row(0, named=True)
    assert back["diff"] == pytest.approx(-line["diff"], abs=1e-5)


def test_wrong_recipes_are_told_at_their_path(films, tmp_path):
    with pytest.raises(sl.InputError, match=r"recall.cf.neighbors: unknown; did you mean neighbours\?"):
        sl.fit({"name": "x", "recall": {"cf": {"type": "item_cf", "neighbors": 3}}}, data=films)
    with pytest.raises(sl.InputError, match="data: missing"):
        sl.fit({"name": "x", "recall": {"cf": {"type": "item_cf"}}})
    with pytest.raises(sl.InputError, match=r"data: expected a folder, or a log .* found a DataFrame"):
        sl.fit(ONLY_CF, data=films.events)
    with pytest.raises(sl.InputError, match="compare: expected runs or their folders, one by one; found a list"):
        sl.compare(["a", "b"])
    with pytest.raises(sl.InputError, match=r"nowhere.toml: no such recipe file"):
        sl.fit("nowhere.toml")
    with pytest.raises(sl.InputError, match=r"evaluation.json: not found; expected a folder that fit has filled"):
        sl.Run(tmp_path).leaderboard()
    with pytest.raises(sl.InputError, match="this log was made from a Dataset"):
        sl.fit(ONLY_CF, data=sl.Log(films.data))


def test_rankers_on_a_plain_table(tmp_path):
    recipe = {"name": "adult", "data": {"source": "adult"}, "rank": {"tree": {"type": "tree"}}}
    run = sl.fit({**recipe, "cross_validation": {"folds": 2}}, out=tmp_path / "adult", progress=False)
    board = run.leaderboard()
    assert board["row"].to_list() == ["tree"]
    assert 0.8 < board["test_auc"][0] < 0.95
    with pytest.raises(sl.InputError, match="leave no bundle"):
        run.bundle  # noqa: B018


EIGHT = """
import shortlist as sl
log = sl.read("ratings.csv", items="films.csv")
cf  = sl.ItemCF(neighbours=100).fit(log)
assert cf.recommend(["196", "7"], n=10).columns == ["user", "item", "score", "rank", "reason"]
assert len(cf.similar(["242"], n=10)) == 10
run = sl.fit("recipes/movielens-100k.toml")
other = sl.fit("recipes/movielens-100k.toml", set={"recall": {"als": {"type": "als"}}, "name": "other"})
assert "slate" in run.leaderboard()["row"]; assert run.report().is_file(); assert len(sl.compare(run, other))
funnel = sl.open(run.bundle)
assert len(funnel.recommend("196", n=10, explain=True)) == 10; assert "merge" in funnel.trace("196").stages
"""


@pytest.mark.slow
def test_the_eight_lines_as_they_stand(desk, tmp_path):
    """With the real recipe, in a process of its own."""
    for name in ("ratings.csv", "films.csv"):
        (tmp_path / name).symlink_to(desk / name)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", EIGHT], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rank: channels at rank" in done.stderr  # progress, in lines where there is no terminal
