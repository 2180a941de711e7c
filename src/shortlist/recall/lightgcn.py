"""LightGCN: vectors smoothed over the graph of who took what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from numba import njit
from pydantic import Field, PrivateAttr
from torch import Tensor, nn
from torch.nn import functional

from shortlist.component import Search
from shortlist.data import Dataset, State, Table
from shortlist.nn.propagation import Bipartite
from shortlist.nn.retrieval import Objective
from shortlist.nn.rivals import Rivals
from shortlist.nn.sequences import Each, Step, step, steps_of
from shortlist.recall._embeddings import largest
from shortlist.recall._kernels.history import ONCE, weighted
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._learned import Learned, Retrieval
from shortlist.types import Array, Candidates, Float32, Int32, Int64, Ragged, Requests

REDRAWN = 3
"""How often rivals that their user took are drawn anew."""
DEVIATION = 0.1
"""Of the first vectors."""


class LightGCN(Learned):
    """Vectors of users and items, averaged over the walks of up to ``depth`` steps in the graph of who took what.

    E^(l+1) = D^-1/2 A D^-1/2 E^(l),  E = (E^(0) + ... + E^(L)) / (L + 1),  score(u, i) = e_u · e_i

    A joins users and the items they took, D counts edges, L = ``depth``. Learned are the vectors E^(0), on every
    pair of the log. A request is answered from its history as it is, by the same rule,

        p_r = ([own] e_u^(0) + |N|^-1/2 Σ_{j in N} d_j^-1/2 (e_j^(0) + ... + e_j^(L-1))) / (L + 1),  N its items,

    which for a user who did nothing since the fit is e_u. So newcomers are answered and live clicks count at once,
    while what others did since reaches nobody before the next fit. Without ``own`` nothing of e_u is lost on newcomers
    and a fit takes two thirds of the time; with it movielens-100k is told better (NDCG@10 +.012), movietweetings not.
    For logs where the signal is thin: items that no user took together are near each other if their users' other items
    were.

    Source: He, Deng, Wang, Li, Zhang, Wang (2020), LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation.
    """

    sizes: ClassVar[Mapping[str, str]] = {"sources_": "c f", "askers_": "a", "own_": "a f"}

    depth: Annotated[int, Field(ge=1, le=8), Search(1, 4)] = 3
    """L: the steps of the longest walk."""
    own: Annotated[bool, Search(choices=(True, False))] = True
    """Whether users have a vector to learn, as in the paper, or only what comes to them from items."""
    objective: Annotated[Objective, Search(choices=("softmax", "sampled", "gbce", "bpr"))] = "bpr"
    """What is made small: that a rival is above the right item (``bpr``), or as in the other learned channels."""
    negatives: Annotated[int, Field(ge=1), Search(1, 1024, log=True)] = 1
    """Rivals drawn for each pair; ``softmax`` needs none."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-6, 1e-2, log=True)] = 1e-4
    """Squared penalty: half of it × the squares of E^(0) of a step's users, items and (their mean) rivals."""
    batch: Annotated[int, Field(ge=2), Search(256, 8192, log=True)] = 2048
    """Pairs of a step; every step takes the whole graph, whatever it is."""
    rate: Annotated[float, Field(gt=0), Search(3e-4, 1e-2, log=True)] = 5e-3
    """Step size of the optimiser."""
    epochs: Annotated[int, Field(ge=1)] = 300
    """Passes over the log, at most; steps are large and few."""
    stopping: Annotated[int, Field(ge=0)] = 20
    """Stop when so many checks in a row were no better; 0 = never."""

    _graph: Bipartite | None = PrivateAttr(default=None)

    def fit(self, data: Dataset) -> Self:
        """Keeps the items' vectors and what each brings to those who have it."""
        super().fit(data)
        net = self.net()
        assert isinstance(net, _Net)
        with torch.inference_mode():
            self.sources_: Float32 = np.ascontiguousarray(net.sources().numpy())
            own = net.p.detach() / (self.depth + 1) if net.p is not None else torch.zeros(0, self.factors)
        self.own_: Float32 = own.numpy().copy()  # of askers_; none where users have no vector
        self.forget()
        del self.weights_, self.weight_names_  # nothing else asks for them
        self._graph = None
        return self

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Pairs:
        """Its pairs, each once; the net that is built next travels in their graph."""
        row, column = _distinct(log, len(self.items_))
        self.askers_: Int32 = np.flatnonzero(np.bincount(row, minlength=len(log))).astype(np.int32)  # users with any
        row = np.searchsorted(self.askers_, row)
        self._graph = Bipartite.of(row, column, len(self.askers_), len(self.items_))
        return Pairs(row, column, len(self.items_), rivals, self.each)

    def build(self) -> _Net:
        """Untrained, in the graph of the log last learned from."""
        assert self._graph is not None
        return _Net(self._graph, self.factors, self.depth, own=self.own)

    def loss(self, net: nn.Module, batch: Step) -> Tensor:
        """The objective and the penalty."""
        assert isinstance(net, _Net)
        total = super().loss(net, batch)
        if not self.embedding_l2:
            return total
        squares = net.q[batch.target].square().sum()
        if net.p is not None:
            squares = squares + net.p[batch.inputs["row"]].square().sum()
        if batch.rivals is not None:
            squares = squares + net.q[batch.rivals].square().sum() * (len(batch.target) / batch.rivals.numel())
        return total + self.embedding_l2 / 2 * squares / batch.usual

    def read(self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table) -> dict[str, Array]:
        """``item`` [n, w]: each history's distinct columns + 1, padded with 0; ``row`` [n] of askers or -1."""
        width = int((end - start).max(initial=0))
        place = start[:, None] + np.arange(width)
        column = log["item"][np.minimum(place, max(len(log["item"]) - 1, 0))].astype(np.int64) + 1
        item = np.sort(np.where(place < end[:, None], column, 0), axis=1)
        item[:, 1:][item[:, 1:] == item[:, :-1]] = 0
        return {"item": item, "row": self._askers(who)}

    def _askers(self, users: Array) -> Int64:
        """[n]: the place of each user among those of the fit, -1 for others."""
        place = np.searchsorted(self.askers_, users)
        known = np.append(self.askers_, np.int32(-2))[place] == users
        return np.where(known, place, -1).astype(np.int64)

    def _taken(self, requests: Requests) -> Sparse:
        """The distinct known items of each history, each of weight |N|^-1/2."""
        history = requests.history
        strength = ((history["weight"] > 0) | (self.signal == "all")).astype(np.float32)
        log = history.offsets, history["item"], strength, history["time"]
        offsets, columns, _ = weighted(*log, self.column_, len(self.items_), 0.0, 0.0, 0, ONCE)
        number = np.diff(offsets)
        return Sparse(offsets, columns, np.repeat(1 / np.sqrt(np.maximum(number, 1)), number).astype(np.float32))

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, 1, f]; 0 where neither user nor history is known."""
        row = self._askers(requests.user) if len(self.own_) else np.full(len(requests), -1)
        p = np.zeros((len(requests), self.sources_.shape[1]), np.float32)
        p[row >= 0] = self.own_[row[row >= 0]]
        _add(*self._kept(self._taken, requests), self.sources_, p)
        return p[:, None]

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the history with the largest term of the score above 0; -1 where there is none."""
        taken, wanted = self._kept(self._taken, requests), self._columns(candidates.item)
        return self._named(largest(*taken, self.sources_, self.table_.T, candidates.request, wanted))

    def files(self) -> dict[str, bytes]:
        """None: a request is a sum of rows of the arrays."""
        return {}


