"""What each stage of the funnel asks of its components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from shortlist.component.component import Component
from shortlist.types import Array, Candidates, Float32, Float64, Ragged, Requests, Samples, keys

if TYPE_CHECKING:
    from shortlist.data import Dataset, State


class Retriever(Component):
    """A recall channel: makes rows. It may have more powers: ``Scores``, ``Compares``, ``Explains``."""

    def fit(self, data: Dataset) -> Self:
        """Learns from a log that ends at the cut."""
        raise NotImplementedError

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """At most ``k`` rows a request with a finite column ``score``, best first, none in ``requests.exclude``."""
        raise NotImplementedError


class Merge(Component):
    """Joins the rows of all channels into one row per (request, item); keeps who found what.

    Rows come out with ``<channel>.score`` and ``<channel>.rank`` (NaN where the channel was silent) and ``score``,
    ordered by it, at most ``k`` a request.
    """

    def fit(self, found: Mapping[str, Candidates], targets: Ragged) -> Self:
        """Learns weights or quotas from what each channel found for requests whose targets are known."""
        return self

    def merge(self, found: Mapping[str, Candidates], n: int) -> Candidates:
        """Joins the channels' rows of ``n`` requests."""
        raise NotImplementedError


class Feature(Component):
    """Adds columns to rows."""

    calendar: ClassVar[bool] = False
    """Whether it reads hours or weekdays off the request's moment, which say nothing where a log has no times."""

    def fit(self, data: Dataset) -> Self:
        """Learns what the columns need (vocabularies, boundaries) from a log that ends at the cut."""
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """New columns, each [m], by name."""
        raise NotImplementedError


class Ranker(Component):
    """Adds score columns to rows. It may have more powers: ``Refits``, ``Updates``, ``ReadsItems``."""

    @property
    def predicts(self) -> bool:
        """Whether the score is the probability of the label."""
        return False

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns from rows with labels; ``valid`` (later in time) is for early stopping and calibration."""
        raise NotImplementedError

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": [m]}`` and, for several objectives, a column for each."""
        raise NotImplementedError


class HardRule(Component):
    """Says before retrieval which items may not be shown: they use up none of a channel's rows.

    Missed: the share of a slate that it forbids.
    """

    def fit(self, data: Dataset) -> Self:
        """Most rules learn nothing."""
        return self

    def forbids(self, requests: Requests, state: State) -> Ragged:
        """[n] rows of the column "item", each item once."""
        raise NotImplementedError

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: the share of each slate that it forbids; NaN without rows. See ``Aims``."""
        barred = self.forbids(requests, state)
        bad = np.isin(slate.keys, keys(barred.rows, barred["item"]))
        rows = np.bincount(slate.request, minlength=len(requests))
        with np.errstate(invalid="ignore"):
            return np.bincount(slate.request, bad, len(requests)) / rows


class Rule(Component):
    """Drops and orders ranked rows; may change only ``score``, ``propensity`` and ``reason``."""

    needs: ClassVar[Sequence[str]] = ()
    """Feature or channel columns that ride on to this rule past ranking; NaN or 0 on the fallback's rows, NaN where a
    channel failed."""

    def fit(self, data: Dataset) -> Self:
        """Most rules learn nothing."""
        return self

    def needed(self) -> Sequence[str]:
        """``needs``; a rule whose hyperparameters name columns says which."""
        return self.needs

    def room(self, n: int) -> int:
        """With how many rows a slate asked for with ``n`` counts as full: fewer where the rule means it to be short."""
        return n

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """A subset of the rows, in a new order within each request."""
        raise NotImplementedError
