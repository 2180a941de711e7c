"""What deep rankers share: the description of the columns, the training plan, weights as arrays, scoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import nn

from shortlist.component import InputError, Search
from shortlist.nn import loop, onnx
from shortlist.nn.loss import LOSSES
from shortlist.nn.mlp import MLP
from shortlist.nn.schema import Inputs, Options, Schema
from shortlist.progress import emit
from shortlist.rank._table import TableRanker, sigmoid
from shortlist.types import Array, Candidates, Float32, Ragged, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State

PREFIX = "schema_"
NATIVE = "model.onnx"
"""The file with the net for other programs, and for onnxruntime here."""


class DeepRanker(TableRanker):
    """A ranker whose score is σ(z), z from a torch net that ``build`` makes of the schema.

    Everything learned is arrays: the schema under names that begin with ``schema_``, and ``weights_``, one row for each
    of ``weight_names_``. The net is made of them when it is first needed. Where onnxruntime is installed, it scores,
    with the file that is saved beside the arrays; else torch does, to the same figures but for rounding.
    """

    factors: Annotated[int, Field(ge=1), Search(4, 32, log=True)] = 8
    """Width of each field's vector."""
    numeric: Annotated[
        Literal["standard", "quantile", "piecewise", "periodic"],
        Search(choices=("standard", "quantile", "piecewise", "periodic")),
    ] = "quantile"
    """A number's vector: the number times one, one for each bucket, or a piecewise linear or periodic curve.

    Buckets suit tables of people and things; ``standard`` suits many columns and few rows, as a funnel's features are.
    """
    buckets: Annotated[int, Field(ge=2), Search(10, 200, log=True)] = 50
    """About so many buckets of equally many rows for each number (``quantile``, ``piecewise``)."""
    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a value must occur in training to get a vector of its own."""
    ids: list[Literal["item", "user"]] = []
    """Which of the codes of item and user to learn from as well."""
    history: Annotated[int, Field(ge=0)] = 0
    """How many of the request's last items are a field, the mean of their vectors; 0 = none."""
    history_shares: str = "item"
    """The column of item codes whose vectors the history uses, if it is among the ranker's."""
    hashed: list[str] = []
    """Columns of codes or lists (hashed letter n-grams) that get ``hash_width`` vectors instead of a vocabulary."""
    hash_width: Annotated[int, Field(ge=1)] = 10_000
    """Vectors of a hashed column."""
    objective: Literal["pointwise", "softmax"] = "pointwise"
    """What is learned: each row's label, or which of a request's rows are the right ones."""
    rate: Annotated[float, Field(gt=0), Search(3e-4, 1e-2, log=True)] = 2e-3
    """Step size of the optimiser."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Whether the step size falls to 0 over ``epochs``."""
    batch: Annotated[int, Field(ge=2), Search(128, 4096, log=True)] = 512
    """Rows of a step."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the rows; with ``valid``, at most."""
    stopping: Annotated[int, Field(ge=0)] = 2
    """Stop when ``valid`` has not improved for so many checks; 0 = never."""
    checks: Annotated[int, Field(ge=1)] = 1
    """How often in an epoch ``valid`` is looked at."""
    monitor: Literal["loss", "auc"] = "loss"
    """What is looked at."""
    l2: Annotated[float, Field(ge=0), Search(1e-4, 1.0, log=True)] = 0.01
    """Decay of the layers' weights (decoupled, AdamW): each step takes ``rate`` × this share of them away."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-7, 1e-2, log=True)] = 1e-4
    """Squared penalty (coupled: half of it × w² in the loss) on the fields' vectors; it holds rare values' most."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the old in a running average of the weights, which then scores; 0 = the last weights score."""
    bias: Literal["odds", "zero"] = "odds"
    """Where the net's bias begins: at the training rows' log odds, or at 0.

    From 0, the weights of values met often move first, so a rare value's score stays nearer to an even chance: where
    what is popular is liked, as of films, a factorisation machine ranks what it hardly knows better for it.
    """
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the first weights, the order of rows and dropout."""

    lists: ClassVar[bool] = True
    _made: Any = PrivateAttr(default=None)
    _scorer: Any = PrivateAttr(default=None)
    _schema: Any = PrivateAttr(default=None)

    def build(self, schema: Schema) -> nn.Module:
        """The net, its weights not yet drawn: ``forward(numbers, codes, lists) -> [m]``, see ``Schema.encode``."""
        raise NotImplementedError

    def learn_inputs(self, requests: Requests, candidates: Candidates) -> None:
        """Learns what ``inputs`` needs from the training rows."""
        options = Options(**{name: getattr(self, name) for name in Options.__dataclass_fields__})
        schema = Schema.learn(self.columns_.tolist(), requests, candidates, options)
        self.__dict__.update({f"{PREFIX}{name}_": value for name, value in schema.state().items()})

    def inputs(self, requests: Requests, candidates: Candidates) -> Inputs:
        """What ``forward`` takes, as arrays of m rows."""
        return self.schema_.encode(requests, candidates)

    @property
    def schema_(self) -> Schema:
        """The description of the columns that ``fit`` learned."""
        if self._schema is None:
            self._schema = Schema(**{name: getattr(self, f"{PREFIX}{name}_") for name in Schema.__dataclass_fields__})
        return self._schema

    def net(self) -> nn.Module:
        """The learned net, made of the learned arrays when first asked for."""
        if self._made is None:
            with torch.random.fork_rng(devices=[]):  # layers draw when made
                net = self.build(self.schema_)
            state, offsets, values = net.state_dict(), self.weights_.offsets, self.weights_["value"]
            if list(state) != self.weight_names_.tolist() or [t.numel() for t in state.values()] != list(
                self.weights_.lengths
            ):
                raise InputError("the ranker's weights are not those of a net with its hyperparameters")
            for tensor, a, b in zip(state.values(), offsets[:-1], offsets[1:], strict=True):
                tensor.copy_(torch.from_numpy(values[a:b].copy()).reshape(tensor.shape))
            self._made = net.eval()
        return self._made

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
        self._made = self._scorer = self._schema = None
        self.__dict__.pop("model_", None)
        self.learn_columns(samples.candidates)
        observed = self.target(samples)[0]
        self.learn_inputs(samples.requests, samples.candidates.take(observed))
        rows = self._rows(samples)
        if rows.offsets is not None and len(rows) == rows.groups > 0:
            raise InputError("objective: expected requests of several rows to learn their order, found one row in each")
        later = None if valid is None or not len(valid) else self._rows(self.matched(valid, samples))
        plan = loop.Plan(**{name: getattr(self, name) for name in loop.Plan.__dataclass_fields__})
        with loop.threads(self.threads), torch.random.fork_rng(devices=[]):  # layers draw when made; drawn anew below
            net = self.build(self.schema_)
            self.checks_ = self.train(net, rows, later, plan, until)
        state = {name: tensor.detach().numpy().ravel() for name, tensor in net.state_dict().items()}
        self.weight_names_ = np.array(list(state), np.str_)
        offsets = np.cumsum([0, *map(len, state.values())]).astype(np.int64)
        self.weights_ = Ragged(offsets, {"value": np.concatenate(list(state.values())).astype(np.float32)})
        return self

    def train(self, net: nn.Module, rows: loop.Rows, valid: loop.Rows | None, plan: loop.Plan, until: int) -> int:
        """Trains ``net`` in place and returns for how many checks: ``loop.train``, or something before it as well."""
        return loop.train(net, rows, valid, LOSSES[self.objective], plan, until)

    def learn_columns(self, candidates: Candidates) -> None:
        """Remembers the columns; those that ``ids`` names come last."""
        codes = {name: candidates.item for name in self.ids if name not in candidates}
        super().learn_columns(candidates.with_columns(**codes))
        missing = [name for name in self.ids if name not in self.columns_]
        self.columns_ = np.array([*self.columns_.tolist(), *missing], np.str_)
        self.categorical_ = np.append(self.categorical_, np.ones(len(missing), np.bool_))

    def _rows(self, samples: Samples) -> loop.Rows:
        observed, y, weight = self.target(samples)
        rows = samples.candidates.take(observed)
        offsets = None
        if self.objective == "softmax":
            offsets = rows.offsets(len(samples.requests))
            offsets = offsets[np.append(np.diff(offsets) > 0, True)]
        inputs = self.inputs(samples.requests, rows)
        return loop.Rows(inputs, (y > 0).astype(np.float32), weight.astype(np.float32), offsets)

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": σ(z)}``, or z itself where the order was learned."""
        z = self.logits(self.inputs(requests, candidates))
        return {"score": self.probability(sigmoid(z.astype(np.float64))) if self.objective == "pointwise" else z}

    def logits(self, inputs: Inputs) -> Float32:
        """[m]: z, by onnxruntime or torch."""
        if self._scorer is None and onnx.can_score() and self.native() is not None:
            self._scorer = onnx.Scorer(self.model_.tobytes(), self.threads)
        if self._scorer is not None:
            return np.asarray(self._scorer.predict(inputs), np.float32)
        with loop.threads(self.threads):
            return loop.predict(self.net(), inputs)

    def native(self) -> bytes | None:
        """The net as an ONNX file, made when first asked for; None where the package ``onnx`` is not installed."""
        if not hasattr(self, "model_"):
            if not onnx.can_export():
                return None
            said = onnx.contract(self.schema_, self._score_said(), self.more_inputs())
            file = onnx.export(self.net(), self.inputs(*self.schema_.blank(2)), said)
            self.model_ = np.frombuffer(file, np.uint8)
        return bytes(self.model_.tobytes())

    def _score_said(self) -> dict[str, Any]:
        """How the score comes of the logit."""
        if self.objective != "pointwise" or self.calibration == "none":
            return {"score": "sigmoid(logit)" if self.objective == "pointwise" else "logit"}
        said: dict[str, Any] = {"rate": self.sampled_}
        p = "p / (p + (1 - p) / rate)"
        if self.curve_.size:
            said, p = {**said, "curve": self.curve_.tolist()}, f"curve({p})"
        return {"score": f"{p}, p = sigmoid(logit)", **said}

    def more_inputs(self) -> dict[str, Any]:
        """What the file says of inputs beyond the schema's, by name: see ``nn.onnx.contract``."""
        return {}

    def state(self) -> dict[str, Array]:
        """The learned arrays, without the file."""
        return {name: array for name, array in super().state().items() if name != "model_"}

    def files(self) -> dict[str, bytes]:
        """``model.onnx``: the net and in its metadata what it reads."""
        if not hasattr(self, "weights_"):
            return {}
        file = self.native()
        if file is None:
            emit("warning", message=f"onnx is not installed: no {NATIVE} is saved, and torch will score")
        return {} if file is None else {NATIVE: file}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], arrays: Mapping[str, Array], files: Mapping[str, bytes] | None = None
    ) -> Self:
        """The ranker that was saved."""
        ranker = super().restore(config, arrays, files)
        if files and NATIVE in files:
            ranker.model_ = np.frombuffer(files[NATIVE], np.uint8)
        return ranker


class LayeredRanker(DeepRanker):
    """A deep ranker with a multilayer perceptron."""

    hidden: Annotated[
        list[Annotated[int, Field(ge=1)]], Search(choices=([64], [64, 32], [128, 64], [256, 128, 64]))
    ] = [
        64,
        32,
    ]
    """Widths of the layers."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of each layer's outputs left out at random in training."""
    activation: Literal["relu", "silu", "gelu", "tanh"] = "relu"
    """What follows each layer."""
    batch_norm: bool = False
    """Whether each layer's outputs are standardised over the rows of a step."""

    def layers(self, size: int, out: int | None = 1) -> MLP:
        """The perceptron over ``size`` inputs, with ``out`` linear outputs; None = its last hidden layer."""
        return MLP(size, self.hidden, out, activation=self.activation, dropout=self.dropout, batch_norm=self.batch_norm)
