"""What everybody takes at the moment, of everything or of the user's own segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import InputError, Retriever, Search
from shortlist.data import Codes, Dataset, State, Table
from shortlist.durations import Duration
from shortlist.recall._kernels import ordered, top
from shortlist.recall._kernels.sparse import Sparse
from shortlist.types import Candidates, Float32, Int32, Int64, Requests

BLOCK = 16_000_000
"""Cells of dense scores held at once (64 MB)."""


class Popular(Retriever):
    """Time-decayed counts, global and per segment; answers everybody.

    score(i, t) = sum over events e of item i at or before tick(t) of strength_e 2^(-(latest - t_e) / half_life)
    with tick(t) = floor(t / refresh) refresh: a list is as of the last refresh, in a replay as in live service.

    With a user attribute as segment only events of users with the asker's value count. With an item attribute the score
    is multiplied by sum_g share_u(g) over the values g the item has among the asker's ``top`` most frequent ones. Who
    has no such attribute, no history, or a segment without events gets the global list. Several segments multiply.
    It knows nothing of likeness, so it has no ``similar``.

    Source: Ji, Sun, Zhang, Li (2020), A Re-visit of the Popularity Baseline in Recommender Systems.
    """

    personalised: ClassVar[bool] = False

    half_life: Annotated[
        Duration | None, Search(choices=("1h", "6h", "12h", "1d", "3d", "7d", "14d", "30d", "90d"))
    ] = 7 * 86_400_000_000
    """An event this much older than the latest counts half; none = plain counts."""
    refresh: Duration = 3_600_000_000
    """How often the list is made anew."""
    event: str = "positive"
    """Which events count: "positive", "all" or the name of a behaviour."""
    segment: list[str] = []
    """Attributes of users or items (category or list columns) to keep a list for each value of."""
    top: Annotated[int, Field(ge=1), Search(1, 10, log=True)] = 3
    """How many values of an item attribute a user is taken to like."""

    def fit(self, data: Dataset) -> Self:
        """Learns nothing: counts are read from the state. Raises ``InputError`` on an attribute nobody has."""
        known = sorted({*_coded(data.users), *data.items.codes})
        for name in self.segment:
            if name in data.items.dated and name not in known:
                raise InputError(
                    f"popular.segment: {name!r} is told by the log; a list of an item attribute needs a catalogue's"
                )
            if name not in known:
                raise InputError(
                    f"popular.segment: {name!r} is no category or list of users or items; there are {known}"
                )
        if self.event not in ("positive", "all", *data.behaviours.names):
            raise InputError(f"popular.event: {self.event!r} is not positive, all or one of {data.behaviours.names}")
        return self

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items with any count."""
        if self._liked(state):
            return self._retrieve_own(requests, state, k)
        distinct, which = _distinct(self._asked(requests, state))
        found = self._orders(distinct, state, ordered.reach(requests, k))
        offsets = np.cumsum([0, *(len(items) for items, _ in found)])
        items = np.concatenate([np.empty(0, np.int32), *(part[0] for part in found)])
        scores = np.concatenate([np.empty(0, np.float32), *(part[1] for part in found)])
        exclude, width = requests.exclude, int(items.max(initial=-1)) + 1
        request, item, score = ordered.read(which, offsets, items, scores, exclude.offsets, exclude["item"], width, k)
        return Candidates(request, item, {"score": score})

    def _retrieve_own(self, requests: Requests, state: State, k: int) -> Candidates:
        """As ``retrieve``, where everybody has scores of their own."""
        parts = []
        for block, rows, scores in self._blocks(requests, state):
            exclude = requests.exclude if len(block) == len(requests) else requests.exclude.take(block)
            query = Sparse(np.arange(len(block) + 1), rows.astype(np.int32), np.ones(len(block), np.float32))
            barred = np.where(exclude["item"] < scores.shape[1], exclude["item"], -1)
            request, item, score = top.dense_top(query, scores, exclude.offsets, barred, k)
            parts.append(Candidates(block[request].astype(np.uint32), item, {"score": score}))
        if len(parts) == 1:
            return parts[0]
        return Candidates.concat(parts) if parts else Candidates.empty(score=np.float32)

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for items without events."""
        out = np.zeros(len(candidates), np.float32)
        for block, rows, scores in self._blocks(requests, state):
            row_of = np.full(len(requests), -1)
            row_of[block] = rows
            row = row_of[candidates.request]
            here = np.flatnonzero((row >= 0) & (candidates.item >= 0) & (candidates.item < scores.shape[1]))
            out[here] = scores[row[here], candidates.item[here]]
        return out

    def _blocks(self, requests: Requests, state: State) -> Iterator[tuple[Int64, Int64, Float32]]:
        """(request numbers ascending, row of each in scores, scores [rows, items]), pieces of bounded size."""
        n, liked = len(requests), self._liked(state)
        distinct, row_of = _distinct(self._asked(requests, state))
        size = max(1, BLOCK // max(1, state.items.n))
        for start in range(0, len(distinct), size):
            scores = self._lists(distinct[start : start + size], state)
            here = (row_of >= start) & (row_of < start + size)
            block = np.arange(n) if here.all() else np.flatnonzero(here)
            if not liked:
                yield block, row_of[block] - start, scores
                continue
            for first in range(0, len(block), size):
                asked = block[first : first + size]
                own = scores[row_of[asked] - start]
                for name in liked:
                    own = _or_else(
                        own * self._affinity(state.items.codes[name], requests.take(asked), own.shape[1]), own
                    )
                yield asked, np.arange(len(asked)), own

    def _asked(self, requests: Requests, state: State) -> Int64:
        """[n, 1 + segments]: what a list depends on, the tick and the code of each user attribute; -1 = none."""
        lists = np.empty((len(requests), 1 + len(self.segment)), np.int64)
        lists[:, 0] = requests.time // self.refresh * self.refresh
        for s, name in enumerate(self.segment, 1):
            users, rows = state.attributes("user", name, requests.user, requests.time)
            lists[:, s] = users.codes[name].first(rows) if name in users.codes else -1
        return lists

    def _liked(self, state: State) -> list[str]:
        """The segments that follow the asker's history."""
        return [name for name in self.segment if name not in _coded(state.users) and name in state.items.codes]

    def _orders(self, lists: Int64, state: State, depth: int) -> list[tuple[Int32, Float32]]:
        """For each list its items by falling score, then by code, and the scores: the first ``depth`` or more."""
        kept = state.kept  # before anything is read
        same = ("popular", self.event, self.half_life, *self.segment)
        what = [(same, *row[1:]) for row in lists.tolist()]
        ticks = lists[:, 0].tolist()
        found = [kept.get(*key) for key in zip(what, ticks, strict=True)]
        missing = np.array([r for r, order in enumerate(found) if order is None or order[2] < depth], np.int64)
        size = max(1, BLOCK // max(1, state.items.n))
        for start in range(0, len(missing), size):
            rows = missing[start : start + size]
            for r, scores in zip(rows.tolist(), self._lists(lists[rows], state), strict=True):
                items = ordered.foremost(scores, depth)
                reaches = ordered.WHOLE if len(items) == len(scores) or scores[items].min() <= 0 else depth
                items = items[scores[items] > 0]
                items = items[np.argsort(-scores[items], kind="stable")]
                found[r] = order = items.astype(np.int32), scores[items], np.array(reaches)
                kept.put(what[r], ticks[r], order)
        return [(order[0], order[1]) for order in found if order is not None]

    def _lists(self, lists: Int64, state: State) -> Float32:
        """[rows, items]: the list of each tick and combination of segments."""
        plain = state.decayed("item", lists[:, 0], self.event, self.half_life)
        scores = plain
        for s, name in enumerate(self.segment, 1):
            if (lists[:, s] < 0).all():
                continue
            counted = np.ones_like(plain)
            for code in np.unique(lists[lists[:, s] >= 0, s]):
                rows = np.flatnonzero(lists[:, s] == code)
                found = state.decayed("item", lists[rows, 0], self.event, self.half_life, (name, int(code)))
                counted[rows] = 0
                counted[rows, : found.shape[1]] = found
            scores = counted if scores is plain else scores * counted
            unknown = lists[:, s] < 0
            scores[unknown] = plain[unknown]
            scores = _or_else(scores, plain)
        return scores

    def _affinity(self, codes: Codes, requests: Requests, n: int) -> Float32:
        """[requests, n]: the summed share of the item's values among the asker's ``top`` values."""
        history, levels = requests.history, len(codes.levels)
        strong = (history["weight"] > 0) & (history["item"] < len(codes.values))
        items = history["item"][strong]
        entries = codes.values.take(items)
        rows = history.rows[strong][entries.rows]
        weight = history["weight"][strong][entries.rows]
        cells = np.bincount(rows * levels + entries["code"], weight, len(requests) * levels)
        counts = cells.reshape(-1, levels).astype(np.float64)
        order = np.argsort(-counts, axis=1, kind="stable")
        np.put_along_axis(counts, order[:, self.top :], 0, axis=1)
        counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
        values = codes.values
        data = np.ones(len(values["code"]), np.float32)
        member = sp.csr_matrix((data, values["code"], values.offsets), shape=(len(values), levels))
        out = np.zeros((len(requests), n), np.float32)
        out[:, : len(values)] = (member @ counts.T.astype(np.float32)).T
        return out


def _coded(table: Table) -> list[str]:
    """The columns of categories or lists."""
    return [name for name, kind in table.columns().items() if kind in ("category", "list")]


def _distinct(lists: Int64) -> tuple[Int64, Int64]:
    """The different rows, and which of them each row is."""
    if len(lists) == 1:
        return lists, np.zeros(1, np.int64)
    return np.unique(lists, axis=0, return_inverse=True)


def _or_else(scores: Float32, plain: Float32) -> Float32:
    """Rows of ``scores``; of ``plain`` where a row has no count at all."""
    return np.where((scores > 0).any(axis=1, keepdims=True), scores, plain)
