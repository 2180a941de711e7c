"""The estimators beside those of the package obp: ``obp.json`` is what ``oracle.py`` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shortlist.offpolicy import bound, estimators, slates
from shortlist.offpolicy.rounds import Rounds

DATA = Path(__file__).parents[3] / "shared" / "data" / "open-bandit-small"
ORACLE = json.loads((Path(__file__).parent / "obp.json").read_text(encoding="utf-8"))
BOUNDED = {
    "clipped": estimators.clipped,
    "doubly_robust": estimators.doubly_robust,
    "switch": estimators.switch,
}


def ours(rounds):
    found = {
        "direct": estimators.direct(rounds),
        "ips": estimators.inverse_propensity(rounds),
        "self_normalised": estimators.self_normalised(rounds),
        "doubly_robust": estimators.doubly_robust(rounds),
        **{f"{name}(2)": estimator(rounds, 2.0) for name, estimator in BOUNDED.items()},
    }
    figures = {name: terms.estimate for name, terms in found.items()}
    for name, estimator in BOUNDED.items():
        for way, choose in {
            "slope": bound.slope,
            "sure": bound.least_error,
            "unsure": lambda *asked: bound.least_error(*asked, sure=False),
        }.items():
            most = choose(rounds, estimator, ORACLE["lambdas"])
            figures[f"bound of {name} by {way}"] = most
            figures[f"{name} by {way}"] = estimator(rounds, most).estimate
    return figures


@pytest.mark.parametrize("world", ORACLE["rounds"])
def test_small_worlds_as_obp(world):
    columns = {name: np.array(world[name]) for name in ("reward", "logged", "target", "expected", "value")}
    found = ours(Rounds(cluster=np.arange(len(columns["reward"])), **columns))
    assert found == pytest.approx(world["estimates"], abs=1e-9)


def open_bandit(folder):
    """A log of Open Bandit under the policy and the model of ``obp.json``: see there."""
    log = pl.read_csv(folder / f"{folder.name}.csv.gz")
    n = len(pl.read_csv(folder / "item_context.csv"))
    item, place = np.meshgrid(np.arange(n), np.arange(3), indexing="ij")
    odds = 1.0 + (7 * item + 3 * place) % 11
    chance, expected = odds / odds.sum(0), 0.001 * (1 + (5 * item + 2 * place) % 7)
    shown, at = log["item_id"].to_numpy(), log["position"].to_numpy() - 1
    return Rounds(
        log["click"].to_numpy().astype(float),
        log["propensity_score"].to_numpy(),
        chance[shown, at],
        np.arange(len(log)),
        expected[shown, at],
        (chance * expected).sum(0)[at],
    )


@pytest.mark.parametrize("name", ORACLE["open_bandit"])
def test_open_bandit_as_obp(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"no copy of open-bandit-small in {DATA}")
    assert ours(open_bandit(DATA / name)) == pytest.approx(ORACLE["open_bandit"][name], abs=1e-6)


@pytest.mark.parametrize("world", ORACLE["slates"])
def test_slates_as_obp(world):
    columns = [np.array(world[name]) for name in ("slate", "reward", "logged", "target")]
    found = {
        "independent": slates.independent(*columns).estimate,
        "reward_interaction": slates.reward_interaction(*columns).estimate,
        "whole": slates.whole(*columns).estimate,
    }
    assert found == pytest.approx(world["estimates"], abs=1e-9)
