"""What deep rankers share: the columns they read, what is learned of labels, and the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from shortlist.component import Component, InputError, Search
from shortlist.encode.inputs import Inputs, Streamed
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.encode.schema import Schema
from shortlist.nn import onnx
from shortlist.nn.fields import Fields
from shortlist.nn.flat import Flat
from shortlist.nn.loss import LOSSES
from shortlist.nn.mlp import MLP, Activation
from shortlist.nn.rows import Batch, Rows
from shortlist.nn.trained import Trained
from shortlist.progress import emit
from shortlist.rank._table import ColumnRanker, TableRanker, rows_of, sigmoid
from shortlist.types import Array, Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State, Table

PREFIX = "schema_"
WHOLE = 1 << 28
"""Bytes up to which rows are encoded once; more would take memory that the columns they come of do not."""


class NetRanker(Trained, Options, ColumnRanker):
    """A ranker whose columns are read by a torch net that ``build`` makes of the schema ``schema_``.

    Everything learned is arrays: the schema under names that begin with ``schema_``, and the weights.
    """

    factors: Annotated[int, Field(ge=1), Search(4, 32, log=True)] = 8
    """Width of each field's vector."""
    deviation: Annotated[float, Field(gt=0)] = 0.05
    """Standard deviation of the fields' first vectors. Those of values met once or twice stay near their first ones, by
    luck: where most ids are rare, 0.001 may rank better."""
    ids: list[Literal["item", "user"]] = []
    """Which of the codes of item and user to learn from as well."""
    monitor: Literal["loss", "auc"] = "loss"
    """What of ``valid`` is looked at."""
    bias: Literal["odds", "zero"] = "odds"
    """Where the net's bias begins: at the training rows' log odds, or at 0.

    From 0, the weights of values met often move first, so a rare value's score stays nearer to an even chance: where
    what is popular is liked, as of films, a factorisation machine ranks what it hardly knows better for it.
    """

    sizes: ClassVar[Mapping[str, str]] = {
        **{PREFIX + name: "s" for name in ("names_", "kinds_", "width_", "first_", "length_")},
        **{PREFIX + name: "s" for name in ("mean_", "deviation_", "gaps_")},
        PREFIX + "table_": "s l",
        "weight_names_": "w",
        "weights_": "w v",
    }
    lists: ClassVar[bool] = True
    _schema: Any = PrivateAttr(default=None)
    _attributes: dict[str, Array] = PrivateAttr(default_factory=dict)

    def read_items(self, items: Table) -> None:
        """Takes what histories carry of the catalogue: a category, or the first value of a list."""
        every = np.arange(items.n)
        wanted = {part for window in self.windows() for part in window.carries}
        for name in sorted(wanted & set(items.dated)):  # the table below holds one value an item
            raise InputError(
                f"{name}: is told by the log and changes; a history carries attributes of a catalogue only"
            )
        self._attributes = {name: codes.first(every) for name, codes in items.codes.items() if name in wanted}

    def attributes(self) -> Mapping[str, Array]:
        """Columns of codes by item, -1 = missing, for histories to carry."""
        return self._attributes

    def learn_inputs(self, requests: Requests, candidates: Candidates) -> None:
        """Learns what ``inputs`` needs from the training rows."""
        self.reading(learn_schema(self.columns_.tolist(), requests, candidates, self, self.attributes()))

    def reading(self, schema: Schema) -> Self:
        """Takes ``schema`` as what was learned of the columns."""
        for name in [name for name in vars(self) if name.startswith(PREFIX)]:
            del self.__dict__[name]  # of another schema, which had arrays that this one lacks
        self.__dict__.update({f"{PREFIX}{name}_": value for name, value in schema.state().items()})
        self._schema = schema
        return self

    def inputs(self, requests: Requests, candidates: Candidates) -> Inputs:
        """What the net reads of m rows and their requests."""
        return Inputs(self.of_rows(requests, candidates), *self.schema_.of_requests(requests, candidates))

    def of_rows(self, requests: Requests, candidates: Candidates) -> dict[str, Array]:
        """What it reads of each row, [m, ...] by name."""
        return self.schema_.of_rows(requests, candidates)

    def streamed(self, requests: Requests, candidates: Candidates) -> Inputs | Streamed:
        """``inputs``; where they are more than ``WHOLE`` bytes, rows are encoded each time they are read."""
        if len(candidates) > onnx.CHUNK:
            row = self.of_rows(requests, candidates.take(slice(1)))
            if len(candidates) * sum(array.nbytes for array in row.values()) > WHOLE:
                read = candidates.select(name for name in self.columns_.tolist() if name in candidates)
                return Streamed(self.of_rows, requests, read, *self.schema_.of_requests(requests, candidates))
        return self.inputs(requests, candidates)

    @property
    def schema_(self) -> Schema:
        """The description of the columns that ``fit`` learned."""
        if self._schema is None:
            known = {name: self.__dict__.get(f"{PREFIX}{name}_") for name in Schema.__dataclass_fields__}
            self._schema = Schema(**{name: value for name, value in known.items() if value is not None})
        return self._schema

    def learn_columns(self, candidates: Candidates) -> None:
        """Remembers the columns; those that ``ids`` names come last."""
        codes = {name: candidates.item for name in self.ids if name not in candidates}
        super().learn_columns(candidates.with_columns(**codes))
        missing = [name for name in self.ids if name not in self.columns_]
        self.columns_ = np.array([*self.columns_.tolist(), *missing], np.str_)
        self.categorical_ = np.append(self.categorical_, np.ones(len(missing), np.bool_))

    def fields(self, width: int) -> Fields:
        """Every field of a row as a vector of ``width``, not yet drawn."""
        return Fields(self.schema_, width, self.numeric, self.deviation)

    def flat(self) -> Flat:
        """A row as one long vector, not yet drawn."""
        return Flat(self.schema_, self.factors, self.numeric, deviation=self.deviation)

    def traced(self) -> Inputs:
        """Three rows of two requests in which everything is missing."""
        return self.inputs(*self.schema_.blank(3))

    def columns_read(self) -> dict[str, Any]:
        """What stands in each input of the net's file: see ``nn.onnx``."""
        return {**onnx.columns_read(self.schema_), **self.more_inputs()}

    def more_inputs(self) -> dict[str, Any]:
        """The columns of inputs beyond the schema's, by name: see ``nn.onnx``."""
        return {}


