"""Lists that were shown, beside what would have been right: what every metric of lists is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.types import Array, Bool, Candidates, Int32, Int64, Ragged, UInt32, keys


@dataclass(frozen=True, slots=True)
class Slates:
    """The first ``k`` rows of each request, joined once with its targets."""

    request: UInt32  # [m] row number of the request, ascending
    item: Int32  # [m]
    rank: Int32  # [m] place in the list, from 1
    hit: Bool  # [m] the item is a target of its request (its first appearance: a repeat is no second hit)
    known_hit: Bool  # [m] and it could be known at the time
    targets: Int64  # [n] how many targets each request has
    known: Int64  # [n] how many of them could be known
    k: int  # rows beyond this rank were cut

    def __len__(self) -> int:
        """How many requests there are, with or without rows."""
        return len(self.targets)

    def __post_init__(self) -> None:
        if len(self.request) and not (
            np.all(self.request[1:] >= self.request[:-1]) and int(self.request[-1]) < len(self)
        ):
            raise ValueError(f"request numbers must be ascending and below {len(self)}, the number of rows of targets")

    def within(self, k: int) -> Bool:
        """[m]: rows at rank ``k`` or better; raises ``ValueError`` if the lists were cut before ``k``."""
        if not 1 <= k <= self.k:
            raise ValueError(f"k must be from 1 to {self.k}, where these lists were cut; got {k}")
        return self.rank <= k

    def mean(self, values: Array, rows: Array) -> Array:
        """[n]: mean of ``values`` over the chosen ``rows`` (mask or numbers) of each request, NaN where it has none."""
        request = self.request[rows]
        total = np.bincount(request, weights=values, minlength=len(self))
        count = np.bincount(request, minlength=len(self))
        return np.divide(total, count, out=np.full(len(self), np.nan), where=count > 0)

    @staticmethod
    def of(candidates: Candidates, targets: Ragged, k: int) -> Slates:
        """From lists in the order of their rows and ``targets``, a row of distinct "item" for each request.

        Where ``targets`` has a column "known", it says which targets the system could have known of; else all.
        Raises ``ValueError`` if a target is listed twice in a row.
        """
        listed = candidates.head(k)
        wanted = keys(targets.rows, targets["item"])
        order = np.argsort(wanted, kind="stable")
        wanted = wanted[order]
        if np.any(wanted[1:] == wanted[:-1]):
            raise ValueError("a request names the same target twice")
        possible = np.asarray(targets.columns.get("known", np.ones(len(wanted), bool)), bool)

        shown = listed.keys
        hit, known_hit = np.zeros(len(shown), bool), np.zeros(len(shown), bool)
        if len(wanted):
            place = np.minimum(np.searchsorted(wanted, shown), len(wanted) - 1)
            rows = np.flatnonzero(wanted[place] == shown)
            rows = rows[np.unique(shown[rows], return_index=True)[1]]
            hit[rows] = True
            known_hit[rows] = possible[order[place[rows]]]
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
