"""A plan from what was logged so far: the metric's level and spread, how many users come, what that will show."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.durations import UNITS
from shortlist.experiment import assign, plan
from shortlist.experiment.analyse import experiment
from shortlist.experiment.design import Design
from shortlist.experiment.effect import coefficient, estimate
from shortlist.experiment.moments import moments
from shortlist.experiment.outcomes import METRICS, sums

SKEW = 0.005
"""A share that is off by so much should be noticed: one user in two hundred."""
WEEKS = (1, 2, 3, 4, 6, 8)
"""After so many weeks it is told what could be found."""


def outlook(
    design: Design,
    name: str,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    days: int = 14,
    alpha: float = 0.05,
    power: float = 0.8,
) -> dict[str, Any]:
    """The plan of an experiment, by what users did in the last ``days`` of the log; raises ``InputError`` if nothing.

    The span, the hold-out and the two smallest weights decide how many of the users count; what their past explains
    (CUPED) is read from the days before, where the log goes back so far.
    """
    one = experiment(design, name)
    if not len(exposures):
        raise InputError("exposures: there are none to plan from; give --baseline, --deviation and --daily instead")
    end = int(exposures["time"].to_numpy().max()) + 1
    start = end - days * UNITS["d"]
    seen = exposures.filter((pl.col("time") >= start) & pl.col("user").is_not_null())
    now = sums(seen, events.filter(pl.col("time") >= start), design.counted)
    if len(now) < 2:
        raise InputError(f"exposures: {len(now)} users in the last {days} days, expected at least two")
    older = exposures.filter((pl.col("time") < start) & (pl.col("time") >= start - one.before))
    past = sums(older, events.filter(pl.col("time") < start), design.counted)
    past = now.select("user").join(past, on="user", how="left", maintain_order="left").fill_null(0)
    what = METRICS[one.main]
    below = None if what.below is None else now[what.below].to_numpy()
    before_below = None if what.below is None or not len(older) else past[what.below].to_numpy()
    before = past[what.above].to_numpy() if len(older) else None
    whole = moments(now[what.above].to_numpy(), below, before, before_below)[0]
    plain = estimate(whole)
    theta = coefficient(whole)
    variance = estimate(whole, whole, theta).variance * whole.n
    by_day = plan.arrivals(now["first"].to_numpy(), start, days)
    share = (one.span[1] - one.span[0]) * (1 - design.hold_out)
    return told(
        metric=one.main,
        baseline=plain.value,
        variance=variance,
        effect=one.effect,
        weights=list(assign.weights(design, name).values()),
        by_day=by_day * share,
        alpha=alpha,
        power=power,
    ) | {"variance_reduction": 1 - variance / (plain.variance * whole.n) if plain.variance else 0.0}


def told(
    metric: str,
    baseline: float,
    variance: float,
    effect: float,
    weights: list[float],
    by_day: Any,
    alpha: float = 0.05,
    power: float = 0.8,
) -> dict[str, Any]:
    """The plan as a document; ``variance`` is that of one user, ``by_day`` [days] users seen by each day's end.

    Raises ``InputError`` where the metric has no level or no spread to plan with.
    """
    if not (np.isfinite(baseline) and np.isfinite(variance) and baseline > 0 and variance > 0):
        raise InputError(f"{metric}: level {baseline:g}, variance {variance:g}: there is nothing to plan with yet")
    first, *others = weights
    least = min(others)
    both = first + least  # the comparison that needs longest
    shares = (first / both, least / both)
    difference = effect * baseline
    grown = (1 + effect) ** 2
    needed = plan.users_needed(difference, variance, shares, alpha, power, grown)
    peeking = plan.always_users(difference, variance, shares, alpha, power, grown)
    compared = np.asarray(by_day, np.float64) * both / sum(weights)
    return {
        "metric": metric,
        "baseline": baseline,
        "deviation": float(np.sqrt(variance)),
        "effect": effect,
        "alpha": alpha,
        "power": power,
        "users": int(np.ceil(needed * sum(weights) / both)),
        "days": plan.days_needed(needed, compared),
        "peeking": {
            "users": int(np.ceil(peeking * sum(weights) / both)),
            "days": plan.days_needed(peeking, compared),
        },
        "detectable": [
            {
                "weeks": weeks,
                "users": int(plan.users_by(compared, 7 * weeks) * sum(weights) / both),
                "effect": plan.detectable(plan.users_by(compared, 7 * weeks), variance, shares, alpha, power)
                / baseline,
            }
            for weeks in WEEKS
        ],
        "sample_ratio": {
            "expected": shares[0],
            "true": shares[0] + SKEW,
            "users": plan.ratio_users(shares[0], shares[0] + SKEW),
        },
    }


__all__ = ["outlook", "told"]
