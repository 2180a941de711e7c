"""One experiment's result: who was in it, what each arm did, what of that is more than chance, and what to do.

Everything is a function of the file, the exposures and the events (see ``outcomes``). While the experiment runs, the
verdict is by intervals that may be looked at every day; once its stop has come, by the fixed sample's. The
main metric was named beforehand and is judged by itself; the others with Holm's correction over all of them. That a
guardrail was not shown to be hurt is no proof that it was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.durations import UNITS, stamp
from shortlist.experiment import assign, sequence
from shortlist.experiment._people import CREDIT, People, people, team_clicks
from shortlist.experiment.bootstrap import bootstrap
from shortlist.experiment.checks import MISMATCH, heterogeneity, sample_ratio
from shortlist.experiment.coverage import coverage
from shortlist.experiment.design import HOLD_OUT, Design, Experiment
from shortlist.experiment.effect import Effect, coefficient, effect
from shortlist.experiment.interleave import preference
from shortlist.experiment.moments import Moments, moments
from shortlist.experiment.outcomes import METRICS
from shortlist.metrics.significance import holm

ALPHA = 0.05
LOOKS = 60
"""Days that are told one by one, the latest."""
LEVELS = 20
"""Values of a column by which effects are told apart; what is rarer is left out."""


def analyse(
    design: Design,
    name: str,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    users: pl.DataFrame | None = None,
    until: int | None = None,
    replicates: int = 0,
) -> dict[str, Any]:
    """The result as a document; ``exposures`` and ``events`` as in ``outcomes``.

    ``users`` has a column ``user`` and those of the experiment's slices. ``until`` (microseconds) leaves out what came
    later. ``replicates`` > 0 adds bootstrap intervals. Raises ``InputError`` if there is no such experiment, or nobody
    was in it.
    """
    one = experiment(design, name)
    end = until if until is not None else max(_last(exposures), _last(events)) + 1
    if one.interleave:
        return _interleaved(design, name, one, exposures, events, end)
    found = people(design, name, exposures, events, end)
    ended = one.stop is not None and end >= one.stop
    lines = [_metric(found, metric, one.effect, replicates) for metric in METRICS]
    _decide(lines, one.main, ended)
    counts = {arm: int((found.arm == code).sum()) for code, arm in enumerate(found.arms)}
    p = sample_ratio(counts, found.weights)
    return {
        "experiment": name,
        "main": one.main,
        "from": stamp(found.start),
        "until": stamp(end),
        "days": round((end - found.start) / UNITS["d"], 2),
        "ended": ended,
        "decided_by": "fixed sample" if ended else "always-valid",
        "arms": [
            {"arm": arm, "users": n, "share": n / max(sum(counts.values()), 1), "expected": found.weights[arm]}
            for arm, n in counts.items()
        ],
        "sample_ratio": {"p": p, "mismatch": bool(p < MISMATCH)},
        "left_out": {"users of several arms": found.crossed, "testers": found.testers},
        "metrics": lines,
        "coverage": coverage(found.shown, dict(enumerate(found.arms)), 0),
        "slices": _slices(found, one, users),
        "daily": _daily(found, one, end),
    }


def experiment(design: Design, name: str) -> Experiment:
    """The experiment of that name, or what stands for the hold-out; raises ``InputError`` if there is none."""
    if name == HOLD_OUT and design.hold_out:
        return Experiment.model_validate({"arms": {arm: {} for arm in assign.weights(design, name)}})
    if name not in design.experiments:
        known = ", ".join([*design.experiments, *([HOLD_OUT] if design.hold_out else [])]) or "none"
        raise InputError(f"experiment {name!r}: not in the file, which has {known}")
    return design.experiments[name]


def group_moments(
    found: People, metric: str, group: Any = None, groups: int | None = None, now: Mapping[str, Any] | None = None
) -> list[Moments]:
    """The metric's moments of each arm, or of ``groups`` (``group`` [n]), of the sums ``now`` or those of the end."""
    what, sums = METRICS[metric], found.now if now is None else now
    below = None if what.below is None else sums[what.below]
    before = None if found.before is None else found.before[what.above]
    before_below = None if found.before is None or what.below is None else found.before[what.below]
    return moments(
        sums[what.above], below, before, before_below,
        group=found.arm if group is None else group, groups=groups or len(found.arms),
    )  # fmt: skip


def _metric(found: People, metric: str, planned: float, replicates: int) -> dict[str, Any]:
    what = METRICS[metric]
    parts = group_moments(found, metric)
    comparisons = []
    for code, arm in enumerate(found.arms[1:], 1):
        told = effect(parts[0], parts[code])
        line = {"arm": arm, **told.document(), "always": _always(told, planned)}
        if coefficient(parts[0] + parts[code]):
            plain = effect(parts[0], parts[code], cuped=False)
            line["plain"] = plain.document()
            line["variance_reduction"] = 1 - told.variance / plain.variance if plain.variance else float("nan")
        if replicates:
            chosen = (found.arm == 0) | (found.arm == code)
            below = np.ones(len(found.arm)) if what.below is None else found.now[what.below]
            low, high, error = bootstrap(
                found.now[what.above][chosen], below[chosen], found.arm[chosen] == code, replicates
            )
            line["bootstrap"] = {"low": low, "high": high, "error": error}
        comparisons.append(line)
    return {
        "metric": metric,
        "text": what.text,
        "better": what.better,
        "guardrail": what.guardrail,
        "values": {arm: _value(part) for arm, part in zip(found.arms, parts, strict=True)},
        "comparisons": comparisons,
    }


def _value(part: Moments) -> float:
    return float(part.mean[0] / part.mean[1]) if part.n and part.mean[1] else float("nan")


