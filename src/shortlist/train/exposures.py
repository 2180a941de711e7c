"""What a ranker learns from what was shown: one request a slate, its rows the items on it, labels from clicks.

The channels score the shown items, whether or not they would have found them; columns that compare the rows of a
request are worked out among all candidates of the funnel, as when serving, and only then the shown rows are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data import Dataset, State
from shortlist.data.exposures import PROPENSITY, PROPENSITY_GIVEN, SHOWN_AT
from shortlist.data.protocol import HISTORY_LENGTH, Questions
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, refuse_failures
from shortlist.recipe import POSITIVE, SamplesSpec
from shortlist.train.samples import Labels, good_rows, judged, weighted
from shortlist.types import Array, Bool, Candidates, Float32, Ragged, Requests, Samples

CHANCES = ("propensity", "propensity_given")


def exposed(
    data: Dataset,
    state: State,
    opens: int,
    closes: int,
    window: int,
    labels: Labels | None = None,
    since: int | None = None,
) -> Samples:
    """The slates whose first row was shown from ``opens`` to before ``closes``, with their items and labels.

    No feature columns yet; rows of a slate shown at ``closes`` or later are left out.

    A user's rows with the same ``request`` are one slate; without it, their rows at one time. It is asked 1 microsecond
    before its first row was shown. A label is the exposure's own ``label`` (above 0; empty = not observed),
    else whether the user was positive about the item within ``window`` microseconds; rows whose window runs beyond
    ``closes`` are not observed; so it is with each of ``labels`` and its events, and a row followed only by events that
    lack the value to judge them by is not observed either, and no row shown before ``since``. The position (from 1) is
    the column ``shown.position``, its chances ``shown.propensity`` and ``shown.propensity_given``, NaN where the log
    has none.
    Raises ``InputError`` without ``[data.exposures]``.
    """
    if data.exposures is None:
        raise InputError('samples.source: "exposures" needs [data.exposures], the log of what was shown')
    frame = data.exposures.filter(pl.col("time") < closes)
    moment = pl.format("{} at {}", "user", "time")
    slate = pl.coalesce(pl.format("{} by {}", "user", "request"), moment) if "request" in frame.columns else moment
    frame = frame.with_columns(slate.alias("slate")).filter(pl.col("time").min().over("slate") >= opens)
    log = data.events
    good, unknown = {POSITIVE: log.weight > 0}, {}
    for name, kinds in (labels or {}).items():
        path = f"samples.labels.{name}"
        good[name], unknown[name] = judged(log.event, log.value, kinds, data.behaviours, path)
    told = {f"label.{name}": _label(frame, data, mask, closes, window) for name, mask in good.items()}
    for name, mask in unknown.items():
        label, perhaps = told[f"label.{name}"], _label(frame, data, mask, closes, window)
        told[f"label.{name}"] = label.set(((label == 0) & (perhaps == 1)).fill_null(False), None)
    if "label" in frame.columns:
        told[f"label.{POSITIVE}"] = (frame["label"] > 0).cast(pl.Float32)
    frame = frame.with_columns(**told)
    if since is not None:
        frame = frame.with_columns(pl.when(pl.col("time") >= since).then(pl.col(name)).alias(name) for name in told)
    absent = [name for name in ("position", *CHANCES) if name not in frame.columns]
    rows = (
        frame.with_columns(pl.lit(None, pl.Float32).alias(name) for name in absent)
        .group_by("slate", "item", maintain_order=True)  # an item twice on a slate: its best place, any click
        .agg(
            pl.col("user").first(),
            pl.col("time").min(),
            pl.col(*CHANCES).sort_by("position", nulls_last=True).first(),
            pl.col("position").min(),
            pl.col(*told).max(),
        )
    )
    slates = rows.group_by("slate").agg(pl.col("time").min(), pl.col("user").first()).sort("time", "slate")
    slates = slates.with_row_index("number")
    rows = rows.join(slates.select("slate", "number"), on="slate").sort("number", "position", "item", nulls_last=True)
    user, asked = slates["user"].to_numpy(), slates["time"].to_numpy() - 1
    candidates = Candidates(
        rows["number"].to_numpy().astype(np.uint32),
        rows["item"].to_numpy(),
        {
            column: rows[name].fill_null(float("nan")).to_numpy().astype(np.float32)
            for column, name in ((SHOWN_AT, "position"), *zip((PROPENSITY, PROPENSITY_GIVEN), CHANCES, strict=True))
        },
    )
    found = {name: rows[f"label.{name}"].fill_null(float("nan")).to_numpy().astype(np.float32) for name in good}
    requests = Requests.of(user, asked, state.history(user, asked, HISTORY_LENGTH))
    return Samples(requests, candidates, found, np.ones(len(candidates), np.float32))


def scored(
    pipeline: Pipeline, shown: Samples, state: State, title: str = "exposures", *, coarse: bool = False
) -> Samples:
    """The slates' rows with the features that the funnel gives them, channels' scores included.

    Where they stood is what features see of ``shown.position``; see ``unplaced``. ``coarse``: only the columns that the
    pre-ranker reads.
    """
    parts: list[Candidates] = []
    for first in track(range(0, len(shown.requests), BATCH), title):
        some = shown.take(np.arange(first, min(first + BATCH, len(shown.requests))))
        trace = Trace()
        asked, found = pipeline.found(some.requests, state, trace)
        rows = some.candidates
        new = np.setdiff1d(rows.keys, found.keys)  # by item code: the place in the list must not tell the place shown
        others = Candidates((new >> 32).astype(np.uint32), (new & 0xFFFFFFFF).astype(np.int32))
        whole = Candidates.concat([found, others])
        place = _places(whole, rows)
        position = np.full(len(whole), np.nan, np.float32)
        position[place] = rows[SHOWN_AT]
        whole = whole.with_columns(**{SHOWN_AT: position})
        whole = pipeline.scored(asked, whole, state, trace)
        if coarse:
            featured = pipeline.coarse(asked, whole, state, trace)
        else:  # the pre-ranker may drop only what it would not have shown
            featured = pipeline.featured(asked, whole, state, trace, surely=np.isin(whole.keys, rows.keys))
        refuse_failures(trace)
        columns = [name for name in featured.columns if name not in whole.columns]
        kept = featured.select(columns).take(_places(featured, rows))
        parts.append(replace(kept, request=(kept.request + np.uint32(first)).astype(np.uint32)))
    return replace(shown, candidates=Candidates.concat(parts) if parts else Candidates.empty())


def followed(pipeline: Pipeline, spec: SamplesSpec, data: Dataset, state: State, since: int, closes: int) -> Samples:
    """What was shown from ``since`` on and whose ``spec.window`` is over at ``closes``: columns, labels, weights.

    They are those of a fit on the same log. Rows of which nobody can know are left out, and so is what was asked before
    the pipeline was fitted, or longer than a window after the first row of its slate.
    """
    opens = max(since - spec.window, -1 if pipeline.fitted_until is None else pipeline.fitted_until + 1)
    shown = exposed(data, state, opens, closes, spec.window, spec.labels, since)
    known = np.any([np.isfinite(label) for label in shown.labels.values()], axis=0)
    labels = {name: label[known] for name, label in shown.labels.items()}
    shown = replace(shown, candidates=shown.candidates.take(known), labels=labels, weight=shown.weight[known])
    shown = shown.take(np.unique(shown.candidates.request))
    return weighted(scored(pipeline, shown, state, "what was shown"), **spec.weights)


def unplaced(shown: Samples) -> Samples:
    """The slates as if nobody knew yet where a row would stand: what a ranker is asked when it serves."""
    nowhere = np.full(len(shown), np.nan, np.float32)
    return replace(shown, candidates=shown.candidates.with_columns(**{SHOWN_AT: nowhere}))


def drawn(samples: Samples, negatives: int, seed: int = 0) -> Samples:
    """All positives and about ``negatives`` times as many other rows, drawn from all requests alike; 0 = all rows.

    Every row without a click has the same chance to be kept, ``rate``, which calibration can undo.
    """
    good = good_rows(samples.labels)
    bad = (samples.labels[POSITIVE] == 0) & ~good
    others = int(np.sum(bad))
    rate = min(1.0, negatives * float(np.sum(good)) / max(others, 1)) if negatives else 1.0
    if rate >= 1 or not others:
        return samples
    kept = good | (bad & (np.random.default_rng(seed).random(len(bad)) < rate))
    labels: Mapping[str, Float32] = {name: column[kept] for name, column in samples.labels.items()}
    candidates = samples.candidates.take(kept)
    return replace(samples, candidates=candidates, labels=labels, weight=samples.weight[kept], rate=samples.rate * rate)


def clicked(samples: Samples) -> Questions:
    """The slates as questions whose right answers are the rows clicked."""
    rows = samples.candidates.take(samples.labels[POSITIVE] > 0)
    known = np.ones(len(rows), bool)
    n = len(samples.requests)
    event, value = np.full(len(rows), -1, np.int16), np.full(len(rows), np.nan, np.float32)
    targets = Ragged.of(rows.request, n, item=rows.item, known=known, event=event, value=value)
    return Questions(samples.requests, targets, Ragged.of(rows.request, n, item=rows.item, event=event, value=value))


def _label(frame: pl.DataFrame, data: Dataset, mask: Bool, closes: int, window: int) -> pl.Series:
    """[rows] Float32: whether an event of ``mask`` followed within ``window``: 1, 0 or null."""
    log = data.events
    good = np.flatnonzero(mask & (log.user >= 0) & (log.time < closes))
    events = pl.DataFrame(
        {"user": log.user[good], "item": log.item[good], "time": log.time[good], "click": log.time[good]}
    )
    by_time = frame.select("user", "item", "time").with_row_index("row").sort("time")
    near = by_time.join_asof(
        events, on="time", by=["user", "item"], strategy="forward", tolerance=window, check_sortedness=False
    )
    seen = (pl.col("time") + window <= closes) & (pl.col("user") >= 0)
    label = pl.when(seen).then(pl.col("click").is_not_null().cast(pl.Float32))
    return near.with_columns(label.alias("label")).sort("row")["label"]


def _places(whole: Candidates, rows: Candidates) -> Array:
    """Row numbers in ``whole`` of the (request, item) of ``rows``."""
    order = np.argsort(whole.keys, kind="stable")
    return order[np.searchsorted(whole.keys[order], rows.keys)]
