"""Labelled rows as a source of batches, what a net makes of rows, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from shortlist.encode.inputs import REQUEST, Inputs, Streamed
from shortlist.nn.loss import RowLoss, softmax
from shortlist.types import Array, Float32, Int64, spans

CHUNK = 2048
"""Rows scored at once: what a net makes of them (all pairs of fields, say) should fit into the cache."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a step: what the net reads of them by name, and what it should say."""

    inputs: Mapping[str, Tensor]  # each [b, ...], those of requests [r, ...]
    label: Tensor  # [b]
    weight: Tensor  # [b]
    group: Tensor  # [b] which of the step's requests, from 0 without gaps, if requests stay whole; else nothing of use

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``; itself if it is there."""
        if self.label.device == device:
            return self
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Batch(inputs, self.label.to(device), self.weight.to(device), self.group.to(device))


@dataclass(frozen=True)
class Rows:
    """What a net learns from: ``loop.Batches`` in random order, each row once an epoch.

    Batches have histories of whatever length: of about one length only, their means would not be those of rows to come.
    """

    inputs: Inputs | Streamed
    label: Float32  # [m]
    weight: Float32  # [m]
    offsets: Int64 | None = None  # [n + 1] where each request's rows begin, if requests must stay whole
    windows: Sequence[str] = ()  # histories that are cut to the longest of a batch

    def __len__(self) -> int:
        return len(self.label)

    @property
    def groups(self) -> int:
        """What is shuffled: rows, or requests that stay whole."""
        return len(self) if self.offsets is None else len(self.offsets) - 1

    def share(self) -> float:
        """Of the rows' weight, how much is positive; a half where there are none."""
        return float(np.average(self.label > 0, weights=self.weight)) if len(self) else 0.5

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` rows an epoch has."""
        if len(self) < 2:
            return 0
        return min(-(-len(self) // batch), self.groups if self.offsets is not None else len(self) // 2)

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Batch]:
        """``steps`` batches in an order drawn from ``generator``."""
        label, weight = torch.from_numpy(self.label), torch.from_numpy(self.weight / self.weight.mean())
        for chosen, group in self.order(steps, generator):
            yield Batch(self._inputs(chosen), label.index_select(0, chosen), weight.index_select(0, chosen), group)

    def order(self, steps: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Row numbers, and which of the step's requests each row belongs to (or nothing of use)."""
        n, offsets = self.groups, self.offsets
        order = torch.randperm(n, generator=generator)
        for step in range(steps):
            part = order[n * step // steps : n * (step + 1) // steps]
            if offsets is None:
                yield part, part
            else:
                starts, ends = offsets[part], offsets[part + 1]
                group = np.repeat(np.arange(len(part)), ends - starts)
                yield torch.from_numpy(spans(starts, ends)), torch.from_numpy(group)

    @cached_property
    def lengths(self) -> Int64:
        """How many entries there are in all windows of each request."""
        return np.sum([(self.inputs.asked[name] > 0).sum(1) for name in self.windows], axis=0)

    def _inputs(self, chosen: Tensor) -> dict[str, Tensor]:
        """Of the rows ``chosen``, and of each of their requests once."""
        read = self.inputs
        rows = chosen.numpy()
        taken = {name: torch.from_numpy(array) for name, array in read.of_rows(rows).items()}
        if read.request is not None:
            requests, at = np.unique(read.request[rows], return_inverse=True)
            taken |= {name: torch.from_numpy(array.take(requests, axis=0)) for name, array in read.asked.items()}
            for window in self.windows:
                longest = max(1, int((taken[window] > 0).sum(1).max()))  # padding is on the left
                fields = [name for name in read.asked if name.partition(".")[0] == window]
                taken |= {name: taken[name][:, -longest:] for name in fields}
            taken[REQUEST] = torch.from_numpy(at)
        return taken

    def answers(self, net: nn.Module) -> Float32:
        """[m, ...]: what the net says to each row, those with histories of about one length at once."""
        if not self.windows or self.inputs.request is None:
            return predict(net, self.inputs)
        order = np.argsort(self.lengths[self.inputs.request], kind="stable")
        parts = (order[a : a + CHUNK] for a in range(0, max(1, len(order)), CHUNK))
        return _answers(net, len(self), ((rows, self._inputs(torch.from_numpy(rows))) for rows in parts))

    def loss(self, net: nn.Module, loss: RowLoss) -> float:
        """Of all rows."""
        group = np.zeros(len(self), np.int64)
        if self.offsets is not None:
            group = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        given = (self.answers(net), self.label, self.weight, group)
        return float(loss(*map(torch.from_numpy, given)))

    def figure(self, loss: RowLoss, monitor: str) -> Callable[[nn.Module], float] | None:
        """What is looked at: the loss, or 1 - AUC; smaller is better. None where it is the same for every net."""
        positives = int((self.label > 0).sum())
        if monitor == "auc":
            return (lambda net: 1 - auc(self.label, self.answers(net))) if 0 < positives < len(self) else None
        telling = len(self) > 0 and (loss is not softmax or positives > 0)
        return (lambda net: self.loss(net, loss)) if telling else None


def tensors_of(inputs: Inputs) -> dict[str, Tensor]:
    """The arrays as tensors, by name."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.named().items()}


def predict(net: nn.Module, inputs: Inputs | Streamed) -> Float32:
    """[m, ...]: what the net answers to each row."""
    starts = range(0, max(1, len(inputs)), CHUNK)
    parts = ((slice(a, a + CHUNK), tensors_of(inputs.part(a, a + CHUNK))) for a in starts)
    return _answers(net, len(inputs), parts)


def _answers(net: nn.Module, m: int, parts: Iterable[tuple[Array | slice, Mapping[str, Tensor]]]) -> Float32:
    """[m, ...] of ``parts``: which rows, and what the net reads of them."""
    net.eval()
    parameter = next(net.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    found: Float32 | None = None  # filled as it goes: answers kept among a chunk's larger tensors would split the heap
    with torch.inference_mode():
        for rows, read in parts:
            answer = net({name: tensor.to(device) for name, tensor in read.items()}).float().cpu().numpy()
            found = np.empty((m, *answer.shape[1:]), np.float32) if found is None else found
            found[rows] = answer
    assert found is not None
    return found


def auc(label: Array, score: Array) -> float:
    """The chance that a random positive is above a random negative; .5 where there is only one kind."""
    positive = label > 0
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return 0.5
    return float((rankdata(score)[positive].sum() - p * (p + 1) / 2) / (p * n))