def _always(told: Effect, planned: float) -> dict[str, float]:
    """The interval and p value that hold at every look, at the scale of the planned effect."""
    tau = planned * abs(told.control)
    reach = float(sequence.reach(told.variance, tau, ALPHA))
    p = float(sequence.p_value(told.difference, told.variance, tau))
    return {"low": told.difference - reach, "high": told.difference + reach, "p": p}


def _decide(lines: list[dict[str, Any]], main: str, ended: bool) -> None:
    """Adds Holm's p values and, by the kind of p that holds now, what each comparison comes to.

    The main metric was named beforehand and is judged by itself, over its arms; the others over all of them and arms.
    """
    for family in (True, False):
        flat = [(line, one) for line in lines if (line["metric"] == main) is family for one in line["comparisons"]]
        fixed = holm([one["p"] for _, one in flat])
        always = holm([one["always"]["p"] for _, one in flat])
        for (line, one), a, b in zip(flat, fixed, always, strict=True):
            one["p_holm"], one["always"]["p_holm"] = float(a), float(b)
            sure = (a if ended else b) < ALPHA
            good = one["difference"] * line["better"] > 0
            one["verdict"] = ("better" if good else "worse") if sure else "unclear"


def _slices(found: People, one: Experiment, users: pl.DataFrame | None) -> list[dict[str, Any]]:
    """The main metric's effect within each value of the declared columns, and whether the values differ by chance."""
    told: list[dict[str, Any]] = []
    if not one.slices:
        return told
    if users is None:
        raise InputError(f"slices {', '.join(one.slices)}: there is no table of users to read them from (--users)")
    for column in one.slices:
        if column not in users.columns or "user" not in users.columns:
            raise InputError(f"slices: the users have no column {column!r}; there are {', '.join(users.columns)}")
        if users[column].dtype.is_nested():
            raise InputError(f"slices: {column!r} has lists, expected one value a user")
        labels = pl.DataFrame({"user": found.users}).join(
            users.select("user", column).unique("user", keep="first"), on="user", how="left", maintain_order="left"
        )[column].cast(pl.String)  # fmt: skip
        levels = labels.drop_nulls().value_counts(sort=True).head(LEVELS)[column].sort().to_list()
        place = labels.replace_strict(levels, range(len(levels)), default=-1, return_dtype=pl.Int64).to_numpy()
        width = len(found.arms)
        group = np.where(place < 0, -1, place * width + found.arm)
        parts = group_moments(found, one.main, group, max(len(levels), 1) * width)
        for code, arm in enumerate(found.arms[1:], 1):
            effects = [effect(parts[k * width], parts[k * width + code]) for k in range(len(levels))]
            q, p = heterogeneity(np.array([e.difference for e in effects]), np.array([e.variance for e in effects]))
            rows = [{"level": level, **e.document()} for level, e in zip(levels, effects, strict=True)]
            told.append({"column": column, "arm": arm, "levels": rows, "q": q, "p": p})
    adjusted = holm([line["p"] for line in told])
    for line, p in zip(told, adjusted, strict=True):
        line["p_holm"] = float(p)
    return told


def _daily(found: People, one: Experiment, end: int) -> list[dict[str, Any]]:
    """The main metric as it stood at the end of each day, with both kinds of interval and the smallest p so far."""
    what = METRICS[one.main]
    names = [what.above] if what.below is None else [what.above, what.below]
    sums = {name: np.zeros(len(found.arm)) for name in names}
    seen = np.zeros(len(found.arm), bool)
    days = int(np.ceil((end - found.start) / UNITS["d"]))
    parts = {int(day): part for (day,), part in found.daily.group_by("day")}
    told: list[dict[str, Any]] = []
    smallest: dict[str, float] = {}
    for day in range(min([*parts, 0]), days):
        if (part := parts.get(day)) is not None:
            who = part["number"].to_numpy()
            seen[who] = True
            for name in names:
                sums[name][who] += part[name].to_numpy()
        if day < max(0, days - LOOKS) or not seen.any():
            continue
        now = group_moments(found, one.main, np.where(seen, found.arm, -1), len(found.arms), sums)
        for code, arm in enumerate(found.arms[1:], 1):
            effect_now = effect(now[0], now[code])
            always = _always(effect_now, one.effect)
            smallest[arm] = float(np.nanmin([smallest.get(arm, 1.0), always["p"]]))
            until = stamp(min(found.start + (day + 1) * UNITS["d"], end))
            line = {"day": day + 1, "until": until, "arm": arm, "users": now[0].n + now[code].n}
            told.append({**line, **effect_now.document(), "always": {**always, "p_so_far": smallest[arm]}})
    return told


def _interleaved(
    design: Design, name: str, one: Experiment, exposures: pl.DataFrame, events: pl.DataFrame, end: int
) -> dict[str, Any]:
    clicks, start = team_clicks(design, name, exposures, events, end)
    control, treatment = one.arms
    told = preference(clicks[CREDIT].to_numpy(), (clicks[control] + clicks[treatment]).to_numpy())
    sure = told["p"] < ALPHA
    return {
        "experiment": name,
        "interleaved": [control, treatment],
        "from": stamp(start),
        "until": stamp(end),
        "users": len(clicks),
        "clicks": {arm: int(clicks[arm].sum()) for arm in one.arms},
        **{key: told[key] for key in ("preference", "low", "high", "p")},
        "clicked_users": int(told["users"]),
        "verdict": (treatment if told["preference"] > 0 else control) if sure else "unclear",
    }


def main_line(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The line of the metric that decides."""
    return next(line for line in document["metrics"] if line["metric"] == document["main"])


def _last(frame: pl.DataFrame) -> int:
    return int(frame["time"].to_numpy().max()) if len(frame) else 0


__all__ = ["analyse", "experiment", "group_moments", "main_line"]
