"""What lists are worth beside their accuracy: coverage, variety, novelty, popularity and age at one cut-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shortlist.component import HasVectors, able
from shortlist.data import FOREVER, MISSING_TIME, Dataset
from shortlist.metrics import beyond, timeliness, variety
from shortlist.metrics._slate import Slates
from shortlist.pipeline import Pipeline
from shortlist.types import Array, Float64, Int64, Ragged, Requests


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of the items without a look into the window, and of those who ask."""

    requests: Requests
    counts: Int64  # [n_items] events before the window
    user_counts: Int64  # [n_users] of each user
    arrival: Int64  # [n_items] since when there is an item; see ``arrival``
    attributes: Mapping[str, Ragged]  # categories and lists: a row of "code" for each item
    vectors: Mapping[str, tuple[Array, Array]]  # channel -> (items [c], vectors [c, f])
    window: int  # microseconds within which an item is young

    @staticmethod
    def of(requests: Requests, pipeline: Pipeline, data: Dataset, opens: int, window: int) -> Catalogue:
        """For a window that ``opens`` there; of the channels with vectors the first in the recipe."""
        drawn = [(name, able(channel, HasVectors)) for name, channel in pipeline.recall.items()]
        told = [(name, channel.item_vectors()) for name, channel in drawn if channel is not None]
        before = data.until(opens)
        return Catalogue(
            requests,
            before.item_counts("all"),
            before.user_counts("all"),
            arrival(data),
            {name: column.values for name, column in data.items.codes.items()},
            dict(told[:1]),
            window,
        )

    @property
    def liked(self) -> Ragged:
        """[n]: the positive events of each request's history, as heavy as they are."""
        return self.requests.history.keep(self.requests.history["weight"] > 0)

    def each(self, slates: Slates, k: int) -> dict[str, Float64]:
        """[n] by metric: one number a request."""
        times, liked = self.requests.time, self.liked
        found = {
            "empty": beyond.empty(slates, k),
            "novelty": beyond.novelty(slates, k, self.counts),
            "popularity": beyond.popularity(slates, k, self.counts),
            "popularity_lift": beyond.popularity_lift(slates, k, self.counts, liked),
            "tail_share": beyond.tail_share(slates, k, self.counts),
            "age_days": timeliness.age(slates, k, times, self.arrival),
            "younger": timeliness.younger(slates, k, times, self.arrival, self.window),
        }
        for name, codes in self.attributes.items():
            found[f"diversity.{name}"] = variety.diversity(slates, k, codes)
            found[f"miscalibration.{name}"] = variety.miscalibration(slates, k, codes, liked)
        for name, (items, vectors) in self.vectors.items():
            found[f"vector_diversity.{name}"] = variety.vector_diversity(slates, k, items, vectors)
        return {f"{name}@{k}": values for name, values in found.items()}

    def whole(self, slates: Slates, k: int) -> dict[str, float]:
        """By metric: one number for all lists together."""
        n = len(self.counts)
        found = {"coverage": beyond.coverage(slates, k, n), "gini": beyond.gini(slates, k, n)}
        new, days = timeliness.delay(slates, k, self.requests.time, self.arrival)
        if len(new):
            found |= {"new_shown": float(np.isfinite(days).mean()), "delay_days": mean(days)}
        return {f"{name}@{k}": value for name, value in found.items()}

    def pulls(self, slates: Slates, k: int, cluster: Int64, n: int) -> dict[str, Float64]:
        """[n] by metric: how each of ``n`` clusters of requests moves the number for all lists together."""
        given = (slates, k, len(self.counts), cluster, n)
        return {f"coverage@{k}": beyond.coverage_pulls(*given), f"gini@{k}": beyond.gini_pulls(*given)}


def arrival(data: Dataset) -> Int64:
    """[n_items]: since when the catalogue has an item; where it does not say, its first event of the whole log."""
    first = np.full(data.n_items, FOREVER)
    np.minimum.at(first, data.events.item, data.events.time)
    return np.where(data.available_from == MISSING_TIME, first, data.available_from)


def mean(values: Float64) -> float:
    """Without NaN; NaN if nothing else is there."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