class DeepRanker(NetRanker, TableRanker):
    """A ranker of one label whose score is σ(z), z the net's answer."""

    objective: Literal["pointwise", "softmax"] = "pointwise"
    """What is learned: each row's label, or which of a request's rows are the right ones."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns schema and weights; with ``valid``, for how long."""
        self._learn(samples, valid, 0).calibrate(samples, valid)
        if self.curve_.size:
            self.__dict__.pop("model_", None)  # it scored ``valid``, before there was a curve to tell of
        return self

    def refit(self, samples: Samples) -> Self:
        """Learns again for as many checks as ``fit`` found best, without ``valid``."""
        self.sampled_ = float(samples.rate)
        return self._learn(samples, None, self.checks_)

    def _learn(self, samples: Samples, valid: Samples | None, until: int) -> Self:
        self.learn_columns(samples.candidates)
        observed = self.target(samples)[0]
        self.learn_inputs(samples.requests, rows_of(samples, observed))
        rows = self._rows(samples)
        if rows.offsets is not None and len(rows) == rows.groups > 0:
            raise InputError("objective: expected requests of several rows to learn their order, found one row in each")
        figure = None
        if valid is not None and len(valid):
            figure = self._rows(self.matched(valid, samples)).figure(LOSSES[self.objective], self.monitor)
            if figure is None and len(rows) > 1:
                emit("warning", message="the later rows are none or all alike: they do not say when to stop training")
        return self.learn(rows, figure, until, rows.share() if self.bias == "odds" else 0.5)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """The objective; a ranker with more to learn adds to it, or takes several answers of its net."""
        return LOSSES[self.objective](net(batch.inputs), batch.label, batch.weight, batch.group)

    def _rows(self, samples: Samples) -> Rows:
        observed, y, weight = self.target(samples)
        rows = rows_of(samples, observed)
        offsets = None
        if self.objective == "softmax":
            offsets = rows.offsets(len(samples.requests))
            offsets = offsets[np.append(np.diff(offsets) > 0, True)]
        inputs = self.streamed(samples.requests, rows)
        windows = [window.name for window in self.windows()]
        label = (y > 0).astype(np.float32)
        return Rows(inputs, label, weight.astype(np.float32), offsets, windows)

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": σ(z)}``, or z itself where the order was learned."""
        z = self.predict(self.streamed(requests, candidates))
        return {"score": self.probability(sigmoid(z.astype(np.float64))) if self.objective == "pointwise" else z}

    def said(self) -> dict[str, Any]:
        """How the score comes of the logit, and what stands in each input.

        ``score`` says what makes the ranker's score of the logit, and what that takes: ``rate``, and ``curve`` [2, k],
        whose points (from the first row to the second) straight lines join.
        """
        inputs = {"inputs": self.columns_read()}
        if self.objective != "pointwise" or self.calibration == "none":
            return {"score": "sigmoid(logit)" if self.objective == "pointwise" else "logit", **inputs}
        said: dict[str, Any] = {"rate": self.sampled_}
        p = "p / (p + (1 - p) / rate)"
        if self.curve_.size:
            said, p = {**said, "curve": self.curve_.tolist()}, f"curve({p})"
        return {"score": f"{p}, p = sigmoid(logit)", **said, **inputs}


class Layered(Component):
    """How a perceptron is built."""

    hidden: Annotated[
        list[Annotated[int, Field(ge=1)]], Search(choices=([64], [64, 32], [128, 64], [256, 128, 64]))
    ] = [
        64,
        32,
    ]
    """Widths of the layers."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of each layer's outputs left out at random in training."""
    activation: Activation = "relu"
    """What follows each layer."""
    batch_norm: bool = False
    """Whether each layer's outputs are standardised over the rows of a step."""

    def layers(self, size: int, out: int | None = 1) -> MLP:
        """The perceptron over ``size`` inputs, with ``out`` linear outputs; None = its last hidden layer."""
        return MLP(size, self.hidden, out, activation=self.activation, dropout=self.dropout, batch_norm=self.batch_norm)


class LayeredRanker(Layered, DeepRanker):
    """A deep ranker with a multilayer perceptron."""
