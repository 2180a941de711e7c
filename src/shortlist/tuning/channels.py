"""Channels tried one by one: which there are to try, and what one finds for the questions of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from shortlist.data import Dataset
from shortlist.questions import BATCH
from shortlist.recipe import Recipe
from shortlist.tuning.measures import Window
from shortlist.types import Candidates

FAMILIES = ("association", "svd", "item_cf", "als", "user_cf", "lfm", "rp3beta", "ease", "swing", "item2vec")
"""Collaborative channels, the quicker first."""
INVERTED = 6_000
"""With more items than this, ease inverts a matrix for longer than a trial may take."""
READ = 150_000
"""With more events than this, item2vec reads its sentences for longer than that."""
ENOUGH = 300_000
"""Channels that are tried learn from so many events at most, the latest: settings are compared, not models made."""


def families(items: int, events: int) -> list[str]:
    """The families that are quick enough for a log of that size."""
    dear = {"ease": items > INVERTED, "item2vec": events > READ}
    return [kind for kind in FAMILIES if not dear.get(kind)]


def latest(data: Dataset, at_most: int = ENOUGH) -> Dataset:
    """The log's latest events; all of them if they are not more."""
    times = data.events.time
    return data if len(times) <= at_most else data.between(int(times[-at_most]), data.end)


def found(recipe: Recipe, name: str, section: Mapping[str, Any], window: Window) -> Candidates:
    """The scored rows of a channel for all questions of the window, ``BATCH`` questions at a time.

    Raises ``InputError`` where it refuses the log or its settings.
    """
    channel = recipe.component("recall", f"recall.{name}", dict(section)).fit(window.known)
    return answered(channel, recipe.depth, window)


def answered(channel: Any, depth: int, window: Window) -> Candidates:
    """The scored rows of a fitted channel for all questions of the window."""
    rows = [
        shifted(channel.retrieve(batch.requests, window.state, depth).select(["score"]), number * BATCH)
        for number, batch in enumerate(window.questions.batches(BATCH))
    ]
    return Candidates.concat(rows) if rows else Candidates.empty()


def shifted(rows: Candidates, by: int) -> Candidates:
    """The rows with another number for each request."""
    return replace(rows, request=(rows.request.astype(np.int64) + by).astype(np.uint32))