@dataclass(frozen=True)
class Pairs:
    """Distinct pairs of users and items as ``loop.Batches``; rivals are no items of their user, if others are found."""

    row: Int64  # [m]
    column: Array  # [m]
    count: int  # of columns
    rivals: Rivals | None
    each: Each

    @cached_property
    def keys(self) -> Tensor:
        """[m] ascending."""
        return torch.from_numpy(np.sort(self.row * self.count + self.column))

    def __len__(self) -> int:
        return len(self.row)

    def steps(self, batch: int) -> int:
        """How many batches of about ``batch`` pairs: of a small log ``STEPS`` smaller ones."""
        return steps_of(len(self), batch) if len(self) > 1 and self.count > 1 else 0

    def epoch(self, steps: int, generator: torch.Generator) -> Iterator[Step]:
        """``steps`` batches in an order drawn from ``generator``."""
        row, column = torch.from_numpy(self.row), torch.from_numpy(self.column.astype(np.int64))
        for some in torch.randperm(len(self), generator=generator).tensor_split(steps):
            drawn = step({"row": row[some]}, column[some], self.rivals, self.each, len(self) / steps, generator)
            yield drawn if self.rivals is None else self._apart(drawn, self.rivals, generator)

    def _apart(self, drawn: Step, rivals: Rivals, generator: torch.Generator) -> Step:
        chosen = drawn.rivals
        if chosen is None or len(chosen) != len(drawn.target):  # those of a batch belong to nobody
            return drawn
        first = drawn.inputs["row"][:, None] * self.count
        for _ in range(REDRAWN):
            key = (first + chosen).reshape(-1)
            place = torch.searchsorted(self.keys, key).clamp(max=len(self.keys) - 1)
            taken = torch.nonzero(self.keys[place] == key)[:, 0]
            if not len(taken):
                break
            anew = rivals.drawn(-(-len(taken) // rivals.number), drawn.target, generator)
            chosen.view(-1)[taken] = anew.reshape(-1)[: len(taken)]
        return drawn


def _distinct(log: Ragged, count: int) -> tuple[Int64, Int64]:
    """(row, column) of the pairs of a log, each once, ascending."""
    keys = np.unique(log.rows * np.int64(max(count, 1)) + log["item"])
    return keys // max(count, 1), keys % max(count, 1)


class _Net(Retrieval):
    def __init__(self, graph: Bipartite, width: int, depth: int, *, own: bool) -> None:
        super().__init__()
        users, count = graph.there.shape
        self.p = nn.Parameter(torch.empty(users, width)) if own else None
        self.q = nn.Parameter(torch.empty(count, width))
        self.graph, self.depth = graph, depth
        degree = torch.diff(graph.back.crow_indices()).clamp(min=1)
        self.register_buffer("scale", degree.float().rsqrt()[:, None], persistent=False)
        self.now: tuple[Tensor, Tensor, Tensor] | None = None

    def reset(self, generator: torch.Generator) -> None:
        """Normal."""
        for table in (self.p, self.q):
            if table is not None:
                nn.init.normal_(table, 0, DEVIATION, generator=generator)

    def train(self, mode: bool = True) -> Self:
        """Forgets what was worked out of other weights."""
        self.now = None
        return super().train(mode)

    def spread(self) -> tuple[Tensor, Tensor, Tensor]:
        """e of users and of items, and of items what it is without the last layer: once a step, or once a check."""
        if self.now is None:
            if self.graph.there.device != self.q.device:
                self.graph = self.graph.to(self.q.device)
            users, items, before = self.graph.spread(self.p, self.q, self.depth)
            share = 1 / (self.depth + 1)
            self.now = users * share, items * share, before * share
        return self.now

    def sources(self) -> Tensor:
        """[c, f]: d_j^-1/2 (e_j^(0) + ... + e_j^(L-1)) / (L + 1)."""
        scale = self.get_buffer("scale")
        return self.spread()[2] * scale

    def begin(self, columns: Tensor, vectors: Tensor) -> None:
        with torch.no_grad():
            self.q[columns] = vectors

    def items(self, columns: Tensor | None) -> Tensor:
        items = self.spread()[1]
        return items if columns is None else functional.embedding(columns, items)

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """The request's rule, to see when to stop."""
        table = functional.pad(self.sources(), (0, 0, 1, 0))
        number = (x["item"] > 0).sum(1, keepdim=True).clamp(min=1)
        p = functional.embedding_bag(x["item"], table, mode="sum", padding_idx=0) * number.rsqrt()
        if self.p is not None and len(self.p):
            known = x["row"][:, None] >= 0
            p = p + known * self.p[x["row"].clamp(min=0)] / (self.depth + 1)
        return p[:, None]

    def towards(self, step: Step) -> tuple[Tensor, Tensor]:
        self.now = None
        return functional.embedding(step.inputs["row"], self.spread()[0])[:, None], step.target[:, None]


@njit(cache=True, nogil=True)
def _add(offsets: Array, columns: Array, weights: Array, vectors: Array, out: Array) -> None:
    """out[r] += sum_j w_rj v_j, in the order of the history."""
    for r in range(len(offsets) - 1):
        for e in range(offsets[r], offsets[r + 1]):
            for d in range(vectors.shape[1]):
                out[r, d] += weights[e] * vectors[columns[e], d]
