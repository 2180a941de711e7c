"""A component whose answers come from a net: how it is trained, its weights as arrays, its ONNX file, scoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from shortlist.component import InputError
from shortlist.encode.inputs import Inputs, Streamed
from shortlist.nn import loop, onnx
from shortlist.nn.plan import Plan
from shortlist.nn.rows import predict
from shortlist.progress import emit
from shortlist.types import Array, Float32, Ragged

NATIVE = "model.onnx"
"""The file with the net for other programs, and for onnxruntime here."""


class Trained(Plan):
    """What ``learn`` keeps of the net that ``build`` makes: ``weights_``, one row for each of ``weight_names_``.

    The net is made of them when it is first needed. Where onnxruntime is installed, it answers, with the file that is
    saved beside the arrays; else torch does, to the same figures but for rounding.
    """

    output: ClassVar[str] = "logit"
    """What the file calls the net's answer."""
    _made: Any = PrivateAttr(default=None)
    _scorer: Any = PrivateAttr(default=None)

    def build(self) -> nn.Module:
        """The net, its weights not yet drawn: ``forward(x)``, x the tensors of ``Inputs`` by name -> [m, ...]."""
        raise NotImplementedError

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """What a step makes smaller: a number, of a batch that ``learn``'s batches draw."""
        raise NotImplementedError

    def traced(self) -> Inputs:
        """Some rows (two at least) that the net can read: those that the file is traced with."""
        raise NotImplementedError

    def said(self) -> dict[str, Any]:
        """What the file tells other programs: the columns of each input under ``inputs``, and anything else."""
        return {"inputs": {}}

    def learn(
        self, batches: loop.Batches, figure: loop.Figure | None = None, until: int = 0, share: float = 0.5
    ) -> Self:
        """Builds the net, trains it, and keeps its weights and for how many checks it was trained (``checks_``)."""
        self.forget()
        with loop.threads(self.threads), torch.random.fork_rng(devices=[]):  # layers draw when made; drawn anew below
            net = self.build()
            self.checks_ = self.train(net, batches, figure, until, share)
        state = {name: tensor.detach().numpy().ravel() for name, tensor in net.state_dict().items()}
        self.weight_names_ = np.array(list(state), np.str_)
        offsets = np.cumsum([0, *map(len, state.values())]).astype(np.int64)
        self.weights_ = Ragged(offsets, {"value": np.concatenate(list(state.values())).astype(np.float32)})
        return self

    def train(self, net: nn.Module, batches: loop.Batches, figure: loop.Figure | None, until: int, share: float) -> int:
        """Trains ``net`` in place and returns for how many checks: ``loop.train``, or something before it as well."""
        return loop.train(net, batches, self.loss, self, figure, until, share)

    def forget(self) -> None:
        """Drops what was made of earlier weights."""
        self._made = self._scorer = None
        self.__dict__.pop("model_", None)

    def net(self) -> nn.Module:
        """The learned net, made of the learned arrays when first asked for."""
        if self._made is None:
            with torch.random.fork_rng(devices=[]):  # layers draw when made
                net = self.build()
            state, offsets, values = net.state_dict(), self.weights_.offsets, self.weights_["value"]
            if list(state) != self.weight_names_.tolist() or [t.numel() for t in state.values()] != list(
                self.weights_.lengths
            ):
                raise InputError("the weights are not those of a net with these hyperparameters")
            for tensor, a, b in zip(state.values(), offsets[:-1], offsets[1:], strict=True):
                tensor.copy_(torch.from_numpy(values[a:b].copy()).reshape(tensor.shape))
            self._made = net.eval()
        return self._made

    def predict(self, inputs: Inputs | Streamed) -> Float32:
        """[m, ...]: the net's answer to each row, by onnxruntime or torch."""
        if self._scorer is None and onnx.can_score() and self.native() is not None:
            self._scorer = onnx.Scorer(self.model_.tobytes(), self.threads)
            if not self._scorer.reads(inputs):  # the file is older than this version, the weights are as good as new
                self.__dict__.pop("model_")
                file = self.native()
                self._scorer = None if file is None else onnx.Scorer(file, self.threads)
        if self._scorer is not None:
            return np.asarray(self._scorer.predict(inputs), np.float32)
        with loop.threads(self.threads):
            return predict(self.net(), inputs)

    def native(self) -> bytes | None:
        """The net as an ONNX file, made when first asked for; None where the package ``onnx`` is not installed."""
        if not hasattr(self, "model_"):
            if not onnx.can_export():
                return None
            self.model_ = np.frombuffer(onnx.export(self.net(), self.traced(), self.said(), self.output), np.uint8)
        return bytes(self.model_.tobytes())

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
        """The component that was saved."""
        component = super().restore(config, arrays, files)
        if files and NATIVE in files:
            component.model_ = np.frombuffer(files[NATIVE], np.uint8)
        return component
