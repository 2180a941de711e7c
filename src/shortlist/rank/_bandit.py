"""What exploring rankers share: a linear model of the reward, how sure it is, and rows that come one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import InputError, Search
from shortlist.durations import Duration
from shortlist.encode import _fields as kernel
from shortlist.encode.design import Design, to_csr
from shortlist.rank._gram import add
from shortlist.rank._linear import EncodedRanker
from shortlist.rank._table import UnstoppedRanker
from shortlist.types import Array, Candidates, Float32, Float64, Int32, Samples

MOST = 2**27
"""Numbers that sums may have: 1 GiB."""
BLOCK = 2**22
"""Numbers that are worked out at a time."""


class Belief(NamedTuple):
    """What is believed of rows: value = mean + uᵀ(β - mean of β) + t ε, with β and ε independent and normal."""

    mean: Float64  # [m]
    shared: sp.csr_matrix | None  # [m, d] u: how a row hangs on what all items share; None = β is taken as known
    own: Float64 | None  # [m] t: the deviation of what the item has of its own; None = nothing


class LinearBandit(EncodedRanker, UnstoppedRanker):
    """E[reward | row] = zᵀβ + xᵀδ_item, z the design of the row's columns with a 1 behind it, x a part of z (``own``).

    β ~ N(0, 1/l2), δ ~ N(0, 1/l2), noise of variance 1; a subclass says what it makes of the posterior. Kept are sums
    over rows: S = Σ w z zᵀ, Σ w y z, and of each item with rows B_a = Σ w x zᵀ, Σ w y x. So further rows are added to
    them (``update``) with the result of learning from all rows at once. With A_a = l2 I + Σ w x xᵀ:

    shared     A = l2 I + S; β = A⁻¹ Σ w y z; δ = 0.
    disjoint   β as shared, and taken as known: it is the prior mean of all items. δ_a = A_a⁻¹ (Σ w y x - B_a β).
    hybrid     A = l2 I + S - Σ_a B_aᵀ A_a⁻¹ B_a; β = A⁻¹ (Σ w y z - Σ_a B_aᵀ A_a⁻¹ Σ w y x); δ_a likewise.

    An item without rows has δ = 0 and A_a = l2 I: what all items share, less surely.
    """

    sizes: ClassVar[Mapping[str, str]] = {
        "at_": "q+1 <e", "sums_": "q+1 q+1", "rewards_": "q+1", "mean_": "q+1", "items_": "a", "own_sums_": "a e q+1",
        "own_rewards_": "a e", "own_inverse_": "a e e", "own_mean_": "a e",
    }  # fmt: skip

    parameters: Literal["shared", "disjoint", "hybrid"] = "shared"
    """Whether items have parameters of their own: none, on top of a known mean, or learned together with the shared."""
    own: list[str] | None = None
    """Columns that an item's own parameters read, besides a constant; none given = all, ``[]`` = the constant alone."""
    l2: Annotated[float, Field(gt=0), Search(0.1, 100.0, log=True)] = 1.0
    """Precision of every parameter before anything was seen; the smaller, the more is tried."""
    buckets: Annotated[int, Field(ge=0), Search(5, 100, log=True)] = 0
    """Quantile buckets of each number, besides its standardised value; 0 = none. Sums grow with the width squared."""

    every: Duration | None = None
    """How often it learns, while it serves, from what was shown (``samples.source = "exposures"``) and what came of it
    within ``samples.window``; none = at the next fit."""

    @property
    def predicts(self) -> bool:
        """No: the score is what is hoped or drawn, not a probability."""
        return False

    def without_effect(self) -> frozenset[str]:
        """``own`` where no item has parameters."""
        return super().without_effect() | (frozenset({"own"}) if self.parameters == "shared" else frozenset())

    def _learn(self, samples: Samples) -> Self:
        self.learn_columns(samples.candidates)
        observed, _, _ = self.target(samples)
        design = self.fit_design(self.table(samples.candidates)[observed].T, self.columns_, self.categorical_)
        width = design.width_ + 1
        self._refuse_large(width, width, 1)
        self.at_ = self._own_columns(design)
        parts = int(self.at_.max()) + 1
        self.sums_, self.rewards_ = np.zeros((width, width)), np.zeros(width)
        self.items_ = np.empty(0, np.int32)
        self.own_sums_, self.own_rewards_ = np.empty((0, parts, width)), np.empty((0, parts))
        return self.update(samples)

    def update(self, samples: Samples) -> Self:
        """Learns from further rows, of items that were met before or not; how columns are read stays as it is.

        The same to the last bit as having learned from the earlier and these rows in one go, with those columns.
        """
        observed, reward, weight = self.target(samples)
        columns, values = self._entries(samples.candidates)
        columns, values = columns[observed], values[observed]
        width, nobody = len(self.at_), np.zeros(len(reward), np.int64)
        sums, rewards = self.sums_[None].copy(), self.rewards_[None].copy()
        add(columns, values, weight, reward, nobody, np.arange(width, dtype=np.int32), sums, rewards)
        self.sums_, self.rewards_ = sums[0], rewards[0]
        if self.parameters != "shared":
            self._add_own(samples.candidates.item[observed], columns, values, weight, reward)
        self._settle()
        return self

    def pace(self) -> int | None:
        """``every``."""
        return self.every

    def _add_own(self, item: Array, columns: Int32, values: Float32, weight: Float64, reward: Float64) -> None:
        known, (_, parts, width) = np.union1d(self.items_, item[item >= 0]).astype(np.int32), self.own_sums_.shape
        self._refuse_large(len(known), parts, width)
        sums, rewards = np.zeros((len(known), parts, width)), np.zeros((len(known), parts))
        before = np.searchsorted(known, self.items_)
        sums[before], rewards[before] = self.own_sums_, self.own_rewards_
        mine = item >= 0  # rows of a plain table are of no item
        slot = np.searchsorted(known, item[mine])
        add(columns[mine], values[mine], weight[mine], reward[mine], slot, self.at_, sums, rewards)
        self.items_, self.own_sums_, self.own_rewards_ = known, sums, rewards

    def _settle(self) -> None:
        """From the sums to ``mean_`` [d] β, ``own_mean_`` [a, e] δ and ``own_inverse_`` [a, e, e] A_a⁻¹."""
        precision, reward = self.sums_ + self.l2 * np.eye(len(self.at_)), self.rewards_
        b, y = self.own_sums_, self.own_rewards_
        inside = np.argsort(self.at_)[np.sum(self.at_ < 0) :]  # the design column of each part of x
        self.own_inverse_ = np.linalg.inv(b[:, :, inside] + self.l2 * np.eye(len(inside)))
        if self.parameters == "hybrid" and len(b):
            seen = self.own_inverse_ @ b  # [a, e, d]
            precision = precision - np.tensordot(b, seen, ([0, 1], [0, 1]))
            reward = reward - np.tensordot(seen, y, ([0, 1], [0, 1]))
        precision = (precision + precision.T) / 2
        self.mean_ = np.linalg.solve(precision, reward)
        self.own_mean_ = np.einsum("aij,aj->ai", self.own_inverse_, y - b @ self.mean_)
        self._doubt(precision)

    def _doubt(self, precision: Float64) -> None:
        """Learns what is needed of how sure β is: ``precision`` [d, d] is its own."""
        raise NotImplementedError

    def believed(self, candidates: Candidates) -> Belief:
        """What is believed of each row."""
        columns, values = self._entries(candidates)
        mean, z = np.empty(len(candidates)), to_csr(columns, values, len(self.at_))
        kernel.weighted(columns, values, self.mean_, 0.0, mean)
        if self.parameters == "shared":
            return Belief(mean, z, None)
        x = np.zeros((len(candidates), int(self.at_.max()) + 1))
        row, entry = np.nonzero(self.at_[columns] >= 0)
        np.add.at(x, (row, self.at_[columns[row, entry]]), values[row, entry])
        slot = np.searchsorted(self.items_, candidates.item)
        known = np.flatnonzero(np.append(self.items_, -1)[slot] == candidates.item)
        known = known[candidates.item[known] >= 0]
        slot, sure = slot[known], x / self.l2  # [m, e] A_a⁻¹ x
        sure[known] = np.einsum("rij,rj->ri", self.own_inverse_[slot], x[known])
        mean[known] += np.einsum("rj,rj->r", self.own_mean_[slot], x[known])
        own = np.sqrt(np.maximum(np.einsum("rj,rj->r", sure, x), 0))
        if self.parameters == "disjoint":
            return Belief(mean, None, own)
        u = z.toarray()
        u[known] -= np.einsum("re,red->rd", sure[known], self.own_sums_[slot])
        return Belief(mean, sp.csr_matrix(u), own)

    def _blocks(self, candidates: Candidates, n: int, more: int = 1) -> Iterator[tuple[int, int]]:
        """Requests [first, last) whose rows take about ``BLOCK`` numbers; ``more`` numbers a row are worked out."""
        width, parts = len(self.at_), int(self.at_.max()) + 1
        each = max(width * (parts if self.parameters == "hybrid" else 1), parts * parts, more)
        offsets, first = candidates.offsets(n), 0
        while first < n:
            last = int(np.searchsorted(offsets, offsets[first] + BLOCK // each, "right")) - 1
            yield first, max(first + 1, last)
            first = max(first + 1, last)

    def _entries(self, candidates: Candidates) -> tuple[Int32, Float32]:
        """(design columns, values), each [m, f + 1]: the entries of z, the constant last."""
        columns, values = self.design().transform(self.table(candidates))
        constant = np.full((len(values), 1), len(self.at_) - 1, np.int32)
        return np.hstack([columns, constant]), np.hstack([values, np.ones_like(constant, np.float32)])

    def _own_columns(self, design: Design) -> Int32:
        """[d]: the place of each design column in x, -1 = not there; all of them unless ``own`` says which."""
        names = self.columns_.tolist()
        for name in self.own or []:
            if name not in names:
                raise InputError(f"own: no column {name!r}; there are {', '.join(names)}")
        shown = design.first_ >= 0
        of = np.isin(design.left_, [names.index(name) for name in self.own or []]) & (design.kind_ != kernel.CROSS)
        inside = np.append(np.repeat(of[shown] | (self.own is None), design.codes_[shown]), True)
        return np.where(inside, np.cumsum(inside) - 1, -1).astype(np.int32)

    def _refuse_large(self, *lengths: int) -> None:
        if int(np.prod(lengths)) > MOST:
            shape = " × ".join(f"{length:,}" for length in lengths if length > 1)
            raise InputError(
                f"parameters: {self.parameters} needs {shape} sums, more than {MOST:,}; let it learn from fewer "
                "columns (columns, without, min_count), or give items fewer of their own (own = [] is a constant each)"
            )
