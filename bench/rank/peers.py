"""The same models as other libraries have them, behind the ranker interface, trained by their own loop.

They read the columns through the vocabulary of the training rows that ours has (``Schema``: rare values share a code),
so that the model and its training are compared, not the reading of tables. Numbers are standardised (dense features)
or in the same quantile buckets. Training is deepctr-torch's own ``fit`` with its own ``EarlyStopping``; the best
weights are put back also where the epochs ran out, and each epoch begins in training mode (its loop stays in that of
evaluation after the first validation).
"""

from __future__ import annotations

import contextlib
import io
import threading
from typing import Any, Literal, Self
from unittest import mock

import numpy as np
import torch

with mock.patch.object(threading.Thread, "start"):  # on import it asks the network for a later version of itself
    from deepctr_torch import models
    from deepctr_torch.callbacks import EarlyStopping
    from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat
    from deepctr_torch.models.basemodel import BaseModel
from torch_rechub.basic.layers import FFM as FFMLayer

from shortlist.component import Ranker
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.encode.schema import CODED, LIST, NUMBER
from shortlist.types import Array, Candidates, Float32, Requests, Samples

LOSS = "binary_crossentropy"


class FieldAware(BaseModel):
    """A field-aware factorisation machine: deepctr-torch's linear part and embeddings, torch-rechub's crosses."""

    def __init__(self, linear: list, fields: list, factors: int, **more: Any) -> None:
        wide = [_wider(field, factors * len(fields)) for field in fields]
        super().__init__(linear, wide, **more)
        self.shape = (len(fields), factors)
        self.cross = FFMLayer(num_fields=len(fields), reduce_sum=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found, _ = self.input_from_feature_columns(x, self.dnn_feature_columns, self.embedding_dict)
        crossed = self.cross(torch.cat(found, 1).unflatten(2, self.shape)).squeeze(2)  # [m, pairs]
        return self.out(self.linear_model(x) + crossed.sum(1, keepdim=True))


def _wider(field: Any, width: int) -> Any:
    if isinstance(field, VarLenSparseFeat):
        return VarLenSparseFeat(_wider(field.sparsefeat, width), field.maxlen, field.combiner)
    return SparseFeat(field.name, field.vocabulary_size, width)


class DeepPeer(Ranker):
    """deepctr-torch's models (torch-rechub's layer for ``ffm``)."""

    net: str = "deepfm"
    """Ours of the same name."""
    factors: int = 8
    """embedding_dim."""
    hidden: list[int] = [64, 32]
    """dnn_hidden_units."""
    dropout: float = 0.0
    """dnn_dropout."""
    rate: float = 1e-3
    """Adam's."""
    batch: int = 512
    """Rows of a step."""
    epochs: int = 10
    """At most."""
    stopping: int = 2
    """Epochs without a better log loss."""
    l2: float = 1e-5
    """l2_reg_linear and l2_reg_embedding, beside the sum of the losses of a step."""
    numeric: Literal["standard", "quantile"] = "standard"
    """How numbers are read."""
    buckets: int = 50
    """Of ``quantile``."""
    min_count: int = 5
    """Rarer values share a code."""
    options: dict[str, Any] = {}
    """The model's own."""
    without: list[str] = []
    """Columns not to learn from."""
    seed: int = 0
    """torch's."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns; with ``valid``, for as long as it grows better."""
        return self._learn(samples, valid, self.epochs)

    def refit(self, samples: Samples) -> Self:
        """Learns again for as many epochs as ``fit`` found best."""
        return self._learn(samples, None, self.epochs_)

    def _learn(self, samples: Samples, valid: Samples | None, epochs: int) -> Self:
        self.prepare(samples)
        x, y = self.matrices(samples)
        stopper = _Stopper(monitor=f"val_{LOSS}", patience=self.stopping, restore_best_weights=True)
        self.train(x, y, epochs, None if valid is None else self.matrices(valid), stopper)
        self.epochs_ = epochs
        if stopper.best_weights is not None:
            self.model_.load_state_dict(stopper.best_weights)
            self.epochs_ = int(np.argmin(self.model_.history.history[f"val_{LOSS}"])) + 1
        return self

    def prepare(self, samples: Samples) -> None:
        """Reads the vocabulary and makes the net."""
        names = [name for name in samples.candidates.columns if name not in self.without]
        options = Options(numeric=self.numeric, buckets=self.buckets, min_count=self.min_count)
        self.schema_ = learn_schema(names, samples.requests, samples.candidates, options)
        self.model_ = self.build()
        self.model_.compile(torch.optim.Adam(self.model_.parameters(), lr=self.rate), LOSS, metrics=[LOSS])

    def train(self, x: list[Array], y: Array, epochs: int, valid: tuple | None = None, *more: Any) -> None:
        """The library's own loop."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.model_.fit(x, y, self.batch, epochs, 0, validation_data=valid, callbacks=[*more])

    def matrices(self, samples: Samples) -> tuple[list[Array], Array]:
        """What the library's ``fit`` takes."""
        return self.inputs(samples.requests, samples.candidates), next(iter(samples.labels.values())).reshape(
            -1, 1
        ).copy()

    def inputs(self, requests: Requests, candidates: Candidates) -> list[Array]:
        """One array for each feature, in the order of ``features``."""
        s = self.schema_
        numbers, codes, lists = (s.encode(requests, candidates).rows[name] for name in ("numbers", "codes", "lists"))
        out = [(codes[:, at] - s.first[f]).astype(np.float32) for at, f in enumerate(s.of_kind(*CODED))]
        start = 0
        for f in s.of_kind(LIST):
            part = lists[:, start : start + int(s.length[f])]
            out.append(np.where(part > 0, part - s.first[f] + 1, 0).astype(np.float32))
            start += int(s.length[f])
        return [*out, *([numbers] if numbers.shape[1] else [])]

    def features(self) -> list[Any]:
        """The library's description of the columns."""
        s = self.schema_
        names = s.names.tolist()
        found: list[Any] = [SparseFeat(names[f], int(s.width[f]), self.factors) for f in s.of_kind(*CODED)]
        for f in s.of_kind(LIST):
            column = SparseFeat(names[f], int(s.width[f]) + 1, self.factors)
            found.append(VarLenSparseFeat(column, int(s.length[f]), "mean"))
        p = len(s.of_kind(NUMBER)) + int(s.gaps.sum())
        return [*found, *([DenseFeat("numbers", p)] if p else [])]

    def build(self) -> BaseModel:
        """The net with its first weights."""
        every = self.features()
        coded = [f for f in every if not isinstance(f, DenseFeat)]
        more = {"l2_reg_embedding": self.l2, "seed": self.seed, **self.options}
        linear = {"l2_reg_linear": self.l2, **more}
        deep = {"dnn_hidden_units": tuple(self.hidden), "dnn_dropout": self.dropout}
        match self.net:
            case "fm":
                return models.DeepFM(every, coded, dnn_hidden_units=(), **linear)
            case "ffm":
                return FieldAware(every, coded, self.factors, **linear)
            case "afm":
                return models.AFM(every, coded, **linear)
            case "dnn" | "fnn":
                return models.WDL([], every, **deep, **linear)
            case "pnn":
                return models.PNN(every, **deep, **more)
        kinds = {"wide_deep": "WDL", "deepfm": "DeepFM", "dcn": "DCN", "xdeepfm": "xDeepFM", "nfm": "NFM"}
        return getattr(models, kinds[self.net])(every, every, **deep, **linear)

    def score(self, requests: Requests, candidates: Candidates, state: Any = None) -> dict[str, Float32]:
        """Probabilities."""
        found = self.model_.predict(self.inputs(requests, candidates), 8192)
        return {"score": found.ravel().astype(np.float32)}


class _Stopper(EarlyStopping):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.train()


NAMES = {
    "fm": "deepctr-torch DeepFM without its DNN",
    "ffm": "torch-rechub's FFM layer in deepctr-torch",
    "afm": "deepctr-torch AFM",
    "dnn": "deepctr-torch WDL without its wide part",
    "fnn": "deepctr-torch WDL without its wide part",
    "pnn": "deepctr-torch PNN",
    "wide_deep": "deepctr-torch WDL",
    "deepfm": "deepctr-torch DeepFM",
    "dcn": "deepctr-torch DCN",
    "xdeepfm": "deepctr-torch xDeepFM",
    "nfm": "deepctr-torch NFM",
}
