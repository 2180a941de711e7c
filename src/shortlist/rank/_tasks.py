"""What nets of several labels share: what is learned of rows with gaps, how losses are weighed, an output a label."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from shortlist.component import InputError, Search
from shortlist.nn.flat import Flat
from shortlist.nn.parallel import Towers
from shortlist.nn.rows import Batch
from shortlist.nn.tasks import Tasks, Uncertainty, losses
from shortlist.progress import emit
from shortlist.rank._deep import Layered, NetRanker
from shortlist.rank._objectives import Objectives
from shortlist.rank._table import rows_of, sigmoid
from shortlist.types import Array, Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shortlist.data import State


class TaskRanker(Objectives, Layered, NetRanker):
    """A net with a logit z_k for each of K labels, ŷ_k = σ(z_k); ``blend`` makes the score of these.

    L = Σ_k w_k L_k, L_k the mean log loss of the rows where label k is known: a row whose label is NaN teaches the
    others. Where negatives were thinned out, ŷ_k is a chance among the rows learned from.
    """

    weights: dict[str, Annotated[float, Field(ge=0)]] | Literal["uncertainty"] = {}
    """What the loss of a label counts, 1 where none is given: ``{ liked = 2.0 }``; or "uncertainty": learned, less for
    a label that cannot be told well."""

    sizes: ClassVar[Mapping[str, str]] = {"shares_": "k"}

    @model_validator(mode="after")
    def _weighs_its_own(self) -> Self:
        for name in self.weights if self.labels and isinstance(self.weights, dict) else ():
            if name not in self.labels:
                raise ValueError(f"weights: no label {name!r}; labels are {', '.join(self.labels)}")
        return self

    def build(self) -> nn.Module:
        """The net of ``tasks`` over the flat row."""
        net = self.tasks(self.flat())
        if self.weights == "uncertainty":
            net.uncertainty = Uncertainty(len(self.labels_))
        return net

    def tasks(self, flat: Flat) -> nn.Module:
        """The net, its weights not yet drawn: logits [m, K]."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """How every perceptron is built, but for its layers."""
        return {"activation": self.activation, "dropout": self.dropout, "batch_norm": self.batch_norm}

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns schema and weights; with ``valid``, for how long."""
        return self._learn(samples, valid, 0)

    def refit(self, samples: Samples) -> Self:
        """Learns again for as many checks as ``fit`` found best, without ``valid``."""
        return self._learn(samples, None, self.checks_)

    def _learn(self, samples: Samples, valid: Samples | None, until: int) -> Self:
        self.learn_columns(samples.candidates)
        labels = self.learn_labels(samples)
        for name in self.weights if isinstance(self.weights, dict) else ():
            if name not in labels:
                raise InputError(f"weights: no label {name!r}; labels are {', '.join(labels)}")
        truth, observed = self._truth(samples)
        known = np.isfinite(truth[observed])
        for number, name in enumerate(labels):
            if len(samples) and not known[:, number].any():
                raise InputError(f"labels: expected rows that say {name!r} or not, found NaN in all {len(samples):,}")
        self.learn_inputs(samples.requests, rows_of(samples, observed))
        rows = self._rows(samples)
        self.shares_ = self.begun(rows.shares()) if self.bias == "odds" else np.full(len(labels), 0.5)
        figure = None
        if valid is not None and len(valid):
            figure = self._rows(_matched(valid, samples.rate)).figure(self._looked_at, self.monitor)
            if figure is None and len(rows) > 1:
                emit("warning", message="the later rows are none or all alike: they do not say when to stop training")
        return self.learn(rows, figure, until)

    def _rows(self, samples: Samples) -> Tasks:
        truth, observed = self._truth(samples)
        inputs = self.streamed(samples.requests, rows_of(samples, observed))
        return Tasks(inputs, *Tasks.weighed(truth[observed], samples.weight[observed]))

    def _truth(self, samples: Samples) -> tuple[Float32, Array]:
        """Labels [m, K], and which rows count and have any."""
        for name in self.labels_.tolist():
            if name not in samples.labels:
                raise InputError(f"labels: no label {name!r}; there are {', '.join(samples.labels)}")
        each = [np.asarray(samples.labels[name], np.float32) for name in self.labels_.tolist()]
        truth = self.truth(np.stack(each, 1))
        return truth, np.isfinite(truth).any(1) & (samples.weight > 0)

    def truth(self, labels: Float32) -> Float32:
        """[m, K]: what the outputs are to say, of the labels [m, K]."""
        return labels

    def begun(self, shares: Array) -> Array:
        """[K]: the chances that the towers begin with, of the labels' shares of positives."""
        return shares

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """L of a batch."""
        each = losses(net(batch.inputs), batch.label, batch.weight)
        if self.weights == "uncertainty":
            found: Tensor = net.uncertainty(each)  # type: ignore[operator]
            return found
        return self._weighed(each)

    def _looked_at(self, logit: Tensor, label: Tensor, weight: Tensor, request: Tensor) -> Tensor:
        """L of later rows; learned weights would be another measure at every check, so there all count alike."""
        return self._weighed(losses(logit, label, weight))

    def _weighed(self, each: Tensor) -> Tensor:
        given = self.weights if isinstance(self.weights, dict) else {}
        counts = [given.get(name, 1.0) for name in self.labels_.tolist()]
        return (each * torch.tensor(counts, dtype=each.dtype, device=each.device)).sum()

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """σ(z_k) by label, and ``score``."""
        p = sigmoid(self.predict(self.streamed(requests, candidates)).astype(np.float64))
        return self.blended(dict(zip(self.labels_.tolist(), p.T, strict=True)))

    def said(self) -> dict[str, Any]:
        """Whose chance each column of σ(``logit``) [m, K] is, and the formula of these that is the score."""
        how = self.unblended if self.blend is None else self.blend
        return {"labels": self.labels_.tolist(), "each": "sigmoid(logit)", "score": how, "inputs": self.columns_read()}


class SharedRanker(TaskRanker):
    """A net whose labels share their lower layers, each with a tower of its own on them."""

    towers: Annotated[list[Annotated[int, Field(ge=1)]], Search(choices=([], [16], [32]))] = [16]
    """Widths of each label's own layers."""

    def towers_on(self, size: int) -> Towers:
        """A tower a label, over ``size`` inputs."""
        return Towers(size, self.towers, self.shares_, **self.options())


def _matched(valid: Samples, rate: float) -> Samples:
    """``valid`` with the weight of rows that no label calls good such that their odds are those learned from.

    See ``TableRanker.matched``: rows that any label calls good are never thinned out.
    """
    if valid.rate == rate:
        return valid
    good = np.any([label > 0 for label in valid.labels.values()], axis=0)
    weight = np.where(good, 1, rate / valid.rate) * valid.weight
    return replace(valid, weight=weight.astype(np.float32), rate=rate)
