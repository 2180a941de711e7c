"""A/A tests: how often intervals cover nothing at all, peeked at daily or not; and what CUPED takes off."""

from __future__ import annotations

from typing import Any

import numpy as np

from shortlist.experiment import sequence
from shortlist.experiment.assign import keys, uniform
from shortlist.experiment.effect import effect
from shortlist.experiment.moments import moments

TESTS, USERS, DAYS, EFFECT = 4000, 4000, 14, 0.05
METRICS = ("ctr", "gmv")


def draw(rng: np.random.Generator, users: int, days: int, lift: Any = 0.0) -> dict[str, Any]:
    """Rows, clicks and worth by user and day [users, days], and of the same days before.

    A user's chance of a click is drawn from Beta(2, 18), visits a day from Gamma(1.5, .5) (rows in tens), what a click
    is worth from a lognormal. ``lift`` [users] multiplies the chance during the experiment.
    """
    taste, rate = rng.beta(2, 18, users)[:, None], rng.gamma(1.5, 0.5, users)[:, None]
    told: dict[str, Any] = {}
    for when, chance in (("before ", taste), ("", np.minimum(taste * (1 + np.reshape(lift, (-1, 1))), 1))):
        rows = 10 * rng.poisson(rate, (users, days)).astype(np.int16)
        clicks = rng.binomial(rows, chance).astype(np.int16)
        worth = np.where(clicks > 0, clicks * rng.lognormal(2, 1, (users, days)), 0)
        told |= {f"{when}rows": rows, f"{when}clicks": clicks, f"{when}worth": worth}
    return told


def compared(world: dict[str, Any], metric: str, arm: Any, day: int, cuped: bool) -> Any:
    """The effect of arm 1 over the first ``day`` days, of the users seen by then."""
    rows = world["rows"][:, :day].sum(1)
    group = np.where(rows > 0, arm, -1)
    past = {name: world[f"before {name}"].sum(1) for name in ("rows", "clicks", "worth")}
    if metric == "ctr":
        parts = moments(world["clicks"][:, :day].sum(1), rows, past["clicks"], past["rows"], group=group, groups=2)
    else:
        parts = moments(world["worth"][:, :day].sum(1), None, past["worth"], group=group, groups=2)
    return effect(parts[0], parts[1], cuped=cuped)


def run(tests: int = TESTS) -> dict[str, Any]:
    """Coverage at the end, false alarms under daily peeking, and variances, by metric."""
    ids = keys([f"user {u}" for u in range(USERS)])
    kinds = [(metric, cuped) for metric in METRICS for cuped in (False, True)]
    found: dict[Any, Any] = {kind: {"covered": 0, "lift covered": 0, "naive": 0, "always": 0} for kind in kinds}
    reductions: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for test in range(tests):
        world = draw(np.random.default_rng([11, test]), USERS, DAYS)
        arm = (uniform(ids, "bench", "layer", "default", f"test {test}") >= 0.5).astype(np.int16)
        variance: dict[Any, float] = {}
        for kind in kinds:
            looks = [compared(world, kind[0], arm, day, kind[1]) for day in range(1, DAYS + 1)]
            end, one = looks[-1], found[kind]
            variance[kind] = end.variance
            one["covered"] += end.low <= 0 <= end.high
            one["lift covered"] += end.lift_low <= 0 <= end.lift_high
            one["naive"] += any(look.p < 0.05 for look in looks)
            one["always"] += any(
                abs(look.difference) > sequence.reach(look.variance, EFFECT * look.control) for look in looks
            )
        for metric in METRICS:
            reductions[metric].append(1 - variance[metric, True] / variance[metric, False])
    lines = [
        {"metric": metric, "cuped": cuped, **{name: int(count) / tests for name, count in found[metric, cuped].items()}}
        for metric, cuped in kinds
    ]
    return {
        "tests": tests,
        "users": USERS,
        "days": DAYS,
        "lines": lines,
        "variance taken off": {metric: float(np.mean(part)) for metric, part in reductions.items()},
    }
