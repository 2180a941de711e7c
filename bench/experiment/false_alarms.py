"""A/A tests: how often intervals cover nothing at all, peeked at daily or not; and what CUPED takes off."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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


KINDS = [(metric, cuped) for metric in METRICS for cuped in (False, True)]
COUNTED = ("covered", "lift covered", "naive", "always")


def part(tests: range) -> tuple[Any, Any]:
    """Counts [kinds, COUNTED] and the sums of the variance taken off, by metric, of some of the tests."""
    ids = keys([f"user {u}" for u in range(USERS)])
    counts, reduced = np.zeros((len(KINDS), len(COUNTED)), np.int64), np.zeros(len(METRICS))
    for test in tests:
        world = draw(np.random.default_rng([11, test]), USERS, DAYS)
        arm = (uniform(ids, "bench", "layer", "default", f"test {test}") >= 0.5).astype(np.int16)
        variance = []
        for number, (metric, cuped) in enumerate(KINDS):
            looks = [compared(world, metric, arm, day, cuped) for day in range(1, DAYS + 1)]
            end = looks[-1]
            counts[number] += (
                end.low <= 0 <= end.high,
                end.lift_low <= 0 <= end.lift_high,
                any(look.p < 0.05 for look in looks),
                any(abs(look.difference) > sequence.reach(look.variance, EFFECT * look.control) for look in looks),
            )
            variance.append(end.variance)
        reduced += 1 - np.array(variance[1::2]) / np.array(variance[::2])
    return counts, reduced


def run(tests: int = TESTS) -> dict[str, Any]:
    """Coverage at the end, false alarms under daily peeking, and variances, by metric; all cores take part."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(part, [range(first, min(first + 100, tests)) for first in range(0, tests, 100)]))
    counts, reduced = sum(c for c, _ in parts), sum(r for _, r in parts)
    lines = [
        {"metric": metric, "cuped": cuped, **{name: int(n) / tests for name, n in zip(COUNTED, row, strict=True)}}
        for (metric, cuped), row in zip(KINDS, counts, strict=True)
    ]
    off = {metric: float(r) / tests for metric, r in zip(METRICS, reduced, strict=True)}
    return {"tests": tests, "users": USERS, "days": DAYS, "lines": lines, "variance taken off": off}
