"""What the channels share whose vectors come from a net: what is learned from, the objective, when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from shortlist.component import InputError, Search
from shortlist.data import Dataset, Signal, State, Table
from shortlist.data.elsewhere import ELSEWHERE
from shortlist.encode.inputs import Inputs
from shortlist.nn import loop
from shortlist.nn.retrieval import Objective, against, bpr, full_softmax, gbce, ndcg, sampled_softmax
from shortlist.nn.rivals import Draw, Rivals
from shortlist.nn.sequences import Asked, Each, Step, held
from shortlist.nn.trained import Trained
from shortlist.progress import emit
from shortlist.recall._vectors import Vectors
from shortlist.types import HISTORY, Array, Bool, Float32, Ragged, Requests, spans

ASKED = 4_000
"""Questions for a next item that stop training, at most."""
FEW = 20
"""Fewer of them do not say when to stop."""
BLOCK = 512
"""Of them scored against all items at once."""


class Retrieval(nn.Module):
    """A net that answers requests with vectors and has one for each item."""

    first: tuple[Tensor, Tensor] | None = None  # columns [m] and vectors [m, f] that items begin with

    def warm(self) -> None:
        """Called when all parts have drawn theirs."""
        if self.first is not None:
            self.begin(*self.first)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """[n, heads, f]: what requests are answered with."""
        raise NotImplementedError

    def items(self, columns: Tensor | None) -> Tensor:
        """[..., f]: vectors of the items in ``columns`` [...], or of all in turn [c, f]."""
        raise NotImplementedError

    def begin(self, columns: Tensor, vectors: Tensor) -> None:
        """Sets the first vectors of the items in ``columns`` [m] to ``vectors`` [m, f]."""
        raise InputError("warm_start: what this channel finds items by is made of attributes and layers; leave it out")

    def towards(self, step: Step) -> tuple[Tensor, Tensor]:
        """(p [b, w, f], target [b, w]): the vectors that are to find the targets of a step; -1 = no target."""
        return self(step.inputs), step.target[:, None]


class Learned(Trained, Vectors):
    """A channel with a net of two sides: p(request) · q(item).

    A subclass says ``build`` (a ``Retrieval``), ``read`` (what the net reads of histories) and ``batches``. The last
    ``hold`` of the log tells when to stop; then the net learns again from all of it, for as long.
    """

    _first: Any = PrivateAttr(default=None)
    sizes: ClassVar[Mapping[str, str]] = {"weight_names_": "w", "weights_": "w v", "width_": "f"}
    output: ClassVar[str] = "vector"

    signal: Signal = "positive"
    """Which events are learned from and count as history: the positive ones, or all."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """Items with fewer events that count are unknown to the model."""
    factors: Annotated[int, Field(ge=1), Search(32, 256, log=True)] = 64
    """The length of the vectors."""
    objective: Annotated[Objective, Search(choices=("softmax", "sampled", "gbce", "bpr"))] = "softmax"
    """What is made small: -log of the right item's share among all (``softmax``) or among itself and its rivals
    (``sampled``), the calibrated binary cross-entropy of both (``gbce``), or that a rival is above it (``bpr``)."""
    negatives: Annotated[int, Field(ge=1), Search(16, 1024, log=True)] = 256
    """Rivals drawn; ``softmax`` needs none."""
    draw: Annotated[Draw, Search(choices=("uniform", "log", "popularity", "batch", "mixed"))] = "uniform"
    """How rivals are drawn: all items alike, by Zipf's law over their popularity, by popularity, the targets of the
    same batch, or these and uniform ones."""
    each: Each = "sequence"
    """What has rivals of its own; the more, the slower. Those of a batch are shared by all of it."""
    correct: bool = True
    """Whether the scores of ``sampled`` are less log Q, Q an item's chance to be drawn: else what is drawn often is
    told off for it. The others compare a score with 0 or with another's, where nothing such is known to be right."""
    calibration: Annotated[float, Field(ge=0, le=1)] = 0.75
    """t of ``gbce``: 0 = odds as drawing left them, 1 = as if all items had been there."""
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the log, by time, kept to see when to stop (each user's last event where there are no times); 0 = none,
    and training takes all ``epochs``."""
    relearn: bool = True
    """Whether the net then learns from the whole log, as long as was best; else it stays as it was without the end."""
    warm_start: str | None = None
    """A bundle whose item vectors this net's begin as, where it knows the item: of the channel of the same name there,
    or of the first with vectors. Of a log that ends later than this one's cut, figures are labelled not time-true."""
    warm_by: str | None = None
    """The attribute by which items of both are matched (a title); none = their ids."""
    rate: Annotated[float, Field(gt=0), Search(3e-4, 1e-2, log=True)] = 1e-3
    """Step size of the optimiser."""
    batch: Annotated[int, Field(ge=2), Search(32, 1024, log=True)] = 128
    """Requests, or users' sequences, of a step."""
    epochs: Annotated[int, Field(ge=1)] = 100
    """Passes over the log, at most."""
    stopping: Annotated[int, Field(ge=0)] = 5
    """Stop when so many checks in a row were no better; 0 = never."""
    l2: Annotated[float, Field(ge=0), Search(1e-4, 1.0, log=True)] = 0.0
    """Decay of the layers' weights (decoupled, AdamW): each step takes ``rate`` × this share of them away."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-7, 1e-2, log=True)] = 0.0
    """Squared penalty (coupled: half of it × w² in the loss) on the vectors of codes."""

    def read(self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table) -> dict[str, Array]:
        """[n, ...] by name: what the net reads of the entries of ``log`` at ``start <= place < end``, and of ``who``.

        ``now`` [n] are the moments asked at (microseconds), ``who`` [n] codes of ``users``, -1 = nobody known.
        """
        raise NotImplementedError

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> loop.Batches:
        """What the net learns from."""
        raise NotImplementedError

    def counts(self, log: Ragged) -> Bool:
        """[m] which entries are to be told; the others are history only."""
        return np.ones(len(log["item"]), bool)

    def learn_inputs(self, data: Dataset, log: Ragged) -> None:
        """Learns what ``read`` needs, before the net is built."""

    def fit(self, data: Dataset) -> Self:
        """Trains the net and keeps its item vectors."""
        log = self._log(data)
        self.learn_inputs(data, log)
        self._first = self._elsewhere(data)
        early, asked = held(
            log, self.hold, counts=self.counts(log), order_only=data.order_only, at_most=ASKED, seed=self.seed
        )
        if self.hold and len(asked) < FEW:
            said = f"{type(self).__name__}: {len(asked)} users say when to stop, expected {FEW}: all epochs are run"
            emit("warning", message=said)
        if len(asked) < FEW:
            self.learn(self.batches(log, self._rivals(log), data.users))
        else:
            figure = partial(self._missed, asked=asked, users=data.users)
            self.learn(self.batches(early, self._rivals(early), data.users), figure)
            if self.relearn:
                self.learn(self.batches(log, self._rivals(log), data.users), None, self.checks_)
        with loop.threads(self.threads), torch.inference_mode():
            net = self.net()
            assert isinstance(net, Retrieval)
            q = net.items(None).numpy()
            self.width_: int = q.shape[1]
            self._keep(q, data)
        self._first = None
        return self

    def _log(self, data: Dataset) -> Ragged:
        """Learns the vocabulary; what counts of each user's events, with the columns of items."""
        log = data.sequences(signal=self.signal)
        counts = np.bincount(log["item"], minlength=data.n_items)
        self._know(np.flatnonzero(counts >= self.min_count), data.n_items)
        return self._counted(log)

    def _counted(self, log: Ragged) -> Ragged:
        """Those entries of histories that are of known items and, with ``signal = "positive"``, positive."""
        column = self._columns(log["item"])
        kept = Ragged(log.offsets, {**log.columns, "item": column})
        return kept.keep((column >= 0) & ((log["weight"] > 0) | (self.signal == "all")))

    def train(self, net: nn.Module, batches: loop.Batches, figure: loop.Figure | None, until: int, share: float) -> int:
        """As every net, after its items' vectors were set to those known from elsewhere."""
        if self.warm_start is not None:
            assert isinstance(net, Retrieval)
            net.first = self._first
        return super().train(net, batches, figure, until, share)

    def _elsewhere(self, data: Dataset) -> tuple[Tensor, Tensor] | None:
        """(columns [m], vectors [m, f]) that another bundle knows."""
        if self.warm_start is None:
            return None
        known = data.extra.get(ELSEWHERE, {}).get((self.warm_start, self.warm_by))
        if known is None:
            raise InputError(f"warm_start: nothing was read from {self.warm_start}: shortlist fit does that")
        if known.vector.shape[1] != self.factors:
            raise InputError(f"warm_start: expected vectors of {self.factors} factors, found {known.vector.shape[1]}")
        columns = self._columns(known.item)
        mine = columns >= 0
        return torch.from_numpy(columns[mine].astype(np.int64)), torch.from_numpy(known.vector[mine])

    def _rivals(self, log: Ragged) -> Rivals | None:
        if self.objective == "softmax":
            return None
        counts = np.bincount(log["item"][self.counts(log)], minlength=len(self.items_))
        return Rivals(counts, self.draw, self.negatives, self.correct)

    def _missed(self, net: nn.Module, asked: Asked, users: Table) -> float:
        """1 - NDCG@100 of the next item among all but those met before."""
        assert isinstance(net, Retrieval)
        net.eval()
        device = next(net.parameters()).device
        total = 0.0
        with torch.inference_mode():
            q = net.items(None)
            for first in range(0, len(asked), BLOCK):
                some = slice(first, first + BLOCK)
                start, end, target = asked.start[some], asked.end[some], torch.from_numpy(asked.target[some])
                read = self.read(asked.log, start, end, asked.now[some], asked.row[some], users)
                x = {name: torch.from_numpy(array).to(device) for name, array in read.items()}
                p = net(x)
                scores = (p @ q.T).masked_fill((p == 0).all(-1, keepdim=True), -torch.inf).amax(1).cpu()
                met = asked.log["item"][spans(start, end)].astype(np.int64)
                rows = np.repeat(np.arange(len(start)), end - start)
                own = scores.gather(1, target[:, None])
                scores[torch.from_numpy(rows[met >= 0]), torch.from_numpy(met[met >= 0])] = -torch.inf
                total += float(ndcg(scores.scatter(1, target[:, None], own), target).sum())
        return 1 - total / len(asked)

    def loss(self, net: nn.Module, batch: Step) -> Tensor:
        """The objective over the targets of a step, divided by how many a step usually has."""
        assert isinstance(net, Retrieval)
        p, target = net.towards(batch)
        told = target >= 0
        if batch.rivals is None:
            return full_softmax(p[told], target[told], net.items(None)) / batch.usual
        if len(batch.rivals) == 1:  # all targets share them
            p, target = p[told][None], target[told][None]
        elif len(batch.rivals) != len(p):  # each target has its own
            p, target = p[told][:, None], target[told][:, None]
        right, wrong = against(p, target, batch.rivals, net.items)
        if batch.log_q is not None and self.objective == "sampled":
            right = right - batch.log_q[target.clamp(min=0)]
            wrong = wrong - batch.log_q[batch.rivals][:, None]
        if self.objective == "sampled":
            each = sampled_softmax(right, wrong)
        elif self.objective == "bpr":
            each = bpr(right, wrong)
        else:
            each = gbce(right, wrong, wrong.shape[-1] / max(len(self.items_) - 1, 1), self.calibration)
        return each[target >= 0].sum() / batch.usual

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, heads, f] of the net, from the history as it is when asked."""
        log = self._counted(requests.history)
        return self.predict(
            Inputs(self.read(log, log.offsets[:-1], log.offsets[1:], requests.time, requests.user, state.users))
        )

    def traced(self) -> Inputs:
        """Two requests of nobody, without a history."""
        log = self._counted(Ragged.empty(2, **HISTORY))
        nobody, users = np.full(2, -1, np.int32), Table(0)
        return Inputs(self.read(log, log.offsets[:-1], log.offsets[1:], np.zeros(2, np.int64), nobody, users))
