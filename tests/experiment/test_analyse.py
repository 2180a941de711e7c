"""A whole experiment: what is told, what is left out, what decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from shortlist.component import InputError
from shortlist.documents import dumps
from shortlist.experiment._people import people
from shortlist.experiment.analyse import analyse, main_line
from shortlist.experiment.coverage import coverage
from shortlist.experiment.design import Design, parse
from shortlist.experiment.outcomes import EVENTS, EXPOSURES, METRICS, sums
from shortlist.experiment.outlook import outlook
from shortlist.experiment.standing import standing

from ._log import DAY, T0, log


def design(**more: Any) -> Design:
    x = {"start": "2026-01-01", "arms": {"a": {}, "b": {}}, "effect": 0.2, **more.pop("x", {})}
    counted = {"click": ["view"], "conversion": ["buy"], "dwell": "view"}
    return parse({"counted": counted, "experiments": {"x": x}, **more})


@pytest.fixture(scope="module")
def lifted() -> tuple[pl.DataFrame, pl.DataFrame]:
    return log(design(), users=900, lift=0.5)


def test_a_better_arm_is_found_and_every_metric_told(lifted: Any) -> None:
    told = analyse(design(), "x", *lifted, replicates=500)
    assert [line["metric"] for line in told["metrics"]] == list(METRICS)
    line = main_line(told)["comparisons"][0]
    assert line["verdict"] == "better"
    assert line["lift_low"] < 0.5 < line["lift_high"]
    assert line["always"]["low"] < line["low"] < line["high"] < line["always"]["high"]
    assert line["p"] <= line["p_holm"]
    assert 0.02 < line["variance_reduction"] < 0.6
    assert abs(line["bootstrap"]["error"] ** 2 / line["plain"]["variance"] - 1) < 0.25
    assert sum(arm["users"] for arm in told["arms"]) > 850
    assert not told["sample_ratio"]["mismatch"]
    assert told["left_out"] == {"users of several arms": 0, "testers": 0}
    assert len(told["daily"]) in (6, 7)
    last = told["daily"][-1]
    np.testing.assert_allclose([last["difference"], last["p"]], [line["difference"], line["p"]])
    p = [day["always"]["p_so_far"] for day in told["daily"]]
    assert p == sorted(p, reverse=True)
    dumps(told)


def test_figures_are_welch_s_test_on_the_users_sums(lifted: Any) -> None:
    told = analyse(design(x={"before": "1us"}), "x", *lifted)  # no past, so nothing is taken off
    shown = lifted[0].filter(pl.col("arms").str.contains("x="))
    by_user = sums(shown, lifted[1].filter(pl.col("time") >= T0), design().counted)
    arm = dict(shown.select("user", "arms").unique().iter_rows())
    b = np.array([arm[user] == "x=b" for user in by_user["user"]])
    gmv = by_user["value"].to_numpy()
    line = next(line for line in told["metrics"] if line["metric"] == "gmv")
    assert "plain" not in line["comparisons"][0]
    np.testing.assert_allclose(line["values"]["b"], gmv[b].mean())
    np.testing.assert_allclose(line["comparisons"][0]["p"], stats.ttest_ind(gmv[b], gmv[~b], equal_var=False).pvalue)
    ctr = main_line(told)["values"]["a"]
    np.testing.assert_allclose(ctr, by_user["clicks"].to_numpy()[~b].sum() / by_user["shown"].to_numpy()[~b].sum())


def test_before_its_stop_what_may_be_peeked_at_decides_and_afterwards_the_fixed_sample(lifted: Any) -> None:
    running, over = (analyse(design(x={"stop": stop}), "x", *lifted) for stop in ("2026-02-01", "2026-01-06"))
    assert (running["ended"], running["decided_by"]) == (False, "always-valid")
    assert (over["ended"], over["decided_by"]) == (True, "fixed sample")


def test_later_rows_are_left_out(lifted: Any) -> None:
    until = T0 + 2 * DAY
    early = analyse(design(), "x", *lifted, until=until)
    cut = [frame.filter(pl.col("time") < until) for frame in lifted]
    assert main_line(early)["comparisons"] == main_line(analyse(design(), "x", *cut, until=until))["comparisons"]
    assert len(early["daily"]) == 2


def test_each_day_is_told_as_it_was_known_at_its_end(lifted: Any) -> None:
    for main in ("ctr", "items", "position", "gmv", "short"):
        d = design(x={"main": main})
        for line in analyse(d, "x", *lifted)["daily"]:
            then = main_line(analyse(d, "x", *lifted, until=min(T0 + line["day"] * DAY, T0 + 6 * DAY)))["comparisons"][
                0
            ]
            if line["day"] < 7:
                keys = ("control", "treatment", "difference", "p")
                np.testing.assert_allclose([line[k] for k in keys], [then[k] for k in keys], rtol=1e-9, atol=1e-12)


def test_testers_and_users_of_several_arms_are_left_out(lifted: Any) -> None:
    shown, events = lifted
    one = shown.filter(pl.col("arms") == "x=a")["user"][0]
    moved = pl.concat([shown, shown.filter(pl.col("user") == one).tail(1).with_columns(arms=pl.lit("x=b"))])
    told = analyse(design(testers={"u7": {"x": "a"}}), "x", moved, events)
    assert told["left_out"] == {"users of several arms": 1, "testers": 1}
    whole = analyse(design(), "x", shown, events)
    assert sum(a["users"] for a in told["arms"]) == sum(a["users"] for a in whole["arms"]) - 2


def test_lost_users_are_noticed(lifted: Any) -> None:
    shown, events = lifted
    lost = shown.filter(~((pl.col("arms") == "x=b") & (pl.col("user").hash(1) % 10 < 3)))
    assert analyse(design(), "x", lost, events)["sample_ratio"]["mismatch"]


def test_slices_are_told_apart_and_their_columns_checked(lifted: Any) -> None:
    users = pl.DataFrame({"user": [f"u{u}" for u in range(800)], "team": [f"t{u % 3}" for u in range(800)]})
    told = analyse(design(x={"slices": ["team"]}), "x", *lifted, users=users)
    assert [row["level"] for row in told["slices"][0]["levels"]] == ["t0", "t1", "t2"]
    assert told["slices"][0]["p_holm"] > 0.001
    with pytest.raises(InputError, match="no column 'town'; there are user, team"):
        analyse(design(x={"slices": ["town"]}), "x", *lifted, users=users)
    listed = users.with_columns(town=pl.col("team").str.split("t"))
    with pytest.raises(InputError, match="'town' has lists"):
        analyse(design(x={"slices": ["town"]}), "x", *lifted, users=listed)
    with pytest.raises(InputError, match="no table of users"):
        analyse(design(x={"slices": ["town"]}), "x", *lifted)


def test_a_slice_in_which_the_arm_does_nothing_is_found() -> None:
    parts = [log(design(), users=600, lift=lift, seed=seed) for seed, lift in ((1, 0.0), (2, 1.0))]
    renamed = [[f.with_columns(user=pl.lit(str(k)) + pl.col("user")) for f in part] for k, part in enumerate(parts)]
    shown, events = (pl.concat(frames) for frames in zip(*renamed, strict=True))
    users = pl.DataFrame({"user": shown["user"].unique()}).with_columns(part=pl.col("user").str.slice(0, 1))
    told = analyse(design(x={"slices": ["part"]}), "x", shown, events, users=users)
    assert told["slices"][0]["p_holm"] < 0.001


def test_the_hold_out_is_an_experiment_of_its_own() -> None:
    held = design(hold_out=0.3)
    told = analyse(held, "hold_out", *log(held, users=400))
    assert [arm["arm"] for arm in told["arms"]] == ["open", "held"]
    assert abs(told["arms"][1]["share"] - 0.3) < 0.08


def test_interleaving_counts_clicks_by_who_brought_the_item() -> None:
    d = design(x={"interleave": True})
    base = {"time": T0 + 1, "arms": "x=interleaved", "asked": 2, "bundle": "v"}
    rows = [
        {**base, "request_id": str(u), "user": f"u{u}", "item": item, "position": p, "team": team, "credit": credit}
        for u in range(40)
        for p, (item, team, credit) in enumerate((("i", "a", -1.0), ("j", "b", 1.0)), 1)
    ]
    events = [{"user": f"u{u}", "item": "j" if u % 4 else "i", "event": "view", "time": T0 + 2} for u in range(40)]
    told = analyse(d, "x", pl.DataFrame(rows, schema=EXPOSURES), pl.DataFrame(events, schema=EVENTS))
    assert told["clicks"] == {"a": 10, "b": 30}
    assert told["preference"] == 0.5
    assert told["verdict"] == "b"
    np.testing.assert_allclose(told["p"], stats.ttest_1samp([-1] * 10 + [1] * 30, 0).pvalue)


def test_no_such_experiment_and_nobody_in_it(lifted: Any) -> None:
    with pytest.raises(InputError, match="not in the file, which has x"):
        analyse(design(), "y", *lifted)
    with pytest.raises(InputError, match="nobody was shown anything"):
        analyse(design(), "x", lifted[0].clear(), lifted[1])


def test_odd_logs_are_no_error() -> None:
    shown = pl.DataFrame(
        [{"request_id": "1", "user": "u", "time": T0, "arms": "x=b", "asked": 5}], schema=EXPOSURES
    )  # one user, one arm, an empty slate
    told = analyse(design(), "x", shown, pl.DataFrame(schema=EVENTS))
    assert main_line(told)["comparisons"][0]["verdict"] == "unclear"
    dumps(told)


def test_the_past_is_the_declared_time_before_the_start(lifted: Any) -> None:
    shown, events = lifted
    found = people(design(x={"before": "1d"}), "x", shown, events, T0 + 6 * DAY)
    then = (pl.col("time") >= T0 - DAY) & (pl.col("time") < T0)
    at_the_start = shown.filter(then).tail(1).with_columns(time=pl.lit(T0), request_id=pl.lit("at the start"))
    past = sums(shown.filter(then), events.filter(then), design().counted)
    expected = pl.DataFrame({"user": found.users}).join(past, on="user", how="left", maintain_order="left").fill_null(0)
    assert found.before is not None
    assert expected["shown"].sum() > 100
    for name in ("shown", "clicks", "positions"):
        np.testing.assert_array_equal(found.before[name], expected[name])
    again = people(design(x={"before": "1d"}), "x", pl.concat([shown, at_the_start]), events, T0 + 6 * DAY)
    assert again.before is not None
    assert again.before["shown"].sum() == found.before["shown"].sum()


def test_where_less_is_better_more_is_worse(lifted: Any) -> None:
    slow = lifted[0].with_columns(latency=pl.col("latency") + (pl.col("arms") == "x=b") * pl.lit(1.0, pl.Float32))
    told = analyse(design(), "x", slow, lifted[1])
    line = next(line for line in told["metrics"] if line["metric"] == "latency")
    assert line["comparisons"][0]["difference"] > 0.9
    assert line["comparisons"][0]["verdict"] == "worse"
    assert line["guardrail"]


def test_coverage_is_compared_among_equally_many_rows_and_as_sure_as_it_varies() -> None:
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        users = {0: 300, 1: 150}
        rows = [
            pl.DataFrame({"arm": [arm] * n * 5, "user": [f"{arm} {rng.random()}" for _ in range(n) for _ in range(5)]})
            .with_columns(item=pl.Series((rng.random(n * 5) ** 2 * 400).astype(int)).cast(pl.String))
            for arm, n in users.items()
        ]  # fmt: skip
        found.append(coverage(pl.concat(rows), {0: "a", 1: "b"}, 0)["b"])
    differences = np.array([one["difference"] for one in found])
    assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(60)
    said = np.mean([one["variance"] for one in found])
    assert 0.8 < said / differences.var() < 3  # it errs to the wide side


def test_how_it_stands_counts_each_user_once(lifted: Any) -> None:
    shown = lifted[0]
    first = shown.filter(pl.col("arms") == "x=a").head(1)
    moved = pl.concat([shown, first.with_columns(arms=pl.lit("x=b"))])
    d = design(hold_out=0.0, testers={"u9": {"x": "a"}})
    before, after = (standing(design(), rows, T0)["x"]["arms"] for rows in (shown, moved))
    assert before["a"]["users"] - after["a"]["users"] == 1
    assert before["b"]["users"] == after["b"]["users"]
    without = standing(d, shown, T0)["x"]["arms"]
    assert sum(arm["users"] for arm in before.values()) - sum(arm["users"] for arm in without.values()) == 1
    assert standing(design(), None, T0 - 1)["x"]["share"] == 0


def test_a_plan_counts_the_users_of_the_span_that_are_not_held_out(lifted: Any) -> None:
    whole = outlook(design(), "x", *lifted, days=6)
    part = outlook(design(hold_out=0.2, x={"span": [0.25, 0.75]}), "x", *lifted, days=6)
    assert part["users"] == whole["users"]
    ratio = part["detectable"][0]["users"] / whole["detectable"][0]["users"]
    assert abs(ratio - 0.4) < 0.01
    assert 0 < whole["variance_reduction"] < 0.6
    with pytest.raises(InputError, match="there are none to plan from"):
        outlook(design(), "x", lifted[0].clear(), lifted[1])
