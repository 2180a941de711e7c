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
from shortlist.data.protocol import HISTORY_LENGTH, Questions
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, refuse_failures
from shortlist.train.samples import LABEL
from shortlist.types import SHOWN_AT, Array, Candidates, Float32, Ragged, Requests, Samples


def exposed(data: Dataset, state: State, opens: int, closes: int, window: int) -> Samples:
    """The slates whose first row was shown from ``opens`` to before ``closes``, with their items and labels.

    No feature columns yet; rows of a slate shown at ``closes`` or later are left out.

    Rows with the same ``request`` are one slate; without that column, the rows of a user at one time. It is asked 1
    microsecond before its first row was shown. A label is the exposure's own ``label`` (above 0; empty = not observed),
    else whether the user was positive about the item within ``window`` microseconds; rows whose window runs beyond
    ``closes`` are not observed. The position (from 1) is the column ``shown.position``, NaN where the log has none.
    Raises ``InputError`` without ``[data.exposures]``.
    """
    if data.exposures is None:
        raise InputError('samples.source: "exposures" needs [data.exposures], the log of what was shown')
    frame = data.exposures.filter(pl.col("time") < closes)
    moment = pl.format("{} {}", "user", "time")
    slate = pl.coalesce("request", moment) if "request" in frame.columns else moment
    frame = frame.with_columns(slate.alias("slate")).filter(pl.col("time").min().over("slate") >= opens)
    frame = frame.with_columns(_label(frame, data, closes, window).alias("label"))
    position = pl.col("position") if "position" in frame.columns else pl.lit(None, pl.Float32)
    rows = (
        frame.with_columns(position.alias("position"))
        .group_by("slate", "item", maintain_order=True)  # an item twice on a slate: its best place, any click
        .agg(pl.col("user").first(), pl.col("time").min(), pl.col("position").min(), pl.col("label").max())
    )
    slates = rows.group_by("slate").agg(pl.col("time").min(), pl.col("user").first()).sort("time", "slate")
    slates = slates.with_row_index("number")
    rows = rows.join(slates.select("slate", "number"), on="slate").sort("number", "position", "item", nulls_last=True)
    user, asked = slates["user"].to_numpy(), slates["time"].to_numpy() - 1
    candidates = Candidates(
        rows["number"].to_numpy().astype(np.uint32),
        rows["item"].to_numpy(),
        {SHOWN_AT: rows["position"].fill_null(float("nan")).to_numpy().astype(np.float32)},
    )
    labels = rows["label"].fill_null(float("nan")).to_numpy().astype(np.float32)
    requests = Requests.of(user, asked, state.history(user, asked, HISTORY_LENGTH))
    return Samples(requests, candidates, {LABEL: labels}, np.ones(len(labels), np.float32))


def scored(pipeline: Pipeline, shown: Samples, state: State, title: str = "exposures") -> Samples:
    """The slates' rows with the features that the funnel gives them, channels' scores included.

    Where they stood is what features see of ``shown.position``; see ``unplaced``.
    """
    pipeline = replace(pipeline, prerank=None)  # it may drop only what it would not have shown
    parts: list[Candidates] = []
    for first in track(range(0, len(shown.requests), BATCH), title):
        some = shown.take(np.arange(first, min(first + BATCH, len(shown.requests))))
        trace = Trace()
        found = pipeline.candidates(some.requests, state, trace)
        asked, rows = trace.requests, some.candidates
        assert asked is not None
        new = np.setdiff1d(rows.keys, found.keys)  # by item code: the place in the list must not tell the place shown
        others = Candidates((new >> 32).astype(np.uint32), (new & 0xFFFFFFFF).astype(np.int32))
        whole = Candidates.concat([found, others])
        place = _places(whole, rows)
        position = np.full(len(whole), np.nan, np.float32)
        position[place] = rows[SHOWN_AT]
        whole = whole.with_columns(**{SHOWN_AT: position})
        featured = pipeline.featured(asked, whole, state, trace)
        refuse_failures(trace)
        columns = [c for c in featured.columns if c not in whole.columns and not c.endswith(".dense")]
        kept = featured.select(columns).take(place)
        parts.append(replace(kept, request=(kept.request + np.uint32(first)).astype(np.uint32)))
    return replace(shown, candidates=Candidates.concat(parts) if parts else Candidates.empty())


def unplaced(shown: Samples) -> Samples:
    """The slates as if nobody knew yet where a row would stand: what a ranker is asked when it serves."""
    nowhere = np.full(len(shown), np.nan, np.float32)
    return replace(shown, candidates=shown.candidates.with_columns(**{SHOWN_AT: nowhere}))


def drawn(samples: Samples, negatives: int, seed: int = 0) -> Samples:
    """All positives and about ``negatives`` times as many other rows, drawn from all requests alike; 0 = all rows.

    Every row without a click has the same chance to be kept, ``rate``, which calibration can undo.
    """
    label = samples.labels[LABEL]
    others = int(np.sum(label == 0))
    rate = min(1.0, negatives * float(np.sum(label > 0)) / max(others, 1)) if negatives else 1.0
    if rate >= 1 or not others:
        return samples
    kept = (label > 0) | ((label == 0) & (np.random.default_rng(seed).random(len(label)) < rate))
    labels: Mapping[str, Float32] = {name: column[kept] for name, column in samples.labels.items()}
    candidates = samples.candidates.take(kept)
    return replace(samples, candidates=candidates, labels=labels, weight=samples.weight[kept], rate=samples.rate * rate)


def clicked(samples: Samples) -> Questions:
    """The slates as questions whose right answers are the rows clicked."""
    rows = samples.candidates.take(samples.labels[LABEL] > 0)
    known = np.ones(len(rows), bool)
    targets = Ragged.of(rows.request, len(samples.requests), item=rows.item, known=known)
    return Questions(samples.requests, targets)


def _label(frame: pl.DataFrame, data: Dataset, closes: int, window: int) -> pl.Series:
    """[rows] Float32: 1, 0 or null."""
    if "label" in frame.columns:
        return (frame["label"] > 0).cast(pl.Float32)
    log = data.events
    good = np.flatnonzero((log.weight > 0) & (log.user >= 0) & (log.time < closes))
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
