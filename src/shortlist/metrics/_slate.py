"""Lists that were shown, beside what would have been right: what every metric of lists is computed from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shortlist.metrics._lists import counts, ends_of, joined, means
from shortlist.types import Array, Bool, Candidates, Float64, Int32, Int64, Ragged, UInt32


@dataclass(frozen=True, slots=True)
class Slates:
    """The first ``k`` rows of each request, joined once with its targets.

    Metrics of accuracy read ``hits`` alone, the others the first rows of each list from ``starts`` on, so that every
    cut-off costs no more than the rows it is about.
    """

    request: UInt32  # [m] row number of the request, ascending
    item: Int32  # [m]
    rank: Int32  # [m] place in the list, from 1, ascending within a request
    hit: Bool  # [m] the item is a target of its request (its first appearance: a repeat is no second hit)
    known_hit: Bool  # [m] and it could be known at the time
    targets: Int64  # [n] how many targets each request has
    known: Int64  # [n] how many of them could be known
    k: int  # rows beyond this rank were cut
    hits: Int64 = field(init=False)  # numbers of the rows with a hit
    starts: Int64 = field(init=False)  # [n + 1] where the rows of each request begin

    def __len__(self) -> int:
        """How many requests there are, with or without rows."""
        return len(self.targets)

    def __post_init__(self) -> None:
        if len(self.request) and not (
            np.all(self.request[1:] >= self.request[:-1]) and int(self.request[-1]) < len(self)
        ):
            raise ValueError(f"request numbers must be ascending and below {len(self)}, the number of rows of targets")
        object.__setattr__(self, "hits", np.flatnonzero(self.hit))
        object.__setattr__(self, "starts", np.searchsorted(self.request, np.arange(len(self) + 1)).astype(np.int64))

    def found(self, k: int) -> Int64:
        """Numbers of the rows with a hit at rank ``k`` or better."""
        return self.hits[self.rank[self.hits] <= self._checked(k)]

    def ends(self, k: int) -> Int64:
        """[n]: where the rows of rank ``k`` or better of each request end; they begin at ``starts``."""
        return ends_of(self.starts, self.rank, self._checked(k))

    def rows(self, k: int) -> Int64:
        """Numbers of the rows at rank ``k`` or better."""
        return np.flatnonzero(self.rank <= self._checked(k))

    def mean_of(self, of_item: Array, k: int) -> Float64:
        """[n]: mean of ``of_item`` [items] over the first ``k`` rows; NaN items are left out, NaN if none is left."""
        of_item = np.asarray(of_item, np.float64)
        if len(self.item) and int(self.item.max()) >= len(of_item):
            raise ValueError(f"item {int(self.item.max())} is listed; there are values of {len(of_item)}")
        return means(self.starts, self.ends(k), self.item, of_item)

    def exposure(self, k: int, n_items: int = 0) -> Int64:
        """[n_items, or more where codes beyond it are listed]: in how many lists' first ``k`` each item stands."""
        codes = max(n_items, int(self.item.max()) + 1 if len(self.item) else 0)
        return counts(self.starts, self.ends(k), self.item, codes)

    def _checked(self, k: int) -> int:
        if not 1 <= k <= self.k:
            raise ValueError(f"k must be from 1 to {self.k}, where these lists were cut; got {k}")
        return k

    @staticmethod
    def of(candidates: Candidates, targets: Ragged, k: int) -> Slates:
        """From lists in the order of their rows and ``targets``, a row of distinct "item" for each request.

        Where ``targets`` has a column "known", it says which targets the system could have known of; else all.
        Raises ``ValueError`` if a target is listed twice in a row.
        """
        listed = Candidates(candidates.request, candidates.item).head(k)
        wanted = np.asarray(targets["item"])
        possible = np.asarray(targets.columns.get("known", np.ones(len(wanted), bool)), bool)
        codes = 1 + max((int(part.max()) for part in (listed.item, wanted) if len(part)), default=-1)
        hit, known_hit, twice = joined(listed.request, listed.item, targets.offsets, wanted, possible, codes)
        if twice:
            raise ValueError("a request names the same target twice")
        return Slates(
            request=listed.request,
            item=listed.item,
            rank=(listed.positions() + 1).astype(np.int32),
            hit=hit,
            known_hit=known_hit,
            targets=targets.lengths,
            known=np.bincount(targets.rows[possible], minlength=len(targets)),
            k=k,
        )
