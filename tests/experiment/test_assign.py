"""Who is in which arm: sticky, salted, exclusive within a layer, independent between layers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shortlist.experiment.assign import OUT, arms_of, keys, told, uniform, weights
from shortlist.experiment.design import parse

DAY = 86_400_000_000
T0 = 1_767_225_600_000_000  # 2026-01-01
USERS = [f"u{i}" for i in range(40_000)]


def design(**experiments: Any) -> Any:
    return parse({"salt": "s", "experiments": experiments})


def plain(*arms: str, **more: Any) -> dict[str, Any]:
    return {"arms": {arm: {} for arm in arms or ("a", "b")}, **more}


def test_the_numbers_are_what_they_were() -> None:
    """Another hash would deal everybody anew in the middle of an experiment: these may never change."""
    assert keys(["u1", "ü", ""]).tolist() == [10563559511108250325, 6192904641445441335, 16476032584258269876]
    found = uniform(keys(["u1", "ü", ""]), "s", "layer", "ranking")
    np.testing.assert_allclose(found, [0.1983086598678302, 0.5227977871750982, 0.7110731543420673], rtol=0, atol=1e-15)


def test_numbers_are_even_and_salts_are_told_apart_by_their_words() -> None:
    key = keys(USERS)
    u = uniform(key, "a", "bc")
    assert 0 <= u.min() < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 0.001
    assert (uniform(key, "ab", "c") != u).all()


def test_layers_are_independent_by_chi_square() -> None:
    """Of 200 pairs of layers over 40,000 users, p values of the 3 x 3 table are even themselves."""
    key, p = keys(USERS), []
    for pair in range(200):
        a, b = (np.floor(uniform(key, "s", "layer", f"{side}{pair}") * 3).astype(int) for side in "xy")
        p.append(stats.chi2_contingency(np.bincount(a * 3 + b, minlength=9).reshape(3, 3)).pvalue)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_users_of_one_layer_are_in_one_experiment_and_in_the_shares_the_file_says() -> None:
    d = design(x=plain(span=[0, 0.3]), y=plain("a", "b", "c", span=[0.3, 0.8]), z=plain(layer="other"))
    found = arms_of(d, USERS, T0)
    assert ((found["x"] != OUT) & (found["y"] != OUT)).sum() == 0
    for name, share in (("x", 0.3), ("y", 0.5), ("z", 1.0)):
        inside = found[name] != OUT
        assert abs(inside.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(USERS)) + 1e-9
        counts = np.bincount(found[name][inside])
        assert stats.chisquare(counts).pvalue > 0.001
    both = found["y"] != OUT
    table = np.histogram2d(found["y"][both], found["z"][both], bins=(3, 2))[0]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_weights_are_kept() -> None:
    arms = {"a": {"weight": 8}, "b": {"weight": 1}, "c": {"weight": 1}}
    d = design(x={"arms": arms})
    assert weights(d, "x") == {"a": 0.8, "b": 0.1, "c": 0.1}
    assert stats.chisquare(np.bincount(arms_of(d, USERS, T0)["x"]), [32_000, 4_000, 4_000]).pvalue > 0.001


def test_a_ramp_brings_users_in_and_moves_nobody() -> None:
    steps = [{"at": "2026-01-01", "share": 0.1}, {"at": "2026-01-02", "share": 0.5}, {"at": "2026-01-03", "share": 1}]
    d = design(x=plain(span=[0.2, 0.7], ramp=steps, stop="2026-01-10"))
    before, *days = [arms_of(d, USERS, T0 + day * DAY)["x"] for day in (-1, 0, 1, 2, 8)]
    assert (before == OUT).all()
    for earlier, later in itertools.pairwise(days):
        assert (later[earlier != OUT] == earlier[earlier != OUT]).all()
    shares = [(day != OUT).mean() for day in days]
    np.testing.assert_allclose(shares, [0.05, 0.25, 0.5, 0.5], atol=0.01)
    assert abs((days[0] == 1).sum() / (days[0] != OUT).sum() - 0.5) < 0.04  # even while it is small
    assert (arms_of(d, USERS, T0 + 9 * DAY)["x"] == OUT).all()


def test_a_neighbour_that_comes_or_goes_changes_nothing_and_a_follower_deals_anew() -> None:
    alone, beside = design(x=plain(span=[0.5, 1])), design(y=plain(span=[0, 0.5]), x=plain(span=[0.5, 1]))
    first = arms_of(alone, USERS, T0)["x"]
    assert (arms_of(beside, USERS, T0)["x"] == first).all()
    follower = arms_of(design(z=plain(span=[0.5, 1])), USERS, T0)["z"]
    assert ((follower != OUT) == (first != OUT)).all()
    table = np.histogram2d(first[first != OUT], follower[first != OUT], bins=(2, 2))[0]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_the_hold_out_is_in_nothing_and_the_same_for_all_layers() -> None:
    d = parse({"hold_out": 0.1, "experiments": {"x": plain(), "z": plain(layer="other")}})
    found = arms_of(d, USERS, T0)
    assert ((found["x"] == OUT) == (found["z"] == OUT)).all()
    assert abs((found["x"] == OUT).mean() - 0.1) < 0.006
    held = USERS[int(np.argmax(found["x"] == OUT))]
    assert told(d, held, T0) == {"hold_out": "held"}
    assert weights(d, "hold_out") == {"open": 0.9, "held": 0.1}


def test_testers_get_their_arm_before_the_start_and_no_other_experiment_of_the_layer() -> None:
    x, y = plain(span=[0, 0.5], start="2026-01-01", stop="2026-02-01"), plain(span=[0.5, 1])
    testers = {user: {"x": "b"} for user in USERS[:200]}
    d = parse({"hold_out": 0.5, "testers": testers, "experiments": {"x": x, "y": y}})
    for moment in (T0 - DAY, T0):
        found = arms_of(d, USERS[:200], moment)
        assert (found["x"] == 1).all()
        assert (found["y"] == OUT).all()
        assert told(d, "u3", moment) == {"x": "b"}
    assert (arms_of(d, USERS[:200], T0 + 31 * DAY)["x"] == OUT).all()


def test_nobody_known_is_in_nothing() -> None:
    assert told(design(x=plain()), None, T0) == {}
    assert told(parse({}), "u1", T0) == {}


@settings(max_examples=60, deadline=None)
@given(
    users=st.lists(st.text(max_size=12), min_size=1, max_size=20),
    cuts=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=3, unique=True),
    hold_out=st.floats(0, 0.5),
    salt=st.text(max_size=5),
)
def test_alone_or_among_others_today_or_tomorrow_a_user_is_in_the_same_arm(
    users: list[str], cuts: list[float], hold_out: float, salt: str
) -> None:
    bounds = [0.0, *sorted(cuts), 1.0]
    spans = {f"e{k}": plain(span=[a, b]) for k, (a, b) in enumerate(itertools.pairwise(bounds)) if b > a}
    d = parse({"salt": salt, "hold_out": hold_out, "experiments": spans})
    together = arms_of(d, users, T0)
    inside = np.sum([codes != OUT for codes in together.values()], axis=0)
    assert (inside <= 1).all()
    for row, user in enumerate(users):
        said = told(d, user, T0 + 40 * DAY)
        alone = {name: codes[row] for name, codes in together.items() if codes[row] != OUT}
        assert {name: said[name] for name in said if name != "hold_out"} == {n: "ab"[c] for n, c in alone.items()}
        assert (inside[row] == 0) == (said.get("hold_out") == "held")


@pytest.mark.parametrize("change", [{"salt": "other"}, {"experiments": {"x": plain(salt="again")}}])
def test_another_salt_deals_anew(change: dict[str, Any]) -> None:
    tables = {"salt": "s", "experiments": {"x": plain()}}
    a, b = (arms_of(parse(t), USERS, T0)["x"] for t in (tables, {**tables, **change}))
    assert stats.chi2_contingency(np.histogram2d(a, b, bins=(2, 2))[0]).pvalue > 0.001
    assert 0.45 < (a == b).mean() < 0.55


def test_one_user_is_dealt_as_all_are() -> None:
    """An answer deals one user by whole numbers of Python, the analysis all of them by arrays."""
    ramp = [{"at": "2026-01-01", "share": 0.3}, {"at": "2026-01-03", "share": 0.9}]
    odd = {"a": {"weight": 0.1}, "b": {"weight": 0.7}, "c": {"weight": 1 / 3}}
    d = parse(
        {
            "salt": "é",
            "hold_out": 0.07,
            "testers": {"u5": {"x": "b"}, "u6": {"y": "c"}},
            "experiments": {
                "x": plain(span=[0.1, 0.55], ramp=ramp, stop="2026-01-20"),
                "y": {"span": [0.55, 1], "arms": odd, "start": "2025-12-31"},
                "z": {"layer": "other", "arms": odd, "salt": "7"},
            },
        }
    )
    users = USERS[:3000]
    for day in (-5, 0, 3, 30):
        together = arms_of(d, users, T0 + day * DAY)
        for row, user in enumerate(users):
            alone = {name: arm for name, arm in told(d, user, T0 + day * DAY).items() if name != "hold_out"}
            assert alone == {n: list(d.experiments[n].arms)[c[row]] for n, c in together.items() if c[row] != OUT}
