"""The analysis beside tea-tasting and statsmodels: the same figures, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl

from shortlist.experiment.analyse import analyse
from shortlist.experiment.checks import sample_ratio
from shortlist.experiment.design import parse
from shortlist.experiment.effect import effect
from shortlist.experiment.moments import moments

USERS = 10_000_000
ROUNDS = 5
COLUMNS = ("clicks", "rows", "worth", "past clicks", "past rows", "past worth")


def users(n: int = USERS, seed: int = 0) -> pl.DataFrame:
    """A row a user: the arm and six numbers."""
    rng = np.random.default_rng(seed)
    taste, rows, past = rng.beta(2, 18, n), 1 + rng.poisson(8, n), 1 + rng.poisson(8, n)
    arm = rng.integers(0, 2, n).astype(np.int16)
    clicks, before = rng.binomial(rows, taste * (1 + 0.01 * arm)), rng.binomial(past, taste)
    worth = [c * rng.lognormal(1, 1, n) for c in (clicks, before)]
    columns = (clicks, rows, worth[0], before, past, worth[1])
    return pl.DataFrame({"arm": arm, **dict(zip(COLUMNS, columns, strict=True))})


def ours(frame: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """(difference, low, high, lift, lift low, lift high, p) of two metrics with CUPED, two without, and the split."""
    column = {name: frame[name].to_numpy() for name in ("arm", *COLUMNS)}
    arm = column["arm"]
    told = {}
    for name, given in METRICS.items():
        parts = moments(*[None if c is None else column[c] for c in given], group=arm, groups=2)  # type: ignore[arg-type]
        one = effect(parts[0], parts[1])
        told[name] = (one.difference, one.low, one.high, one.lift, one.lift_low, one.lift_high, one.p)
    return {**told, "split": (sample_ratio({"a": parts[0].n, "b": parts[1].n}, {"a": 0.5, "b": 0.5}),)}


METRICS: dict[str, tuple[str | None, ...]] = {
    "ctr": ("clicks", "rows", None, None),
    "worth": ("worth", None, None, None),
    "ctr, CUPED": ("clicks", "rows", "past clicks", "past rows"),
    "worth, CUPED": ("worth", None, "past worth", None),
}


def tea_tasting(frame: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """The same of tea-tasting."""
    import tea_tasting as tt

    made = {
        name: tt.RatioOfMeans(given[0], given[1], given[2], given[3])
        if given[1]
        else tt.Mean(given[0], covariate=given[2])
        for name, given in METRICS.items()
    }
    found = tt.Experiment({**made, "split": tt.SampleRatio(method="norm", correction=False)}, variant="arm").analyze(
        frame
    )
    names = ("effect_size", "effect_size_ci_lower", "effect_size_ci_upper", "rel_effect_size")
    names += ("rel_effect_size_ci_lower", "rel_effect_size_ci_upper", "pvalue")
    told = {name: tuple(float(getattr(found[name], field)) for field in names) for name in METRICS}
    return {**told, "split": (float(found["split"].pvalue),)}


def statsmodels(frame: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """Of statsmodels what it has: Welch's comparison of means, here of one metric without CUPED."""
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    values, arm = frame["worth"].to_numpy(), frame["arm"].to_numpy()
    compared = CompareMeans(DescrStatsW(values[arm == 1]), DescrStatsW(values[arm == 0]))
    low, high = compared.tconfint_diff(usevar="unequal")
    p = float(compared.ttest_ind(usevar="unequal")[1])
    return {"worth": (float(compared.d1.mean - compared.d2.mean), float(low), float(high), p)}


def worth_alone(frame: pl.DataFrame) -> Any:
    """Ours of what statsmodels is asked."""
    parts = moments(frame["worth"].to_numpy(), group=frame["arm"].to_numpy(), groups=2)
    one = effect(parts[0], parts[1])
    return {"worth": (one.difference, one.low, one.high, one.p)}


def timed(entrants: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median seconds of each; they take turns, after one call that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    for turn in range(rounds + 1):
        for name, call in entrants.items():
            began = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(spent)) for name, spent in seconds.items()}


def apart(a: dict[str, tuple[float, ...]], b: dict[str, tuple[float, ...]]) -> float:
    """The largest distance of two results, relative to the larger where that is above 1."""
    return max(
        abs(x - y) / max(1.0, abs(x), abs(y))
        for name in a.keys() & b.keys()
        for x, y in zip(a[name], b[name], strict=True)
    )


def said(ours: dict[str, tuple[float, ...]], theirs: dict[str, tuple[float, ...]]) -> str:
    """``apart`` as text, for a document rounds numbers."""
    return f"{apart(ours, theirs):.1e}"


def beside(n: int = USERS) -> dict[str, Any]:
    """Equality and seconds; a peer that is not installed is left out."""
    frame = users(n)
    told: dict[str, Any] = {"users": n}
    if find_spec("tea_tasting"):
        told["tea-tasting"] = {
            "apart": said(ours(frame), tea_tasting(frame)),
            **timed({"ours": lambda: ours(frame), "theirs": lambda: tea_tasting(frame)}),
        }
    if find_spec("statsmodels"):
        told["statsmodels"] = {
            "apart": said(worth_alone(frame), statsmodels(frame)),
            **timed({"ours": lambda: worth_alone(frame), "theirs": lambda: statsmodels(frame)}),
        }
    return told


def whole(rows: int = USERS, seed: int = 1) -> dict[str, Any]:
    """Seconds of the whole analysis of a log: attribution, user sums, every metric, coverage, every day."""
    rng = np.random.default_rng(seed)
    answers = rows // 10
    people = rows // 100
    user = rng.integers(0, people, answers)
    start, day = 1_767_225_600_000_000, 86_400_000_000
    when = np.sort(start + rng.integers(0, 14 * day, answers))
    arm = np.where(rng.random(people) < 0.5, "x=a", "x=b")[user]
    each = np.repeat(np.arange(answers), 10)
    exposures = pl.DataFrame(
        {
            "request_id": pl.Series(np.arange(answers)).cast(pl.String).gather(each),
            "user": ("u" + pl.Series(user).cast(pl.String)).gather(each),
            "time": when[each],
            "arms": pl.Series(arm).gather(each),
            "asked": np.full(rows, 10, np.int32),
            "latency": rng.gamma(4, 0.002, answers).astype(np.float32)[each],
            "position": np.tile(np.arange(1, 11, dtype=np.int32), answers),
            "item": "i" + pl.Series(rng.integers(0, 50_000, rows)).cast(pl.String),
            "team": pl.Series([None] * 1, dtype=pl.String).extend_constant(None, rows - 1),
        }
    )
    clicked = np.flatnonzero(rng.random(rows) < 0.05)
    events = exposures[clicked].select(
        "user", "item", event=pl.lit("view"), time=pl.col("time") + 5_000_000, value=pl.lit(30.0),
        request_id=pl.when(pl.int_range(pl.len()) % 2 == 0).then("request_id"),
    )  # fmt: skip
    counted = {"click": ["view"], "dwell": "view"}
    design = parse({"counted": counted, "experiments": {"x": {"arms": {"a": {}, "b": {}}}}})
    began = time.perf_counter()
    found = analyse(design, "x", exposures, events)
    seconds = time.perf_counter() - began
    days = len(found["daily"])
    return {"rows": rows, "events": len(events), "users": people, "looks": days, "seconds": seconds}
