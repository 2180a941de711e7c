"""What rankers over plain columns share: which columns, in which order, of which kind; and the label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.special import expit

from shortlist.component import InputError, Ranker
from shortlist.encode._encoder import stacked
from shortlist.rank._calibration import apply_isotonic, fit_centred, unsampled
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Samples


class ColumnRanker(Ranker):
    """A ranker that reads named columns of the candidates: floats are numbers, integers are codes of categories."""

    sizes: ClassVar[Mapping[str, str]] = {"columns_": "p", "categorical_": "p"}
    lists: ClassVar[bool] = False
    """Whether columns [m, w] can be learned from: lists of codes."""

    columns: list[str] | None = None
    """The columns to learn from; none given = every number and code, but for names that start with "_"."""
    without: list[str] = []
    """Columns not to learn from."""

    def learn_columns(self, candidates: Candidates) -> None:
        """Remembers names, order and kind of the columns: ``columns_`` [f], ``categorical_`` [f]."""
        usable = {
            name: column
            for name, column in candidates.columns.items()
            if column.dtype.kind in "fiub" and (column.ndim == 1 or self.lists)
        }
        wanted = [name for name in usable if not name.startswith("_")] if self.columns is None else self.columns
        wanted = [name for name in wanted if name not in self.without]
        for name in wanted:
            if name not in usable:
                found = (
                    "is text or a list" if name in candidates else f"is missing; there are {', '.join(sorted(usable))}"
                )
                raise InputError(f"columns: feature column {name!r} {found}")
        if not wanted:
            raise InputError("columns: a ranker needs at least one feature column, found none")
        self.columns_ = np.array(wanted, np.str_)
        self.categorical_ = np.array([usable[name].dtype.kind in "iu" for name in wanted], np.bool_)

    def table(self, candidates: Candidates, dtype: Any = np.float64) -> Array:
        """[m, f]: the learned columns side by side; a missing number is NaN, a missing code -1."""
        return stacked(self.columns_.tolist(), self.read_columns(candidates), len(candidates), dtype).T

    def read_columns(self, candidates: Candidates) -> list[Array]:
        """The learned columns [m], as they come."""
        for name in self.columns_.tolist():
            if name not in candidates:
                raise InputError(f"feature column {name!r} is missing: the ranker was fitted with it")
        return [candidates[name] for name in self.columns_.tolist()]


class TableRanker(ColumnRanker):
    """A ranker over columns that learns one label."""

    label: str | None = None
    """The label to learn; none given = the first."""
    calibration: Literal["none", "closed", "isotonic"] = "none"
    """How a probability is made true of all rows: undo the sampling of negatives by its rate, or fit ``valid``."""

    @property
    def predicts(self) -> bool:
        """Whether each row's label is learned; an order of rows has no probabilities."""
        return bool(getattr(self, "objective", "pointwise") == "pointwise")

    def target(self, samples: Samples) -> tuple[Bool, Float64, Float64]:
        """``(observed [m], label, weight)``; the last two of the observed rows only."""
        if self.label is not None and self.label not in samples.labels:
            raise InputError(f"label: no label {self.label!r}; there are {', '.join(samples.labels)}")
        if self.calibration != "none" and not self.predicts:
            objective = getattr(self, "objective", None)
            what = f"the objective {objective!r}" if objective else "such a ranker"
            raise InputError(f"calibration: expected none, as {what} scores in no probabilities")
        return observed_of(samples, next(iter(samples.labels)) if self.label is None else self.label)

    def matched(self, valid: Samples, samples: Samples) -> Samples:
        """``valid`` with the weight of its negatives such that its odds are those of ``samples``.

        Only then does the log loss on it say when to stop: a model of thinned negatives is wrong about all of them by
        the same factor, and less so the less it has learned. Unchanged where an order is learned.
        """
        if not self.predicts or valid.rate == samples.rate:
            return valid
        label = next(iter(valid.labels.values())) if self.label is None else valid.labels[self.label]
        weight = np.where(label > 0, 1, samples.rate / valid.rate) * valid.weight
        return replace(valid, weight=weight.astype(np.float32), rate=samples.rate)

    def calibrate(self, samples: Samples, valid: Samples | None = None) -> Self:
        """The last step of ``fit``: learns what ``probability`` does.

        ``closed`` undoes the sampling of ``samples``; ``isotonic`` does that too and then follows the curve that fits
        ``valid``, where there is one. The rows of ``valid`` may be sampled as well: its negatives count 1 / rate.
        """
        self.sampled_ = float(samples.rate)
        self.curve_ = np.empty((2, 0))
        if self.calibration != "isotonic" or valid is None:
            return self
        observed, y, weight = self.target(valid)
        p = self.score(valid.requests, valid.candidates)["score"][observed]
        weight = np.where(y > 0, weight, weight / valid.rate)
        self.curve_ = np.stack(fit_centred(p, y > 0, weight))
        return self

    def probability(self, p: Float32) -> Float32:
        """[m]: the predictions ``p`` calibrated. The order stays."""
        if self.calibration == "none":
            return p
        p = unsampled(p, self.sampled_)
        return apply_isotonic(p, *self.curve_) if self.curve_.size else p


def rows_of(samples: Samples, observed: Bool) -> Candidates:
    """The rows that are ``observed`` [m]; no copy where all are."""
    return samples.candidates if observed.all() else samples.candidates.take(observed)


def observed_of(samples: Samples, label: str) -> tuple[Bool, Float64, Float64]:
    """``(observed [m], label, weight)`` of a label; the last two of the rows only where it is known and counts."""
    y = np.asarray(samples.labels[label])
    observed = np.isfinite(y) & (samples.weight > 0)
    return observed, y[observed].astype(np.float64), samples.weight[observed].astype(np.float64)


class UnstoppedRanker(TableRanker):
    """A table ranker whose training no later rows stop: it learns from all rows alike, the first time and again."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns what scoring needs; ``valid`` is for calibration."""
        return self._learn(samples).calibrate(samples, valid)

    def refit(self, samples: Samples) -> Self:
        """Learns again, but for the calibration's curve."""
        self.sampled_ = float(samples.rate)
        return self._learn(samples)

    def _learn(self, samples: Samples) -> Self:
        raise NotImplementedError


def sigmoid(x: Float64) -> Float32:
    """1 / (1 + e^-x) without overflow."""
    return np.asarray(expit(x), np.float32)
