"""The users of one experiment: their arm, what they did in it, and what they did before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from shortlist.component import InputError
from shortlist.durations import UNITS
from shortlist.experiment import assign
from shortlist.experiment.design import HOLD_OUT, INTERLEAVED, Design
from shortlist.experiment.outcomes import SUMS, click_rows, sums
from shortlist.types import Array

CREDIT = " credit"
"""A column beside those of arms, whose names have no blank."""
Sums = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class People:
    """Who was in an experiment; all arrays are [n], one a user."""

    users: list[str]
    arm: Array
    """The number of each user's arm."""
    now: Sums
    before: Sums | None
    """The same sums before the start; None where nothing is known of that time."""
    arms: list[str]
    weights: Mapping[str, float]
    start: int
    daily: pl.DataFrame
    """The sums by ``number`` (place in the arrays) and ``day`` from the start, in which they became known."""
    shown: pl.DataFrame
    """Columns user, item, arm (number): all that was shown."""
    crossed: int
    """Users left out because they were in several arms: a salt or a weight was changed while it ran."""
    testers: int
    """Users left out because the file says their arm."""


def arm_column(arms: pl.Series, name: str, codes: Mapping[str, int]) -> pl.Series:
    """[n] the number of the experiment's arm that a text such as ``ranking=b page=a`` names; -1 = none."""
    pattern = re.compile(rf"(?:^| ){re.escape(name)}=(\S+)")
    known = [text for text in arms.unique().to_list() if text]
    found = [codes.get(match[1], -1) if (match := pattern.search(text)) else -1 for text in known]
    return arms.replace_strict(known, found, default=-1, return_dtype=pl.Int16)


def people(design: Design, name: str, exposures: pl.DataFrame, events: pl.DataFrame, end: int) -> People:
    """The users who were shown anything in the experiment before ``end``; raises ``InputError`` if there are none."""
    weights = assign.weights(design, name)
    arms = list(weights)
    inside, start = _inside(design, name, exposures, {arm: code for code, arm in enumerate(arms)}, end)
    dealt = inside.group_by("user").agg(arm=pl.col("arm").first(), several=pl.col("arm").n_unique() > 1)
    tester = pl.col("user").is_in(list(design.testers)) if name != HOLD_OUT and design.testers else pl.lit(False)
    dealt = dealt.with_columns(tester=tester)
    kept = dealt.filter(~pl.col("several") & ~pl.col("tester"))
    rows = inside.drop("arm").join(kept.select("user", "arm"), on="user") if len(kept) < len(dealt) else inside
    during = events.filter((pl.col("time") >= start) & (pl.col("time") < end))
    daily = sums(rows, during, design.counted, (start, UNITS["d"]))
    whole = daily.group_by("user").agg(pl.col(*SUMS).sum())
    now = whole.join(kept.select("user", "arm"), on="user").sort("user").with_row_index("number")
    return People(
        users=now["user"].to_list(),
        arm=now["arm"].to_numpy(),
        now={column: now[column].to_numpy() for column in SUMS},
        before=_before(design, name, exposures, events, start, now.select("user")),
        arms=arms,
        weights=weights,
        start=start,
        daily=daily.join(now.select("user", "number"), on="user").drop("user", "first").sort("day"),
        shown=rows.select("user", "item", "arm"),
        crossed=int(dealt["several"].sum()),
        testers=int(dealt["tester"].sum()),
    )


def _inside(
    design: Design, name: str, exposures: pl.DataFrame, codes: Mapping[str, int], end: int
) -> tuple[pl.DataFrame, int]:
    """The experiment's rows before ``end``, with the number of the arm, and when it began."""
    known = exposures.filter(pl.col("user").is_not_null() & (pl.col("time") < end))
    rows = known.with_columns(arm=arm_column(known["arms"], name, codes)).filter(pl.col("arm") >= 0)
    if not len(rows):
        raise InputError(f"experiment {name!r}: nobody was shown anything in it yet")
    declared = design.experiments[name].start if name in design.experiments else None
    return rows, int(rows["time"].min() if declared is None else declared)  # type: ignore[arg-type]


def _before(
    design: Design, name: str, exposures: pl.DataFrame, events: pl.DataFrame, start: int, users: pl.DataFrame
) -> Sums | None:
    """What the users did in the time before the start; users who were not there did nothing."""
    one = design.experiments.get(name)
    if one is None:
        return None  # who is held out was held out before, too
    then = (pl.col("time") >= start - one.before) & (pl.col("time") < start)
    past = exposures.filter(then).join(users, on="user", how="semi")
    if not len(past):
        return None
    did = sums(past, events.filter(then), design.counted)
    joined = users.join(did, on="user", how="left", maintain_order="left").fill_null(0)
    return {column: joined[column].to_numpy() for column in SUMS}


def team_clicks(
    design: Design, name: str, exposures: pl.DataFrame, events: pl.DataFrame, end: int
) -> tuple[pl.DataFrame, int]:
    """For each user of an interleaved experiment the clicks on each arm's items (a column an arm) and the sum of their
    credits; and when it began."""
    arms = list(design.experiments[name].arms)
    rows, start = _inside(design, name, exposures, {INTERLEAVED: 0}, end)
    rows = rows.filter(~pl.col("user").is_in(list(design.testers))) if design.testers else rows
    during = events.filter((pl.col("time") >= start) & (pl.col("time") < end))
    shown, clicked = click_rows(rows, during, design.counted), pl.col("clicked")
    teams = [(clicked & (pl.col("team") == arm)).sum().alias(arm) for arm in arms]
    credit = pl.col("credit").filter(clicked).cast(pl.Float64).sum().alias(CREDIT)
    return shown.group_by("user").agg(*teams, credit).sort("user"), start


__all__ = ["CREDIT", "People", "arm_column", "people", "team_clicks"]
