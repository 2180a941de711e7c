"""How experiments stand: what the file says of each, and how many users each arm holds."""

from __future__ import annotations

import time
from typing import Any

import polars as pl

from shortlist.durations import stamp
from shortlist.experiment import assign
from shortlist.experiment._people import arm_column
from shortlist.experiment.checks import sample_ratio
from shortlist.experiment.design import HOLD_OUT, INTERLEAVED, Design


def standing(
    design: Design, exposures: pl.DataFrame | None = None, now: int | None = None
) -> dict[str, dict[str, Any]]:
    """Each experiment with its layer, span, times, the share that is in it ``now`` (the time of day), and its arms.

    With ``exposures``, the users of each arm and the p value of ``sample_ratio``; testers and users of several arms
    are not counted.
    """
    moment = time.time_ns() // 1000 if now is None else now
    told: dict[str, dict[str, Any]] = {}
    for name in [*design.experiments, *([HOLD_OUT] if design.hold_out else [])]:
        one = design.experiments.get(name)
        weights = assign.weights(design, name)
        mixed = one is not None and one.interleave
        users = (
            None if exposures is None else _users(design, name, [INTERLEAVED] if mixed else list(weights), exposures)
        )
        arms = {INTERLEAVED: 1.0} if mixed else weights
        told[name] = {
            "layer": "all" if one is None else one.layer,
            "span": [0.0, 1.0] if one is None else list(one.span),
            "start": None if one is None or one.start is None else stamp(one.start),
            "stop": None if one is None or one.stop is None else stamp(one.stop),
            "share": 1.0 if one is None else one.share_at(moment),
            "arms": {arm: {"expected": share, "users": users and users[arm]} for arm, share in arms.items()},
            "sample_ratio": None if users is None or mixed else sample_ratio(users, weights),
        }
    return told


def _users(design: Design, name: str, arms: list[str], exposures: pl.DataFrame) -> dict[str, int]:
    known = exposures.filter(pl.col("user").is_not_null())
    if name != HOLD_OUT and design.testers:
        known = known.filter(~pl.col("user").is_in(list(design.testers)))
    rows = known.select("user", arm=arm_column(known["arms"], name, {arm: code for code, arm in enumerate(arms)}))
    dealt = rows.filter(pl.col("arm") >= 0).unique().group_by("user").agg(pl.col("arm").first(), n=pl.len())
    counts = dealt.filter(pl.col("n") == 1)["arm"].value_counts()
    found = dict(counts.iter_rows())
    return {arm: int(found.get(code, 0)) for code, arm in enumerate(arms)}


__all__ = ["standing"]
